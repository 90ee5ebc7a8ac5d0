//! The functions of templates: Go's own and those that Docker adds.

use super::Object;
use super::eval::Item;
use super::print;
use super::printf;
use serde_json::Value;
use std::cmp::Ordering;

/// Names of all functions, with how many arguments each takes.
const ALL: [(&str, usize, usize); 24] = [
    ("and", 1, MANY),
    ("or", 1, MANY),
    ("not", 1, 1),
    ("eq", 2, MANY),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
    ("index", 1, MANY),
    ("slice", 1, 4),
    ("len", 1, 1),
    ("print", 0, MANY),
    ("printf", 1, MANY),
    ("println", 0, MANY),
    ("html", 0, MANY),
    ("js", 0, MANY),
    ("urlquery", 0, MANY),
    ("json", 1, 1),
    ("split", 2, 2),
    ("join", 2, 2),
    ("title", 1, 1),
    ("lower", 1, 1),
    ("upper", 1, 1),
];
/// Docker's functions on a text with numbers.
const WITH_NUMBERS: [(&str, usize, usize); 2] = [("pad", 3, 3), ("truncate", 2, 2)];
const MANY: usize = usize::MAX;
/// Widths and paddings beyond this are refused.
pub const WIDEST: i64 = 1_000_000;

/// Why a call failed.
pub enum Failure {
    /// Wrong number of arguments: told at the function's name.
    Count(String),
    Call(String),
}

impl Failure {
    pub fn text(self) -> String {
        match self {
            Self::Count(text) | Self::Call(text) => text,
        }
    }
}

pub fn exists(name: &str) -> bool {
    arity(name).is_some()
}

fn arity(name: &str) -> Option<(usize, usize)> {
    let found = ALL.iter().chain(&WITH_NUMBERS).find(|(n, ..)| *n == name)?;
    Some((found.1, found.2))
}

pub fn call<'a>(name: &str, args: &[Item<'a>], root: &dyn Object) -> Result<Item<'a>, Failure> {
    let (least, most) = arity(name).unwrap_or((0, MANY));
    if args.len() < least || args.len() > most {
        let want = if most == MANY {
            format!("at least {least}")
        } else {
            least.to_string()
        };
        return Err(Failure::Count(format!(
            "wrong number of args for {name}: want {want} got {}",
            args.len()
        )));
    }
    if name == "index" {
        return index(args, root).map_err(Failure::Call);
    }
    if root.plain() && matches!(name, "json" | "title" | "lower" | "upper" | "truncate") {
        return Ok(args[0].clone());
    }
    let values: Vec<Value> = args.iter().map(|a| a.json(root).into_owned()).collect();
    let shown = || args.iter().map(|a| a.shown(root)).collect::<Vec<_>>();
    let result = match name {
        "not" => Ok(Value::from(!args[0].truth())),
        "eq" => equal_any(&values),
        "ne" => equal(&values[0], &values[1]).map(|e| Value::from(!e)),
        "lt" | "le" | "gt" | "ge" => order(&values[0], &values[1]).map(|o| {
            Value::from(match name {
                "lt" => o == Ordering::Less,
                "le" => o != Ordering::Greater,
                "gt" => o == Ordering::Greater,
                _ => o != Ordering::Less,
            })
        }),
        "slice" => slice(&values),
        "len" => len(&values[0]),
        "print" => Ok(Value::from(joined(&values, &shown()))),
        "println" => Ok(Value::from(shown().join(" ") + "\n")),
        "printf" => text(&values[0])
            .map(|format| Value::from(printf::format(&format, &values[1..], &shown()[1..]))),
        "html" => Ok(Value::from(html(&joined(&values, &shown())))),
        "js" => Ok(Value::from(js(&joined(&values, &shown())))),
        "urlquery" => Ok(Value::from(urlquery(&joined(&values, &shown())))),
        "json" => Ok(Value::from(json(
            &values[0],
            matches!(args[0], Item::Root) && root.escapes_json(),
        ))),
        _ => strings(name, &values),
    };
    result.map(Item::new).map_err(Failure::Call)
}

/// Docker's functions on texts.
fn strings(name: &str, values: &[Value]) -> Result<Value, String> {
    Ok(match name {
        "split" => {
            let (whole, by) = (text(&values[0])?, text(&values[1])?);
            if by.is_empty() {
                Value::from(whole.chars().map(String::from).collect::<Vec<_>>())
            } else {
                Value::from(whole.split(&by).map(String::from).collect::<Vec<_>>())
            }
        }
        "join" => {
            let Value::Array(items) = &values[0] else {
                return Err(wrong_type(&values[0], "[]string"));
            };
            let items: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
            Value::from(items.join(&text(&values[1])?))
        }
        "title" => Value::from(title(&text(&values[0])?)),
        "lower" => Value::from(text(&values[0])?.to_lowercase()),
        "upper" => Value::from(text(&values[0])?.to_uppercase()),
        "pad" => {
            let whole = text(&values[0])?;
            let (before, after) = (count(&values[1])?, count(&values[2])?);
            if whole.is_empty() {
                Value::from("")
            } else {
                Value::from(format!(
                    "{}{whole}{}",
                    " ".repeat(before),
                    " ".repeat(after)
                ))
            }
        }
        "truncate" => {
            let most = count(&values[1])?;
            Value::from(text(&values[0])?.chars().take(most).collect::<String>())
        }
        name => return Err(format!("function \"{name}\" not defined")),
    })
}

