#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| provisor::upstream::fuzzed::ljpc_answer(input));
