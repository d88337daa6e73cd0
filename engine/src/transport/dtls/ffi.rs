//! What the `openssl` crate does not expose of OpenSSL, DTLS's retransmission timer before all, and the only unsafe code of the
//! transport.
//!
//! Why there is no safe way to have the timer: it reads the real clock inside of OpenSSL. `DTLS_CTRL_HANDLE_TIMEOUT` is the one way to
//! have a flight sent again with new record sequence numbers (RFC 6347 §4.2.4), and `DTLS_set_timer_cb` the one way to have
//! its back-off start below one second.
//!
//! What OpenSSL 3.6 does, as `ssl/d1_lib.c` has it, and what follows from it:
//! - The callback is asked with 0 when a flight starts, and with its previous answer at each expiry. So its last answer is the
//!   time that the running timer was set to, and the caller's deadline is `now` of that call plus the answer.
//! - A timer with less than 15 ms to go counts as expired. So our deadline, reached by a real clock, always finds it expired.
//! - Each read looks at the timer first, and sends the flight again by itself when it is expired. This can only come up to
//!   15 ms before our deadline, and moves it.
//! - At the thirteenth expiry the handshake fails with `SSL_R_READ_TIMEOUT_EXPIRED`.
//! - The server's last flight has no timer: it is sent again when the client's Finished comes again. That counts as an expiry
//!   too, and the thirteenth ends the association, connected as it is. A client gives up sooner.

use super::wire::Wire;
use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslRef, SslStream};
use openssl::x509::X509VerifyResult;
use openssl_sys as sys;
use std::ffi::{c_int, c_long, c_uint, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// `openssl/ssl.h`.
const DTLS_CTRL_GET_TIMEOUT: c_int = 73;
/// `openssl/ssl.h`.
const DTLS_CTRL_HANDLE_TIMEOUT: c_int = 74;
/// OpenSSL's own start, for the case that cannot be: a timer without its back-off.
const OPENSSL_DEFAULT_US: c_uint = 1_000_000;

type TimerCallback = extern "C" fn(*mut sys::SSL, c_uint) -> c_uint;

#[allow(unsafe_code, reason = "declarations of openssl/ssl.h that openssl-sys leaves out")]
unsafe extern "C" {
    fn DTLS_set_timer_cb(ssl: *mut sys::SSL, callback: Option<TimerCallback>);
    fn SSL_free_buffers(ssl: *mut sys::SSL) -> c_int;
}

/// The back-off of one session's handshake.
struct BackOff {
    initial_us: u32,
    max_us: u32,
    /// What the running timer was set to. Atomic only because OpenSSL's ex_data asks for `Sync`.
    current_us: AtomicU32,
    /// A timer was set since the last look.
    set: AtomicBool,
}

static BACK_OFF: OnceLock<Index<Ssl, BackOff>> = OnceLock::new();

fn back_off_index() -> Result<Index<Ssl, BackOff>, ErrorStack> {
    if let Some(index) = BACK_OFF.get() {
        return Ok(*index);
    }
    let index = Ssl::new_ex_index()?;
    Ok(*BACK_OFF.get_or_init(|| index))
}

/// Has the handshake's timer start at `initial`, and double up to `max`.
pub(super) fn install_back_off(ssl: &mut SslRef, initial: Duration, max: Duration) -> Result<(), ErrorStack> {
    let initial_us = micros(initial);
    let back_off = BackOff {
        initial_us,
        max_us: micros(max).max(initial_us),
        current_us: AtomicU32::new(initial_us),
        set: AtomicBool::new(false),
    };
    ssl.set_ex_data(back_off_index()?, back_off);
    #[allow(unsafe_code, reason = "the crate does not expose DTLS_set_timer_cb")]
    // SAFETY: `ssl` is alive, and the callback is a plain function that looks only at what lives in the SSL itself.
    unsafe {
        DTLS_set_timer_cb(ssl.as_ptr(), Some(next_timeout_us))
    };
    Ok(())
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// OpenSSL asks how long the timer that it starts shall run: `previous` is 0 for a new flight.
extern "C" fn next_timeout_us(ssl: *mut sys::SSL, previous: c_uint) -> c_uint {
    #[allow(unsafe_code, reason = "OpenSSL hands the session back as a raw pointer")]
    // SAFETY: OpenSSL calls this with the SSL whose method is running, which outlives the call; `SslRef` is an opaque type that
    // is only ever used by shared reference to the C object, as in every callback of the openssl crate.
    let ssl = unsafe { SslRef::from_ptr(ssl) };
    let Some(back_off) = BACK_OFF.get().and_then(|index| ssl.ex_data(*index)) else { return OPENSSL_DEFAULT_US };
    let next = if previous == 0 { back_off.initial_us } else { previous.saturating_mul(2).min(back_off.max_us) };
    back_off.current_us.store(next, Ordering::Relaxed);
    back_off.set.store(true, Ordering::Relaxed);
    next
}

/// The handshake's timer, as it is after a call into OpenSSL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timer {
    /// Nothing waits for an answer.
    Stopped,
    /// It runs as before.
    Unchanged,
    /// It was set anew, and runs for this long.
    Set(Duration),
}

/// What happened to the timer since the last look.
pub(super) fn timer(ssl: &SslRef) -> Timer {
    if !is_running(ssl) {
        return Timer::Stopped;
    }
    let back_off = BACK_OFF.get().and_then(|index| ssl.ex_data(*index));
    match back_off {
        Some(back_off) if back_off.set.swap(false, Ordering::Relaxed) => {
            Timer::Set(Duration::from_micros(u64::from(back_off.current_us.load(Ordering::Relaxed))))
        }
        _ => Timer::Unchanged,
    }
}

fn is_running(ssl: &SslRef) -> bool {
    let mut left = libc::timeval { tv_sec: 0, tv_usec: 0 };
    control(ssl, DTLS_CTRL_GET_TIMEOUT, (&raw mut left).cast()) == 1
}

/// What came of an expiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expiry {
    /// By OpenSSL's clock it is not due.
    NotYet,
    /// The flight was sent again.
    Retransmitted,
    /// The handshake has failed; OpenSSL's error queue says why.
    Failed,
}

