//! What an image is: its name, its digests, its documents, its platform.
//! Pure values and parsers; nothing here touches disk or network.

pub mod change;
pub mod config;
pub mod digest;
pub mod draft;
pub mod manifest;
pub mod platform;
pub mod reference;
pub mod referrer;
pub mod signature;

pub use config::ImageConfig;
pub use digest::Digest;
pub use draft::{Draft, HistoryStep};
pub use manifest::{Compression, Descriptor, Document, Index, Manifest};
pub use platform::Platform;
pub use reference::Reference;
pub use referrer::Referrer;
pub use signature::{Identity, PublicKey, Signature};
