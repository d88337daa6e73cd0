//! What a packet costs on its way through the leaves: parse, rewrite for a viewer, protect, unprotect; for an audio packet and for a full
//! video packet.

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oneport_rtp::extension::ExtensionMap;
use oneport_rtp::ids::{Mid, PayloadType, Ssrc};
use oneport_rtp::packet::{RtpHeader, RtpPacket, rewrite};
use oneport_rtp::seq::{ExtSeq, SeqNo};
use oneport_rtp::srtp::{MasterKey, Profile, Protect, Unprotect};
use std::hint::black_box;

/// Whole plaintext packets, in bytes.
const SIZES: [usize; 2] = [160, 1200];
const PROFILES: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80];

fn master(profile: Profile) -> MasterKey {
    MasterKey::new(&[1; 32][..profile.key_len()], &[2; 14][..profile.salt_len()])
}

fn plain(size: usize) -> Vec<u8> {
    let mut packet = vec![0; size];
    packet[0] = 0x80;
    packet
}

fn set_seq(packet: &mut [u8], seq: SeqNo) {
    packet[2..4].copy_from_slice(&seq.0.to_be_bytes());
}

fn protect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protect");
    group.throughput(Throughput::Elements(1));
    for (profile, size) in PROFILES.into_iter().flat_map(|profile| SIZES.map(|size| (profile, size))) {
        let mut context = Protect::new(profile, &master(profile));
        let (mut packet, mut index) = (plain(size + profile.rtp_overhead()), ExtSeq(0));
        group.bench_function(BenchmarkId::new(format!("{profile:?}"), size), |bencher| {
            bencher.iter(|| {
                index = ExtSeq(index.0 + 1);
                set_seq(&mut packet, index.wire());
                black_box(context.protect_rtp(black_box(&mut packet), size, index.roc()))
            });
        });
    }
}

/// Packets that are protected one after the other: a receiver takes each only once.
fn protected_packets(profile: Profile, size: usize) -> impl FnMut() -> Vec<u8> {
    let mut context = Protect::new(profile, &master(profile));
    let mut index = ExtSeq(0);
    move || {
        index = ExtSeq(index.0 + 1);
        let mut packet = plain(size + profile.rtp_overhead());
        set_seq(&mut packet, index.wire());
        context.protect_rtp(&mut packet, size, index.roc()).expect("room for the tag");
        packet
    }
}

fn unprotect(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unprotect");
    group.throughput(Throughput::Elements(1));
    for (profile, size) in PROFILES.into_iter().flat_map(|profile| SIZES.map(|size| (profile, size))) {
        let mut context = Unprotect::new(profile, &master(profile));
        let mut packets = protected_packets(profile, size);
        group.bench_function(BenchmarkId::new(format!("{profile:?}"), size), |bencher| {
            bencher.iter_batched_ref(
                &mut packets,
                |packet| context.unprotect_rtp(packet).expect("a packet of our own"),
                BatchSize::SmallInput,
            );
        });
    }
}

fn rewrite_for_a_viewer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rewrite");
    group.throughput(Throughput::Elements(1));
    let mid = Mid::new(b"0").expect("a token");
    let map = ExtensionMap::default().with_mid(4, mid);
    let header = RtpHeader { marker: true, payload_type: PayloadType(96), seq: SeqNo(1), timestamp: 2, ssrc: Ssrc(3) };
    for size in SIZES {
        let bytes = plain(size);
        let mut out = vec![0; size + 64];
        group.bench_function(BenchmarkId::new("parse and rewrite", size), |bencher| {
            bencher.iter(|| {
                let packet = RtpPacket::parse(black_box(&bytes)).expect("a packet of our own");
                black_box(rewrite(&mut out, &packet, &header, &map, &[]))
            });
        });
    }
}

criterion_group!(leaves, protect, unprotect, rewrite_for_a_viewer);
criterion_main!(leaves);
