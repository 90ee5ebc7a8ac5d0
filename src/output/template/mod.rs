//! Go's text/template as far as Docker's `--format` needs it (the language:
//! https://pkg.go.dev/text/template): fields, pipelines, variables, if, range,
//! with, break, continue, trimming, comments and the functions of `funcs`.
//! `define`, `block` and `template` are not there. Works on JSON values.

mod eval;
mod funcs;
mod lex;
mod parse;
mod print;
mod printf;

use crate::error::{Error, Kind, Result};
use serde_json::Value;

pub use printf::quote;

/// What a template is applied to: fields by name, found when they are asked for.
pub trait Object {
    /// The value of a field, `None` when there is no such field.
    fn field(&self, name: &str) -> Option<Value>;
    /// A method with arguments, such as `.Label "key"`.
    fn method(&self, _name: &str, _args: &[Value]) -> Option<std::result::Result<Value, String>> {
        None
    }
    /// Everything, for `{{.}}` and `{{json .}}`.
    fn whole(&self) -> Value;
    /// What an unknown field is told as.
    fn unknown(&self, name: &str) -> String;
    /// Functions on texts (json, title, lower, upper, truncate) give their
    /// argument back: headers of tables.
    fn plain(&self) -> bool {
        false
    }
    /// Fields of documents are asked for by Go's names, which JSON writes otherwise.
    fn folds_case(&self) -> bool {
        false
    }
    /// `{{json .}}` writes `<`, `>` and `&` as escapes.
    fn escapes_json(&self) -> bool {
        false
    }
}

/// A JSON document, strict: a field that is not there is an error.
impl Object for Value {
    fn field(&self, name: &str) -> Option<Value> {
        // Docker's clients take both ways of writing it.
        let found = self
            .get(name)
            .or_else(|| (name == "ID").then(|| self.get("Id")).flatten());
        found.cloned()
    }
    fn whole(&self) -> Value {
        self.clone()
    }
    fn unknown(&self, name: &str) -> String {
        format!("map has no entry for key \"{name}\"")
    }
}

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    nodes: Vec<parse::Node>,
    source: String,
}

impl Template {
    /// Parses; the error's message is Go's (`template: :1: …`), of kind
    /// [`Kind::Template`].
    pub fn parse(source: &str) -> Result<Self> {
        let nodes = parse::parse(source).map_err(|e| Error::new(Kind::Template, e))?;
        Ok(Self {
            nodes,
            source: source.to_string(),
        })
    }

    /// Applies the template to `object`.
    pub fn render(&self, object: &dyn Object) -> Result<String> {
        eval::render(&self.nodes, &self.source, object).map_err(Error::invalid)
    }

    /// Whether the template asks for the field `name` of what it is applied to.
    pub fn uses(&self, name: &str) -> bool {
        let field = format!(".{name}");
        self.source.match_indices(&field).any(|(at, _)| {
            let next = self.source[at + field.len()..].chars().next();
            !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    }
}

#[cfg(test)]
mod tests;
