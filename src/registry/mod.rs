//! The client side of the OCI distribution protocol: manifests, tags and blobs
//! over HTTP. Knows nothing about disks; everything it hands out is checked
//! against the digest that was asked for, or must be by the caller (blobs).
//!
//! ```text
//! client   an image's sources in order: mirrors, then the registry
//!   blob     one blob as a reader that survives broken connections
//!   fetch    a file from any web server
//!   upload   blobs and manifests into a repository
//!   login    whether a user name and password are right
//!   search   repositories by a word
//!   referrers  what is about a manifest
//!   session  one source: login, retries, statuses to errors
//!     auth     challenges and tokens
//!     wire     one request with its redirects: where credentials may go
//!       resolve  names to addresses without libc
//! ```

mod auth;
mod blob;
/// Public for the fuzz targets alone.
#[doc(hidden)]
pub mod challenge;
mod client;
mod failure;
mod fetch;
mod login;
mod referrers;
mod resolve;
mod retry;
mod search;
mod session;
mod target;
mod tls;
mod upload;
mod wire;

pub use blob::BlobReader;
pub use client::{Client, Fetched};
pub use fetch::{Fetch, fetch, is_url};
pub use login::log_in;
pub use search::{Found, search};
pub use upload::{Sent, Uploader};

use crate::config::Proxies;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How patient to be. [`Options::default`] is for people; tests are quicker.
#[derive(Debug, Clone)]
pub struct Options {
    pub proxies: Proxies,
    /// How often to try one request in all.
    pub tries: u32,
    /// The wait before the second try; it doubles up to `longest_wait`.
    pub first_wait: Duration,
    /// Also the most that a registry may ask us to wait (Retry-After).
    pub longest_wait: Duration,
    /// A connection that brings (nearly) nothing for so long is dead.
    pub stall: Duration,
}

impl Options {
    /// For people, by the caller's proxies.
    pub fn find() -> crate::error::Result<Self> {
        Ok(Self {
            proxies: Proxies::find()?,
            ..Self::default()
        })
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            proxies: Proxies::default(),
            tries: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            stall: Duration::from_secs(60),
        }
    }
}

/// How the work on one object is followed and given up from outside.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Told before each wait for another try.
    pub retrying: &'a (dyn Fn(Duration) + Sync),
    /// Set when nobody wants the result any more.
    pub cancelled: &'a AtomicBool,
}

impl Watch<'static> {
    /// Nobody watches.
    pub fn nobody() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self {
            retrying: &|_| {},
            cancelled: &NEVER,
        }
    }
}

impl Watch<'_> {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
