//! Taking names from images and images out of the index: the rules of
//! `docker rmi`. Files go later, when [`Store::collect`] finds them unused.

use super::Store;
use super::image::{self, Image, is_id_of};
use super::index::Index;
use crate::error::{Error, Result};
use crate::fs::lock;
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use memchr::memmem;
use std::fmt;

/// A container and the image it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// 64 hex digits.
    pub container_id: String,
    pub image_id: String,
    /// Running, paused or restarting.
    pub running: bool,
}

/// One step of a removal; displays as the line that Docker prints for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    Untagged(Reference),
    Deleted(Digest),
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untagged(name) => write!(f, "Untagged: {}", name.familiar()),
            Self::Deleted(id) => write!(f, "Deleted: {id}"),
        }
    }
}

impl Store {
    /// Removes the name `text`, and with the last name the image; or, when
    /// `text` is an ID, the image with all its names. `uses` gives all
    /// containers; it is asked while nothing else can change the index, so that
    /// a container is either among them or finds its image gone
    /// ([`Store::ensure_kept`]). The steps come in the order they were done.
    pub fn remove(
        &self,
        text: &str,
        force: bool,
        uses: impl FnOnce() -> Result<Vec<Use>>,
    ) -> Result<Vec<Removal>> {
        self.use_reserve();
        self.edit_index(|index| {
            let images = self.group(index);
            let image = image::find(&images, text)?;
            let uses = uses()?;
            let mut task = Task::new(image, &uses, force);
            match Reference::parse(text) {
                Ok(name) if !names_by_id(image, text, &name) => task.by_name(index, text, &name)?,
                _ => task.by_id(index)?,
            }
            Ok(task.done)
        })
    }

    /// Removes the image with all its names if no container uses it, and with
    /// `nameless` only if it has no tag; nothing is no error. `uses` as for
    /// [`Store::remove`].
    pub fn remove_unused(
        &self,
        id: &Digest,
        nameless: bool,
        uses: impl FnOnce() -> Result<Vec<Use>>,
    ) -> Result<Vec<Removal>> {
        self.use_reserve();
        self.edit_index(|index| {
            let images = self.group(index);
            // Removed, or given a name, since it was listed.
            let found = images.iter().find(|image| image.id == *id);
            let Some(image) = found.filter(|image| !nameless || image.names.is_empty()) else {
                return Ok(Vec::new());
            };
            let uses = uses()?;
            let mut task = Task::new(image, &uses, true);
            if task.running.or(task.stopped).is_some() {
                return Ok(Vec::new());
            }
            task.by_id(index)?;
            Ok(task.done)
        })
    }

    /// Fails when the image is no more. For a container whose record can be seen
    /// from now on: who removes images either sees it, or has removed this one.
    pub fn ensure_kept(&self, image: &Image) -> Result<()> {
        let _lock = lock::shared(&self.index_lock())?;
        // Parsing a long index takes longer; other tools' entries have no such note.
        let noted = memmem::find(&self.read_index_file()?, image.id.as_str().as_bytes());
        match noted.is_some() || self.by_id(&image.id)?.is_some() {
            true => Ok(()),
            false => Err(Error::not_found(format!("No such image: {}", image.id))
                .hint("somebody has just removed it")),
        }
    }
}

/// A name that is also a prefix of the ID is an ID only if no image is called so.
fn names_by_id(image: &Image, text: &str, name: &Reference) -> bool {
    is_id_of(image, text) && !image.names.contains(name)
}

struct Task<'a> {
    image: &'a Image,
    /// What the image is still called.
    names: Vec<Reference>,
    running: Option<&'a Use>,
    stopped: Option<&'a Use>,
    force: bool,
    done: Vec<Removal>,
}

impl<'a> Task<'a> {
    fn new(image: &'a Image, uses: &'a [Use], force: bool) -> Self {
        let users = uses.iter().filter(|u| u.image_id == image.id.as_str());
        Self {
            image,
            names: image.names.iter().chain(&image.digests).cloned().collect(),
            running: users.clone().find(|u| u.running),
            stopped: users.clone().find(|u| !u.running),
            force,
            done: Vec::new(),
        }
    }

