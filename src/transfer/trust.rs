//! Whether an image may be taken: what a policy or a key asks, and what the
//! registry has to show for it. All of it is decided before anything is stored.

use crate::config::policy::{Demand, LAYOUT, Policy, Transport};
use crate::error::{Context, Error, Kind, Result};
use crate::image::signature::{MAX_PAYLOAD, SIGNATURE, SIMPLE_SIGNING};
use crate::image::{Descriptor, Digest, Document, Platform, Reference, Signature};
use crate::registry::Client;
use base64::Engine;
use std::path::Path;

/// Signatures of one manifest that are looked at: each is a request.
const MOST_SIGNATURES: usize = 50;

/// A signature that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The manifest or index that is signed.
    pub digest: Digest,
    /// What the signer calls it.
    pub reference: String,
}

/// Fails unless the policy takes the image that a client is for, or another tag
/// of its repository. Gives the digest that was looked at: what is pulled must be
/// that, whatever the tag stands for by then. `None`: no signature was asked for.
pub fn accept(
    policy: &Policy,
    client: &Client,
    name: &Reference,
    platform: &Platform,
) -> Result<Option<Digest>> {
    let refused = |e: Error| {
        e.with_kind(Kind::Denied).within(format!(
            "{} is rejected by the policy in \"{}\"",
            name.familiar(),
            policy.path().display()
        ))
    };
    let demands = policy.of_registry(name)?;
    let mut signed = Vec::new();
    for demand in &demands {
        match demand {
            Demand::Anything => {}
            Demand::Never(why) => return Err(refused(Error::unsupported(why.clone()))),
            Demand::Signed { .. } => signed.push(demand),
        }
    }
    if signed.is_empty() {
        return Ok(None);
    }
    let digests = digests_of(client, name, platform)?;
    for demand in signed {
        check(demand, client, Some(name), &digests).map_err(refused)?;
    }
    Ok(digests.into_iter().next())
}

/// What the name stands for in its registry: the digest of the index, if there is
/// one, and of the manifest for this platform.
pub fn digests_of(client: &Client, name: &Reference, platform: &Platform) -> Result<Vec<Digest>> {
    let fetched = match name.digest() {
        Some(digest) => client.manifest_by_digest(digest)?,
        None => client.manifest_by_tag(name.tag().unwrap_or("latest"))?,
    };
    let mut digests = vec![fetched.digest];
    if let Document::Index(index) = Document::parse(&fetched.bytes, fetched.media_type.as_deref())?
    {
        digests.push(index.choose(platform)?.digest.clone());
    }
    Ok(digests)
}

/// Looks for a signature of one of `digests` that meets the demand; the first.
/// An index that is signed vouches for its manifests, which it names by digest.
pub fn check(
    demand: &Demand,
    client: &Client,
    image: Option<&Reference>,
    digests: &[Digest],
) -> Result<Accepted> {
    let mut why = None;
    for digest in digests {
        for signature in signatures(client, digest)? {
            match meets(demand, &signature, image, digest) {
                Ok(accepted) => return Ok(accepted),
                Err(e) => why = Some(e.within(format!("a signature of {digest} does not count"))),
            }
        }
    }
    Err(why.unwrap_or_else(|| {
        let shown: Vec<String> = digests.iter().map(Digest::to_string).collect();
        Error::not_found(format!(
            "there is no signature of {}",
            shown.join(" or of ")
        ))
    }))
}

/// Whether this signature of `digest` meets the demand.
pub fn meets(
    demand: &Demand,
    signature: &Signature,
    image: Option<&Reference>,
    digest: &Digest,
) -> Result<Accepted> {
    let Demand::Signed { keys, identity } = demand else {
        return Err(Error::internal("no signature was asked for"));
    };
    let claim = signature.claim(keys)?;
    if claim.manifest != *digest {
        return Err(Error::denied(format!("it is one of {}", claim.manifest)));
    }
    if !identity.allows(image, &claim.reference) {
        return Err(Error::denied(format!(
            "it is for \"{}\"",
            claim.reference.escape_debug()
        )));
    }
    Ok(Accepted {
        digest: claim.manifest,
        reference: claim.reference,
    })
}

/// The signatures that the registry has of a manifest or index, unchecked.
fn signatures(client: &Client, digest: &Digest) -> Result<Vec<Signature>> {
    // cosign's place for them: nothing in the registry need know of signatures.
    let tag = format!("{}-{}.sig", digest.algorithm().name(), digest.hex());
    let fetched = match client.manifest_by_tag(&tag) {
        Err(e) if e.kind() == Kind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let within = |e: Error| e.within(format!("the signatures of {digest}"));
    let document =
        Document::parse(&fetched.bytes, fetched.media_type.as_deref()).map_err(within)?;
    let Document::Manifest(manifest) = document else {
        return Err(within(Error::invalid("they are an index")));
    };
    let layers = manifest.layers.iter();
    let layers: Vec<&Descriptor> = layers.filter(|l| l.media_type == SIMPLE_SIGNING).collect();
    if layers.len() > MOST_SIGNATURES {
        return Err(within(Error::invalid(format!(
            "there are more than {MOST_SIGNATURES}"
        ))));
    }
    layers
        .into_iter()
        .filter_map(|layer| read_signature(client, layer).map_err(within).transpose())
        .collect()
}

/// `None` for a layer without a signature.
fn read_signature(client: &Client, layer: &Descriptor) -> Result<Option<Signature>> {
    let Some(text) = layer.annotations.get(SIGNATURE) else {
        return Ok(None);
    };
    let engine = base64::engine::general_purpose::STANDARD;
    let signature = engine
        .decode(text.trim())
        .map_err(|e| Error::invalid(format!("one is not base64: {e}")))?;
    if layer.size > MAX_PAYLOAD {
        return Err(Error::invalid(format!(
            "one has {} bytes, more than the limit of {MAX_PAYLOAD}",
            layer.size
        )));
    }
    let payload = client.small_blob(layer, "blob")?;
    Ok(Some(Signature { payload, signature }))
}

/// Whether the policy takes what comes from an archive or from files. `path` is
/// the archive's, absolute and without links.
pub fn takes(policy: Option<&Policy>, transport: Transport, path: Option<&Path>) -> Result<()> {
    match policy {
        None => Ok(()),
        Some(policy) => unsigned(
            policy,
            policy.of_archive(transport, path)?,
            transport.name(),
        ),
    }
}

/// The same of a tag of an OCI layout in a directory.
pub fn takes_layout(policy: Option<&Policy>, dir: &Path, tag: &str) -> Result<()> {
    let Some(policy) = policy else {
        return Ok(());
    };
    let dir =
        std::fs::canonicalize(dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
    unsigned(policy, policy.of_layout(&dir, tag)?, LAYOUT)
}

/// Where there are no signatures.
fn unsigned(policy: &Policy, demands: Vec<Demand>, transport: &str) -> Result<()> {
    for demand in demands {
        let why = match demand {
            Demand::Anything => continue,
            Demand::Never(why) => why,
            Demand::Signed { .. } => "it asks for a signature, and there is none".into(),
        };
        return Err(Error::denied(format!(
            "images of {transport} are rejected by the policy in \"{}\": {why}",
            policy.path().display()
        )));
    }
    Ok(())
}
