//! The vectors of RFC 5769, checks and answers, and hostile bytes.

use super::message::{Attributes, integrity_key};
use super::*;
use crate::control::SessionId;
use crate::transport::ice::{IceCredentials, IceKey};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// RFC 5769 §2: the password of the first three vectors.
const RFC_5769_PWD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// RFC 5769 §2.1.
const SAMPLE_REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
    002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020\
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";

/// RFC 5769 §2.2.
const SAMPLE_IPV4_RESPONSE: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
    002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";

/// RFC 5769 §2.3.
const SAMPLE_IPV6_RESPONSE: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
    002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn v4() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 32853).into()
}

fn v6() -> SocketAddr {
    ("2001:db8:1234:5678:11:2233:4455:6677".parse::<Ipv6Addr>().unwrap(), 32853).into()
}

fn key() -> IceKey {
    IceKey::new(&[3; 32])
}

fn ours() -> IceCredentials {
    key().credentials(SessionId(42), 1, 1000)
}

fn request(change: impl FnOnce(&mut BindingRequest<'_>)) -> Vec<u8> {
    let ours = ours();
    let mut request = BindingRequest {
        remote_ufrag: &ours.ufrag,
        remote_pwd: &ours.pwd,
        local_ufrag: "thei",
        transaction: [9; 12],
        priority: 1_845_501_695,
        controlling: 77,
        use_candidate: false,
    };
    change(&mut request);
    let mut out = [0; MAX_REQUEST];
    let length = request.write(&mut out).unwrap();
    out[..length].to_vec()
}

/// A request of attributes as they are given, signed with our password over all of them where `sign`.
fn crafted(attributes: &[(u16, &[u8])], sign: bool) -> Vec<u8> {
    use stun_types::attribute::RawAttribute;
    use stun_types::message::*;
    let binding = MessageType::from_class_method(MessageClass::Request, BINDING);
    let mut message = Message::builder(binding, 5.into(), MessageWriteVec::new());
    for (attribute_type, value) in attributes {
        message.add_attribute(&RawAttribute::new((*attribute_type).into(), value)).unwrap();
    }
    if sign {
        message.add_message_integrity_with_key(&integrity_key(&ours().pwd), IntegrityAlgorithm::Sha1).unwrap();
    }
    message.finish()
}

fn username() -> Vec<u8> {
    format!("{}:thei", ours().ufrag).into_bytes()
}

fn response(fault: &CheckFault) -> Option<Vec<u8>> {
    let mut out = [0; MAX_ANSWER];
    fault.response(&mut out).map(|length| out[..length].to_vec())
}

#[track_caller]
fn assert_refused(datagram: &[u8], code: u16) {
    let fault = Check::parse(&key(), datagram).expect_err("a fault");
    let answer = response(&fault).expect("an answer");
    assert!(answer.len() <= datagram.len());
    assert_eq!(Answer::parse(&ours().pwd, &answer).unwrap().outcome, Err(code));
}

#[test]
fn rfc_5769_request_is_read() {
    let datagram = hex(SAMPLE_REQUEST);
    let attributes = Attributes::parse(&datagram).unwrap();
    assert_eq!(attributes.username, Some(&b"evtj:h6vY"[..]));
    assert_eq!((attributes.priority, attributes.controlled), (Some(0x6e00_01ff), Some(0x932f_f9b1_5126_3b36)));
    assert!(attributes.is_signed_with(&integrity_key(RFC_5769_PWD)));
    assert!(!attributes.is_signed_with(&integrity_key("another")));
    assert!(attributes.unknown.is_empty());
}

#[test]
fn rfc_5769_responses_are_read() {
    for (vector, address) in [(SAMPLE_IPV4_RESPONSE, v4()), (SAMPLE_IPV6_RESPONSE, v6())] {
        let answer = Answer::parse(RFC_5769_PWD, &hex(vector)).unwrap();
        assert_eq!(answer.outcome, Ok(address));
        assert_eq!(answer.transaction[..4], [0xb7, 0xe7, 0xa7, 0x01]);
        assert_eq!(Answer::parse("another", &hex(vector)), Err(AnswerFault::Unauthenticated));
    }
}

#[test]
fn a_check_says_who_it_is_for_and_whether_it_nominates() {
    let check = Check::parse(&key(), &request(|_| {})).unwrap();
    assert_eq!((check.claims.session, check.claims.generation, check.claims.birth), (SessionId(42), 1, 1000));
    assert_eq!((check.priority, check.controlling), (Some(1_845_501_695), Some(77)));
    assert!(!check.use_candidate);
    assert!(Check::parse(&key(), &request(|r| r.use_candidate = true)).unwrap().use_candidate);
}

#[test]
fn the_answer_says_where_the_check_came_from() {
    let datagram = request(|_| {});
    let check = Check::parse(&key(), &datagram).unwrap();
    let mapped = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped(), 32853));
    for (source, expected) in [(v4(), v4()), (v6(), v6()), (mapped, v4())] {
        let mut out = [0; MAX_ANSWER];
        let length = check.success(source, &mut out).unwrap();
        assert!(length <= datagram.len());
        let answer = Answer::parse(&ours().pwd, &out[..length]).unwrap();
        assert_eq!(answer, Answer { transaction: [9; 12], outcome: Ok(expected) });
    }
}

