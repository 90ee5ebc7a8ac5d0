//! Functions that expressions may call: those of HCL's standard library that Bake
//! files use. One that is not here is told of by its name.

use hcl::eval::{Context, Func, FuncDef, ParamType};
use hcl::{Map, Number, Value};
use regex_lite::Regex;

type Result<T = Value> = std::result::Result<T, String>;

/// How many arguments it takes.
#[derive(Clone, Copy)]
enum Takes {
    Exactly(usize),
    /// So many, or more.
    AtLeast(usize),
}
use Takes::{AtLeast, Exactly};

/// Bytes or elements that one call may make.
const MOST: usize = 1 << 20;

#[rustfmt::skip]
const ALL: &[(&str, Takes, Func)] = &[
    ("upper", Exactly(1), |v| on_text(&v, str::to_uppercase)),
    ("lower", Exactly(1), |v| on_text(&v, str::to_lowercase)),
    ("title", Exactly(1), |v| on_text(&v, title)),
    ("trimspace", Exactly(1), |v| on_text(&v, |t| t.trim().to_owned())),
    ("trim", Exactly(2), |v| {
        let set: Vec<char> = text(&v[1])?.chars().collect();
        on_text(&v, |t| t.trim_matches(&set[..]).to_owned())
    }),
    ("trimprefix", Exactly(2), |v| {
        let prefix = text(&v[1])?;
        on_text(&v, |t| t.strip_prefix(prefix).unwrap_or(t).to_owned())
    }),
    ("trimsuffix", Exactly(2), |v| {
        let suffix = text(&v[1])?;
        on_text(&v, |t| t.strip_suffix(suffix).unwrap_or(t).to_owned())
    }),
    ("chomp", Exactly(1), |v| on_text(&v, |t| t.trim_end_matches(['\r', '\n']).to_owned())),
    ("strlen", Exactly(1), |v| Ok(count(text(&v[0])?.chars().count()))),
    ("strrev", Exactly(1), |v| on_text(&v, |t| t.chars().rev().collect())),
    ("substr", Exactly(3), |v| {
        let all: Vec<char> = text(&v[0])?.chars().collect();
        let from = place(&v[1], all.len())?;
        let length = whole(&v[2])?;
        let to = usize::try_from(length).map_or(all.len(), |n| from.saturating_add(n));
        Ok(Value::from(all[from..to.min(all.len())].iter().collect::<String>()))
    }),
    ("replace", Exactly(3), |v| {
        let (old, new) = (text(&v[1])?, text(&v[2])?);
        let subject = text(&v[0])?;
        small(subject.len().saturating_mul(new.len().max(1)))?;
        on_text(&v, |t| t.replace(old, new))
    }),
    ("regex_replace", Exactly(3), |v| {
        let (subject, new) = (text(&v[0])?, text(&v[2])?);
        small(subject.len().saturating_mul(new.len().max(1)))?;
        Ok(Value::from(regex(&v[1])?.replace_all(subject, new).into_owned()))
    }),
    ("regex", Exactly(2), |v| {
        let (pattern, subject) = (regex(&v[0])?, text(&v[1])?);
        let found = pattern.captures(subject).ok_or("the pattern does not match")?;
        let group = |i: usize| found.get(i).map_or(Value::Null, |m| Value::from(m.as_str()));
        Ok(match found.len() {
            1 => group(0),
            n => Value::Array((1..n).map(group).collect()),
        })
    }),
    ("regexall", Exactly(2), |v| {
        let (pattern, subject) = (regex(&v[0])?, text(&v[1])?);
        Ok(pattern.find_iter(subject).map(|m| Value::from(m.as_str())).collect())
    }),
    ("split", Exactly(2), |v| {
        let (by, subject) = (text(&v[0])?, text(&v[1])?);
        Ok(subject.split(by).map(Value::from).collect())
    }),
    ("join", AtLeast(2), |v| {
        let between = text(&v[0])?;
        let lists = v[1..].iter().map(list).collect::<Result<Vec<_>>>()?;
        let texts: Result<Vec<String>> = lists.concat().iter().map(shown).collect();
        Ok(Value::from(texts?.join(between)))
    }),
    ("indent", Exactly(2), |v| {
        let blanks = usize::try_from(whole(&v[0])?).map_err(|_| "a negative number of blanks")?;
        let subject = text(&v[1])?;
        small(blanks.saturating_mul(subject.len().max(1)))?;
        Ok(Value::from(subject.replace('\n', &format!("\n{}", " ".repeat(blanks)))))
    }),
    ("format", AtLeast(1), |v| format(&v)),
    ("sanitize", Exactly(1), |v| on_text(&v, |t| {
        t.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
    })),
    ("urlencode", Exactly(1), |v| on_text(&v, urlencode)),
    ("basename", Exactly(1), |v| on_text(&v, |t| t.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned())),
    ("dirname", Exactly(1), |v| on_text(&v, |t| match t.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((dir, _)) => dir.to_owned(),
        None => ".".to_owned(),
    })),
    ("base64encode", Exactly(1), |v| on_text(&v, |t| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(t)
    })),
    ("base64decode", Exactly(1), |v| {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text(&v[0])?);
        let bytes = bytes.map_err(|_| "not base64")?;
        Ok(Value::from(String::from_utf8(bytes).map_err(|_| "not UTF-8")?))
    }),
    ("sha256", Exactly(1), |v| on_text(&v, |t| crate::image::Digest::of(t.as_bytes()).hex().to_owned())),
    ("jsonencode", Exactly(1), |v| serde_json::to_string(&v[0]).map(Value::from).map_err(|e| e.to_string())),
    ("jsondecode", Exactly(1), |v| serde_json::from_str(text(&v[0])?).map_err(|e| e.to_string())),
    ("timestamp", Exactly(0), |_| Ok(Value::from(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))),

    ("length", Exactly(1), |v| Ok(count(match &v[0] {
        Value::Array(all) => all.len(),
        Value::Object(all) => all.len(),
        other => return Err(format!("{other} is no list or map")),
    }))),
    ("concat", AtLeast(1), |v| {
        let lists = v.iter().map(list).collect::<Result<Vec<_>>>()?;
        Ok(Value::Array(lists.concat()))
    }),
    ("contains", Exactly(2), |v| Ok(Value::Bool(list(&v[0])?.contains(&v[1])))),
    ("coalesce", AtLeast(1), |v| Ok(v.into_values().into_iter().find(|one| !one.is_null()).unwrap_or_default())),
    ("coalescelist", AtLeast(1), |v| Ok(v.into_values().into_iter().find(|one| list(one).is_ok_and(|l| !l.is_empty())).unwrap_or_default())),
    ("compact", Exactly(1), |v| Ok(list(&v[0])?.iter().filter(|one| **one != Value::from("") && !one.is_null()).cloned().collect())),
    ("distinct", Exactly(1), |v| {
        let mut seen: Vec<Value> = Vec::new();
        for one in list(&v[0])? {
            if !seen.contains(one) {
                seen.push(one.clone());
            }
        }
        Ok(Value::Array(seen))
    }),
    ("element", Exactly(2), |v| {
        let all = list(&v[0])?;
        let at = usize::try_from(whole(&v[1])?).map_err(|_| "a negative place")?;
        all.get(at % all.len().max(1)).cloned().ok_or_else(|| "the list is empty".into())
    }),
    ("flatten", Exactly(1), |v| Ok(Value::Array(flat(list(&v[0])?)))),
    ("index", Exactly(2), |v| {
        let at = list(&v[0])?.iter().position(|one| *one == v[1]);
        at.map(count).ok_or_else(|| "it is not in the list".into())
    }),
    ("reverselist", Exactly(1), |v| Ok(list(&v[0])?.iter().rev().cloned().collect())),
    ("slice", Exactly(3), |v| {
        let all = list(&v[0])?;
        let (from, to) = (place(&v[1], all.len())?, place(&v[2], all.len())?);
        all.get(from..to).map(|part| Value::Array(part.to_vec())).ok_or_else(|| "it ends before it begins".into())
    }),
    ("sort", Exactly(1), |v| {
        let mut texts = list(&v[0])?.iter().map(text).collect::<Result<Vec<_>>>()?;
        texts.sort_unstable();
        Ok(texts.into_iter().map(Value::from).collect())
    }),
    ("range", AtLeast(1), |v| {
        let n: Vec<i64> = v.iter().map(whole).collect::<Result<_>>()?;
        let (from, to, step) = match n[..] {
            [to] => (0, to, 1),
            [from, to] => (from, to, 1),
            [from, to, step] if step != 0 => (from, to, step),
            _ => return Err("one to three numbers, of which the last is not 0".into()),
        };
        small(usize::try_from((i128::from(to) - i128::from(from)).abs() / i128::from(step).abs()).unwrap_or(usize::MAX))?;
        let numbers = std::iter::successors(Some(from), |n| n.checked_add(step));
        Ok(numbers.take_while(|n| if step > 0 { *n < to } else { *n > to }).map(Value::from).collect())
    }),
    ("keys", Exactly(1), |v| Ok(map(&v[0])?.keys().cloned().map(Value::from).collect())),
    ("values", Exactly(1), |v| Ok(map(&v[0])?.values().cloned().collect())),
    ("lookup", AtLeast(2), |v| match (map(&v[0])?.get(text(&v[1])?), v.get(2)) {
        (Some(found), _) => Ok(found.clone()),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(format!("{} is not in the map", v[1])),
    }),
    ("merge", AtLeast(0), |v| {
        let mut all = Map::new();
        for one in v.iter().filter(|one| !one.is_null()) {
            all.extend(map(one)?.clone());
        }
        Ok(Value::Object(all))
    }),
    ("zipmap", Exactly(2), |v| {
        let (keys, values) = (list(&v[0])?, list(&v[1])?);
        let pairs = keys.iter().zip(values).map(|(k, v)| Ok((text(k)?.to_owned(), v.clone())));
        Ok(Value::Object(pairs.collect::<Result<_>>()?))
    }),

    ("equal", Exactly(2), |v| Ok(Value::Bool(v[0] == v[1]))),
    ("notequal", Exactly(2), |v| Ok(Value::Bool(v[0] != v[1]))),
    ("and", Exactly(2), |v| Ok(Value::Bool(flag(&v[0])? && flag(&v[1])?))),
    ("or", Exactly(2), |v| Ok(Value::Bool(flag(&v[0])? || flag(&v[1])?))),
    ("not", Exactly(1), |v| Ok(Value::Bool(!flag(&v[0])?))),
    ("greaterthan", Exactly(2), |v| Ok(Value::Bool(number(&v[0])? > number(&v[1])?))),
    ("greaterthanorequalto", Exactly(2), |v| Ok(Value::Bool(number(&v[0])? >= number(&v[1])?))),
    ("lessthan", Exactly(2), |v| Ok(Value::Bool(number(&v[0])? < number(&v[1])?))),
    ("lessthanorequalto", Exactly(2), |v| Ok(Value::Bool(number(&v[0])? <= number(&v[1])?))),
    ("add", Exactly(2), |v| sum(number(&v[0])? + number(&v[1])?)),
    ("subtract", Exactly(2), |v| sum(number(&v[0])? - number(&v[1])?)),
    ("multiply", Exactly(2), |v| sum(number(&v[0])? * number(&v[1])?)),
    ("divide", Exactly(2), |v| sum(number(&v[0])? / number(&v[1])?)),
    ("modulo", Exactly(2), |v| sum(number(&v[0])? % number(&v[1])?)),
    ("pow", Exactly(2), |v| sum(number(&v[0])?.powf(number(&v[1])?))),
    ("negate", Exactly(1), |v| sum(-number(&v[0])?)),
    ("absolute", Exactly(1), |v| sum(number(&v[0])?.abs())),
    ("ceil", Exactly(1), |v| sum(number(&v[0])?.ceil())),
    ("floor", Exactly(1), |v| sum(number(&v[0])?.floor())),
    ("int", Exactly(1), |v| sum(number(&v[0])?.trunc())),
    ("max", AtLeast(1), |v| best(&v, |new, old| new > old)),
    ("min", AtLeast(1), |v| best(&v, |new, old| new < old)),
    ("parseint", Exactly(2), |v| {
        let base = u32::try_from(whole(&v[1])?).ok().filter(|base| (2..=36).contains(base));
        let base = base.ok_or("the base is from 2 to 36")?;
        i64::from_str_radix(text(&v[0])?, base).map(Value::from).map_err(|_| format!("{} is no number", v[0]))
    }),
];

