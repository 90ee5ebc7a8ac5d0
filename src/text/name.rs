//! Container names: which are valid, and random ones of two words.

use super::name_words::{ADJECTIVES, SURNAMES};
use crate::error::{Error, Result};

/// Refuses what Docker refuses: anything but `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn check(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let valid = name.len() <= 255
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.len() >= 2
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if valid {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// `adjective_surname`. `attempt` counts the names already found taken: from
/// the tenth on a number is added, so that a full list cannot block.
pub fn random(attempt: u32) -> Result<String> {
    let mut bytes = [0_u8; 4];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::internal(format!("cannot get random bytes from the kernel: {e}")))?;
    let adjective =
        ADJECTIVES[usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % ADJECTIVES.len()];
    let surname = SURNAMES[usize::from(u16::from_le_bytes([bytes[2], bytes[3]])) % SURNAMES.len()];
    if attempt < 10 {
        Ok(format!("{adjective}_{surname}"))
    } else {
        Ok(format!("{adjective}_{surname}{attempt}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names() {
        for good in ["ab", "web-1", "a_b.c", "0x", &"a".repeat(255)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "-a",
            ".a",
            "_a",
            "a b",
            "a/b",
            "ä1",
            "a\n",
            "a:b",
            &"a".repeat(256),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(
            check("a b").unwrap_err().message(),
            "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        );
    }

    #[test]
    fn the_word_lists_are_long_clean_and_without_repeats() {
        for (list, least) in [(ADJECTIVES, 90), (SURNAMES, 200)] {
            assert!(list.len() >= least, "{}", list.len());
            assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len());
            for word in list {
                assert!(word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
            }
        }
    }

    #[test]
    fn random_names_are_valid_and_escape_a_full_list() {
        check(&random(0).unwrap()).unwrap();
        assert!(random(12).unwrap().ends_with("12"));
    }
}
