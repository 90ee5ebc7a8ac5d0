//! From `-v` and `--mount` to a mount as the record has it.

pub use crate::container::plan::clean;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::container::{Mount, MountPoint};
use crate::record::mount::{BindOptions, Kind, VolumeOptions};
use crate::volume;

/// `SOURCE:TARGET[:MODE]`, as `HostConfig.Binds` has it.
pub fn of_text(text: &str) -> Result<MountPoint> {
    let mut parts = text.splitn(3, ':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
        return Err(Error::invalid(format!(
            "invalid volume specification: '{text}'"
        )));
    };
    let mode = parts.next().unwrap_or_default();
    let words: Vec<&str> = mode.split(',').filter(|word| !word.is_empty()).collect();
    let propagation = words.iter().find(|word| is_propagation(word));
    let point = MountPoint {
        destination: clean(target)?,
        mode: mode.into(),
        rw: !words.contains(&"ro"),
        chowns: words.contains(&"U"),
        ..MountPoint::default()
    };
    if source.starts_with('/') {
        return Ok(MountPoint {
            kind: Kind::Bind,
            source: source.into(),
            propagation: propagation.unwrap_or(&"rprivate").to_string(),
            // As Docker does.
            makes_source: true,
            ..point
        });
    }
    volume::check_name(source)?;
    Ok(MountPoint {
        copies: !words.contains(&"nocopy"),
        ..named(source, point)
    })
}

pub fn is_propagation(word: &str) -> bool {
    matches!(
        word,
        "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave"
    )
}

/// A volume; without a mode it has Docker's `z`.
fn named(name: &str, point: MountPoint) -> MountPoint {
    MountPoint {
        kind: Kind::Volume,
        name: name.into(),
        mode: match point.mode.as_str() {
            "" => "z".into(),
            mode => mode.into(),
        },
        ..point
    }
}

/// A volume of the container's own at `destination`.
pub fn anonymous(destination: String) -> Result<MountPoint> {
    let name = crate::text::id::random()?;
    let point = MountPoint {
        destination,
        rw: true,
        anonymous: true,
        copies: true,
        ..MountPoint::default()
    };
    Ok(named(&name, point))
}

/// `--mount`.
pub fn of_mount(engine: &Engine, mount: &Mount) -> Result<MountPoint> {
    let point = MountPoint {
        destination: clean(&mount.target)?,
        rw: !mount.read_only,
        ..MountPoint::default()
    };
    match mount.kind.as_str() {
        "bind" => Ok(of_bind(mount, point)),
        "volume" => of_volume(mount, point),
        "tmpfs" => Ok(MountPoint {
            kind: Kind::Tmpfs,
            tmpfs: mount.tmpfs_options.clone(),
            ..point
        }),
        "image" => of_image(engine, mount, point),
        other => Err(Error::invalid(format!(
            "invalid mount config for type \"{other}\": mount type unknown"
        ))),
    }
}

fn of_bind(mount: &Mount, point: MountPoint) -> MountPoint {
    let defaults = BindOptions::default();
    let options = mount.bind_options.as_ref().unwrap_or(&defaults);
    MountPoint {
        kind: Kind::Bind,
        source: mount.source.clone(),
        propagation: match options.propagation.as_str() {
            "" => "rprivate".into(),
            word => word.into(),
        },
        makes_source: options.create_mountpoint,
        non_recursive: options.non_recursive,
        writable_below: options.read_only_non_recursive,
        ..point
    }
}

fn of_volume(mount: &Mount, point: MountPoint) -> Result<MountPoint> {
    let defaults = VolumeOptions::default();
    let options = mount.volume_options.as_ref().unwrap_or(&defaults);
    let point = match mount.source.as_str() {
        "" => MountPoint {
            rw: point.rw,
            ..anonymous(point.destination)?
        },
        name => {
            volume::check_name(name)?;
            named(name, point)
        }
    };
    Ok(MountPoint {
        // What is below is the volume's own from the beginning.
        copies: !options.no_copy && options.subpath.is_empty(),
        subpath: options.subpath.clone(),
        ..point
    })
}

fn of_image(engine: &Engine, mount: &Mount, point: MountPoint) -> Result<MountPoint> {
    let store = engine.store()?;
    let image = store.resolve(&mount.source)?;
    let layers = store.config(&image)?.diff_ids;
    Ok(MountPoint {
        kind: Kind::Image,
        source: image.id.to_string(),
        rw: false,
        subpath: mount
            .image_options
            .as_ref()
            .map(|options| options.subpath.clone())
            .unwrap_or_default(),
        layers: layers.iter().map(ToString::to_string).collect(),
        ..point
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let bind = of_text("/a:/b/:ro,rslave,U").unwrap();
        assert_eq!(
            (bind.kind, &*bind.source, &*bind.destination, bind.rw),
            (Kind::Bind, "/a", "/b", false)
        );
        assert_eq!((&*bind.propagation, bind.chowns), ("rslave", true));
        assert!(bind.makes_source && bind.mode == "ro,rslave,U");
        let volume = of_text("data:/x").unwrap();
        assert_eq!(
            (volume.kind, &*volume.name, &*volume.mode, volume.copies),
            (Kind::Volume, "data", "z", true)
        );
        assert_eq!(volume.propagation, "");
        assert!(!of_text("data:/x:nocopy").unwrap().copies);
        for bad in ["a", "../x:/y", "data:x", ":/x"] {
            assert!(of_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn volumes_with_a_part() {
        let mount = Mount {
            kind: "volume".into(),
            source: "data".into(),
            target: "/x".into(),
            volume_options: Some(VolumeOptions {
                subpath: "a/b".into(),
                ..VolumeOptions::default()
            }),
            ..Mount::default()
        };
        let point = of_volume(&mount, MountPoint::default()).unwrap();
        assert_eq!((&*point.subpath, point.copies), ("a/b", false));
        let mount = Mount {
            source: String::new(),
            ..mount
        };
        let point = of_volume(&mount, MountPoint::default()).unwrap();
        assert!(point.anonymous && point.name.len() == 64);
    }
}
