//! Words of a template: text between actions, and the tokens in an action.

/// A token of an action and where it begins (byte offset in the template).
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub at: usize,
    /// No blank before it: `.A.B` is a chain, `.A .B` are two operands.
    pub glued: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `.Name`
    Field(String),
    /// `$name`, `$` alone is an empty name.
    Variable(String),
    /// A function, a keyword, true, false or nil.
    Word(String),
    Int(i64),
    Float(f64),
    Text(String),
    Dot,
    Pipe,
    Open,
    Close,
    Declare,
    Assign,
    Comma,
}

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub enum Piece {
    Text(String),
    Action(Vec<Token>, usize),
}

/// An error and where it is.
pub type Failure = (usize, String);

/// Splits a template into its pieces.
pub fn pieces(source: &str) -> Result<Vec<Piece>, Failure> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim_left = false;
    while let Some(found) = source[at..].find("{{") {
        let open = at + found;
        let inner = open + 2;
        let trims = source[inner..].starts_with("- ")
            || source[inner..].starts_with("-\n")
            || source[inner..].starts_with("-\t");
        push_text(&mut pieces, &source[at..open], trim_left, trims);
        let start = if trims { inner + 1 } else { inner };
        let (tokens, end, trims) = action(source, start)?;
        if let Some(tokens) = tokens {
            pieces.push(Piece::Action(tokens, open + 2));
        }
        trim_left = trims;
        at = end;
    }
    push_text(&mut pieces, &source[at..], trim_left, false);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, left: bool, right: bool) {
    let space = [' ', '\t', '\r', '\n'];
    let text = if left {
        text.trim_start_matches(space)
    } else {
        text
    };
    let text = if right {
        text.trim_end_matches(space)
    } else {
        text
    };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_string()));
    }
}

/// One action from behind its `{{`: its tokens (`None` for a comment), the
/// offset behind `}}`, and whether it trims the text that follows.
fn action(source: &str, start: usize) -> Result<(Option<Vec<Token>>, usize, bool), Failure> {
    let unclosed = || (start, "unclosed action".to_string());
    let trimmed = source[start..].trim_start();
    if let Some(comment) = trimmed.strip_prefix("/*") {
        let end = comment
            .find("*/")
            .ok_or((start, "unclosed comment".to_string()))?;
        let rest = &comment[end + 2..];
        let offset = |left: &str| source.len() - left.len();
        if let Some(left) = rest.strip_prefix("}}") {
            return Ok((None, offset(left), false));
        }
        if let Some(left) = rest.trim_start().strip_prefix("-}}") {
            return Ok((None, offset(left), true));
        }
        return Err((start, "comment ends before closing delimiter".into()));
    }
    let mut tokens = Vec::new();
    let mut at = start;
    let mut depth = 0_usize;
    loop {
        let blank = source[at..].len() - source[at..].trim_start().len();
        at += blank;
        let rest = &source[at..];
        let trims = blank > 0 && rest.starts_with("-}}");
        if rest.starts_with("}}") || trims {
            if depth > 0 {
                return Err((at, "unclosed left paren".into()));
            }
            return Ok((Some(tokens), at + if trims { 3 } else { 2 }, trims));
        }
        let first = rest.chars().next().ok_or_else(unclosed)?;
        let (kind, length) = token(rest, first).map_err(|text| (at, text))?;
        match kind {
            Kind::Open => depth += 1,
            Kind::Close => {
                depth = depth
                    .checked_sub(1)
                    .ok_or((at, "unexpected right paren".to_string()))?;
            }
            _ => {}
        }
        tokens.push(Token {
            kind,
            at,
            glued: blank == 0,
        });
        at += length;
    }
}

