//! Questions on the terminal. Read byte by byte, so that nothing that was typed
//! ahead for the next question is lost.

use super::stdout;
use crate::error::{Context, Error, Result};
use crate::sys::pty::Raw;
use std::io::Read;

/// The most that an answer may have, in bytes.
const MOST: usize = 4096;

/// Shows `question` and reads a line.
pub fn line(question: &str) -> Result<String> {
    stdout::print(question)?;
    let mut answer = Vec::new();
    while let Some(byte) = key()?.filter(|byte| *byte != b'\n') {
        push(&mut answer, byte)?;
    }
    text(answer)
}

/// Shows `question` and reads a line that is not shown. The terminal is as it
/// was afterwards, also after Ctrl-C (status 130).
pub fn secret(question: &str) -> Result<String> {
    // Hidden before it is asked for.
    let raw = Raw::enter(std::io::stdin()).context(|| "cannot hide what is typed")?;
    stdout::print(question)?;
    let typed = hidden();
    drop(raw);
    stdout::print("\n")?;
    text(typed?)
}

/// The editing of a line that a terminal otherwise does by itself.
fn hidden() -> Result<Vec<u8>> {
    const INTERRUPT: u8 = 3;
    const END: u8 = 4;
    const KILL: u8 = 21;
    let mut typed = Vec::new();
    loop {
        match key()? {
            None | Some(b'\r' | b'\n' | END) => return Ok(typed),
            Some(INTERRUPT) => return Err(Error::exit(130)),
            Some(KILL) => typed.clear(),
            Some(8 | 127) => erase(&mut typed),
            Some(byte) => push(&mut typed, byte)?,
        }
    }
}

/// Takes the last character off: all of its bytes.
fn erase(typed: &mut Vec<u8>) {
    while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

/// `None` is the end of the input.
fn key() -> Result<Option<u8>> {
    let mut byte = [0];
    let read = std::io::stdin().lock().read(&mut byte);
    match read.context(|| "cannot read from the terminal")? {
        0 => Ok(None),
        _ => Ok(Some(byte[0])),
    }
}

fn push(answer: &mut Vec<u8>, byte: u8) -> Result<()> {
    if answer.len() >= MOST {
        return Err(Error::invalid("the answer is too long"));
    }
    answer.push(byte);
    Ok(())
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::invalid("what was typed is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::erase;

    #[test]
    fn a_character_is_erased_whole() {
        let mut typed = "aé".as_bytes().to_vec();
        erase(&mut typed);
        assert_eq!(typed, b"a");
        erase(&mut typed);
        erase(&mut typed);
        assert!(typed.is_empty());
    }
}
