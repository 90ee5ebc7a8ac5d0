//! Second pass: variables get their values, in the order in which they use each
//! other, and then targets and groups theirs.

use super::functions;
use super::read::{Block, Expr, File};
use super::target::{self, Target};
use super::{Definition, Group};
use crate::error::{Error, Result};
use hcl::Value;
use hcl::eval::{Context, ErrorKind};
use std::collections::BTreeMap;

/// For `--list variables`.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    pub name: String,
    pub value: serde_json::Value,
    pub description: String,
}

/// What the files say together. `given` has the values that come from outside: of
/// `--var`, and the environment.
pub fn evaluate(files: &[File], given: &dyn Fn(&str) -> Option<String>) -> Result<Definition> {
    let mut context = Context::new();
    functions::declare(&mut context);
    let host = crate::image::Platform::host().to_string();
    context.declare_var("BAKE_LOCAL_PLATFORM", host);
    context.declare_var("BAKE_CMD_CONTEXT", "cwd://");
    let mut definition = Definition {
        variables: declare(files, given, &mut context)?,
        ..Definition::default()
    };
    for block in files.iter().flat_map(|file| &file.blocks) {
        match block.kind.as_str() {
            "group" => {
                let group = group(block, &context)?;
                definition.groups.insert(block.label.clone(), group);
            }
            "target" => {
                let targets = targets(block, &context)?;
                if targets.len() > 1 || targets.iter().any(|(name, _)| *name != block.label) {
                    let members = targets.iter().map(|(name, _)| name.clone());
                    let group = Group {
                        members: members.collect(),
                        ..Group::default()
                    };
                    definition.groups.insert(block.label.clone(), group);
                }
                for (name, target) in targets {
                    let known = definition.targets.entry(name).or_default();
                    known.merge(&target);
                }
            }
            "variable" => validate(block, &context)?,
            kind => {
                return Err(Error::unsupported(format!(
                    "{kind} blocks are not supported ({kind} {:?})",
                    block.label
                )));
            }
        }
    }
    Ok(definition)
}

/// A variable or an attribute of a file that has no value yet.
struct Pending<'a> {
    name: &'a str,
    value: Option<&'a Expr>,
    /// Others may set it.
    is_variable: bool,
    description: Option<&'a Expr>,
}

fn declare<'a>(
    files: &'a [File],
    given: &dyn Fn(&str) -> Option<String>,
    context: &mut Context<'_>,
) -> Result<Vec<Variable>> {
    // What a later file says of a name counts.
    let mut pending: BTreeMap<&str, Pending<'a>> = BTreeMap::new();
    for file in files {
        for block in file.blocks.iter().filter(|block| block.kind == "variable") {
            let one = Pending {
                name: &block.label,
                value: attribute(block, "default"),
                is_variable: true,
                description: attribute(block, "description"),
            };
            pending.insert(one.name, one);
        }
        for (name, value) in &file.attributes {
            let one = Pending {
                name,
                value: Some(value),
                is_variable: false,
                description: None,
            };
            pending.insert(one.name, one);
        }
    }
    let mut variables = Vec::new();
    while !pending.is_empty() {
        let before = pending.len();
        let mut blocked = None;
        for name in pending.keys().copied().collect::<Vec<_>>() {
            let one = &pending[name];
            let value = match one.value.map(|value| value.evaluate(context)) {
                None => Value::Null,
                Some(Ok(value)) => value,
                Some(Err(e)) => match e.kind() {
                    ErrorKind::UndefinedVar(other) if pending.contains_key(other.as_str()) => {
                        blocked = Some(e);
                        continue;
                    }
                    _ => return Err(failed(&format!("variable {name:?}"), &e)),
                },
            };
            let value = match given(name).filter(|_| one.is_variable) {
                Some(text) => typed(name, &text, &value)?,
                None => value,
            };
            if one.is_variable {
                let description = one.description.map(|text| text.evaluate(context));
                let description = description.and_then(Result::ok).and_then(text_of);
                variables.push(Variable {
                    name: name.to_owned(),
                    value: json(&value),
                    description: description.unwrap_or_default(),
                });
            }
            context.declare_var(name, value);
            pending.remove(name);
        }
        if pending.len() == before {
            let why = blocked.map_or_else(String::new, |e| e.to_string());
            return Err(Error::invalid(format!(
                "variables that need each other: {why}"
            )));
        }
    }
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(variables)
}

fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Expr> {
    let found = block.attributes.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value)
}

/// A text from outside as what the default is.
fn typed(name: &str, text: &str, default: &Value) -> Result<Value> {
    let bad = |what: &str| {
        Error::invalid(format!(
            "variable {name:?}: the value {text:?} given from outside is no {what}"
        ))
    };
    match default {
        Value::Null | Value::String(_) => Ok(Value::from(text)),
        Value::Bool(_) => match text {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(bad("bool")),
        },
        Value::Number(_) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) => Ok(Value::from(whole)),
            (_, Ok(number)) if number.is_finite() => Ok(Value::from(number)),
            _ => Err(bad("number")),
        },
        Value::Array(_) | Value::Object(_) => Err(Error::unsupported(format!(
            "variable {name:?}: lists and maps cannot be given from outside"
        ))),
    }
}