/// Sends the flight again if OpenSSL's clock agrees that it is time.
pub(super) fn expire(stream: &mut SslStream<Wire>) -> Expiry {
    match control(stream.ssl(), DTLS_CTRL_HANDLE_TIMEOUT, ptr::null_mut()) {
        0 => Expiry::NotYet,
        1.. => Expiry::Retransmitted,
        _ => Expiry::Failed,
    }
}

/// Gives the record buffers back (17 KB a session), until the next record. `SSL_MODE_RELEASE_BUFFERS` alone does not: in DTLS a
/// read that finds nothing keeps its buffer (`tls_default_read_n`: "&& !rl->isdtls").
pub(super) fn free_buffers(stream: &mut SslStream<Wire>) {
    #[allow(unsafe_code, reason = "the crate does not expose SSL_free_buffers")]
    // SAFETY: the stream is alive and held exclusively; with something pending OpenSSL refuses, which is no harm.
    unsafe {
        SSL_free_buffers(stream.ssl().as_ptr())
    };
}

fn control(ssl: &SslRef, command: c_int, argument: *mut c_void) -> c_long {
    #[allow(unsafe_code, reason = "the crate does not expose the two controls")]
    // SAFETY: `ssl` is alive; GET_TIMEOUT writes one timeval to `argument`, HANDLE_TIMEOUT looks at no argument. HANDLE_TIMEOUT
    // writes to the stream's BIO, and is only called by `expire`, which holds the stream exclusively.
    unsafe {
        sys::SSL_ctrl(ssl.as_ptr(), command, 0, argument)
    }
}

/// `X509_V_ERR_CERT_REJECTED`, for which OpenSSL sends the alert bad_certificate. The crate has no name for it, and without a
/// code of ours the peer would be told "unknown_ca", which sends people looking for the wrong fault.
pub(super) fn certificate_rejected() -> X509VerifyResult {
    #[allow(unsafe_code, reason = "the crate names only two results")]
    // SAFETY: the code is one of `openssl/x509_vfy.h`.
    unsafe {
        X509VerifyResult::from_raw(sys::X509_V_ERR_CERT_REJECTED)
    }
}
