//! Columns as Docker aligns them: each as wide as its widest cell, at least
//! `least` with the gap, the last one not padded.

use unicode_width::UnicodeWidthStr;

/// Lists: 10 columns at least, a gap of 3.
pub const LIST: Layout = Layout { least: 10, gap: 3 };
/// `version`: 20 columns at least, a gap of 1.
pub const VERSION: Layout = Layout { least: 20, gap: 1 };

#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Least width of a column with its gap.
    pub least: usize,
    /// Blanks behind the widest cell.
    pub gap: usize,
}

/// Aligns lines whose cells are ended by tabs. A column reaches over the
/// consecutive lines that have a cell in it (Go's text/tabwriter).
pub fn align(text: &str, layout: Layout) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let ended = lines.last() == Some(&"");
    if ended {
        lines.pop();
    }
    let cells: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split('\t').collect())
        .collect();
    let mut widths: Vec<Vec<usize>> = cells.iter().map(|row| vec![0; row.len() - 1]).collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut start = 0;
        while start < cells.len() {
            let length = cells[start..]
                .iter()
                .take_while(|row| row.len() > column + 1)
                .count();
            let block = start..start + length;
            let widest = cells[block.clone()]
                .iter()
                .map(|row| row[column].width())
                .max()
                .unwrap_or(0);
            for row in &mut widths[block] {
                row[column] = (widest + layout.gap).max(layout.least);
            }
            start += length.max(1);
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (row, widths) in cells.iter().zip(&widths) {
        for (cell, width) in row.iter().zip(widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
        }
        out.push_str(row.last().unwrap_or(&""));
        out.push('\n');
    }
    if !ended {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        for (text, want) in [
            ("A\tB\n", "A         B\n"),
            (
                "A LONG HEADER\tB\nx\ty\n",
                "A LONG HEADER   B\nx               y\n",
            ),
            // Padding before an empty last cell stays.
            ("NAME\tPORTS\nweb\t\n", "NAME      PORTS\nweb       \n"),
            ("容器容器\tB\nabc\tC\n", "容器容器   B\nabc        C\n"),
            ("", ""),
            ("one\n", "one\n"),
            ("a\tb", "a         b"),
        ] {
            assert_eq!(align(text, LIST), want, "{text:?}");
        }
        assert_eq!(align(" Version:\t1\n", VERSION), " Version:           1\n");
    }
}
