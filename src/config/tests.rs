//! The file as a whole: faults with their lines, and the two documents that must name every key.

use super::keys::KEYS;
use super::*;
use oneport_signaling::limits::Rate;
use oneport_signaling::policy::{NoPublisher, Takeover};
use oneport_signaling::secret::Secret;
use std::collections::BTreeSet;
use std::str::FromStr;

const EXAMPLE: &str = include_str!("../../deploy/oneport.example.toml");
const REFERENCE: &str = include_str!("../../docs/configuration.md");

fn faults(text: &str) -> Vec<String> {
    let faults = Config::parse(text).expect_err("the text has faults");
    Faults::new(Path::new("oneport.toml"), faults).to_string().lines().map(str::to_owned).collect()
}

#[track_caller]
fn one_fault(text: &str) -> String {
    let faults = faults(text);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults[0].clone()
}

/// In the example a key stands behind a bare `#`, prose behind `# `.
fn uncommented() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn paths(text: &str) -> BTreeSet<String> {
    let table: toml::Table = text.parse().expect("valid TOML");
    let keys = |(section, keys): (&String, &toml::Value)| {
        let keys: Vec<_> = keys.as_table().expect("a section").keys().map(|key| format!("{section}.{key}")).collect();
        keys
    };
    table.iter().flat_map(keys).collect()
}

fn known() -> BTreeSet<String> {
    KEYS.iter().map(keys::Key::path).collect()
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(Config::parse(""), Ok(Config::default()));
}

#[test]
fn the_example_changes_nothing_as_it_is_and_shows_the_defaults_when_uncommented() {
    assert_eq!(paths(EXAMPLE), BTreeSet::new());
    assert_eq!(Config::parse(EXAMPLE), Ok(Config::default()));
    assert_eq!(Config::parse(&uncommented()), Ok(Config::default()));
}

#[test]
fn the_example_names_every_key_and_no_other() {
    assert_eq!(paths(&uncommented()), known());
}

fn is_ours(key: &str) -> bool {
    key.split_once('.').is_some_and(|(section, _)| section != "net")
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let rows = REFERENCE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<String> = rows.map(|(key, _)| key.to_owned()).filter(|key| is_ours(key)).collect();
    assert_eq!(documented, known());
}

fn parsed<T: FromStr<Err: std::fmt::Debug>>(items: &[&str]) -> Vec<T> {
    items.iter().map(|item| item.parse().expect("it is well-formed")).collect()
}

/// A file that sets every key to something else than its default.
const EVERY_KEY: &str = r#"
[http]
listen = 81
max_connections = 2
max_body_bytes = 0x2000
header_timeout_s = 3
body_timeout_s = 31
idle_timeout_s = 4
trusted_proxies = ["10.0.0.0/8"]
allowed_origins = ["https://a.example"]
[auth]
publish_tokens = ["t1", "t2"]
play_tokens = ["t3"]
[limits]
requests_per_second_per_address = 10
request_burst_per_address = 11
requests_per_second_per_token = 12
request_burst_per_token = 13
half_open_per_address = 14
[redirect]
table = ["play a/* https://b"]
[ice]
servers = ["stun:a", "turn:b"]
turn_username = "u"
turn_credential = "p"
turn_secret = ""
turn_ttl_s = 61
[whip]
takeover = "replace"
[whep]
no_publisher = "wait"
wait_s = 15
counter_offer_s = 16
[data]
enabled = false
viewers_may_send = true
[echo]
enabled = true
[media]
listen = "127.0.0.1:82"
public_addresses = ["192.0.2.1", "2001:db8::1"]
shards = 5
receive_buffer_bytes = 1_000_000
send_buffer_bytes = 2_000_000
max_sessions = 6
video_codecs = ["vp8"]
audio_codecs = ["PCMA", "OPUS"]
video_min_kbps = 17
video_start_kbps = 18
video_max_kbps = 0
history_bytes = 100_000
history_ms = 101
start_group_s = 0
keyframe_interval_ms = 102
remb_kbps = 103
coalesce_max_ms = 0
[streams]
codecs = ["c vp8,opus"]
[session]
setup_timeout_s = 7
dtls_timeout_s = 8
consent_timeout_s = 9
[log]
level = "debug"
"#;

