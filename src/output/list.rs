//! Lists: one definition of a row gives the table, the template and the JSON.

use super::table;
use super::template::{Object, Template};
use crate::error::Result;
use crate::text::escape::visible;
use serde_json::{Map, Value};
use std::cell::Cell;

/// A field of a row: its name in templates, its header in tables, its value.
pub struct Field<R: 'static> {
    pub name: &'static str,
    pub header: &'static str,
    pub get: fn(&R) -> Value,
}

/// A kind of row.
pub trait Row: Sized + 'static {
    /// All fields, sorted by name as JSON has them.
    const FIELDS: &'static [Field<Self>];
    /// The Go type that Docker's errors name.
    const TYPE: &'static str;

    /// A method such as `.Label "key"`.
    fn method(&self, _name: &str, _args: &[Value]) -> Option<std::result::Result<Value, String>> {
        None
    }
    /// What the header of a method's column is.
    fn method_header(_name: &str, _args: &[Value]) -> Option<String> {
        None
    }
}

/// A row as a document: all fields, as `{{json .}}` has them.
pub fn document<R: Row>(row: &R) -> Value {
    let members = R::FIELDS.iter();
    members
        .map(|f| (f.name.to_string(), (f.get)(row)))
        .collect::<Map<String, Value>>()
        .into()
}

/// How rows are printed.
#[derive(Debug)]
pub struct Format {
    template: Template,
    table: bool,
}

impl Format {
    /// The value of `--format`: empty or `table` is `default` (a template of
    /// tab-separated fields), `table TEMPLATE`, `json`, `raw` is `raw`, else a
    /// template. `\t` and `\n` as typed become tab and newline.
    pub fn parse(text: &str, default: &str, raw: &str) -> Result<Self> {
        let (table, source) = match text {
            "" | "table" => (true, default.to_string()),
            "json" => (false, "{{json .}}".into()),
            "raw" => (false, raw.to_string()),
            text => match text.strip_prefix("table ") {
                Some(template) => (true, typed(template.trim_start())),
                None => (false, typed(text)),
            },
        };
        let template = Template::parse(&source)?;
        Ok(Self { template, table })
    }

    /// Whether rows are asked for the field `name`.
    pub fn uses(&self, name: &str) -> bool {
        self.template.uses(name)
    }

    /// Fails when a field is asked for that rows do not have, before there is any.
    pub fn check<R: Row>(&self) -> Result<()> {
        let blank = Blank::<R>::default();
        match self.template.render(&blank) {
            // Other failures may be those of empty values.
            Err(e) if blank.lacks.get() => Err(e),
            _ => Ok(()),
        }
    }

    /// All rows, one line each, below a header when it is a table. `escape`
    /// spells control characters out: for terminals.
    pub fn render<R: Row>(&self, rows: &[R], escape: bool) -> Result<String> {
        let mut out = String::new();
        for row in rows {
            out.push_str(&self.template.render(&Shown { row, escape })?);
            out.push('\n');
        }
        if !self.table {
            return Ok(out);
        }
        let header = self
            .template
            .render(&Header::<R>(std::marker::PhantomData))?;
        Ok(table::align(&format!("{header}\n{out}"), table::LIST))
    }
}

/// The two-character sequences of a shell word.
fn typed(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

struct Shown<'a, R> {
    row: &'a R,
    escape: bool,
}

impl<R: Row> Shown<'_, R> {
    /// On a terminal: nothing that moves the cursor.
    fn safe(&self, value: Value) -> Value {
        match value {
            Value::String(text) if self.escape => Value::String(visible(&text).into_owned()),
            value => value,
        }
    }

    /// The same for what stands by itself: nothing that looks like another row
    /// or column.
    fn alone(&self, value: Value) -> Value {
        match self.safe(value) {
            Value::String(text) if self.escape && text.contains(['\n', '\t']) => {
                Value::String(text.replace('\n', "\\n").replace('\t', "\\t"))
            }
            value => value,
        }
    }
}

impl<R: Row> Object for Shown<'_, R> {
    fn field(&self, name: &str) -> Option<Value> {
        let field = R::FIELDS.iter().find(|f| f.name == name)?;
        Some(self.alone((field.get)(self.row)))
    }
    fn method(&self, name: &str, args: &[Value]) -> Option<std::result::Result<Value, String>> {
        if R::FIELDS.iter().any(|f| f.name == name) {
            let count = args.len();
            return Some(Err(format!(
                "wrong number of args for {name}: want 0 got {count}"
            )));
        }
        Some(self.row.method(name, args)?.map(|value| self.alone(value)))
    }
    fn whole(&self) -> Value {
        let members: Map<String, Value> = R::FIELDS
            .iter()
            .map(|f| (f.name.to_string(), self.safe((f.get)(self.row))))
            .collect();
        Value::Object(members)
    }
    fn unknown(&self, name: &str) -> String {
        format!("can't evaluate field {name} in type {}", R::TYPE)
    }
    fn escapes_json(&self) -> bool {
        true
    }
}

/// The same template gives the header: every field is its own header, and
/// functions leave it alone.
struct Header<R>(std::marker::PhantomData<R>);

impl<R: Row> Object for Header<R> {
    fn field(&self, name: &str) -> Option<Value> {
        let field = R::FIELDS.iter().find(|f| f.name == name);
        Some(field.map_or("<no value>", |f| f.header).into())
    }
    fn method(&self, name: &str, args: &[Value]) -> Option<std::result::Result<Value, String>> {
        Some(Ok(R::method_header(name, args)?.into()))
    }
    fn whole(&self) -> Value {
        Value::Null
    }
    fn unknown(&self, name: &str) -> String {
        format!("can't evaluate field {name} in type {}", R::TYPE)
    }
    fn plain(&self) -> bool {
        true
    }
}

