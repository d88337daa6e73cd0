//! H264's `profile-level-id` (RFC 6184 §8.1) and what an answer makes of its level (§8.2.2).

use std::fmt;

use oneport_rtp::payload::H264Profile;

/// Level 5.2, the highest that libwebrtc can read: an answer with a higher one would be taken as one without H264.
const HIGHEST_LEVEL: u8 = 0x34;
/// With constraint_set3_flag, level 1.1 of the simpler profiles is level 1b.
const LEVEL_1_1: u8 = 0x0b;
const CONSTRAINT_SET3: u8 = 0x10;

/// profile_idc, the constraint flags and level_idc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProfileLevelId {
    profile_idc: u8,
    constraints: u8,
    level_idc: u8,
}

impl ProfileLevelId {
    /// Baseline at level 1, which holds where nothing is given (RFC 6184 §8.1).
    pub(crate) const DEFAULT: ProfileLevelId = ProfileLevelId { profile_idc: 0x42, constraints: 0, level_idc: 0x0a };

    /// Six hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<ProfileLevelId> {
        if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let [_, profile_idc, constraints, level_idc] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        Some(ProfileLevelId { profile_idc, constraints, level_idc })
    }

    pub(crate) fn profile(self) -> H264Profile {
        H264Profile::from_idc(self.profile_idc, self.constraints)
    }

    /// The same profile at the highest level: what a forwarder can receive.
    pub(crate) fn at_highest_level(self) -> ProfileLevelId {
        if self.level_idc >= HIGHEST_LEVEL {
            return self;
        }
        let is_1b = self.level_idc == LEVEL_1_1 && matches!(self.profile_idc, 0x42 | 0x4d | 0x58);
        let constraints = if is_1b { self.constraints & !CONSTRAINT_SET3 } else { self.constraints };
        ProfileLevelId { constraints, level_idc: HIGHEST_LEVEL, ..self }
    }
}

impl fmt::Display for ProfileLevelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.profile_idc, self.constraints, self.level_idc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_raised_and_the_profile_kept() {
        let cases = [("42e01f", "42e034"), ("640028", "640034"), ("42F00b", "42e034"), ("64100b", "641034")];
        for (offered, answered) in cases.into_iter().chain([("640034", "640034"), ("64003c", "64003c")]) {
            assert_eq!(ProfileLevelId::parse(offered).unwrap().at_highest_level().to_string(), answered);
        }
    }

    #[test]
    fn only_six_hexadecimal_digits_are_one() {
        for text in ["", "42e01", "42e01f0", "+42e01", "42e0g1", "42é1f"] {
            assert_eq!(ProfileLevelId::parse(text), None, "{text}");
        }
    }
}
