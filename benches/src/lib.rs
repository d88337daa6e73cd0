//! Benchmarks of the hot leaves: `cargo bench -p oneport-benches`. They stand in `benches/`.
