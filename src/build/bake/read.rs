//! First pass: the text as blocks with attributes that are not evaluated yet. The
//! JSON form is that of the HCL specification ("JSON Syntax"): its texts are
//! templates.

use crate::error::{Error, Result};
use hcl::eval::{Context, Evaluate};
use hcl::template::{Element, Template};
use hcl::{BlockLabel, Body, Expression, Value};
use serde_json::{Map, Value as Json};
use std::str::FromStr;

/// Bytes of one file.
const LARGEST: usize = 1 << 20;
/// Brackets in each other: the parser calls itself for each.
const DEEPEST: usize = 64;

/// Blocks that have a name; `group "default" { … }`.
const LABELLED: [&str; 4] = ["group", "target", "variable", "function"];

#[derive(Debug, Clone)]
pub enum Expr {
    Native(Expression),
    Json(Json),
}

#[derive(Debug, Clone)]
pub struct Block {
    pub kind: String,
    pub label: String,
    pub attributes: Vec<(String, Expr)>,
    pub blocks: Vec<Block>,
}

#[derive(Debug, Clone, Default)]
pub struct File {
    pub attributes: Vec<(String, Expr)>,
    pub blocks: Vec<Block>,
}

/// `name` is for messages; one that ends in `.json` is JSON.
pub fn read(name: &str, bytes: &[u8]) -> Result<File> {
    let failed = |why: String| Error::invalid(format!("{name}: {why}"));
    if bytes.len() > LARGEST {
        return Err(failed(format!("larger than {} MiB", LARGEST >> 20)));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| failed("not UTF-8".into()))?;
    if is_too_deep(text) {
        return Err(failed(format!(
            "more than {DEEPEST} brackets are in each other"
        )));
    }
    let is_json = std::path::Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "json");
    if is_json {
        let json: Map<String, Json> =
            serde_json::from_str(text).map_err(|e| failed(e.to_string()))?;
        return of_json(json).map_err(|e| e.within(name));
    }
    let body = hcl::parse(text).map_err(|e| failed(place_of(&e)))?;
    let (attributes, blocks) = of_body(&body).map_err(|e| e.within(name))?;
    Ok(File { attributes, blocks })
}

fn place_of(error: &hcl::Error) -> String {
    match error {
        hcl::Error::Parse(error) => {
            let (at, why) = (error.location(), error.message());
            format!("line {}, column {}: {why}", at.line(), at.column())
        }
        other => other.to_string(),
    }
}

/// Counts those in texts, too: that is no harm.
fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEPEST
    })
}

type Parts = (Vec<(String, Expr)>, Vec<Block>);

fn of_body(body: &Body) -> Result<Parts> {
    let attributes = body.attributes();
    let attributes = attributes
        .map(|a| (a.key().to_owned(), Expr::Native(a.expr().clone())))
        .collect();
    let blocks: Result<Vec<Block>> = body.blocks().map(of_block).collect();
    Ok((attributes, blocks?))
}

fn of_block(block: &hcl::Block) -> Result<Block> {
    let kind = block.identifier().to_owned();
    let labels: Vec<&str> = block.labels().iter().map(BlockLabel::as_str).collect();
    let label = match (LABELLED.contains(&kind.as_str()), &labels[..]) {
        (true, [label]) => (*label).to_owned(),
        (false, []) => String::new(),
        (true, _) => {
            return Err(Error::invalid(format!("a {kind} block has one name")));
        }
        (false, _) => return Err(Error::invalid(format!("unknown block {kind:?}"))),
    };
    let (attributes, blocks) = of_body(block.body())?;
    Ok(Block {
        kind,
        label,
        attributes,
        blocks,
    })
}

fn of_json(json: Map<String, Json>) -> Result<File> {
    let mut file = File::default();
    for (key, value) in json {
        if !LABELLED.contains(&key.as_str()) {
            file.attributes.push((key, Expr::Json(value)));
            continue;
        }
        let Json::Object(labels) = value else {
            return Err(Error::invalid(format!("{key:?} is no object")));
        };
        for (label, body) in labels {
            file.blocks.push(of_json_block(&key, label, body)?);
        }
    }
    Ok(file)
}

fn of_json_block(kind: &str, label: String, body: Json) -> Result<Block> {
    let Json::Object(body) = body else {
        return Err(Error::invalid(format!("{kind} {label:?} is no object")));
    };
    let mut block = Block {
        kind: kind.to_owned(),
        label,
        attributes: Vec::new(),
        blocks: Vec::new(),
    };
    for (key, value) in body {
        if kind == "variable" && key == "validation" {
            let all = match value {
                Json::Array(all) => all,
                one => vec![one],
            };
            for one in all {
                block.blocks.push(of_json_block(&key, String::new(), one)?);
            }
        } else {
            block.attributes.push((key, Expr::Json(value)));
        }
    }
    Ok(block)
}

impl Expr {
    pub fn evaluate(&self, context: &Context<'_>) -> Result<Value, hcl::eval::Error> {
        match self {
            Self::Native(expression) => expression.evaluate(context),
            Self::Json(json) => of_template(json, context),
        }
    }
}

fn of_template(json: &Json, context: &Context<'_>) -> Result<Value, hcl::eval::Error> {
    Ok(match json {
        Json::String(text) => {
            let template = Template::from_str(text)?;
            match template.elements() {
                // One expression alone is what it is, not a text.
                [Element::Interpolation(one)] => one.expr.evaluate(context)?,
                _ => Value::from(template.evaluate(context)?),
            }
        }
        Json::Array(all) => {
            let values = all.iter().map(|one| of_template(one, context));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        Json::Object(all) => {
            let mut object = hcl::Map::new();
            for (key, value) in all {
                object.insert(key.clone(), of_template(value, context)?);
            }
            Value::Object(object)
        }
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, number) => Value::from(number.unwrap_or_default()),
        },
    })
}
