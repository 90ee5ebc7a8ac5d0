//! Carrying a template out.

use super::Object;
use super::funcs;
use super::parse::{Command, Node, Operand, Pipeline, Value as Word};
use super::print::{self, is_map};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// More output than this is a mistake in the template.
const MOST: usize = 64 << 20;

/// A value in flight.
#[derive(Clone)]
pub enum Item<'a> {
    /// What the template is applied to.
    Root,
    /// A JSON value, the member it was found in and that one's parent.
    Json(Cow<'a, Value>, String, String),
    /// A map has no such key: prints `<no value>`.
    Missing,
    Nil,
}

impl<'a> Item<'a> {
    pub fn new(value: Value) -> Self {
        Self::Json(Cow::Owned(value), String::new(), String::new())
    }

    /// The JSON value; the root as a whole.
    pub fn json(&self, root: &dyn Object) -> Cow<'_, Value> {
        match self {
            Self::Root => Cow::Owned(root.whole()),
            Self::Json(value, ..) => Cow::Borrowed(value.as_ref()),
            Self::Missing | Self::Nil => Cow::Owned(Value::Null),
        }
    }

    pub fn shown(&self, root: &dyn Object) -> String {
        match self {
            Self::Root => print::value(&root.whole(), "", ""),
            Self::Json(value, name, parent) => print::value(value, parent, name),
            Self::Missing => "<no value>".into(),
            Self::Nil => "<nil>".into(),
        }
    }

    /// The member it was found in.
    pub fn name(&self) -> &str {
        match self {
            Self::Json(_, name, _) => name,
            _ => "",
        }
    }

    /// Go's idea of truth: not false, 0, nil, empty. A struct is always true.
    pub fn truth(&self) -> bool {
        match self {
            Self::Root => true,
            Self::Missing | Self::Nil => false,
            Self::Json(value, name, parent) => match value.as_ref() {
                Value::Null => false,
                Value::Bool(b) => *b,
                Value::Number(n) => n.as_f64() != Some(0.0),
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                Value::Object(members) => !members.is_empty() || !is_map(parent, name),
            },
        }
    }

    /// The member `key` of an object or the element of a list, with its names.
    pub fn child(&self, key: &str, value: Value) -> Item<'a> {
        match self {
            Self::Json(_, name, _) => Self::Json(Cow::Owned(value), key.to_string(), name.clone()),
            _ => Self::Json(Cow::Owned(value), key.to_string(), String::new()),
        }
    }
}

/// Applies `nodes` to `root`; the error is Go's text for it.
pub fn render(nodes: &[Node], source: &str, root: &dyn Object) -> Result<String, String> {
    let mut run = Run {
        source,
        root,
        out: String::new(),
        variables: vec![(String::new(), Item::Root)],
    };
    run.nodes(nodes, &Item::Root)?;
    Ok(run.out)
}

/// What a list of nodes ended in.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    source: &'a str,
    root: &'a dyn Object,
    out: String,
    variables: Vec<(String, Item<'a>)>,
}

