//! How Go prints values (fmt's %v): maps `map[a:b]` in the order of their
//! keys, structs `{a b}`, lists `[a b]`. JSON does not tell maps and structs
//! apart, so the names of Docker's maps are listed here.

use serde_json::Value;

/// Members of Docker's answers that are maps; every other object is a struct.
const MAPS: [&str; 17] = [
    "Annotations",
    "AuxiliaryAddresses",
    "Containers",
    "Data",
    "DriverOpts",
    "ExposedPorts",
    "IPAMConfig",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
    "RuntimeOptions",
];

/// Members that are null where Docker has a nil pointer, not an empty list.
const POINTERS: [&str; 9] = [
    "Health",
    "Healthcheck",
    "Init",
    "MemorySwappiness",
    "OomKillDisable",
    "PidsLimit",
    "Platform",
    "StopTimeout",
    "ImageManifestDescriptor",
];

/// Whether the object called `name` inside the one called `parent` is a map.
pub fn is_map(parent: &str, name: &str) -> bool {
    MAPS.contains(&name) || (parent == "LogConfig" && name == "Config")
}

/// Whether a member called `name` is a pointer, and nil when it is missing.
pub fn is_pointer(name: &str) -> bool {
    POINTERS.contains(&name)
}

/// What a key that is not in the map called `name` gives with `index`: the
/// zero value of the map's type, which Go prints only when it is a text.
pub fn zero_is_text(name: &str) -> bool {
    !matches!(
        name,
        "Containers" | "ExposedPorts" | "Networks" | "PortBindings" | "Ports" | "Volumes"
    )
}

/// A value as `{{.}}` prints it. `name` is the member it was found in.
pub fn value(value: &Value, parent: &str, name: &str) -> String {
    match value {
        Value::Null if is_map(parent, name) => "map[]".into(),
        Value::Null if is_pointer(name) || name.is_empty() => "<nil>".into(),
        Value::Null => "[]".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => number(n),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|v| self::value(v, name, "")).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(members) if is_map(parent, name) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let items: Vec<_> = members
                .iter()
                .map(|(key, v)| match v {
                    // The lists of ports that are not published.
                    Value::Null => format!("{key}:[]"),
                    v => format!("{key}:{}", self::value(v, name, "")),
                })
                .collect();
            format!("map[{}]", items.join(" "))
        }
        Value::Object(members) => {
            let items: Vec<_> = members
                .iter()
                .map(|(key, v)| self::value(v, name, key))
                .collect();
            format!("{{{}}}", items.join(" "))
        }
    }
}

/// A number as Go's %v: floats in their shortest form, an exponent from 1e21.
pub fn number(n: &serde_json::Number) -> String {
    if n.is_i64() || n.is_u64() {
        return n.to_string();
    }
    let f = n.as_f64().unwrap_or(0.0);
    if f != 0.0 && !(1e-4..1e21).contains(&f.abs()) {
        let text = format!("{f:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    f.to_string()
}
