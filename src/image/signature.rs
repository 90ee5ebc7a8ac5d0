//! Signatures of images as cosign makes them and containers' tools read them: a
//! small document says which manifest it is about and what that is called
//! (containers/image, "Atomic signature format", the same document), and a key
//! has signed its bytes. Nothing here asks a certificate authority or a log.

use super::{Digest, Reference};
use crate::error::{Error, Result};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use spki::{Document, ObjectIdentifier, SubjectPublicKeyInfoRef};

/// The layers of a signature's manifest (cosign, "Signature spec").
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation that has the signature of such a layer, base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The most that a signed document may have, in bytes: real ones have 300.
pub const MAX_PAYLOAD: u64 = 1 << 20;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EDWARDS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A public key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    /// As the algorithm has it, without what says which that is.
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----` (RFC 7468, 13), what `cosign
    /// generate-key-pair` and `openssl pkey -pubout` write.
    pub fn parse(pem: &str) -> Result<Self> {
        let broken =
            |e: &dyn std::fmt::Display| Error::invalid(format!("it is no public key: {e}"));
        let begins = |line: &&str| line.trim().starts_with("-----BEGIN ");
        let first = pem.lines().find(begins).unwrap_or_default().trim();
        if !matches!(first, "" | "-----BEGIN PUBLIC KEY-----") {
            return Err(Error::invalid(format!(
                "it is no public key: it begins with \"{}\"",
                first.escape_debug()
            ))
            .hint("`openssl pkey -in KEY -pubout` writes the public key of a private one"));
        }
        let (_, document) = Document::from_pem(pem.trim()).map_err(|e| broken(&e))?;
        let info =
            SubjectPublicKeyInfoRef::try_from(document.as_bytes()).map_err(|e| broken(&e))?;
        let curve = info.algorithm.parameters_oid().ok();
        let kind = match (info.algorithm.oid, curve) {
            (EC, Some(P256)) => KeyKind::P256,
            (EC, Some(P384)) => KeyKind::P384,
            (EDWARDS, None) => KeyKind::Ed25519,
            (RSA, _) => KeyKind::Rsa,
            (oid, curve) => {
                let curve = curve.map_or(String::new(), |curve| format!(", curve {curve}"));
                return Err(Error::unsupported(format!(
                    "keys of its kind ({oid}{curve}) are not supported"
                ))
                .hint("ECDSA with P-256 or P-384, Ed25519 and RSA are"));
            }
        };
        Ok(Self {
            kind,
            bytes: info.subject_public_key.raw_bytes().to_vec(),
        })
    }

    /// Whether `signature` is one of `message` by this key.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        // cosign hashes by SHA-256 whatever the curve, others as the curve asks.
        let algorithms: &[&'static dyn VerificationAlgorithm] = match self.kind {
            KeyKind::P256 => &[&ECDSA_P256_SHA256_ASN1],
            KeyKind::P384 => &[&ECDSA_P384_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1],
            KeyKind::Ed25519 => &[&ED25519],
            KeyKind::Rsa => &[&RSA_PKCS1_2048_8192_SHA256],
        };
        algorithms.iter().any(|algorithm| {
            let key = UnparsedPublicKey::new(*algorithm, &self.bytes);
            key.verify(message, signature).is_ok()
        })
    }
}

/// A signed document with its signature; not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

/// What a signed document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub manifest: Digest,
    /// With a tag or digest where the signer has written one.
    pub reference: String,
}