pub fn declare(context: &mut Context<'_>) {
    for (name, takes, function) in ALL {
        let (Exactly(fixed) | AtLeast(fixed)) = *takes;
        let mut definition = FuncDef::builder().params(vec![ParamType::Any; fixed]);
        if let AtLeast(_) = takes {
            definition = definition.variadic_param(ParamType::Any);
        }
        context.declare_func(*name, definition.build(*function));
    }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().ok_or_else(|| format!("{value} is no text"))
}

fn list(value: &Value) -> Result<&[Value]> {
    let list = value.as_array().map(Vec::as_slice);
    list.ok_or_else(|| format!("{value} is no list"))
}

fn map(value: &Value) -> Result<&Map<String, Value>> {
    let map = value.as_object();
    map.ok_or_else(|| format!("{value} is no map"))
}

fn flag(value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| format!("{value} is no bool"))
}

/// A text that is a number is one, too.
fn number(value: &Value) -> Result<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
        _ => None,
    };
    number.ok_or_else(|| format!("{value} is no number"))
}

fn whole(value: &Value) -> Result<i64> {
    let number = number(value)?;
    match number.fract() == 0.0 && number.abs() < 2_f64.powi(53) {
        true => Ok(number as i64),
        false => Err(format!("{value} is no whole number")),
    }
}