    fn by_name(&mut self, index: &mut Index, text: &str, name: &Reference) -> Result<()> {
        if !self.force
            && self.is_single_name()
            && let Some(user) = self.running.or(self.stopped)
        {
            return Err(Error::conflict(format!(
                "conflict: unable to remove repository reference \"{text}\" (must force) - \
                 container {} is using its referenced image {}",
                short(&user.container_id),
                self.image.id.short()
            )));
        }
        let known = self.known_name(name);
        self.untag(index, &known);
        if known.digest().is_none() {
            self.untag_orphaned_digests(index, &known.name());
        }
        if !self.names.is_empty() {
            return Ok(());
        }
        if self.running.is_some() {
            // Forced: the image stays for its container, without a name.
            return Ok(());
        }
        self.delete(index);
        Ok(())
    }

    fn by_id(&mut self, index: &mut Index) -> Result<()> {
        if let Some(user) = self.running {
            return Err(self.conflict(
                "cannot be forced",
                &format!(
                    "image is being used by running container {}",
                    short(&user.container_id)
                ),
            ));
        }
        if !self.force {
            if !self.is_single_name() {
                return Err(self.conflict(
                    "must be forced",
                    "image is referenced in multiple repositories",
                ));
            }
            if let Some(user) = self.stopped {
                return Err(self.conflict(
                    "must be forced",
                    &format!(
                        "image is being used by stopped container {}",
                        short(&user.container_id)
                    ),
                ));
            }
        }
        for name in self.names.clone() {
            self.untag(index, &name);
        }
        self.delete(index);
        Ok(())
    }

    fn conflict(&self, forced: &str, why: &str) -> Error {
        Error::conflict(format!(
            "conflict: unable to delete {} ({forced}) - {why}",
            self.image.id.short()
        ))
    }

    /// At most one tag, and everything in one repository.
    fn is_single_name(&self) -> bool {
        let tags = self.names.iter().filter(|n| n.digest().is_none()).count();
        let repository = self.names.first().map(Reference::name);
        tags <= 1 && self.names.iter().all(|n| Some(n.name()) == repository)
    }

    /// The name as the index has it: a digest may be that of the manifest, and
    /// a tag beside a digest does not count.
    fn known_name(&self, name: &Reference) -> Reference {
        let Some(digest) = name.digest() else {
            return name.clone();
        };
        let same = |n: &&Reference| n.name() == name.name();
        let exact = self
            .names
            .iter()
            .filter(same)
            .find(|n| n.digest() == Some(digest));
        let any = || {
            self.names
                .iter()
                .filter(same)
                .find(|n| n.digest().is_some())
        };
        exact.or_else(any).unwrap_or(name).clone()
    }

    fn untag(&mut self, index: &mut Index, name: &Reference) {
        if index.unset(name) {
            self.names.retain(|n| n != name);
            self.done.push(Removal::Untagged(name.clone()));
        }
    }

    /// With the last tag of a repository go its digests.
    fn untag_orphaned_digests(&mut self, index: &mut Index, repository: &str) {
        let here: Vec<Reference> = self
            .names
            .iter()
            .filter(|n| n.name() == repository)
            .cloned()
            .collect();
        if here.iter().all(|n| n.digest().is_some()) {
            for name in here {
                self.untag(index, &name);
            }
        }
    }

    fn delete(&mut self, index: &mut Index) {
        index.forget(&self.image.entries);
        self.done.push(Removal::Deleted(self.image.id.clone()));
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::store::tests::Scratch;

    const RUNNING: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";
    const STOPPED: &str = "bbbbbbbbbbbbbbbbbbbbbbbb";

    /// An image with these names, and containers that use it.
    fn case(names: &[&str], running: bool, stopped: bool) -> (Scratch, Image, Vec<Use>) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let scratch = Scratch::new(&format!("remove-{n}"));
        let manifest = scratch.unnamed("content");
        let pulled = Digest::of(b"index");
        for name in names {
            let name = Reference::parse(name).unwrap();
            scratch
                .store()
                .add_image(&name, &manifest, Some(&pulled))
                .unwrap();
        }
        let image = scratch.store().images().unwrap().remove(0);
        let user = |id: &str, running| Use {
            container_id: id.into(),
            image_id: image.id.to_string(),
            running,
        };
        let mut uses = vec![Use {
            container_id: "c".repeat(64),
            image_id: Digest::of(b"another").to_string(),
            running: true,
        }];
        uses.extend(running.then(|| user(RUNNING, true)));
        uses.extend(stopped.then(|| user(STOPPED, false)));
        (scratch, image, uses)
    }

    fn lines(done: &[Removal], image: &Image) -> Vec<String> {
        let id = image.id.to_string();
        done.iter()
            .map(|d| d.to_string().replace(&id, "ID"))
            .collect()
    }

