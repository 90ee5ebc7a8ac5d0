//! Go's printf verbs (https://pkg.go.dev/fmt) on JSON values.

use super::funcs::{WIDEST, json, type_name};
use super::print;
use serde_json::Value;
use std::iter::Peekable;
use std::str::Chars;

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `format` with `args`; `shown` is each of them as %v prints it.
pub fn format(format: &str, args: &[Value], shown: &[String]) -> String {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    let mut used = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let spec = read(&mut chars, args, &mut used);
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = args.get(used) else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        out.push_str(&one(verb, &spec, value, &shown[used]));
        used += 1;
    }
    if used < args.len() {
        let extra: Vec<_> = (used..args.len())
            .map(|i| format!("{}={}", type_name(&args[i]), shown[i]))
            .collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn read(chars: &mut Peekable<Chars<'_>>, args: &[Value], used: &mut usize) -> Spec {
    let mut spec = Spec::default();
    while let Some(c) = chars.peek() {
        match c {
            '-' => spec.minus = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            '0' => spec.zero = true,
            '#' => spec.sharp = true,
            _ => break,
        }
        chars.next();
    }
    spec.width = figure(chars, args, used);
    if chars.next_if_eq(&'.').is_some() {
        spec.precision = Some(figure(chars, args, used).unwrap_or(0));
    }
    spec
}

/// A width or precision: digits, or `*` for the next argument.
fn figure(chars: &mut Peekable<Chars<'_>>, args: &[Value], used: &mut usize) -> Option<usize> {
    let most = usize::try_from(WIDEST).unwrap_or(0);
    if chars.next_if_eq(&'*').is_some() {
        let value = args.get(*used).and_then(Value::as_u64);
        *used += 1;
        return value
            .and_then(|n| usize::try_from(n).ok())
            .map(|n| n.min(most));
    }
    let mut figure = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        figure = Some((figure.unwrap_or(0) * 10 + digit as usize).min(most));
        chars.next();
    }
    figure
}

fn one(verb: char, spec: &Spec, value: &Value, shown: &str) -> String {
    let text = match (verb, value) {
        ('v', value) if spec.sharp => json(value, false),
        ('v', _) => shown.to_string(),
        ('T', value) => type_name(value).into(),
        ('t', Value::Bool(b)) => b.to_string(),
        ('s' | 'q' | 'x' | 'X', Value::String(text)) => {
            let cut: String = match spec.precision {
                Some(most) => text.chars().take(most).collect(),
                None => text.clone(),
            };
            match verb {
                's' => cut,
                'q' => quote(&cut),
                'x' => cut.bytes().map(|b| format!("{b:02x}")).collect(),
                _ => cut.bytes().map(|b| format!("{b:02X}")).collect(),
            }
        }
        ('s' | 'q', Value::Array(items)) => {
            let items: Vec<_> = items
                .iter()
                .map(|v| one(verb, &Spec::default(), v, &print::value(v, "", "")))
                .collect();
            format!("[{}]", items.join(" "))
        }
        ('d' | 'x' | 'X' | 'o' | 'b' | 'c' | 'q' | 'U', Value::Number(n)) if !n.is_f64() => {
            return padded(integer(verb, spec, n.as_i64().unwrap_or(i64::MAX)), spec);
        }
        ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Value::Number(n)) if n.is_f64() => {
            return padded(float(verb, spec, n.as_f64().unwrap_or(0.0)), spec);
        }
        (verb, Value::Null) => format!("%!{verb}(<nil>)"),
        (verb, value) => format!("%!{verb}({}={shown})", type_name(value)),
    };
    padded(
        text,
        &Spec {
            zero: false,
            ..*spec
        },
    )
}

fn integer(verb: char, spec: &Spec, n: i64) -> String {
    let digits = match verb {
        'x' => format!("{:x}", n.unsigned_abs()),
        'X' => format!("{:X}", n.unsigned_abs()),
        'o' => format!("{:o}", n.unsigned_abs()),
        'b' => format!("{:b}", n.unsigned_abs()),
        'U' => return format!("U+{n:04X}"),
        'c' | 'q' => {
            let c = u32::try_from(n)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or('\u{fffd}');
            return if verb == 'c' {
                c.to_string()
            } else {
                format!("'{c}'")
            };
        }
        _ => n.unsigned_abs().to_string(),
    };
    let prefix = match (spec.sharp, verb) {
        (true, 'x') => "0x",
        (true, 'X') => "0X",
        (true, 'o') => "0",
        (true, 'b') => "0b",
        _ => "",
    };
    format!("{}{prefix}{digits}", sign(n < 0, spec))
}

fn float(verb: char, spec: &Spec, f: f64) -> String {
    let body = f.abs();
    let text = match verb {
        'f' | 'F' => format!("{body:.*}", spec.precision.unwrap_or(6)),
        'e' | 'E' => {
            let text = format!("{body:.*e}", spec.precision.unwrap_or(6));
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, digits) = exponent
                .strip_prefix('-')
                .map_or(('+', exponent), |d| ('-', d));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        _ => match spec.precision {
            Some(digits) => crate::text::size::significant(body, digits),
            None => {
                serde_json::Number::from_f64(body).map_or_else(String::new, |n| print::number(&n))
            }
        },
    };
    let text = if verb.is_ascii_uppercase() {
        text.to_uppercase()
    } else {
        text
    };
    format!("{}{text}", sign(f < 0.0, spec))
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn padded(text: String, spec: &Spec) -> String {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if spec.minus {
        return text + &" ".repeat(missing);
    }
    if !spec.zero {
        return " ".repeat(missing) + &text;
    }
    let digits = text.trim_start_matches(['-', '+', ' ']);
    let lead = &text[..text.len() - digits.len()];
    format!("{lead}{}{digits}", "0".repeat(missing))
}

/// A text in double quotes with Go's escapes (strconv.Quote).
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            c if (c as u32) < 0x80 && c.is_control() => {
                out.push_str(&format!("\\x{:02x}", c as u32))
            }
            c if crate::text::escape::visible(c.encode_utf8(&mut [0; 4])).len() != c.len_utf8() => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