/// Of a list of `length`; a negative one counts from its end.
fn place(value: &Value, length: usize) -> Result<usize> {
    let at = whole(value)?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let at = if at < 0 { length + at } else { at };
    let inside = (0..=length).contains(&at).then_some(at);
    let inside = inside.and_then(|at| usize::try_from(at).ok());
    inside.ok_or_else(|| format!("{value} is not in it"))
}

fn count(n: usize) -> Value {
    Value::from(n as u64)
}

fn sum(number: f64) -> Result {
    let is_whole = number.fract() == 0.0 && number.abs() < 2_f64.powi(53);
    match (is_whole, Number::from_f64(number)) {
        (true, _) => Ok(Value::from(number as i64)),
        (false, Some(number)) => Ok(Value::Number(number)),
        (false, None) => Err("the result is no number".to_owned()),
    }
}

fn best(values: &[Value], better: fn(f64, f64) -> bool) -> Result {
    let mut best = number(&values[0])?;
    for value in &values[1..] {
        let new = number(value)?;
        if better(new, best) {
            best = new;
        }
    }
    sum(best)
}

fn small(size: usize) -> Result<()> {
    match size > MOST {
        true => Err(format!("the result is larger than {MOST}")),
        false => Ok(()),
    }
}

fn regex(value: &Value) -> Result<Regex> {
    Regex::new(text(value)?).map_err(|e| e.to_string())
}