/// The token at the beginning of `rest` and its length in bytes.
fn token(rest: &str, first: char) -> Result<(Kind, usize), String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .map(char::len_utf8)
            .sum::<usize>()
    };
    match first {
        '|' => Ok((Kind::Pipe, 1)),
        '(' => Ok((Kind::Open, 1)),
        ')' => Ok((Kind::Close, 1)),
        ',' => Ok((Kind::Comma, 1)),
        '=' => Ok((Kind::Assign, 1)),
        ':' if rest.starts_with(":=") => Ok((Kind::Declare, 2)),
        ':' => Err("expected :=".into()),
        '"' => quoted(rest),
        '`' => match rest[1..].find('`') {
            Some(end) => Ok((Kind::Text(rest[1..=end].to_string()), end + 2)),
            None => Err("unterminated raw quoted string".into()),
        },
        '\'' => character(rest),
        '$' => {
            let length = word(&rest[1..]);
            Ok((Kind::Variable(rest[1..=length].to_string()), length + 1))
        }
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
        '.' => match word(&rest[1..]) {
            0 => Ok((Kind::Dot, 1)),
            length => Ok((Kind::Field(rest[1..=length].to_string()), length + 1)),
        },
        '0'..='9' | '+' | '-' => number(rest),
        c if c.is_alphabetic() || c == '_' => {
            let length = word(rest);
            Ok((Kind::Word(rest[..length].to_string()), length))
        }
        c => Err(format!("unexpected {c:?} in command")),
    }
}

fn number(rest: &str) -> Result<(Kind, usize), String> {
    let mut length = 0;
    for (i, c) in rest.char_indices() {
        let exponent_sign = matches!(c, '+' | '-')
            && (i == 0 || (rest[..i].ends_with(['e', 'E']) && !rest.starts_with("0x")));
        if !(c.is_alphanumeric() || c == '.' || c == '_' || exponent_sign) {
            break;
        }
        length = i + c.len_utf8();
    }
    let text = &rest[..length];
    let bad = || format!("bad number syntax: {text:?}");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = match digits.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o" | "0O") => 8,
        Some("0b" | "0B") => 2,
        _ => 10,
    };
    let kind = if radix != 10 {
        Kind::Int(sign * i64::from_str_radix(&digits[2..], radix).map_err(|_| bad())?)
    } else if let Ok(int) = text.parse::<i64>() {
        Kind::Int(int)
    } else if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        Kind::Float(text.parse::<f64>().map_err(|_| bad())?)
    } else {
        return Err(bad());
    };
    Ok((kind, length))
}

/// A string in double quotes.
fn quoted(rest: &str) -> Result<(Kind, usize), String> {
    let unterminated = || "unterminated quoted string".to_string();
    let mut text = Vec::new();
    let mut chars = rest[1..].char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => {
                return Ok((
                    Kind::Text(String::from_utf8_lossy(&text).into_owned()),
                    i + 2,
                ));
            }
            '\n' => return Err(unterminated()),
            '\\' => {
                let used = escape(&rest[1 + i + 1..], &mut text)?;
                let end = i + 1 + used;
                while chars.offset() < end {
                    chars.next();
                }
            }
            c => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(unterminated())
}

/// What stands behind a backslash; gives the bytes used of `rest`.
fn escape(rest: &str, out: &mut Vec<u8>) -> Result<usize, String> {
    let bad = || "invalid syntax in a quoted string".to_string();
    let c = rest.chars().next().ok_or("unterminated quoted string")?;
    let simple = match c {
        'n' => b'\n',
        't' => b'\t',
        'r' => b'\r',
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'v' => 11,
        '\\' | '"' | '\'' => u8::try_from(c).map_err(|_| bad())?,
        _ => 0,
    };
    if simple != 0 {
        out.push(simple);
        return Ok(1);
    }
    let (skip, digits, radix) = match c {
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        '0'..='7' => (0, 3, 8),
        _ => return Err(bad()),
    };
    let text = rest.get(skip..skip + digits).ok_or_else(bad)?;
    let code = u32::from_str_radix(text, radix).map_err(|_| bad())?;
    if matches!(c, 'u' | 'U') {
        let c = char::from_u32(code).ok_or_else(bad)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.push(u8::try_from(code).map_err(|_| bad())?);
    }
    Ok(skip + digits)
}

/// A character constant is its number.
fn character(rest: &str) -> Result<(Kind, usize), String> {
    let bad = || "malformed character constant".to_string();
    let body = &rest[1..];
    let (code, used) = if let Some(escaped) = body.strip_prefix('\\') {
        let mut bytes = Vec::new();
        let used = escape(escaped, &mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (text.chars().next().ok_or_else(bad)?, used + 1)
    } else {
        let c = body.chars().next().ok_or_else(bad)?;
        (c, c.len_utf8())
    };
    if !body[used..].starts_with('\'') {
        return Err(bad());
    }
    Ok((Kind::Int(i64::from(u32::from(code))), used + 2))
}
