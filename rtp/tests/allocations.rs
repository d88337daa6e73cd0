//! The packet path allocates nothing, neither in Rust nor in the C of the cryptographic library.
//!
//! Rust's allocations are counted by a global allocator, C's by definitions of `malloc`, `calloc` and `realloc` that
//! the linker prefers to libc's. The counts are the thread's own, as the test harness allocates in others.

#![allow(unsafe_code)] // an allocator is unsafe to write

mod packets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::c_void;

use oneport_rtp::srtp::{Profile, Protect, Unprotect};
use packets::{PROFILES, Random, Secret, TRAILER, rtcp, rtp};

thread_local! {
    static IN_RUST: Cell<usize> = const { Cell::new(0) };
    static IN_C: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_RUST.set(IN_RUST.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(memory: *mut c_void, size: usize) -> *mut c_void;
}

// SAFETY: glibc's own allocator under its other name, so that `free` finds what it expects.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    IN_C.set(IN_C.get() + 1);
    // SAFETY: the caller's promise.
    unsafe { __libc_malloc(size) }
}

// SAFETY: as `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    IN_C.set(IN_C.get() + 1);
    // SAFETY: the caller's promise.
    unsafe { __libc_calloc(count, size) }
}

// SAFETY: as `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    IN_C.set(IN_C.get() + 1);
    // SAFETY: the caller's promise.
    unsafe { __libc_realloc(memory, size) }
}

/// What `work` allocated: in Rust, and in all.
fn allocations(work: impl FnOnce()) -> (usize, usize) {
    let before = (IN_RUST.get(), IN_C.get());
    work();
    (IN_RUST.get() - before.0, IN_C.get() - before.1)
}

fn pair(profile: Profile, random: &mut Random) -> (Protect, Unprotect) {
    let secret = Secret::random(profile, random);
    (Protect::new(profile, &secret.master()), Unprotect::new(profile, &secret.master()))
}

/// One RTP and one RTCP packet there and back, and each of them again, damaged, to be refused.
fn converse(protect: &mut Protect, unprotect: &mut Unprotect, media: &mut [u8], report: &mut [u8], index: usize) {
    media[2..4].copy_from_slice(&(index as u16).to_be_bytes());
    let len = protect.protect_rtp(media, media.len() - TRAILER, (index >> 16) as u32).unwrap();
    media[len - 1] ^= 1;
    let mut copy = [0; 2_048];
    copy[..len].copy_from_slice(&media[..len]);
    assert!(unprotect.unprotect_rtp(&mut copy[..len]).is_err());
    media[len - 1] ^= 1;
    unprotect.unprotect_rtp(&mut media[..len]).unwrap();

    let len = protect.protect_rtcp(report, report.len() - TRAILER).unwrap();
    copy[..len].copy_from_slice(&report[..len]);
    copy[len - 1] ^= 1;
    assert!(unprotect.unprotect_rtcp(&mut copy[..len]).is_err());
    unprotect.unprotect_rtcp(&mut report[..len]).unwrap();
}

#[test]
fn no_packet_allocates() {
    let mut random = Random(20);
    for profile in PROFILES {
        let (mut protect, mut unprotect) = pair(profile, &mut random);
        let (mut media, mut report) = (rtp(&mut random, 3, 0), rtcp(&mut random, 3));
        media.resize(media.len() + TRAILER, 0);
        report.resize(report.len() + TRAILER, 0);
        // The first packet of an SSRC makes its replay window, the first refusal in a thread its error queue.
        converse(&mut protect, &mut unprotect, &mut media, &mut report, 65_000);
        let counted = allocations(|| {
            for index in 65_001..67_000 {
                converse(&mut protect, &mut unprotect, &mut media, &mut report, index);
            }
        });
        assert_eq!(counted, (0, 0), "{profile:?}");
    }
}

#[test]
fn both_counters_count() {
    let mut random = Random(21);
    let (rust, all) = allocations(|| drop(std::hint::black_box(vec![1u8; 100])));
    assert_eq!((rust, all), (1, 1));
    let (rust, all) = allocations(|| drop(pair(Profile::AeadAes128Gcm, &mut random)));
    assert!(all > rust, "the cryptographic library makes its key contexts with malloc");
}