fn on_text(values: &[Value], change: impl Fn(&str) -> String) -> Result {
    Ok(Value::from(change(text(&values[0])?)))
}

fn title(text: &str) -> String {
    let mut begins = true;
    let change = |c: char| {
        let first = std::mem::replace(&mut begins, !c.is_alphanumeric());
        match first {
            true => c.to_uppercase().collect::<String>(),
            false => c.to_string(),
        }
    };
    text.chars().map(change).collect()
}

fn urlencode(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

fn flat(list: &[Value]) -> Vec<Value> {
    let each = list.iter().flat_map(|one| match one {
        Value::Array(inner) => flat(inner),
        other => vec![other.clone()],
    });
    each.collect()
}

/// As it stands in a text.
fn shown(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(format!("{other} is no text")),
    }
}

/// `format("%s-%d", …)`: the verbs `%s`, `%d`, `%v`, `%t`, `%q` and `%%`.
fn format(values: &[Value]) -> Result {
    let mut out = String::new();
    let mut rest = values[1..].iter();
    let mut chars = text(&values[0])?.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let verb = chars.next().unwrap_or(' ');
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = rest.next().ok_or("there are more verbs than values")?;
        match verb {
            's' | 'v' | 't' => out += &shown(value)?,
            'd' => out += &whole(value)?.to_string(),
            'q' => out += &format!("{:?}", shown(value)?),
            _ => return Err(format!("the verb %{verb} is not supported")),
        }
    }
    match rest.next() {
        Some(_) => Err("there are more values than verbs".into()),
        None => Ok(Value::from(out)),
    }
}
