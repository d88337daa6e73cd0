//! libsrtp 2 (Debian: libsrtp2-dev) as the other side of a conversation: the few functions that it takes, with the
//! structures of `/usr/include/srtp2/srtp.h`.

#![allow(unsafe_code, unreachable_pub)] // a C library is not to be had otherwise, and this is a test's module

use std::ffi::{c_int, c_uchar, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::Once;

use oneport_rtp::srtp::Profile;

#[repr(C)]
#[derive(Default)]
struct CryptoPolicy {
    cipher_type: u32,
    cipher_key_len: c_int,
    auth_type: u32,
    auth_key_len: c_int,
    auth_tag_len: c_int,
    sec_serv: c_uint,
}

#[repr(C)]
struct Policy {
    ssrc_type: c_uint,
    ssrc_value: c_uint,
    rtp: CryptoPolicy,
    rtcp: CryptoPolicy,
    key: *const c_uchar,
    keys: *const c_void,
    num_master_keys: c_ulong,
    deprecated_ekt: *const c_void,
    window_size: c_ulong,
    allow_repeat_tx: c_int,
    enc_xtn_hdr: *const c_int,
    enc_xtn_hdr_count: c_int,
    next: *const Policy,
}

type Transform = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_int) -> c_uint;

#[link(name = "srtp2")]
unsafe extern "C" {
    fn srtp_init() -> c_uint;
    fn srtp_create(session: *mut *mut c_void, policy: *const Policy) -> c_uint;
    fn srtp_dealloc(session: *mut c_void) -> c_uint;
    fn srtp_crypto_policy_set_from_profile_for_rtp(policy: *mut CryptoPolicy, profile: c_uint) -> c_uint;
    fn srtp_crypto_policy_set_from_profile_for_rtcp(policy: *mut CryptoPolicy, profile: c_uint) -> c_uint;
    fn srtp_protect(session: *mut c_void, packet: *mut c_void, len: *mut c_int) -> c_uint;
    fn srtp_unprotect(session: *mut c_void, packet: *mut c_void, len: *mut c_int) -> c_uint;
    fn srtp_protect_rtcp(session: *mut c_void, packet: *mut c_void, len: *mut c_int) -> c_uint;
    fn srtp_unprotect_rtcp(session: *mut c_void, packet: *mut c_void, len: *mut c_int) -> c_uint;
}

/// What libsrtp calls its refusals (`srtp_err_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub c_uint);

impl Status {
    pub const AUTH_FAIL: Self = Self(7);
    pub const REPLAY_FAIL: Self = Self(9);
    pub const REPLAY_OLD: Self = Self(10);
}

/// Which half of a transport a session serves.
#[derive(Clone, Copy, Debug)]
pub enum Direction {
    Inbound = 2,
    Outbound = 3,
}

/// A libsrtp session for any SSRC of one direction, with a replay window of 1,024 packets.
pub struct Session(*mut c_void);

impl Session {
    pub fn new(profile: Profile, direction: Direction, key: &[u8], salt: &[u8]) -> Self {
        static INIT: Once = Once::new();
        // SAFETY: takes no arguments, and `Once` keeps it from running twice at a time.
        INIT.call_once(|| assert_eq!(unsafe { srtp_init() }, 0));
        let (mut rtp, mut rtcp) = (CryptoPolicy::default(), CryptoPolicy::default());
        let id = c_uint::from(profile.dtls_id());
        // SAFETY: each writes one policy, which outlives the call.
        let set = unsafe {
            (
                srtp_crypto_policy_set_from_profile_for_rtp(&mut rtp, id),
                srtp_crypto_policy_set_from_profile_for_rtcp(&mut rtcp, id),
            )
        };
        assert_eq!(set, (0, 0), "libsrtp knows the profile");
        let master = [key, salt].concat();
        let policy = Policy {
            ssrc_type: direction as c_uint,
            ssrc_value: 0,
            rtp,
            rtcp,
            key: master.as_ptr(),
            keys: ptr::null(),
            num_master_keys: 0,
            deprecated_ekt: ptr::null(),
            window_size: 1024,
            allow_repeat_tx: 0,
            enc_xtn_hdr: ptr::null(),
            enc_xtn_hdr_count: 0,
            next: ptr::null(),
        };
        let mut session = ptr::null_mut();
        // SAFETY: the policy and the key live until the call returns, and libsrtp copies both.
        assert_eq!(unsafe { srtp_create(&mut session, &policy) }, 0);
        Self(session)
    }

    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Status> {
        assert!(buffer.len() >= len + 144, "SRTP_MAX_TRAILER_LEN");
        self.run(srtp_protect, buffer, len)
    }

    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Status> {
        assert!(buffer.len() >= len + 148, "SRTP_MAX_TRAILER_LEN and the index");
        self.run(srtp_protect_rtcp, buffer, len)
    }

    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Status> {
        self.run(srtp_unprotect, packet, packet.len())
    }

    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Status> {
        self.run(srtp_unprotect_rtcp, packet, packet.len())
    }

    fn run(&mut self, transform: Transform, buffer: &mut [u8], len: usize) -> Result<usize, Status> {
        let mut len = c_int::try_from(len).expect("a packet's length");
        // SAFETY: the session is live, and the buffer holds `len` octets and, to protect, the largest trailer.
        match unsafe { transform(self.0, buffer.as_mut_ptr().cast(), &mut len) } {
            0 => Ok(usize::try_from(len).expect("a packet's length")),
            status => Err(Status(status)),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: made by `srtp_create` and freed here only.
        unsafe { srtp_dealloc(self.0) };
    }
}