/// What is unknown in the critical part is refused, as containers/image does: it
/// may be what makes the signature not count.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    #[serde(default)]
    #[allow(dead_code)]
    optional: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: SignedAs,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedAs {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

impl Signature {
    /// What is signed, when one of `keys` has signed it: nothing of the document
    /// is looked at before.
    pub fn claim(&self, keys: &[PublicKey]) -> Result<Claim> {
        let by_one = |key: &PublicKey| key.has_signed(&self.payload, &self.signature);
        if !keys.iter().any(by_one) {
            return Err(Error::denied("it was not made with the key"));
        }
        let payload: Payload = serde_json::from_slice(&self.payload)
            .map_err(|e| Error::invalid(format!("its document is broken: {e}")))?;
        let critical = payload.critical;
        if critical.kind != "cosign container image signature" {
            return Err(Error::unsupported(format!(
                "it is a \"{}\", not a signature of an image",
                critical.kind.escape_debug()
            )));
        }
        Ok(Claim {
            manifest: critical.image.digest,
            reference: critical.identity.reference,
        })
    }
}

/// Which name a signature must be for (containers-policy.json(5), "signedIdentity").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The image's own, as a whole.
    Exact,
    /// The image's own; the repository only for an image that is named by digest.
    RepositoryByDigestOrExact,
    /// The image's repository.
    Repository,
    /// This one, as a whole.
    ExactReference(String),
    /// This repository.
    ExactRepository(String),
    /// As [`Self::RepositoryByDigestOrExact`], after the beginning of the image's
    /// name has been replaced.
    Remapped {
        prefix: String,
        signed_prefix: String,
    },
}

/// A name as it was written: no tag is assumed.
struct Written {
    reference: Reference,
    is_bare: bool,
}

impl Written {
    fn parse(text: &str) -> Option<Self> {
        let (reference, is_bare) = Reference::parse_written(text).ok()?;
        Some(Self { reference, is_bare })
    }

    fn is_exactly(&self, other: &Self) -> bool {
        !self.is_bare && !other.is_bare && self.reference == other.reference
    }
}

impl Identity {
    /// Whether a signature for `signed` counts for the image that is wanted as
    /// `image`; `None`: it has no name, as in an archive.
    pub fn allows(&self, image: Option<&Reference>, signed: &str) -> bool {
        let Some(signed) = Written::parse(signed) else {
            return false;
        };
        let named = |text: &str| Written::parse(text);
        let same_repository = |name: &Reference| name.name() == signed.reference.name();
        match (self, image) {
            (Self::ExactReference(text), _) => {
                named(text).is_some_and(|wanted| wanted.is_exactly(&signed))
            }
            (Self::ExactRepository(text), _) => {
                named(text).is_some_and(|wanted| same_repository(&wanted.reference))
            }
            (_, None) => false,
            (Self::Repository, Some(image)) => same_repository(image),
            (Self::Exact, Some(image)) => whole(image).is_exactly(&signed),
            (Self::RepositoryByDigestOrExact, Some(image)) => by_digest_or_exact(image, &signed),
            (
                Self::Remapped {
                    prefix,
                    signed_prefix,
                },
                Some(image),
            ) => remapped(image, prefix, signed_prefix)
                .is_some_and(|image| by_digest_or_exact(&image, &signed)),
        }
    }
}

fn whole(image: &Reference) -> Written {
    Written {
        reference: image.clone(),
        is_bare: false,
    }
}

fn by_digest_or_exact(image: &Reference, signed: &Written) -> bool {
    match image.digest() {
        Some(_) => image.name() == signed.reference.name(),
        None => whole(image).is_exactly(signed),
    }
}

