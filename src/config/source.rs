//! Everything needed to talk to the places that may have an image, gathered
//! before any work starts: a worker in another namespace must neither run
//! credential helpers nor look for files.

use super::{Credential, Endpoint, Logins, Registries, certificate_dirs};
use crate::error::Result;
use crate::image::Reference;
use std::path::PathBuf;

/// One place to ask, with the login for exactly that place.
#[derive(Debug, Clone)]
pub struct Source {
    pub endpoint: Endpoint,
    pub credential: Credential,
    /// Directories with `*.crt` (CAs) and `*.cert` + `*.key` (who we are);
    /// they need not exist.
    pub certificates: Vec<PathBuf>,
}

impl Source {
    /// The registry `host` itself with a login that is to be tried.
    pub fn of_host(registries: &Registries, host: &str, credential: Credential) -> Result<Self> {
        Ok(Self {
            endpoint: registries.host(host)?,
            credential,
            certificates: certificate_dirs(host),
        })
    }

    /// The sources of `reference` in the order to ask them. May run credential
    /// helpers, so: while the process has one thread.
    pub fn find(
        registries: &Registries,
        logins: &Logins,
        reference: &Reference,
    ) -> Result<Vec<Self>> {
        let endpoints = registries.endpoints(reference)?;
        endpoints
            .into_iter()
            .map(|endpoint| {
                Ok(Self {
                    credential: logins.credential(&endpoint.host, &endpoint.path)?,
                    certificates: certificate_dirs(&endpoint.host),
                    endpoint,
                })
            })
            .collect()
    }
}
