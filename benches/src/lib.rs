//! Benchmarks of the hot leaves.