/// `None` when what comes of it is no name.
fn remapped(image: &Reference, prefix: &str, signed_prefix: &str) -> Option<Reference> {
    let name = image.canonical();
    let rest = name.strip_prefix(prefix);
    let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
    else {
        return Some(image.clone());
    };
    // `host` is no prefix of `host:5000/x`.
    if rest.starts_with(':') && !prefix.contains('/') {
        return Some(image.clone());
    }
    Reference::parse(&format!("{signed_prefix}{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    /// Made by `openssl dgst -sha256 -sign` over [`PAYLOAD`], one for each key.
    const KEYS: &str = include_str!("../../tests/golden/signature/keys.txt");
    const PAYLOAD: &str = include_str!("../../tests/golden/signature/payload.json");

    fn keys() -> Vec<(PublicKey, Vec<u8>)> {
        use base64::Engine;
        let engine = base64::engine::general_purpose::STANDARD;
        let blocks = KEYS.split("\n\n").filter(|block| !block.trim().is_empty());
        blocks
            .map(|block| {
                let (pem, signature) = block.trim().rsplit_once('\n').unwrap();
                let key = PublicKey::parse(pem).unwrap();
                (key, engine.decode(signature.trim()).unwrap())
            })
            .collect()
    }

    fn signed(payload: &str, signature: &[u8]) -> Signature {
        Signature {
            payload: payload.into(),
            signature: signature.to_vec(),
        }
    }

    #[test]
    fn each_sort_of_key_knows_its_signature_and_no_other() {
        let keys = keys();
        assert_eq!(keys.len(), 4);
        for (n, (key, signature)) in keys.iter().enumerate() {
            let claim = signed(PAYLOAD, signature).claim(from_ref(key)).unwrap();
            assert_eq!(claim.reference, "example.org/team/app");
            assert_eq!(claim.manifest.hex(), "ab".repeat(32));
            let (other, _) = &keys[(n + 1) % keys.len()];
            assert!(signed(PAYLOAD, signature).claim(from_ref(other)).is_err());
            let both = [other.clone(), key.clone()];
            assert!(signed(PAYLOAD, signature).claim(&both).is_ok());
            let changed = PAYLOAD.replace("team", "evil");
            assert!(signed(&changed, signature).claim(from_ref(key)).is_err());
            for cut in [0, 1, signature.len() - 1] {
                let cut = signed(PAYLOAD, &signature[..cut]);
                assert!(cut.claim(from_ref(key)).is_err());
            }
        }
    }

    #[test]
    fn what_is_no_public_key_is_told() {
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n";
        for (text, says) in [
            ("", "no public key"),
            ("not a key", "no public key"),
            (private, "PRIVATE KEY"),
            (
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
                "no public key",
            ),
        ] {
            let error = PublicKey::parse(text).unwrap_err();
            assert!(error.message().contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn names_of_signatures() {
        let tag = Reference::parse("host:5000/a/b:1").unwrap();
        let digest = tag.with_digest(Digest::of(b"x"));
        let by_digest = digest.canonical();
        let remap = |prefix: &str, signed: &str| Identity::Remapped {
            prefix: prefix.into(),
            signed_prefix: signed.into(),
        };
        use Identity as I;
        for (identity, image, signed, want) in [
            (I::Exact, &tag, "host:5000/a/b:1", true),
            (I::Exact, &tag, "host:5000/a/b", false),
            (I::Exact, &tag, "host:5000/a/b:2", false),
            (I::Exact, &digest, "host:5000/a/b:1", false),
            (I::Exact, &digest, &by_digest, true),
            (I::RepositoryByDigestOrExact, &tag, "host:5000/a/b:1", true),
            (I::RepositoryByDigestOrExact, &tag, "host:5000/a/b", false),
            (
                I::RepositoryByDigestOrExact,
                &digest,
                "host:5000/a/b:9",
                true,
            ),
            (
                I::RepositoryByDigestOrExact,
                &digest,
                "host:5000/a/c:1",
                false,
            ),
            (I::Repository, &tag, "host:5000/a/b", true),
            (I::Repository, &tag, "host:5000/a/b:2", true),
            (I::Repository, &tag, "host:5000/a", false),
            (I::Repository, &tag, "", false),
            (
                I::ExactReference("x.org/y:1".into()),
                &tag,
                "x.org/y:1",
                true,
            ),
            (
                I::ExactReference("x.org/y:1".into()),
                &tag,
                "x.org/y",
                false,
            ),
            (
                I::ExactRepository("x.org/y".into()),
                &tag,
                "x.org/y:7",
                true,
            ),
            (I::ExactRepository("x.org/y".into()), &tag, "x.org/z", false),
            (remap("host:5000/a", "v.org"), &tag, "v.org/b:1", true),
            (
                remap("host:5000/a", "v.org"),
                &tag,
                "host:5000/a/b:1",
                false,
            ),
            (remap("host:5000", "v.org"), &tag, "v.org/a/b:1", true),
            (remap("host", "v.org"), &tag, "host:5000/a/b:1", true),
            (remap("host:5000/a/b", "v.org/n"), &tag, "v.org/n:1", true),
            (
                remap("host:5000/a/bb", "v.org/n"),
                &tag,
                "host:5000/a/b:1",
                true,
            ),
        ] {
            let found = identity.allows(Some(image), signed);
            assert_eq!(found, want, "{identity:?} {image} {signed}");
        }
        let exact = I::ExactRepository("x.org/y".into());
        assert!(exact.allows(None, "x.org/y:1") && !I::Repository.allows(None, "x.org/y:1"));
    }
}
