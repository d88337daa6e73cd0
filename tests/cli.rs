//! The binary as a user meets it: what it prints, where, and with which exit code.

use seccompiler::{SeccompAction, SeccompFilter, apply_filter};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use tempfile::TempDir;

const ONEPORT: &str = env!("CARGO_BIN_EXE_oneport");

/// Ports that the kernel chooses, on an address that nobody else sees.
const LOOPBACK: [&str; 2] = ["--http=127.0.0.1:0", "--media=127.0.0.1:0"];

fn run(args: &[&str]) -> Output {
    Command::new(ONEPORT).args(args).output().expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// The one line that says why it does not start.
#[track_caller]
fn obstacle(output: &Output) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(stdout(output), "", "nothing is announced that does not run");
    text
}

fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("oneport.toml");
    fs::write(&path, text).expect("written");
    (directory, path)
}

#[test]
fn help_names_every_command_and_flag() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for command in ["serve", "check-config", "--help", "--version"] {
        assert!(stdout(&help).contains(command), "{command}");
    }
    let serve = run(&["serve", "--help"]);
    for flag in ["--config", "--http", "--media", "--shards", "--public-address", "--log"] {
        assert!(stdout(&serve).contains(flag), "{flag}");
    }
}

#[test]
fn version_is_the_packages() {
    let version = run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(stdout(&version), concat!("oneport ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_arguments_are_code_2() {
    for wrong in [&["serve", "--shards=many"][..], &["serve", "--http=localhost"], &["play"], &["check-config"], &[]] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert_eq!(stdout(&output), "", "{wrong:?}");
    }
}

#[test]
fn a_good_file_has_no_faults() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/oneport.example.toml");
    let output = run(&["check-config", example]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("{example}: no faults\n"));
}

#[test]
fn every_fault_of_a_file_is_a_line_and_the_code_is_2() {
    let (_directory, path) = file("[media]\nsharts = 4\n[http]\nlisten = false\nmax_connections = = 3\n");
    let expected = format!(
        "{path}:2: media.sharts: unknown key; did you mean media.shards?\n\
         {path}:4: http.listen: must be an address such as \":8000\", not true or false\n\
         {path}:5: extra `=`, expected nothing\n",
        path = path.display(),
    );
    let path = path.to_str().expect("text");
    for arguments in [&["check-config", path][..], &["serve", "--config", path]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(stderr(&output), expected, "{arguments:?}");
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn a_missing_file_is_a_fault() {
    let output = run(&["serve", "--config", "/nonexistent/oneport.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("/nonexistent/oneport.toml: cannot be read: "), "{}", stderr(&output));
}

/// Runs the server where every io_uring call is refused, as in a container with Docker's default profile. The filter holds for
/// a thread and what it starts, so the thread ends with it.
fn run_without_io_uring(errno: i32) -> Output {
    let rules = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register]
        .map(|call| (call, Vec::new()))
        .into();
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into().expect("an architecture with seccomp");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture).expect("a filter");
    let program: seccompiler::BpfProgram = filter.try_into().expect("a program");
    let confined = move || {
        apply_filter(&program).expect("a thread may confine itself");
        run(&[&["serve"][..], &LOOPBACK].concat())
    };
    thread::spawn(confined).join().expect("the thread ran")
}

#[test]
fn io_uring_forbidden_is_one_line_that_says_what_to_change() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let line = obstacle(&run_without_io_uring(errno));
        assert!(line.starts_with("oneport: io_uring is "), "{line}");
        assert!(line.contains("seccomp=unconfined") || line.contains("io_uring_disabled=0"), "{line}");
    }
}

/// Under a shell's `ulimit`, soft and hard.
fn run_limited(ulimit: &str, args: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit {ulimit} && exec \"$0\" \"$@\"")).arg(ONEPORT).args(args);
    shell
}

#[test]
fn too_little_lockable_memory_is_one_line_that_says_what_to_change() {
    let output = run_limited("-l 256", &[&["serve"][..], &LOOPBACK].concat()).output().expect("sh is there");
    let line = obstacle(&output);
    assert!(line.contains("only 256 KiB of memory may be locked") && line.contains("ulimit -l 512"), "{line}");
}

#[test]
fn a_taken_port_is_one_line_that_names_it() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = tcp.local_addr().expect("an address");
    let line = obstacle(&run(&["serve", &format!("--http={address}"), LOOPBACK[1]]));
    assert!(line.contains(&format!("TCP {address} is taken")) && line.contains("ss -ltnp"), "{line}");

    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = udp.local_addr().expect("an address");
    let line = obstacle(&run(&["serve", LOOPBACK[0], &format!("--media={address}")]));
    assert!(line.contains(&format!("UDP {address} is taken")) && line.contains("ss -lunp"), "{line}");
}

/// A server that has said all of its start-up lines. It is ended with the test, however the test ends.
struct Server {
    child: Child,
    lines: Vec<String>,
}

impl Server {
    fn start(mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut lines = Vec::new();
        for line in out.lines().map_while(Result::ok) {
            let last = line.trim_start().starts_with("offloads");
            lines.push(line);
            if last {
                break;
            }
        }
        Server { child, lines }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill is there").success());
    }

    /// Exit code, and what it wrote to standard error.
    fn wait(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut text).expect("text");
        (self.child.wait().expect("it ends").code(), text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(args: &[&str]) -> Command {
    let mut command = Command::new(ONEPORT);
    command.arg("serve").args(LOOPBACK).args(args);
    command
}

#[test]
fn start_up_says_what_runs_and_a_signal_ends_it_with_0() {
    for signal in ["TERM", "INT"] {
        let server = Server::start(serve(&["--shards=1", "--public-address=192.0.2.7"]));
        let said = server.lines.join("\n");
        for part in
            ["http://localhost:", "TCP 127.0.0.1:", "UDP 127.0.0.1:", "shards    1 on", "192.0.2.7", "GSO ", "GRO "]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("127.0.0.1:0 "), "the ports that the kernel chose are told: {said}");
        server.signal(signal);
        let (code, text) = server.wait();
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(&format!("SIG{signal}: stopping")), "{text}");
    }
}

#[test]
fn a_small_limit_of_open_files_is_warned_of() {
    let server = Server::start(run_limited("-n 256", &[&["serve", "--shards=1"][..], &LOOPBACK].concat()));
    assert!(server.lines.len() > 1, "it starts all the same");
    server.signal("TERM");
    let (code, text) = server.wait();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("warning: 256 files may be open") && text.contains("ulimit -n"), "{text}");
}

#[test]
fn the_soft_limit_of_open_files_is_raised_by_itself() {
    let server = Server::start(run_limited("-Sn 300", &[&["serve", "--shards=1"][..], &LOOPBACK].concat()));
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).expect("Linux tells");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the row");
    let columns: Vec<_> = line.split_whitespace().collect();
    assert_eq!(columns[3], columns[4], "soft is hard: {line}");
}