fn every_value() -> Config {
    Config {
        http: Http {
            listen: ListenAddress::AllAddresses(81),
            max_connections: 2,
            max_body_bytes: 0x2000,
            header_timeout: Duration::from_secs(3),
            body_timeout: Duration::from_secs(31),
            idle_timeout: Duration::from_secs(4),
            trusted_proxies: TrustedProxies(parsed(&["10.0.0.0/8"])),
            allowed_origins: AllowedOrigins(parsed(&["https://a.example"])),
        },
        auth: AccessConfig { publish_tokens: parsed(&["t1", "t2"]), play_tokens: parsed(&["t3"]) },
        limits: LimitsConfig {
            per_address: Rate { per_second: 10, burst: 11 },
            per_token: Rate { per_second: 12, burst: 13 },
            half_open_per_address: 14,
        },
        redirect: Redirects(parsed(&["play a/* https://b"])),
        ice: IceServersConfig {
            servers: parsed(&["stun:a", "turn:b"]),
            turn_username: "u".parse().unwrap(),
            turn_credential: "p".parse().unwrap(),
            turn_secret: Secret::default(),
            turn_ttl: Duration::from_secs(61),
        },
        whip: WhipConfig { takeover: Takeover::Replace },
        whep: WhepConfig {
            no_publisher: NoPublisher::Wait,
            wait: Duration::from_secs(15),
            counter_offer: Duration::from_secs(16),
        },
        data: Data { enabled: false, viewers_may_send: true },
        echo: true,
        media: Media {
            listen: ListenAddress::At("127.0.0.1:82".parse().unwrap()),
            public_addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            shards: NonZeroUsize::new(5),
            receive_buffer_bytes: 1_000_000,
            send_buffer_bytes: 2_000_000,
            max_sessions: 6,
            video_codecs: vec![Codec::Vp8],
            audio_codecs: vec![Codec::Pcma, Codec::Opus],
            video_bitrate: Bitrates { min_kbps: Some(17), start_kbps: Some(18), max_kbps: None },
            history_bytes: 100_000,
            history: Duration::from_millis(101),
            start_group: Duration::ZERO,
            keyframe_interval: Duration::from_millis(102),
            remb_kbps: 103,
            coalesce_max: Duration::ZERO,
            is_plain: false,
        },
        streams: StreamRules(parsed(&["c vp8,opus"])),
        session: Session {
            setup_timeout: Duration::from_secs(7),
            dtls_timeout: Duration::from_secs(8),
            consent_timeout: Duration::from_secs(9),
        },
        log: Log { level: LogLevel::Debug },
    }
}

#[test]
fn every_key_is_used() {
    assert_eq!(Config::parse(EVERY_KEY), Ok(every_value()));
    assert_eq!(paths(EVERY_KEY), known(), "a new key belongs in this test");
}

#[test]
fn all_faults_of_a_file_come_in_one_run_in_the_order_of_their_lines() {
    let text = "\
[media]
shards = -1
sharts = 4
public_addresses = [
  \"192.0.2.1\",
  \"nowhere\",
  \"192.0.2.1\",
]
[http]
listen = true
[sesion]
setup_timeout_s = 1
";
    assert_eq!(
        faults(text),
        [
            "oneport.toml:2: media.shards: -1 is out of range: 0 to 1024",
            "oneport.toml:3: media.sharts: unknown key; did you mean media.shards?",
            "oneport.toml:6: media.public_addresses: \"nowhere\" is no address; write an IP address",
            "oneport.toml:7: media.public_addresses: has 192.0.2.1 twice",
            "oneport.toml:10: http.listen: must be an address such as \":8000\", not true or false",
            "oneport.toml:11: sesion: unknown section; did you mean [session]?",
        ]
    );
}

