//! Looking for repositories: by Docker Hub's search (`/v1/search`), which some
//! other registries have, too; else in the registry's catalog (`/v2/_catalog`).

use super::client::next_query;
use super::failure::Failure;
use super::session::Session;
use super::wire::read_all;
use super::{Options, Watch};
use crate::config::Source;
use crate::error::{Error, Kind, Result};
use crate::image::manifest::MAX_DOCUMENT;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;

/// Where reading a catalog stops: a registry that never ends.
const MAX_REPOSITORIES: usize = 100_000;

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Found {
    pub name: String,
    pub description: String,
    pub star_count: i64,
    pub is_official: bool,
    pub is_automated: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

/// At most `limit` repositories for `term`, in the registry's order. `source`
/// is the registry itself, of no repository.
pub fn search(source: Source, term: &str, limit: u32, options: &Options) -> Result<Vec<Found>> {
    let host = source.endpoint.host.clone();
    let session = Session::new(source, options.clone());
    match session.retrying(Watch::nobody(), || session.search(term, limit)) {
        Ok(found) => return Ok(found),
        // It has no such thing, or shows something else there.
        Err(failure) if failure.status.is_some() || failure.error.kind() == Kind::Invalid => {
            if host == "index.docker.io" {
                return Err(failure.error);
            }
        }
        Err(failure) => return Err(failure.error),
    }
    let names = session
        .retrying(Watch::nobody(), || session.catalog(term, limit as usize))
        .map_err(|failure| match failure.error.kind() {
            Kind::NotFound | Kind::Denied => failure.error.within(format!(
                "registry {host} shows neither a search nor a catalog"
            )),
            _ => failure.error,
        })?;
    let found = |name| Found {
        name,
        ..Found::default()
    };
    Ok(names.into_iter().map(found).collect())
}

impl Session {
    fn search(&self, term: &str, limit: u32) -> Result<Vec<Found>, Failure> {
        let mut url = self.root()?.join("v1/search").expect("constant");
        url.query_pairs_mut()
            .append_pair("q", term)
            .append_pair("n", &limit.to_string());
        let reply = self.at(&Method::GET, url, &HeaderMap::new(), "")?;
        let body = read_all(reply, MAX_DOCUMENT, self.options.stall, "search result")?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|e| Error::invalid(format!("the registry's search result is broken: {e}")))?;
        let mut found = answer.results;
        found.truncate(limit as usize);
        Ok(found)
    }

    /// Names that contain `term`.
    fn catalog(&self, term: &str, limit: usize) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        let mut seen = 0;
        let mut next = Some("n=1000".to_owned());
        while let Some(query) = next.take() {
            let mut url = self.root()?.join("v2/_catalog").expect("constant");
            url.set_query(Some(&query));
            let reply = self.at(&Method::GET, url, &HeaderMap::new(), "registry:catalog:*")?;
            let headers = reply.response.headers().clone();
            let body = read_all(reply, MAX_DOCUMENT, self.options.stall, "catalog")?;
            let page: Catalog = serde_json::from_slice(&body)
                .map_err(|e| Error::invalid(format!("the registry's catalog is broken: {e}")))?;
            let names = page.repositories.unwrap_or_default();
            seen += names.len();
            let empty = names.is_empty();
            found.extend(names.into_iter().filter(|name| name.contains(term)));
            if found.len() < limit && seen < MAX_REPOSITORIES && !empty {
                next = next_query(&headers);
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}
