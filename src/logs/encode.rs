//! Output bytes as the inside of a JSON string, escaped as Go's encoder does,
//! which Docker uses: `<`, `>`, `&`, U+2028 and U+2029 are escaped too, and a
//! byte that is not UTF-8 becomes U+FFFD. Appends to a buffer; allocates nothing.

/// Bytes looked at together; the check of a block has no branch, so the
/// compiler makes vector instructions of it.
const BLOCK: usize = 32;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` escaped.
pub fn escape_str(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
        if !block.iter().fold(false, |found, &b| found | is_special(b)) {
            out.extend_from_slice(block);
            rest = after;
            continue;
        }
        rest = escape_some(out, rest, BLOCK);
    }
    while !rest.is_empty() {
        rest = escape_some(out, rest, rest.len());
    }
}

/// Appends `bytes` escaped, each byte outside UTF-8 as U+FFFD.
pub fn escape_lossy(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        escape_str(out, chunk.valid());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// Copied as it is, except U+2028 and U+2029, which begin with 0xe2.
fn is_special(b: u8) -> bool {
    (b < 0x20) | (b == b'"') | (b == b'\\') | (b == b'<') | (b == b'>') | (b == b'&') | (b == 0xe2)
}

/// Escapes about `count` bytes of `bytes` one by one; returns the rest.
fn escape_some<'a>(out: &mut Vec<u8>, bytes: &'a [u8], count: usize) -> &'a [u8] {
    let mut at = 0;
    while at < count {
        let b = bytes[at];
        at += 1;
        match b {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
            0xe2 => match bytes.get(at..at + 2) {
                Some([0x80, last @ (0xa8 | 0xa9)]) => {
                    out.extend_from_slice(if *last == 0xa8 {
                        b"\\u2028"
                    } else {
                        b"\\u2029"
                    });
                    at += 2;
                }
                _ => out.push(b),
            },
            _ if is_special(b) => {
                let (high, low) = (HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            _ => out.push(b),
        }
    }
    &bytes[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        match std::str::from_utf8(bytes) {
            Ok(text) => escape_str(&mut out, text),
            Err(_) => escape_lossy(&mut out, bytes),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_as_docker() {
        for (bytes, want) in [
            (&b"plain 123\n"[..], "plain 123\\n"),
            (b"a\tb\r\n\"\\", "a\\tb\\r\\n\\\"\\\\"),
            (b"<a&b>", "\\u003ca\\u0026b\\u003e"),
            (
                b"\0\x01\x08\x0c\x1b\x1f\x7f",
                "\\u0000\\u0001\\u0008\\u000c\\u001b\\u001f\u{7f}",
            ),
            (
                "é€\u{2028}\u{2029}\u{2030}".as_bytes(),
                "é€\\u2028\\u2029\u{2030}",
            ),
            (b"x\xffy", "x\\ufffdy"),
            (b"\xe2\x80", "\\ufffd\\ufffd"),
            (b"\xe2\x80\xa8\xc3", "\\u2028\\ufffd"),
        ] {
            assert_eq!(escaped(bytes), want, "{bytes:?}");
        }
    }

    #[test]
    fn a_special_byte_at_every_place_of_two_blocks() {
        for special in ['"', '\n', '&', '\u{2028}', '€'] {
            for at in 0..2 * BLOCK + 3 {
                let mut text = "a".repeat(2 * BLOCK + 3);
                text.insert(at, special);
                let json = format!("\"{}\"", escaped(text.as_bytes()));
                let back: String = serde_json::from_str(&json).unwrap();
                assert_eq!(back, text, "{special:?} at {at}");
            }
        }
    }
}