#[test]
fn syntax_errors_do_not_hide_other_faults() {
    let text = "\
[http
listen = 1.5
[media]
shards 4
listen = = 3
max_sessions = 0
max_sessions = 1
[log]
level = \"loud\"
[media]
max_session = 3
";
    let faults = faults(text);
    let starts: Vec<_> = faults.iter().map(|fault| fault.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        starts,
        [
            "oneport.toml:1 unclosed table, expected `]`",
            "oneport.toml:2 http.listen",
            "oneport.toml:4 key with no value, expected `=`",
            "oneport.toml:5 extra `=`, expected nothing",
            "oneport.toml:6 media.max_sessions",
            "oneport.toml:7 max_sessions is given twice",
            "oneport.toml:9 log.level",
            "oneport.toml:10 [media] is given twice",
            "oneport.toml:11 media.max_session",
        ],
        "{faults:#?}"
    );
}

#[test]
fn a_key_in_the_wrong_place_is_told_where_it_belongs() {
    assert_eq!(one_fault("shards = 3"), "oneport.toml:1: shards: unknown key; did you mean media.shards?");
    assert_eq!(one_fault("[log]\nshards = 3"), "oneport.toml:2: log.shards: unknown key; did you mean media.shards?");
    assert_eq!(
        one_fault("[http]\nlistens = 3"),
        "oneport.toml:2: http.listens: unknown key; did you mean http.listen?"
    );
    assert_eq!(one_fault("[http]\nquux = 3"), "oneport.toml:2: http.quux: unknown key");
    assert_eq!(one_fault("media = 3"), "oneport.toml:1: media: is a section: write [media] and its keys below");
    assert_eq!(one_fault("[[media]]"), "oneport.toml:1: media: is a section: write [media] and its keys below");
}

#[test]
fn a_value_of_another_type_or_range_is_a_fault() {
    for (line, sentence) in [
        ("max_sessions = \"many\"", "max_sessions: must be a whole number, not a string"),
        ("max_sessions = 1.5", "max_sessions: must be a whole number, not a number with a fraction"),
        ("max_sessions = 2026-01-01", "max_sessions: must be a whole number, not a date"),
        ("max_sessions = {}", "max_sessions: must be a whole number, not a table"),
        (
            "max_sessions = 340282366920938463463374607431768211456",
            "max_sessions: 340282366920938463463374607431768211456 is out of range: 1 to 10000000",
        ),
        ("listen = 65536", "listen: 65536 is out of range: 0 to 65535"),
        ("listen = \"[::1]\"", "listen: \"[::1]\" is no address; write IP:PORT, [IPv6]:PORT, :PORT or PORT"),
        ("public_addresses = \"192.0.2.1\"", "public_addresses: must be a list, not a string"),
        ("public_addresses = [1]", "public_addresses: must be an address such as \"192.0.2.1\", not a whole number"),
        ("public_addresses = [\"0.0.0.0\"]", "public_addresses: 0.0.0.0 is no address of one host"),
        ("video_codecs = [\"opus\"]", "video_codecs: opus is a codec for audio, not for video"),
        ("audio_codecs = [\"aac\"]", "audio_codecs: \"aac\" is no audio codec; those are opus, red, PCMU, PCMA"),
        ("audio_codecs = [\"PCMA\", \"pcma\"]", "audio_codecs: has PCMA twice"),
    ] {
        assert_eq!(one_fault(&format!("[media]\n{line}\n")), format!("oneport.toml:2: media.{sentence}"));
    }
    let many: Vec<_> = (1..=17).map(|host| format!("\"192.0.2.{host}\"")).collect();
    let too_many = one_fault(&format!("[media]\npublic_addresses = [{}]", many.join(", ")));
    assert!(too_many.ends_with("has 17 addresses; at most 16 fit in an answer"), "{too_many}");
}

