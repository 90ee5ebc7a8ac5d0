//! Makes text from outside safe for a terminal: control characters that could
//! move the cursor, change the title or reorder the line are shown as escapes
//! (moby#6573, CVE-2021-25743).

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with C0 and C1 controls, DEL and bidirectional overrides spelled out
/// (`\x1b`, `\u202e`). Newline and tab are kept: they are layout.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_dangerous(c) {
            out.push(c);
        } else if c == '\r' {
            out.push_str("\\r");
        } else if (c as u32) < 0x80 {
            let _ = write!(out, "\\x{:02x}", c as u32);
        } else {
            let _ = write!(out, "\\u{:04x}", c as u32);
        }
    }
    Cow::Owned(out)
}

/// Controls (Unicode Cc) except newline and tab, and what Unicode's
/// bidirectional algorithm obeys (UAX #9, section 2).
fn is_dangerous(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn controls_are_spelled_out_and_layout_is_kept() {
        for (text, want) in [
            ("plain", "plain"),
            ("a\tb\nc", "a\tb\nc"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\x1b[2J", "\\x1b[2J"),
            ("over\rwritten", "over\\rwritten"),
            ("\u{9b}31m", "\\u009b31m"),
            ("\u{202e}txt.exe", "\\u202etxt.exe"),
            ("del\x7f", "del\\x7f"),
            ("größe 大", "größe 大"),
        ] {
            assert_eq!(visible(text), want);
        }
    }

    #[test]
    fn harmless_text_is_not_copied() {
        assert!(matches!(visible("web-1"), std::borrow::Cow::Borrowed(_)));
    }
}
