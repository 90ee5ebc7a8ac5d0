#![no_main]

#[path = "../../support/evil_tar.rs"]
#[allow(dead_code)]
mod evil_tar;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::bake::bake(data));