impl<'a> Run<'a> {
    fn nodes(&mut self, nodes: &[Node], dot: &Item<'a>) -> Result<Flow, String> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::On
                }
                Node::Print(pipeline) => {
                    let item = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        self.out.push_str(&item.shown(self.root));
                    }
                    Flow::On
                }
                Node::If(pipeline, body, otherwise) => {
                    self.branch(pipeline, body, otherwise, dot, false)?
                }
                Node::With(pipeline, body, otherwise) => {
                    self.branch(pipeline, body, otherwise, dot, true)?
                }
                Node::Range(pipeline, body, otherwise) => {
                    self.range(pipeline, body, otherwise, dot)?
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if self.out.len() > MOST {
                return Err("template: : the output is larger than 64 MiB".into());
            }
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn branch(
        &mut self,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Item<'a>,
        moves: bool,
    ) -> Result<Flow, String> {
        let known = self.variables.len();
        let item = self.pipeline(pipeline, dot)?;
        let flow = if item.truth() {
            self.nodes(body, if moves { &item } else { dot })
        } else {
            self.nodes(otherwise, dot)
        };
        self.variables.truncate(known);
        flow
    }

    fn range(
        &mut self,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Item<'a>,
    ) -> Result<Flow, String> {
        let known = self.variables.len();
        let over = self.commands(pipeline, dot)?;
        let items = self
            .elements(&over)
            .map_err(|e| self.located(&pipeline.commands[0], &e))?;
        if items.is_empty() {
            let flow = self.nodes(otherwise, dot);
            self.variables.truncate(known);
            return flow;
        }
        for (key, item) in items {
            self.variables.truncate(known);
            let names = &pipeline.variables;
            let values = match names.len() {
                2 => vec![Item::new(key), item.clone()],
                1 => vec![item.clone()],
                _ => Vec::new(),
            };
            for (name, value) in names.iter().zip(values) {
                self.keep(name, value, pipeline.assigns);
            }
            if self.nodes(body, &item)? == Flow::Break {
                break;
            }
        }
        self.variables.truncate(known);
        Ok(Flow::On)
    }

    /// Keys and elements of a list, a map or (since Go 1.22) a number.
    fn elements(&self, over: &Item<'a>) -> Result<Vec<(Value, Item<'a>)>, String> {
        let value = over.json(self.root);
        match value.as_ref() {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(i, v)| (Value::from(i), over.child("", v.clone())))
                .collect()),
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(key, _)| *key);
                Ok(members
                    .into_iter()
                    .map(|(key, v)| (Value::from(key.as_str()), over.child("", v.clone())))
                    .collect())
            }
            Value::Number(n) if n.as_i64().is_some_and(|n| n <= 1 << 20) => {
                let items = 0..n.as_i64().unwrap_or(0);
                Ok(items
                    .map(|i| (Value::from(i), Item::new(Value::from(i))))
                    .collect())
            }
            other => Err(format!(
                "range can't iterate over {}",
                print::value(other, "", "")
            )),
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Item<'a>) -> Result<Item<'a>, String> {
        let item = self.commands(pipeline, dot)?;
        for name in &pipeline.variables {
            self.keep(name, item.clone(), pipeline.assigns);
        }
        Ok(item)
    }

    fn keep(&mut self, name: &str, item: Item<'a>, assigns: bool) {
        if assigns && let Some(known) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            known.1 = item;
        } else {
            self.variables.push((name.to_string(), item));
        }
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Item<'a>) -> Result<Item<'a>, String> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Item::Nil))
    }

    fn command(
        &mut self,
        command: &Command,
        dot: &Item<'a>,
        last: Option<Item<'a>>,
    ) -> Result<Item<'a>, String> {
        let first = &command.operands[0];
        let rest = &command.operands[1..];
        if let Word::Function(name) = &first.value
            && first.chain.is_empty()
        {
            return self.function(name, command, rest, dot, last);
        }
        if rest.is_empty() && last.is_none() {
            if matches!(first.value, Word::Nil) {
                return Err(self.located(command, "nil is not a command"));
            }
            return self.operand(first, dot);
        }
        // `.Label "key"`: the last field of the chain takes the arguments.
        let mut args = Vec::new();
        for operand in rest {
            args.push(self.operand(operand, dot)?.json(self.root).into_owned());
        }
        args.extend(last.map(|item| item.json(self.root).into_owned()));
        let base = self.base(first, dot)?;
        let Some((method, before)) = first.chain.split_last() else {
            return Err(self.located(command, "can't give argument to non-function"));
        };
        let receiver = self.fields(base, before, first, 0)?;
        let result = match receiver {
            Item::Root => self.root.method(method, &args),
            _ => None,
        };
        match result {
            Some(Ok(value)) => Ok(Item::new(value)),
            Some(Err(e)) => Err(self.at(first, &e)),
            None if matches!(receiver, Item::Root) && self.root.field(method).is_none() => {
                Err(self.at(first, &self.root.unknown(method)))
            }
            None => Err(self.at(
                first,
                &format!("{method} has arguments but cannot be invoked as function"),
            )),
        }
    }

    fn function(
        &mut self,
        name: &str,
        command: &Command,
        rest: &[Operand],
        dot: &Item<'a>,
        last: Option<Item<'a>>,
    ) -> Result<Item<'a>, String> {
        if matches!(name, "and" | "or") {
            return self.short_circuit(name, command, rest, dot, last);
        }
        let mut args = Vec::new();
        for operand in rest {
            args.push(self.operand(operand, dot)?);
        }
        args.extend(last);
        funcs::call(name, &args, self.root).map_err(|e| match e {
            funcs::Failure::Count(text) => self.at(&command.operands[0], &text),
            funcs::Failure::Call(text) => {
                self.located(command, &format!("error calling {name}: {text}"))
            }
        })
    }

    /// `and` and `or` stop at the argument that decides.
    fn short_circuit(
        &mut self,
        name: &str,
        command: &Command,
        rest: &[Operand],
        dot: &Item<'a>,
        last: Option<Item<'a>>,
    ) -> Result<Item<'a>, String> {
        let mut result = None;
        for operand in rest {
            let item = self.operand(operand, dot)?;
            let decides = item.truth() == (name == "or");
            result = Some(item);
            if decides {
                return Ok(result.unwrap_or(Item::Nil));
            }
        }
        last.or(result).ok_or_else(|| {
            let text = format!("wrong number of args for {name}: want at least 1 got 0");
            self.at(&command.operands[0], &text)
        })
    }

    fn operand(&mut self, operand: &Operand, dot: &Item<'a>) -> Result<Item<'a>, String> {
        let base = self.base(operand, dot)?;
        self.fields(base, &operand.chain, operand, 0)
    }

    fn base(&mut self, operand: &Operand, dot: &Item<'a>) -> Result<Item<'a>, String> {
        Ok(match &operand.value {
            Word::Dot => dot.clone(),
            Word::Nil => Item::Nil,
            Word::Bool(b) => Item::new(Value::from(*b)),
            Word::Int(n) => Item::new(Value::from(*n)),
            Word::Float(n) => Item::new(Value::from(*n)),
            Word::Text(text) => Item::new(Value::from(text.as_str())),
            Word::Variable(name) => {
                let known = self.variables.iter().rev().find(|(n, _)| n == name);
                known.map_or(Item::Nil, |(_, item)| item.clone())
            }
            Word::Function(name) => {
                funcs::call(name, &[], self.root).map_err(|e| self.at(operand, &e.text()))?
            }
            Word::Nested(pipeline) => self.pipeline(pipeline, dot)?,
        })
    }

    /// Follows a chain of fields.
    fn fields(
        &self,
        base: Item<'a>,
        chain: &[String],
        operand: &Operand,
        skip: usize,
    ) -> Result<Item<'a>, String> {
        let mut item = base;
        for name in &chain[skip..] {
            item = self.field(&item, name).map_err(|e| self.at(operand, &e))?;
        }
        Ok(item)
    }

    fn field(&self, item: &Item<'a>, name: &str) -> Result<Item<'a>, String> {
        match item {
            Item::Root => match self.root.field(name) {
                Some(value) => Ok(item.child(name, value)),
                None => match self.root.method(name, &[]) {
                    Some(Ok(value)) => Ok(Item::new(value)),
                    Some(Err(e)) => Err(e),
                    None => Err(self.root.unknown(name)),
                },
            },
            Item::Missing | Item::Nil => {
                Err(format!("nil pointer evaluating interface {{}}.{name}"))
            }
            Item::Json(value, own, parent) => match value.as_ref() {
                Value::Object(members) => match self.member(members, name) {
                    Some(value) => Ok(item.child(name, value.clone())),
                    None if is_map(parent, own) => Ok(Item::Missing),
                    None if print::is_pointer(name) => Ok(Item::Nil),
                    None => Err(format!("map has no entry for key \"{name}\"")),
                },
                Value::Null => Err(format!("nil pointer evaluating interface {{}}.{name}")),
                other => Err(format!(
                    "can't evaluate field {name} in type {}",
                    funcs::type_name(other)
                )),
            },
        }
    }

    fn member<'m>(&self, members: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
        let folded = || {
            let mut all = members.iter().filter(|_| self.root.folds_case());
            all.find(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        members
            .get(name)
            .or_else(|| folded().map(|(_, value)| value))
    }

    fn at(&self, operand: &Operand, text: &str) -> String {
        self.told(operand.column, operand.at..operand.end, text)
    }

    fn located(&self, command: &Command, text: &str) -> String {
        self.told(command.at, command.at..command.end, text)
    }

    fn told(&self, at: usize, span: std::ops::Range<usize>, text: &str) -> String {
        let before = self.source.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = at - before.rfind('\n').map_or(0, |n| n + 1);
        let shown = self.source.get(span).unwrap_or_default();
        format!("template: :{line}:{column}: executing \"\" at <{shown}>: {text}")
    }
}
