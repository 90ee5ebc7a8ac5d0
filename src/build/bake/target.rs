//! Third pass: targets. Each attribute stands for an option of `build`.

use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    /// What an heir says stands in the place of what it inherits.
    List,
    /// What an heir says is added.
    LongerList,
    Map,
}

/// An attribute: the names that it has, and the option that gets its values.
struct Attribute {
    names: &'static [&'static str],
    kind: Kind,
    option: &'static str,
    /// Of a map: between key and value.
    between: char,
}

const fn attribute(names: &'static [&'static str], kind: Kind, option: &'static str) -> Attribute {
    Attribute {
        names,
        kind,
        option,
        between: '=',
    }
}

/// Of which some may be other targets.
const CONTEXTS: &str = "contexts";

/// The first name is the one that is shown; those behind it are of `--set`, too.
const ATTRIBUTES: [Attribute; 28] = [
    attribute(&["context"], Kind::Text, ""),
    attribute(&["dockerfile"], Kind::Text, "--file"),
    attribute(&["dockerfile-inline"], Kind::Text, ""),
    attribute(&["description"], Kind::Text, ""),
    attribute(&["target"], Kind::Text, "--target"),
    attribute(&["network"], Kind::Text, "--network"),
    attribute(&["shm-size"], Kind::Text, "--shm-size"),
    attribute(&["call"], Kind::Text, "--call"),
    attribute(&["pull"], Kind::Flag, "--pull"),
    attribute(&["no-cache"], Kind::Flag, "--no-cache"),
    attribute(&["push"], Kind::Flag, "--push"),
    attribute(&["load"], Kind::Flag, "--load"),
    attribute(&["tags"], Kind::List, "--tag"),
    attribute(&["platforms", "platform"], Kind::List, "--platform"),
    attribute(&["cache-to"], Kind::List, "--cache-to"),
    attribute(&["output"], Kind::List, "--output"),
    attribute(&["no-cache-filter"], Kind::List, "--no-cache-filter"),
    attribute(&["cache-from"], Kind::LongerList, "--cache-from"),
    attribute(&["secret", "secrets"], Kind::LongerList, "--secret"),
    attribute(&["ssh"], Kind::LongerList, "--ssh"),
    attribute(&["annotations"], Kind::LongerList, "--annotation"),
    attribute(&["attest"], Kind::LongerList, "--attest"),
    attribute(&["ulimits"], Kind::LongerList, "--ulimit"),
    attribute(&["args"], Kind::Map, "--build-arg"),
    attribute(&[CONTEXTS], Kind::Map, "--build-context"),
    attribute(&["labels"], Kind::Map, "--label"),
    attribute(&["entitlements"], Kind::LongerList, "--allow"),
    Attribute {
        names: &["extra-hosts"],
        kind: Kind::Map,
        option: "--add-host",
        between: ':',
    },
];

fn find(name: &str) -> Result<&'static Attribute> {
    ATTRIBUTES
        .iter()
        .find(|attribute| attribute.names.contains(&name))
        .ok_or_else(|| {
            let known = ATTRIBUTES.iter().flat_map(|attribute| attribute.names);
            let near = known.min_by_key(|known| strsim::osa_distance(known, name));
            let error = Error::invalid(format!("unknown attribute {name:?}"));
            match near.filter(|near| strsim::osa_distance(near, name) < 4) {
                Some(near) => error.hint(format!("is {near:?} meant?")),
                None => error,
            }
        })
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Text(String),
    Flag(bool),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

/// What a target says, by the first names of its attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    pub fields: BTreeMap<&'static str, Field>,
    pub inherits: Vec<String>,
}

impl Target {
    /// An attribute of a file; `null` says nothing.
    pub fn set(&mut self, name: &str, value: &Value) -> Result<()> {
        if value.is_null() {
            return Ok(());
        }
        if name == "inherits" {
            self.inherits = list(value).map_err(|e| e.within(name))?;
            return Ok(());
        }
        let attribute = find(name)?;
        let field = match attribute.kind {
            Kind::Text => text(value).map(Field::Text),
            Kind::Flag => match value {
                Value::Bool(flag) => Ok(Field::Flag(*flag)),
                _ => Err(wrong(value, "a bool")),
            },
            Kind::List | Kind::LongerList => list(value).map(Field::List),
            Kind::Map => map(value).map(Field::Map),
        };
        let field = field.map_err(|e| e.within(name))?;
        self.fields.insert(attribute.names[0], field);
        Ok(())
    }