    #[test]
    fn by_name() {
        let digest = Digest::of(b"index");
        let by_digest = format!("Untagged: a@{digest}");
        let (scratch, image, uses) = case(&["a", "b:1"], true, true);
        let done = scratch
            .store()
            .remove("a", false, || Ok(uses.clone()))
            .unwrap();
        assert_eq!(lines(&done, &image), ["Untagged: a:latest", &by_digest]);
        for (typed, text) in [
            ("b:1", "b:1"),
            ("docker.io/library/b:1", "docker.io/library/b:1"),
        ] {
            let error = scratch
                .store()
                .remove(typed, false, || Ok(uses.clone()))
                .unwrap_err();
            assert_eq!(
                error.message(),
                format!(
                    "conflict: unable to remove repository reference \"{text}\" (must force) - container \
                 aaaaaaaaaaaa is using its referenced image {}",
                    image.id.short()
                )
            );
            assert_eq!(error.kind(), Kind::Conflict);
        }
        let done = scratch
            .store()
            .remove("b:1", true, || Ok(uses.clone()))
            .unwrap();
        assert_eq!(
            lines(&done, &image),
            ["Untagged: b:1".to_owned(), format!("Untagged: b@{digest}")]
        );
        let left = scratch.store().images().unwrap();
        assert_eq!(
            (left.len(), left[0].names.len(), left[0].digests.len()),
            (1, 0, 0)
        );

        let (scratch, image, uses) = case(&["a"], false, true);
        assert!(
            scratch
                .store()
                .remove("a", false, || Ok(uses.clone()))
                .is_err()
        );
        let done = scratch
            .store()
            .remove("a", true, || Ok(uses.clone()))
            .unwrap();
        assert_eq!(
            lines(&done, &image),
            ["Untagged: a:latest", &by_digest, "Deleted: ID"]
        );
        assert!(scratch.store().images().unwrap().is_empty());

        let (scratch, image, uses) = case(&["a:1", "a:2"], false, false);
        let done = scratch
            .store()
            .remove("a:1", false, || Ok(uses.clone()))
            .unwrap();
        assert_eq!(lines(&done, &image), ["Untagged: a:1"]);
        let done = scratch
            .store()
            .remove(&format!("a@{digest}"), false, || Ok(uses.clone()))
            .unwrap();
        assert_eq!(lines(&done, &image), [&*by_digest]);
        let done = scratch
            .store()
            .remove("a:2", false, || Ok(uses.clone()))
            .unwrap();
        assert_eq!(lines(&done, &image), ["Untagged: a:2", "Deleted: ID"]);
    }

    #[test]
    fn by_id() {
        let (scratch, image, uses) = case(&["a"], true, false);
        for force in [false, true] {
            let error = scratch
                .store()
                .remove(image.id.short(), force, || Ok(uses.clone()))
                .unwrap_err();
            assert_eq!(
                error.message(),
                format!(
                    "conflict: unable to delete {} (cannot be forced) - image is being used by running container \
                 aaaaaaaaaaaa",
                    image.id.short()
                )
            );
        }
        let (scratch, image, uses) = case(&["a"], false, true);
        let error = scratch
            .store()
            .remove(image.id.as_str(), false, || Ok(uses.clone()))
            .unwrap_err();
        assert_eq!(
            error.message(),
            format!(
                "conflict: unable to delete {} (must be forced) - image is being used by stopped container \
             bbbbbbbbbbbb",
                image.id.short()
            )
        );
        let done = scratch
            .store()
            .remove(image.id.as_str(), true, || Ok(uses.clone()))
            .unwrap();
        assert_eq!(lines(&done, &image).last().unwrap(), "Deleted: ID");

        let (scratch, image, uses) = case(&["a", "b"], false, false);
        let error = scratch
            .store()
            .remove(image.id.hex(), false, || Ok(uses.clone()))
            .unwrap_err();
        assert_eq!(
            error.message(),
            format!(
                "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
                image.id.short()
            )
        );
        assert_eq!(scratch.store().images().unwrap().len(), 1);
        let done = scratch
            .store()
            .remove(image.manifest.digest.as_str(), true, || Ok(uses.clone()))
            .unwrap();
        assert_eq!(done.len(), 5);
        assert!(scratch.store().images().unwrap().is_empty());
        let error = scratch
            .store()
            .remove("a", true, || Ok(uses.clone()))
            .unwrap_err();
        assert_eq!(error.message(), "No such image: a:latest");
    }
}
