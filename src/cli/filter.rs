//! The value of `--filter`.

use crate::error::{Error, Result};

/// `KEY=VALUE`, the key in lower case.
pub fn filter(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_lowercase(), value.trim().to_string())),
        None => Err(Error::usage("bad format of filter (expected name=value)")),
    }
}