    /// `--set TARGET.KEY[.KEY]=VALUE`: lists are those that `--set` gives, all
    /// that is given of one name (`is_first`: the first of them).
    pub fn override_with(&mut self, key: &str, value: &str, is_first: bool) -> Result<()> {
        let (name, below) = match key.split_once('.') {
            Some((name, below)) => (name, Some(below)),
            None => (key, None),
        };
        let attribute = find(name)?;
        let usage = || {
            Error::usage(format!(
                "--set: {name} of a target is set by {name}.KEY=VALUE"
            ))
        };
        let name = attribute.names[0];
        match (attribute.kind, below) {
            (Kind::Map, Some(below)) => {
                let empty = || Field::Map(BTreeMap::new());
                if let Field::Map(map) = self.fields.entry(name).or_insert_with(empty) {
                    map.insert(below.to_owned(), value.to_owned());
                }
            }
            (Kind::Map, None) => return Err(usage()),
            (_, Some(_)) => return Err(Error::usage(format!("--set: unknown key {key:?}"))),
            (Kind::Text, None) => {
                self.fields.insert(name, Field::Text(value.to_owned()));
            }
            (Kind::Flag, None) => {
                let bad = |_| Error::usage(format!("--set: {name} is true or false"));
                let flag = value.parse::<bool>().map_err(bad)?;
                self.fields.insert(name, Field::Flag(flag));
            }
            (Kind::List | Kind::LongerList, None) => {
                let empty = || Field::List(Vec::new());
                if let Field::List(list) = self.fields.entry(name).or_insert_with(empty) {
                    if is_first {
                        list.clear();
                    }
                    list.extend(Some(value.to_owned()).filter(|value| !value.is_empty()));
                }
            }
        }
        Ok(())
    }

    /// What `other` says comes on top.
    pub fn merge(&mut self, other: &Self) {
        for attribute in &ATTRIBUTES {
            let name = attribute.names[0];
            let Some(new) = other.fields.get(name) else {
                continue;
            };
            match (self.fields.get_mut(name), new) {
                (Some(Field::Map(old)), Field::Map(new)) => old.extend(new.clone()),
                (Some(Field::List(old)), Field::List(new))
                    if attribute.kind == Kind::LongerList =>
                {
                    let added: Vec<String> = new
                        .iter()
                        .filter(|one| !old.contains(one))
                        .cloned()
                        .collect();
                    old.extend(added);
                }
                _ => {
                    self.fields.insert(name, new.clone());
                }
            }
        }
        if !other.inherits.is_empty() {
            self.inherits.clone_from(&other.inherits);
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.fields.get(name) {
            Some(Field::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Names of targets that its contexts are made of (`target:NAME`), by the
    /// names of the contexts.
    pub fn needs(&self) -> impl Iterator<Item = (&str, &str)> {
        let contexts = match self.fields.get(CONTEXTS) {
            Some(Field::Map(contexts)) => Some(contexts),
            _ => None,
        };
        contexts
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value.strip_prefix("target:")?)))
    }

    /// The options of `build` that say the same, without its context and those
    /// that are other targets.
    pub fn options(&self) -> Vec<String> {
        let mut words = Vec::new();
        for attribute in ATTRIBUTES
            .iter()
            .filter(|attribute| !attribute.option.is_empty())
        {
            let option = attribute.option;
            let mut add = |value: &str| words.push(format!("{option}={value}"));
            match self.fields.get(attribute.names[0]) {
                None | Some(Field::Flag(false)) => {}
                Some(Field::Flag(true)) => words.push(option.to_owned()),
                Some(Field::Text(text)) => add(text),
                Some(Field::List(list)) => list.iter().for_each(|one| add(one)),
                Some(Field::Map(map)) => {
                    let is_needed = |key: &String| self.needs().any(|(context, _)| context == key);
                    let is_contexts = attribute.names[0] == CONTEXTS;
                    for (key, value) in map
                        .iter()
                        .filter(|(key, _)| !(is_contexts && is_needed(key)))
                    {
                        add(&format!("{key}{}{value}", attribute.between));
                    }
                }
            }
        }
        words
    }

    /// As `--print` shows it.
    pub fn shown(&self) -> Value {
        let mut object = Map::new();
        let default = |name: &str, value: &str| (name.to_owned(), json!(value));
        object.extend([default("context", "."), default("dockerfile", "Dockerfile")]);
        for (name, field) in &self.fields {
            let value = match field {
                Field::Text(text) => json!(text),
                Field::Flag(flag) => json!(flag),
                Field::List(list) => json!(list),
                Field::Map(map) => json!(map),
            };
            object.insert((*name).to_owned(), value);
        }
        if object.contains_key("dockerfile-inline") {
            object.remove("dockerfile");
        }
        Value::Object(object)
    }
}

fn wrong(value: &Value, wanted: &str) -> Error {
    Error::invalid(format!("{value} is not {wanted}"))
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(wrong(value, "a text")),
    }
}

/// Of texts; an object is written as `key=value,key=value`. `null` is left out.
pub fn list(value: &Value) -> Result<Vec<String>> {
    let Value::Array(all) = value else {
        return Err(wrong(value, "a list"));
    };
    let one = |value: &Value| match value {
        Value::Object(fields) => {
            let pairs = fields.iter().filter(|(_, value)| !value.is_null());
            let pairs: Result<Vec<String>> = pairs
                .map(|(key, value)| Ok(format!("{key}={}", text(value)?)))
                .collect();
            Ok(pairs?.join(","))
        }
        value => text(value),
    };
    all.iter().filter(|one| !one.is_null()).map(one).collect()
}

/// What is `null` is left out.
fn map(value: &Value) -> Result<BTreeMap<String, String>> {
    let Value::Object(all) = value else {
        return Err(wrong(value, "a map"));
    };
    let given = all.iter().filter(|(_, value)| !value.is_null());
    given
        .map(|(key, value)| Ok((key.clone(), text(value)?)))
        .collect()
}
