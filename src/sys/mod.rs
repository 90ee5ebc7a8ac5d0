//! The only unsafe code: thin, typed calls into the kernel.

#![allow(unsafe_code)]

pub mod caps;