/// The shortest check that can be valid still has room for the longest answer.
#[test]
fn the_shortest_check_is_answered() {
    let bare = crafted(&[(0x0006, format!("{}:", ours().ufrag).as_bytes())], true);
    let check = Check::parse(&key(), &bare).unwrap();
    let mut out = [0; MAX_ANSWER];
    assert!(check.success(v6(), &mut out).is_some_and(|length| length <= bare.len()));
}

#[test]
fn an_answer_that_does_not_fit_is_not_written() {
    let check = Check::parse(&key(), &request(|_| {})).unwrap();
    for room in 0..64 {
        assert_eq!(check.success(v4(), &mut vec![0; room]), None);
    }
    assert_eq!(check.success(v4(), &mut [0; 64]), Some(64));
    let mut small = [0; 40];
    assert_eq!(request_into(&mut small), None);
    assert_eq!(request_into(&mut []), None);
}

fn request_into(out: &mut [u8]) -> Option<usize> {
    let binding = BindingRequest {
        remote_ufrag: "ours",
        remote_pwd: "password",
        local_ufrag: "thei",
        transaction: [0; 12],
        priority: 0,
        controlling: 0,
        use_candidate: true,
    };
    binding.write(out)
}

#[test]
fn ufrags_of_4_to_256_characters_fit() {
    for length in [4, 32, 256] {
        let local = "+/aZ".repeat(length / 4);
        let datagram = request(|r| r.local_ufrag = Box::leak(local.into_boxed_str()));
        assert!(Check::parse(&key(), &datagram).is_ok());
    }
}

#[test]
fn missing_credentials_are_400() {
    let long_software = [b'x'; 64];
    for attributes in [&[(0x8022_u16, &long_software[..])][..], &[(0x8022, &long_software[..]), (0x0006, b"a:b")]] {
        let datagram = crafted(attributes, false);
        assert!(matches!(Check::parse(&key(), &datagram), Err(CheckFault::BadRequest(..))));
        assert_refused(&datagram, 400);
    }
    let no_username = crafted(&[(0x8022, &long_software[..])], true);
    assert!(matches!(Check::parse(&key(), &no_username), Err(CheckFault::BadRequest(..))));
}

#[test]
fn a_request_too_short_for_an_error_gets_none() {
    let bare = crafted(&[], false);
    let fault = Check::parse(&key(), &bare).unwrap_err();
    assert!(matches!(fault, CheckFault::BadRequest(..)));
    assert_eq!(response(&fault), None);
}

#[test]
fn a_forged_ufrag_is_401() {
    let datagram = request(|r| r.remote_ufrag = "AAAAAAAAAAAAAAAAAAAA");
    assert!(matches!(Check::parse(&key(), &datagram), Err(CheckFault::UnknownUfrag(..))));
    assert_refused(&datagram, 401);
}

