//! The `oneport` binary.
fn main() {}
