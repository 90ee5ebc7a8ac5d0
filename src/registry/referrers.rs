//! Manifests that say that they are about another one (OCI distribution-spec
//! 1.1, "Listing Referrers").

use super::client::{Client, next_query};
use super::failure::Failure;
use crate::error::{Error, Result};
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Digest, Referrer};
use reqwest::Url;
use reqwest::header::HeaderMap;

/// Of one manifest, on all pages: a registry that never ends.
const MOST: usize = 1000;
const MOST_PAGES: usize = 100;

impl Client {
    /// What refers to a manifest or index; `None`: the registry does not know
    /// that question. `artifact_type` is for it to choose by; it need not.
    pub fn referrers(
        &self,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Referrer>>> {
        let first = first_page(digest, artifact_type)?;
        let found = self.first(|session| {
            let mut found = Vec::new();
            let mut next = Some(first.clone());
            for _ in 0..MOST_PAGES {
                let Some(what) = next.take() else {
                    return Ok(Some(found));
                };
                let page = session.document(&what, &HeaderMap::new(), MAX_DOCUMENT, "referrers");
                let (headers, body) = match page {
                    Err(f) if is_unknown(&f) && found.is_empty() => return Ok(None),
                    other => other?,
                };
                found.extend(Referrer::list(&body)?);
                if found.len() > MOST {
                    break;
                }
                next = next_query(&headers).map(|query| format!("referrers/{digest}?{query}"));
            }
            Err(Error::invalid(format!(
                "the registry lists more than {MOST} manifests that refer to {digest}"
            ))
            .into())
        });
        found.map_err(|f| self.explain(f, digest.as_str()))
    }
}

fn first_page(digest: &Digest, artifact_type: Option<&str>) -> Result<String> {
    let path = format!("referrers/{digest}");
    let Some(kind) = artifact_type else {
        return Ok(path);
    };
    let url = Url::parse_with_params("x:/", [("artifactType", kind)])
        .map_err(|e| Error::internal(format!("cannot ask for {kind}: {e}")))?;
    Ok(format!("{path}?{}", url.query().unwrap_or_default()))
}

/// Registries of before 1.1.
fn is_unknown(failure: &Failure) -> bool {
    let status = failure.status.map_or(0, |status| status.as_u16());
    matches!(status, 404 | 405 | 501)
}