#[test]
fn a_wrong_password_is_401() {
    let datagram = request(|r| r.remote_pwd = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(matches!(Check::parse(&key(), &datagram), Err(CheckFault::BadIntegrity(_, SessionId(42)))));
    assert_refused(&datagram, 401);
}

#[test]
fn a_check_for_another_process_is_401() {
    let theirs = IceKey::new(&[4; 32]).credentials(SessionId(42), 1, 1000);
    let datagram = request(|r| (r.remote_ufrag, r.remote_pwd) = (leak(theirs.ufrag), leak(theirs.pwd)));
    assert!(matches!(Check::parse(&key(), &datagram), Err(CheckFault::UnknownUfrag(..))));
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[test]
fn unknown_comprehension_required_attributes_are_420_and_named() {
    let datagram = crafted(&[(0x0006, &username()), (0x0033, b"1234"), (0x7777, b""), (0x0033, b"again")], true);
    assert_refused(&datagram, 420);
    let answer = response(&Check::parse(&key(), &datagram).unwrap_err()).unwrap();
    let unknown = answer.windows(8).any(|window| window == [0, 0x0a, 0, 4, 0, 0x33, 0x77, 0x77]);
    assert!(unknown, "UNKNOWN-ATTRIBUTES lists each once: {answer:02x?}");
}

#[test]
fn many_unknown_attributes_do_not_make_a_long_answer() {
    let numbers: Vec<(u16, &[u8])> = (0x0100..0x0180).map(|number| (number, &[][..])).collect();
    let username = username();
    let datagram = crafted(&[&[(0x0006, &username[..])], &numbers[..]].concat(), true);
    assert_refused(&datagram, 420);
}

/// libdatachannel sends SOFTWARE, Chromium 0xc057 and GOOG-NETWORK-INFO, RFC 8489 agents the stronger integrity.
#[test]
fn attributes_of_real_clients_are_tolerated() {
    let integrity_sha256 = [0; 32];
    let datagram = crafted(
        &[
            (0x0006, &username()),
            (0x8022, b"libdatachannel"),
            (0xc057, &[0, 1, 0, 10]),
            (0x802a, &[0; 8]),
            (0x0024, &[0x6e, 0, 1, 0xff]),
            (0x001d, &[0, 1, 0, 0]),
        ],
        true,
    );
    assert!(Check::parse(&key(), &datagram).is_ok());
    let followed = with_attribute(datagram, 0x001c, &integrity_sha256);
    assert!(Check::parse(&key(), &followed).is_ok());
}

/// Behind MESSAGE-INTEGRITY anybody could have put it.
#[test]
fn a_nomination_that_is_not_signed_does_not_count() {
    let datagram = with_attribute(crafted(&[(0x0006, &username())], true), 0x0025, &[]);
    assert!(!Check::parse(&key(), &datagram).unwrap().use_candidate);
}

fn with_attribute(mut datagram: Vec<u8>, attribute_type: u16, value: &[u8]) -> Vec<u8> {
    datagram.extend(attribute_type.to_be_bytes());
    datagram.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    datagram.extend(value);
    let length = u16::try_from(datagram.len() - 20).unwrap();
    datagram[2..4].copy_from_slice(&length.to_be_bytes());
    datagram
}

#[test]
fn a_controlled_peer_is_487() {
    let datagram = crafted(&[(0x0006, &username()), (0x8029, &[1; 8])], true);
    assert!(matches!(Check::parse(&key(), &datagram), Err(CheckFault::RoleConflict(..))));
    assert_refused(&datagram, 487);
}

#[test]
fn signed_errors_are_signed() {
    let datagram = crafted(&[(0x0006, &username()), (0x8029, &[1; 8])], true);
    let answer = response(&Check::parse(&key(), &datagram).unwrap_err()).unwrap();
    assert_eq!(Answer::parse("another password", &answer), Err(AnswerFault::Unauthenticated));
}

/// A path that strips the signature of an error must not end a session.
#[test]
fn an_unsigned_success_or_role_conflict_is_not_believed() {
    let mut stripped = hex(SAMPLE_IPV4_RESPONSE);
    stripped.truncate(stripped.len() - 8 - 24);
    stripped[3] -= 8 + 24;
    assert_eq!(Answer::parse(RFC_5769_PWD, &stripped), Err(AnswerFault::Unauthenticated));
}

#[test]
fn a_binding_indication_is_a_keepalive() {
    let mut datagram = request(|_| {});
    datagram.truncate(20);
    datagram[..4].copy_from_slice(&[0x00, 0x11, 0, 0]);
    let fault = Check::parse(&key(), &datagram).unwrap_err();
    assert!(matches!(fault, CheckFault::Indication));
    assert_eq!(response(&fault), None);
}

#[test]
fn responses_and_other_methods_are_not_answered() {
    for message_type in [[0x01, 0x01], [0x01, 0x11], [0x00, 0x03], [0x00, 0x04]] {
        let mut datagram = vec![0; 20];
        datagram[..2].copy_from_slice(&message_type);
        datagram[4..8].copy_from_slice(&0x2112_a442_u32.to_be_bytes());
        let fault = Check::parse(&key(), &datagram).unwrap_err();
        assert!(matches!(fault, CheckFault::NotARequest));
        assert_eq!(response(&fault), None);
    }
}

#[test]
fn a_wrong_fingerprint_is_malformed() {
    let mut datagram = request(|_| {});
    *datagram.last_mut().unwrap() ^= 1;
    assert!(matches!(Check::parse(&key(), &datagram), Err(CheckFault::Malformed)));
}

#[test]
fn a_check_without_fingerprint_is_taken() {
    assert!(Check::parse(&key(), &crafted(&[(0x0006, &username())], true)).is_ok());
}

#[test]
fn any_truncation_is_malformed() {
    let whole = request(|r| r.use_candidate = true);
    for length in 0..whole.len() {
        assert!(matches!(Check::parse(&key(), &whole[..length]), Err(CheckFault::Malformed)), "{length}");
    }
    assert!(matches!(Check::parse(&key(), &[&whole[..], &[0; 4]].concat()), Err(CheckFault::Malformed)));
}

#[test]
fn any_truncation_with_a_fitting_length_is_refused() {
    let whole = request(|r| r.use_candidate = true);
    for length in 20..whole.len() {
        let mut cut = whole[..length].to_vec();
        cut[2..4].copy_from_slice(&u16::try_from(length - 20).unwrap().to_be_bytes());
        let parsed = Check::parse(&key(), &cut);
        // Without its last attribute it is a valid check without FINGERPRINT.
        assert_eq!(parsed.is_ok(), length == whole.len() - 8, "{length}");
    }
}

/// A single flipped bit is found, by MESSAGE-INTEGRITY or by FINGERPRINT. (In the type of FINGERPRINT itself it makes another
/// attribute, which is one behind MESSAGE-INTEGRITY and ignored.)
#[test]
fn any_flipped_bit_is_refused() {
    let whole = request(|r| r.use_candidate = true);
    let fingerprint_type = whole.len() - 8..whole.len() - 6;
    for bit in (0..whole.len() * 8).filter(|bit| !fingerprint_type.contains(&(bit / 8))) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Check::parse(&key(), &flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn mutated_messages_never_panic_and_never_get_a_longer_answer() {
    let mut state = 1_u64;
    let mut random = move |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    let seeds = [
        hex(SAMPLE_REQUEST),
        hex(SAMPLE_IPV4_RESPONSE),
        hex(SAMPLE_IPV6_RESPONSE),
        request(|r| r.use_candidate = true),
    ];
    for _ in 0..20_000 {
        let mut datagram = seeds[random(seeds.len())].clone();
        for _ in 0..1 + random(6) {
            let at = random(datagram.len());
            datagram[at] = random(256) as u8;
        }
        datagram.truncate(1 + random(datagram.len()));
        if datagram.len() >= 20 && random(2) == 0 {
            let length = (datagram.len() - 20) as u16;
            datagram[2..4].copy_from_slice(&length.to_be_bytes());
        }
        let _ = Answer::parse(RFC_5769_PWD, &datagram);
        if let Err(fault) = Check::parse(&key(), &datagram) {
            assert!(response(&fault).is_none_or(|answer| answer.len() <= datagram.len()));
        }
    }
}

#[test]
fn an_enormous_message_is_malformed() {
    let datagram = crafted(&[(0x0006, &username()), (0x8022, &[0; 60_000])], true);
    assert!(matches!(Check::parse(&key(), &datagram), Err(CheckFault::Malformed)));
}

#[test]
fn keys_are_not_printed() {
    let check = Check::parse(&key(), &request(|_| {})).unwrap();
    let bytes = format!("{:?}", ours().pwd.as_bytes());
    assert!(!format!("{check:?}").contains(bytes.trim_matches(['[', ']'])));
}
