//! The exit code, and nothing else: see the library's `cli`.
fn main() {}
