//! `wherry doctor`.

use crate::cli::{Front, Verb, stdout};
use crate::doctor::{self, Check, State};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::output::table::{LIST, align};
use crate::text::escape::visible;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct DoctorArgs {
    /// Format output: 'json', one array
    #[arg(long, value_name = "string")]
    format: Option<String>,
}

impl Verb for DoctorArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let as_json = match self.format.as_deref().unwrap_or_default() {
            "" => false,
            "json" => true,
            other => {
                return Err(
                    Error::invalid(format!("unknown format \"{other}\"")).hint("json is the one")
                );
            }
        };
        let checks = doctor::examine(&Engine::open()?);
        let text = match as_json {
            true => format!("{}\n", checks.iter().map(document).collect::<Value>()),
            false => report(&checks),
        };
        stdout::print(&visible(&text))?;
        let missing = checks.iter().any(|c| matches!(c.state, State::Missing(_)));
        Ok(u8::from(missing))
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Good => "ok",
        State::Advice(_) => "advice",
        State::Missing(_) => "missing",
    }
}

fn report(checks: &[Check]) -> String {
    let lines: String = checks
        .iter()
        .map(|c| format!("{}\t{}\t{}\n", word(c.state), c.name, c.found))
        .collect();
    let mut text = align(&lines, LIST);
    for check in checks {
        let (State::Advice(need) | State::Missing(need)) = check.state else {
            continue;
        };
        text.push_str(&format!("\n{}: {}\n", check.name, need.sentence()));
        if let Some(command) = need.command() {
            text.push_str(&format!("    {command}\n"));
        }
    }
    text
}

fn document(check: &Check) -> Value {
    let need = match check.state {
        State::Good => None,
        State::Advice(need) | State::Missing(need) => Some(need),
    };
    json!({
        "Name": check.name,
        "Status": word(check.state),
        "Found": check.found,
        "Sentence": need.map(|n| n.sentence()).unwrap_or_default(),
        "Command": need.and_then(|n| n.command()).unwrap_or_default(),
    })
}