/// A row of empty texts, which remembers that it was asked for more.
struct Blank<R> {
    lacks: Cell<bool>,
    row: std::marker::PhantomData<R>,
}

impl<R> Default for Blank<R> {
    fn default() -> Self {
        Self {
            lacks: Cell::new(false),
            row: std::marker::PhantomData,
        }
    }
}

impl<R: Row> Object for Blank<R> {
    fn field(&self, name: &str) -> Option<Value> {
        let known = R::FIELDS.iter().any(|f| f.name == name);
        known.then(|| Value::from(""))
    }
    fn method(&self, name: &str, args: &[Value]) -> Option<std::result::Result<Value, String>> {
        Some(Ok(R::method_header(name, args)?.into()))
    }
    fn whole(&self) -> Value {
        Value::Null
    }
    fn unknown(&self, name: &str) -> String {
        self.lacks.set(true);
        format!("can't evaluate field {name} in type {}", R::TYPE)
    }
}

/// The header of `.Label "a.b-c_d"`: behind the last dot, `c d`.
pub fn label_header(args: &[Value]) -> Option<String> {
    let key = args.first()?.as_str()?;
    let last = key.rsplit('.').next().unwrap_or(key);
    Some(last.replace(['-', '_'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pet(&'static str, u32);

    impl Row for Pet {
        const FIELDS: &'static [Field<Self>] = &[
            Field {
                name: "Age",
                header: "AGE IN YEARS",
                get: |p| p.1.to_string().into(),
            },
            Field {
                name: "Name",
                header: "NAME",
                get: |p| p.0.into(),
            },
        ];
        const TYPE: &'static str = "*formatter.Pet";
        fn method(&self, name: &str, args: &[Value]) -> Option<std::result::Result<Value, String>> {
            (name == "Label").then(|| Ok(args[0].clone()))
        }
        fn method_header(name: &str, args: &[Value]) -> Option<String> {
            (name == "Label").then(|| label_header(args)).flatten()
        }
    }

    fn run(format: &str) -> String {
        let rows = [Pet("rex", 3), Pet("a<b\x1b[2J", 12)];
        match Format::parse(format, "{{.Name}}\t{{.Age}}", "name: {{.Name}}\n")
            .and_then(|f| f.render(&rows, true))
        {
            Ok(text) => text,
            Err(e) => format!("ERROR {}", e.message()),
        }
    }

    #[test]
    fn one_definition_gives_all_forms() {
        for (format, want) in [
            (
                "",
                "NAME         AGE IN YEARS\nrex          3\na<b\\x1b[2J   12\n",
            ),
            (
                "table",
                "NAME         AGE IN YEARS\nrex          3\na<b\\x1b[2J   12\n",
            ),
            (
                "table {{.Age}}\\t{{upper .Name}}",
                "AGE IN YEARS   NAME\n3              REX\n12             A<B\\X1B[2J\n",
            ),
            ("table {{.Label \"a.b-c_d\"}}", "b c d\na.b-c_d\na.b-c_d\n"),
            (
                "table {{truncate .Name 2}}\\t{{json .Age}}",
                "NAME      AGE IN YEARS\nre        \"3\"\na<        \"12\"\n",
            ),
            ("{{.Name}}", "rex\na<b\\x1b[2J\n"),
            (
                "json",
                "{\"Age\":\"3\",\"Name\":\"rex\"}\n{\"Age\":\"12\",\"Name\":\"a\\u003cb\\\\x1b[2J\"}\n",
            ),
            ("raw", "name: rex\n\nname: a<b\\x1b[2J\n\n"),
            (
                "{{.Nope}}",
                "ERROR template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type *formatter.Pet",
            ),
            (
                "{{.Name 1}}",
                "ERROR template: :1:2: executing \"\" at <.Name>: wrong number of args for Name: want 0 got 1",
            ),
        ] {
            assert_eq!(run(format), want, "{format}");
        }
    }

    #[test]
    fn fields_that_are_not_there_are_told_without_rows() {
        let check = |text: &str| {
            Format::parse(text, "", "")
                .and_then(|f| f.check::<Pet>())
                .map_err(|e| e.message().to_string())
        };
        assert_eq!(check("{{.Name}} {{.Label \"x\"}} {{json .}}"), Ok(()));
        // True of an empty name only.
        assert_eq!(check("{{slice .Name 0 2}}"), Ok(()));
        let error = check("table {{.Nope}}").unwrap_err();
        assert!(
            error.contains("can't evaluate field Nope in type *formatter.Pet"),
            "{error}"
        );
    }

    #[test]
    fn what_looks_like_a_row_is_spelled_out_on_a_terminal() {
        let rows = [Pet("rex\nmax\t4", 3)];
        let format = Format::parse("", "{{.Name}}\t{{.Age}}", "").unwrap();
        assert_eq!(
            format.render(&rows, true).unwrap(),
            "NAME          AGE IN YEARS\nrex\\nmax\\t4   3\n"
        );
        assert!(format.render(&rows, false).unwrap().contains("rex\nmax"));
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        let format = Format::parse("", "{{.Name}}\t{{.Age}}", "").unwrap();
        assert_eq!(
            format.render::<Pet>(&[], false).unwrap(),
            "NAME      AGE IN YEARS\n"
        );
    }
}
