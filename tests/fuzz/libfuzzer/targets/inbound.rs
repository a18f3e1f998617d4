//! Hands libFuzzer's bytes to the target.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dualcast_fuzz::inbound(bytes));
