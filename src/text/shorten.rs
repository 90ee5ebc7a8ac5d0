//! Texts cut to a number of columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// At most `most` columns, the last one `…` when something is missing.
pub fn shorten(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_string();
    }
    let mut left = most.saturating_sub(1);
    let mut short = String::new();
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        short.push(c);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn columns_are_counted() {
        assert_eq!(shorten("sleep 10", 8), "sleep 10");
        assert_eq!(shorten("sleep 100", 8), "sleep 1…");
        assert_eq!(shorten("容器容器容器", 8), "容器容…");
        assert_eq!(shorten("", 8), "");
    }
}
