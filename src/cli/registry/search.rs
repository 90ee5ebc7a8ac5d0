//! `wherry search`.

use super::server::{HUB, logins};
use crate::cli::{Front, Verb, listing};
use crate::config::{Registries, Source};
use crate::error::{Error, Result};
use crate::image::Reference;
use crate::output::list::{Field, Row};
use crate::registry::{self, Found, Options};
use crate::text::shorten;

#[derive(clap::Args)]
pub struct SearchArgs {
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    /// Format output using a custom template: 'table', 'table TEMPLATE',
    /// 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Max number of search results
    #[arg(long, value_name = "int", default_value_t = 0)]
    limit: i64,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    #[arg(required = true, value_name = "TERM")]
    term: String,
}

const TABLE: &str = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";
const MOST: i64 = 100;
const USUAL: u32 = 25;

impl Verb for SearchArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let text = self.format.as_deref().unwrap_or_default();
        let format = listing::parse(text, TABLE, text)?;
        let tests = self.tests(front)?;
        let limit = match self.limit {
            0 => USUAL,
            n @ 1..=MOST => n as u32,
            n => {
                return Err(Error::invalid(format!(
                    "limit {n} is outside the range of [1, {MOST}]"
                )));
            }
        };
        let (source, term) = place(&self.term, front)?;
        let options = Options::find()?;
        let as_json = text == "json" || text.contains("json .");
        let rows: Vec<Line> = registry::search(source, term, limit, &options)?
            .into_iter()
            .filter(|found| tests.iter().all(|test| test.passes(found)))
            .map(|found| Line {
                found,
                whole: self.no_trunc,
                as_json,
            })
            .collect();
        listing::print(&format, &rows)
    }
}

/// Which registry, and what is left of the term: `HOST/TERM`, else the default
/// registry, which registries.conf may have put elsewhere.
fn place<'a>(text: &'a str, front: &Front) -> Result<(Source, &'a str)> {
    let registries = Registries::find()?;
    let (host, term) = match text.split_once('/') {
        Some((host, term)) if host.contains(['.', ':']) || host == "localhost" => {
            (host.to_ascii_lowercase(), term)
        }
        _ => (HUB.to_string(), text),
    };
    let host = match &*host {
        HUB => {
            let any = Reference::parse("docker.io/library/any")?;
            let own = registries.endpoints(&any)?.pop();
            own.map(|endpoint| endpoint.host).unwrap_or_default()
        }
        _ => host,
    };
    let credential = logins(front).credential(&host, "")?;
    let asked = match &*host {
        HUB => "index.docker.io",
        host => host,
    };
    Ok((Source::of_host(&registries, asked, credential)?, term))
}

/// A filter that is understood.
enum Test {
    Stars(i64),
    Official(bool),
    Automated(bool),
}

impl Test {
    fn passes(&self, found: &Found) -> bool {
        match self {
            Self::Stars(least) => found.star_count >= *least,
            Self::Official(wanted) => found.is_official == *wanted,
            Self::Automated(wanted) => found.is_automated == *wanted,
        }
    }
}

impl SearchArgs {
    fn tests(&self, front: &Front) -> Result<Vec<Test>> {
        let truth = |key: &str, value: &str| match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Error::invalid(format!("invalid filter '{key}=[{value}]'"))),
        };
        let test = |(key, value): &(String, String)| match key.as_str() {
            "stars" => value
                .parse()
                .map(Test::Stars)
                .map_err(|_| Error::invalid(format!("invalid filter 'stars={value}'"))),
            "is-official" => truth(key, value).map(Test::Official),
            "is-automated" => {
                front.warn(&format!(
                    "the \"is-automated\" filter is deprecated, and searching for \
                     \"is-automated={value}\" will not yield any results in future."
                ));
                truth(key, value).map(Test::Automated)
            }
            _ => Err(Error::invalid(format!("invalid filter '{key}'"))),
        };
        self.filter.iter().map(test).collect()
    }
}

/// A row.
struct Line {
    found: Found,
    /// `--no-trunc`.
    whole: bool,
    as_json: bool,
}

impl Row for Line {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "Description",
            header: "DESCRIPTION",
            get: |l| {
                let line = l.found.description.replace(['\n', '\r'], " ");
                match l.whole {
                    true => line.into(),
                    false => shorten(&line, 45).into(),
                }
            },
        },
        Field {
            name: "IsOfficial",
            header: "OFFICIAL",
            get: |l| match (l.as_json, l.found.is_official) {
                (true, official) => official.to_string().into(),
                (false, true) => "[OK]".into(),
                (false, false) => "".into(),
            },
        },
        Field {
            name: "Name",
            header: "NAME",
            get: |l| l.found.name.as_str().into(),
        },
        Field {
            name: "StarCount",
            header: "STARS",
            get: |l| l.found.star_count.to_string().into(),
        },
    ];
    const TYPE: &'static str = "*formatter.SearchContext";
}
