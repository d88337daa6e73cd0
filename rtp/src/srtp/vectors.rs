//! The RFCs' own test vectors: key derivation (RFC 3711 B.3) and AEAD packets (RFC 7714 §16, §17). They start from session keys, so they are tested below the public interface.

use super::cipher::{Gcm, PacketId, Transform};
use super::kdf::{Label, MasterKey};
use super::profile::Profile;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, UnboundKey};

/// "Quid pro quo", the session salt of every vector in RFC 7714.
const SALT: &str = "517569642070726f2071756f";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

const RTP: &str =
    "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
const SRTP_128: &str = "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
                        899d7f27beb16a9152cf765ee4390cce";
const SRTP_256: &str = "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b\
                        7aa3db36dfffd6b0f9bb7878d7a76c13";
const RTP_ID: PacketId = PacketId { ssrc: 0x5501_a0b2, index: 0xf17b };

const RTCP: &str =
    "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
const SRTCP_128: &str = "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b\
                         c84aa45896cf4d2fc5abf87245d9eade800005d4";
const SRTCP_256: &str = "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad\
                         1d1eb30c4446839f57ff6f6cb26ac3be800005d4";
const RTCP_ID: PacketId = PacketId { ssrc: 0x4d61_7273, index: 0x5d4 };

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn gcm_128() -> Transform {
    Transform::Gcm(Gcm::new(UnboundKey::new(&AES_128_GCM, &hex(KEY)[..16]), hex(SALT).try_into().unwrap()))
}

fn gcm_256() -> Transform {
    Transform::Gcm(Gcm::new(UnboundKey::new(&AES_256_GCM, &hex(KEY)), hex(SALT).try_into().unwrap()))
}

#[test]
fn rfc_3711_b_3_session_keys() {
    let master = MasterKey::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"), &hex("0EC675AD498AFEEBB6960B3AABE6"));
    let keys = master.derivation(Profile::Aes128CmSha1_80);
    assert_eq!(keys.derive::<16>(Label::RtpEncryption)[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(keys.derive::<14>(Label::RtpSalt)[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    let authentication = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF7227098\
                          6371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2";
    assert_eq!(keys.derive::<94>(Label::RtpAuthentication)[..], hex(authentication));
}

#[test]
fn rfc_7714_16_rtp() {
    for (transform, protected) in [(gcm_128(), SRTP_128), (gcm_256(), SRTP_256)] {
        let mut packet = hex(RTP);
        packet.resize(packet.len() + 16, 0);
        transform.seal_rtp(&mut packet, 12, RTP_ID).unwrap();
        assert_eq!(packet, hex(protected));
        transform.open_rtp(&mut packet, 12, RTP_ID).unwrap();
        assert_eq!(packet[..packet.len() - 16], hex(RTP));
    }
}

#[test]
fn rfc_7714_17_rtcp() {
    for (transform, protected) in [(gcm_128(), SRTCP_128), (gcm_256(), SRTCP_256)] {
        let mut packet = hex(RTCP);
        packet.resize(packet.len() + 20, 0);
        transform.seal_rtcp(&mut packet, RTCP_ID).unwrap();
        assert_eq!(packet, hex(protected));
        assert_eq!(transform.srtcp_word(&packet), 0x8000_05d4);
        transform.open_rtcp(&mut packet, RTCP_ID).unwrap();
        assert_eq!(packet[..packet.len() - 20], hex(RTCP));
    }
}
