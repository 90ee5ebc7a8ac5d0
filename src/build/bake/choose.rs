//! Fourth pass: which targets are asked for, with all that they inherit, in an
//! order in which each comes after those that its contexts are made of.

use super::Definition;
use super::target::Target;
use crate::error::{Error, Result};
use crate::text::glob::Glob;
use std::collections::BTreeMap;

/// How many one may be made of, in each other's contexts.
const DEEPEST: usize = 64;
/// What comes out of a target besides the image.
const RESULTS: [&str; 5] = ["tags", "output", "push", "load", "cache-to"];
/// How many one may inherit from: each calls the next.
const MOST: usize = 256;

/// `--set TARGET.KEY=VALUE`.
#[derive(Debug, Clone)]
pub struct Override {
    pub targets: Glob,
    /// As it was given.
    pub pattern: String,
    pub key: String,
    pub value: String,
}

#[derive(Debug, Default)]
pub struct Chosen {
    /// In the order in which they are done.
    pub targets: Vec<(String, Target)>,
    /// Those of them that others are made of and nobody has asked for: nothing else
    /// comes out of them.
    pub unasked: Vec<String>,
    /// The groups that were asked for, with their targets.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// `names`: of targets and groups; without any it is `default`. `overrides` are
/// those of `--set`.
pub fn choose(definition: &Definition, names: &[String], overrides: &[Override]) -> Result<Chosen> {
    let default = ["default".to_owned()];
    let names = if names.is_empty() { &default } else { names };
    let mut chosen = Chosen::default();
    let mut asked: Vec<String> = Vec::new();
    for name in names {
        let mut members = Vec::new();
        add_members(definition, name, &mut Vec::new(), &mut members)?;
        if definition.groups.contains_key(name) {
            chosen.groups.insert(name.clone(), members.clone());
        }
        let new = members.into_iter().filter(|name| !asked.contains(name));
        let new: Vec<String> = new.collect();
        asked.extend(new);
    }
    if chosen.groups.is_empty() {
        chosen.groups.insert("default".into(), asked.clone());
    }
    for name in &asked {
        add(definition, name, overrides, &mut chosen, 0)?;
    }
    for (name, target) in &mut chosen.targets {
        if !asked.contains(name) {
            for field in RESULTS {
                target.fields.remove(field);
            }
            chosen.unasked.push(name.clone());
        }
    }
    for one in overrides {
        let mut names = chosen.targets.iter().map(|(name, _)| name);
        if !names.any(|name| one.targets.matches(name)) {
            return Err(Error::not_found(format!(
                "--set: could not find any target matching '{}'",
                one.pattern
            )));
        }
    }
    Ok(chosen)
}

/// The targets of a group, or the target itself; a group that was seen before adds
/// nothing. A target may be in a group of its name.
fn add_members<'a>(
    definition: &'a Definition,
    name: &'a str,
    seen: &mut Vec<&'a str>,
    members: &mut Vec<String>,
) -> Result<()> {
    match definition.groups.get(name) {
        Some(group) if !seen.contains(&name) => {
            seen.push(name);
            let mut inner = group.members.iter();
            inner.try_for_each(|member| add_members(definition, member, seen, members))
        }
        _ if definition.targets.contains_key(name) => {
            if !members.iter().any(|known| known == name) {
                members.push(name.to_owned());
            }
            Ok(())
        }
        Some(_) => Ok(()),
        None => Err(unknown(definition, name)),
    }
}

fn unknown(definition: &Definition, name: &str) -> Error {
    let error = Error::not_found(format!("failed to find target {name}"));
    let names = definition.groups.keys().chain(definition.targets.keys());
    let names: Vec<&str> = names.map(String::as_str).collect();
    match names.is_empty() {
        true => error,
        false => error.hint(format!("there are {}", names.join(", "))),
    }
}

fn add(
    definition: &Definition,
    name: &str,
    overrides: &[Override],
    chosen: &mut Chosen,
    depth: usize,
) -> Result<()> {
    if chosen.targets.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(Error::invalid(format!(
            "target {name:?} is made of itself, or of too many others"
        )));
    }
    let mut target = inherited(definition, name, &mut BTreeMap::new())?;
    let mut seen: Vec<&str> = Vec::new();
    for one in overrides.iter().filter(|one| one.targets.matches(name)) {
        let is_first = !seen.contains(&one.key.as_str());
        target.override_with(&one.key, &one.value, is_first)?;
        seen.push(&one.key);
    }
    let needs: Vec<String> = target.needs().map(|(_, other)| other.to_owned()).collect();
    for other in needs {
        add(definition, &other, overrides, chosen, depth + 1)
            .map_err(|e| e.within(format!("contexts of target {name:?}")))?;
    }
    chosen.targets.push((name.to_owned(), target));
    Ok(())
}

/// With what it inherits: what is named last counts, its own most. `known` has
/// those that are done; `None`: one that is not done yet.
fn inherited<'a>(
    definition: &'a Definition,
    name: &'a str,
    known: &mut BTreeMap<&'a str, Option<Target>>,
) -> Result<Target> {
    match known.get(name) {
        Some(Some(target)) => return Ok(target.clone()),
        Some(None) => {
            return Err(Error::invalid(format!(
                "target {name:?} inherits from itself"
            )));
        }
        None if known.len() > MOST => {
            return Err(Error::invalid("too many targets inherit from each other"));
        }
        None => {}
    }
    let own = definition.targets.get(name);
    let own = own.ok_or_else(|| unknown(definition, name))?;
    known.insert(name, None);
    let mut target = Target::default();
    for parent in &own.inherits {
        target.merge(&inherited(definition, parent, known)?);
    }
    target.merge(own);
    target.inherits.clear();
    known.insert(name, Some(target.clone()));
    Ok(target)
}