fn validate(block: &Block, context: &Context<'_>) -> Result<()> {
    let what = format!("variable {:?}", block.label);
    for one in &block.blocks {
        if one.kind != "validation" {
            return Err(Error::invalid(format!(
                "{what}: unknown block {:?}",
                one.kind
            )));
        }
        let Some(condition) = attribute(one, "condition") else {
            return Err(Error::invalid(format!(
                "{what}: a validation has a condition"
            )));
        };
        let holds = condition.evaluate(context).map_err(|e| failed(&what, &e))?;
        if holds != Value::Bool(true) {
            let why = attribute(one, "error_message").map(|text| text.evaluate(context));
            let why = why.and_then(Result::ok).and_then(text_of);
            let why = why.unwrap_or_else(|| "its value is not valid".to_owned());
            return Err(Error::invalid(format!("{what}: {why}")));
        }
    }
    let known = ["default", "description", "type"];
    match block
        .attributes
        .iter()
        .find(|(key, _)| !known.contains(&key.as_str()))
    {
        Some((key, _)) => Err(Error::invalid(format!("{what}: unknown attribute {key:?}"))),
        None => Ok(()),
    }
}

fn group(block: &Block, context: &Context<'_>) -> Result<Group> {
    let what = format!("group {:?}", block.label);
    let mut group = Group::default();
    for (key, value) in &block.attributes {
        let value = json(&value.evaluate(context).map_err(|e| failed(&what, &e))?);
        match (key.as_str(), value) {
            ("targets", value) => {
                group.members = target::list(&value).map_err(|e| e.within(&*what))?;
            }
            ("description", serde_json::Value::String(text)) => group.description = text,
            _ => return Err(Error::invalid(format!("{what}: unknown attribute {key:?}"))),
        }
    }
    Ok(group)
}

/// The block's target; with a `matrix` one for each combination.
fn targets(block: &Block, context: &Context<'_>) -> Result<Vec<(String, Target)>> {
    let what = format!("target {:?}", block.label);
    let Some(matrix) = attribute(block, "matrix") else {
        let target = one_target(block, context, &what)?;
        return Ok(vec![(block.label.clone(), target)]);
    };
    let matrix = matrix.evaluate(context).map_err(|e| failed(&what, &e))?;
    let Value::Object(axes) = matrix else {
        return Err(Error::invalid(format!("{what}: its matrix is no map")));
    };
    let Some(name) = attribute(block, "name") else {
        return Err(Error::invalid(format!("{what}: a matrix needs a name"))
            .hint("a text with the variables of the matrix, such as name = \"app-${os}\""));
    };
    let mut combinations: Vec<Vec<(String, Value)>> = vec![Vec::new()];
    for (axis, values) in axes {
        let Value::Array(values) = values else {
            return Err(Error::invalid(format!(
                "{what}: {axis:?} of its matrix is no list"
            )));
        };
        if combinations.len() * values.len() > MOST_COMBINATIONS {
            return Err(Error::invalid(format!(
                "{what}: its matrix has more than {MOST_COMBINATIONS} combinations"
            )));
        }
        let longer = |combination: &Vec<(String, Value)>| {
            let with = |value: &Value| {
                let last = (axis.clone(), value.clone());
                combination.iter().cloned().chain([last]).collect()
            };
            values.iter().map(with).collect::<Vec<_>>()
        };
        combinations = combinations.iter().flat_map(longer).collect();
    }
    let mut all = Vec::new();
    for combination in combinations {
        let mut inner = context.clone();
        for (axis, value) in combination {
            inner.declare_var(axis, value);
        }
        let name = name.evaluate(&inner).map_err(|e| failed(&what, &e))?;
        let Some(name) = text_of(name) else {
            return Err(Error::invalid(format!("{what}: its name is no text")));
        };
        if all.iter().any(|(known, _)| *known == name) {
            return Err(Error::invalid(format!(
                "{what}: two of its matrix are called {name:?}"
            )));
        }
        all.push((name, one_target(block, &inner, &what)?));
    }
    Ok(all)
}

/// Of one matrix.
const MOST_COMBINATIONS: usize = 1000;

fn one_target(block: &Block, context: &Context<'_>, what: &str) -> Result<Target> {
    if let Some(inner) = block.blocks.first() {
        return Err(Error::invalid(format!(
            "{what}: unknown block {:?}",
            inner.kind
        )));
    }
    let mut target = Target::default();
    for (key, value) in &block.attributes {
        if matches!(key.as_str(), "matrix" | "name") {
            continue;
        }
        let value = value.evaluate(context).map_err(|e| failed(what, &e))?;
        target.set(key, &json(&value)).map_err(|e| e.within(what))?;
    }
    Ok(target)
}

fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn failed(what: &str, why: &hcl::eval::Error) -> Error {
    Error::invalid(format!("{what}: {why}"))
}