fn count(value: &Value) -> Result<usize, String> {
    match value.as_i64() {
        Some(n) if n > WIDEST => Err(format!("{n} is too large")),
        Some(n) => Ok(usize::try_from(n).unwrap_or(0)),
        None => Err(wrong_type(value, "int")),
    }
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(wrong_type(other, "string")),
    }
}

fn wrong_type(value: &Value, wanted: &str) -> String {
    format!(
        "wrong type for value; expected {wanted}; got {}",
        type_name(value)
    )
}

/// The Go type that a JSON value stands for.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "interface {}",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn equal_any(values: &[Value]) -> Result<Value, String> {
    for other in &values[1..] {
        if equal(&values[0], other)? {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Null, _) | (_, Value::Null) => Ok(false),
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => Ok(a == b),
        (Value::String(a), Value::String(b)) => Ok(a == b),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err("non-comparable type".into())
        }
        _ => Err("incompatible types for comparison".into()),
    }
}

fn order(a: &Value, b: &Value) -> Result<Ordering, String> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
        (Value::Number(x), Value::Number(y)) if x.is_f64() == y.is_f64() => {
            let ordering = match (x.as_i64(), y.as_i64()) {
                (Some(x), Some(y)) => Some(x.cmp(&y)),
                _ => x
                    .as_f64()
                    .zip(y.as_f64())
                    .and_then(|(x, y)| x.partial_cmp(&y)),
            };
            ordering.ok_or_else(|| "incompatible types for comparison".into())
        }
        (Value::String(_) | Value::Number(_), Value::String(_) | Value::Number(_)) => {
            Err("incompatible types for comparison".into())
        }
        _ => Err("invalid type for comparison".into()),
    }
}

/// `index X K…`: `X[K]…`.
fn index<'a>(args: &[Item<'a>], root: &dyn Object) -> Result<Item<'a>, String> {
    let mut item = args[0].clone();
    for key in &args[1..] {
        let key = key.json(root).into_owned();
        let value = item.json(root).into_owned();
        item = match (&value, &key) {
            (Value::Object(members), Value::String(key)) => match members.get(key) {
                Some(value) => item.child("", value.clone()),
                None if print::zero_is_text(item.name()) => Item::new(Value::from("")),
                None => Item::Missing,
            },
            (Value::Object(_), key) => return Err(wrong_type(key, "string")),
            (Value::Array(items), Value::Number(n)) => {
                let found = n.as_u64().and_then(|n| items.get(usize::try_from(n).ok()?));
                item.child(
                    "",
                    found
                        .ok_or_else(|| format!("index out of range: {n}"))?
                        .clone(),
                )
            }
            (Value::String(text), Value::Number(n)) => {
                let found = n
                    .as_u64()
                    .and_then(|n| text.as_bytes().get(usize::try_from(n).ok()?));
                Item::new(Value::from(
                    *found.ok_or_else(|| format!("index out of range: {n}"))?,
                ))
            }
            (Value::Array(_) | Value::String(_), key) => {
                return Err(format!(
                    "cannot index slice/array with type {}",
                    type_name(key)
                ));
            }
            (Value::Null, _) => return Err("index of untyped nil".into()),
            (other, _) => return Err(format!("can't index item of type {}", type_name(other))),
        };
    }
    Ok(item)
}

fn slice(values: &[Value]) -> Result<Value, String> {
    let length = match &values[0] {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        other => return Err(format!("can't slice item of type {}", type_name(other))),
    };
    let mut bounds = [0, length, length];
    for (bound, value) in bounds.iter_mut().zip(&values[1..]) {
        let wanted = value.as_u64().and_then(|n| usize::try_from(n).ok());
        *bound = wanted
            .filter(|n| *n <= length)
            .ok_or_else(|| format!("index out of range: {}", print::value(value, "", "")))?;
    }
    if bounds[0] > bounds[1] {
        return Err(format!(
            "invalid slice index: {} > {}",
            bounds[0], bounds[1]
        ));
    }
    match &values[0] {
        Value::String(_) if values.len() > 3 => Err("cannot 3-index slice a string".into()),
        Value::String(text) => {
            let bytes = text
                .as_bytes()
                .get(bounds[0]..bounds[1])
                .unwrap_or_default();
            Ok(Value::from(String::from_utf8_lossy(bytes).into_owned()))
        }
        Value::Array(items) => Ok(Value::from(items[bounds[0]..bounds[1]].to_vec())),
        _ => Ok(Value::Null),
    }
}

fn len(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(Value::from(text.len())),
        Value::Array(items) => Ok(Value::from(items.len())),
        Value::Object(members) => Ok(Value::from(members.len())),
        Value::Null => Ok(Value::from(0)),
        other => Err(format!("len of type {}", type_name(other))),
    }
}

/// Go's Sprint: a space only between two values that are both no texts.
fn joined(values: &[Value], shown: &[String]) -> String {
    let mut out = String::new();
    for (i, text) in shown.iter().enumerate() {
        if i > 0 && !values[i].is_string() && !values[i - 1].is_string() {
            out.push(' ');
        }
        out.push_str(text);
    }
    out
}

/// One line of JSON; `escape` writes `<`, `>`, `&` as Go's encoder does.
pub fn json(value: &Value, escape: bool) -> String {
    let text = value.to_string();
    if !escape {
        return text;
    }
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// The first letter of every word in upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let letter = c.is_alphanumeric() || matches!(c, '_' | '\'');
        if letter && !inside {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        inside = letter;
    }
    out
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn urlquery(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