#[test]
fn access_limits_and_policies_are_told_what_is_allowed() {
    for (section, line, sentence) in [
        ("auth", "play_tokens = \"x\"", "play_tokens: must be a list, not a string"),
        ("auth", "play_tokens = [\"x\", \"x\"]", "play_tokens: has a token twice"),
        ("limits", "request_burst_per_token = 0", "request_burst_per_token: 0 is out of range: 1 to 1000000"),
        (
            "http",
            "trusted_proxies = [\"lan\"]",
            "trusted_proxies: \"lan\" is no network; write one such as \"10.0.0.0/8\" or an address",
        ),
        (
            "http",
            "allowed_origins = [\"a\"]",
            "allowed_origins: \"a\" is no origin such as \"https://www.example.com\" (lower case, no path) or \"*\"",
        ),
        ("redirect", "table = [\"live/* b\"]", "table: \"b\" is no node such as \"https://node2.example:8443\""),
        ("ice", "servers = [\"http://a\"]", "servers: \"http://a\" must begin with stun:, stuns:, turn: or turns:"),
        (
            "ice",
            "servers = [\"turn:a\"]",
            "servers: has a TURN server, which needs turn_username and turn_credential, or turn_secret",
        ),
        (
            "whip",
            "takeover = \"kick\"",
            "takeover: \"kick\" is not known; one of \"reject\", \"replace\", \"replace_if_silent\"",
        ),
        ("whep", "no_publisher = 1", "no_publisher: must be one of the policies, as a string, not a whole number"),
        (
            "streams",
            "codecs = [\"a aac\"]",
            "codecs: \"aac\" is no codec; those are opus, red, PCMU, PCMA, VP8, VP9, H264, H265, AV1",
        ),
    ] {
        assert_eq!(one_fault(&format!("[{section}]\n{line}\n")), format!("oneport.toml:2: {section}.{sentence}"));
    }
}

#[test]
fn keys_that_do_not_fit_together_are_one_fault() {
    assert_eq!(
        one_fault("[media]\nvideo_max_kbps = 100\nvideo_min_kbps = 200\n"),
        "oneport.toml:2: media.video_max_kbps: 100 is less than video_min_kbps or video_start_kbps, which is 200"
    );
    assert_eq!(
        one_fault("[ice]\nservers = [\"turn:a\"]\nturn_username = \"u\"\n"),
        "oneport.toml:3: ice.turn_username: needs turn_credential"
    );
    let refused = one_fault("[ice]\nservers = [\"turn:a\"]\nturn_secret = \"s\\n\"\n");
    assert!(refused.starts_with("oneport.toml:3: ice.turn_secret: has a character"), "{refused}");
}

#[test]
fn secrets_are_in_no_fault() {
    let text = "[auth]\npublish_tokens = [\"hunter2 \", 2, \"hunter2=x\"]\n[ice]\nturn_secret = \"hunter2\\t\"\n";
    assert!(faults(text).iter().all(|fault| !fault.contains("hunter2")), "{:?}", faults(text));
}

#[test]
fn one_kind_of_codec_may_be_left_out_but_not_both() {
    let audio_only = Config::parse("[media]\nvideo_codecs = []").expect("audio alone is a service");
    assert_eq!(audio_only.media.video_codecs, []);
    assert_eq!(
        one_fault("[media]\naudio_codecs = []\nvideo_codecs = []"),
        "oneport.toml:3: media.video_codecs: leaves no codec at all: nothing could be published"
    );
}

#[test]
fn a_hostile_file_gives_faults_and_stays_on_its_lines() {
    let fault = one_fault("\"evil\\nkey\" = 1");
    assert!(fault.starts_with("oneport.toml:1: evil\\nkey: unknown key"), "{fault}");
    assert!(!faults(&"[".repeat(100_000)).is_empty());
    assert!(!faults(&format!("a = {}", "[".repeat(100_000))).is_empty());
    let example = uncommented();
    for cut in (0..example.len()).filter(|cut| example.is_char_boundary(*cut)) {
        if let Err(faults) = Config::parse(&example[..cut]) {
            let last = example[..cut].lines().count() + 1;
            assert!(faults.iter().all(|fault| fault.line.is_some_and(|line| (1..=last).contains(&line))), "{faults:?}");
        }
    }
}

#[test]
fn a_file_that_is_no_text_is_a_fault_of_its_line() {
    assert_eq!(document::decode(b"[media]\n\xff").map_err(|fault| fault.line), Err(Some(2)));
}

#[test]
fn a_missing_and_an_endless_file_are_faults_of_the_file() {
    let missing = Config::load(Path::new("/nonexistent/oneport.toml")).expect_err("it is missing").to_string();
    assert!(missing.starts_with("/nonexistent/oneport.toml: cannot be read: No such file"), "{missing}");
    let endless = Config::load(Path::new("/dev/zero")).expect_err("it never ends").to_string();
    assert_eq!(endless, "/dev/zero: cannot be read: it is larger than 1048576 bytes");
}
