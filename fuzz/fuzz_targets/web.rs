//! See `web` in `tests/suite/checks.rs`.
#![no_main]
#![allow(dead_code, reason = "a target uses its own check, and tests use more of the peer")]

#[path = "../../tests/suite/checks.rs"]
mod checks;
#[path = "../../tests/suite/peer.rs"]
mod peer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::web(data));
