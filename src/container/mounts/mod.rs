//! What is mounted in a container, resolved when it is made: its own mounts,
//! those of others (`--volumes-from`), and a volume for each `VOLUME` of the
//! image and `-v /PATH` that nothing else is mounted on.

mod inherit;
pub mod request;

use super::plan::refuse_target;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::container::{Config, Container, HostConfig, MountPoint};
use crate::record::mount::Kind;
use crate::volume::{ANONYMOUS, Request};
use std::collections::BTreeSet;

/// Every mount but those of `--tmpfs`. Nothing is made yet.
pub fn resolve(engine: &Engine, host: &HostConfig, config: &Config) -> Result<Vec<MountPoint>> {
    let mut all = own(engine, host)?;
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let tmpfs = host.tmpfs.keys().map(|target| request::clean(target));
    for target in all
        .iter()
        .map(|point| Ok(point.destination.clone()))
        .chain(tmpfs)
    {
        let target = target?;
        refuse_target(&target)?;
        if let Some(twice) = taken.replace(target) {
            return Err(Error::invalid(format!("Duplicate mount point: {twice}")));
        }
    }
    let inherited = inherit::mounts(&engine.paths, host, |target| taken.contains(target))?;
    taken.extend(inherited.iter().map(|point| point.destination.clone()));
    all.extend(inherited);
    for path in config.volumes.iter().flatten().map(|(path, _)| path) {
        let destination = request::clean(&format!("/{path}"))?;
        refuse_target(&destination)?;
        if taken.insert(destination.clone()) {
            all.push(MountPoint {
                mode: String::new(),
                ..request::anonymous(destination)?
            });
        }
    }
    Ok(all)
}

fn own(engine: &Engine, host: &HostConfig) -> Result<Vec<MountPoint>> {
    let binds = host.binds.iter().flatten();
    let mut all = binds
        .map(|text| request::of_text(text))
        .collect::<Result<Vec<_>>>()?;
    for mount in &host.mounts {
        all.push(request::of_mount(engine, mount)?);
    }
    Ok(all)
}

/// The container's volumes as they are to be made when they are missing: those
/// with a name of the user's, and the anonymous ones.
pub fn volumes(container: &Container) -> (Vec<Request>, Vec<Request>) {
    let points = container
        .mounts
        .iter()
        .filter(|point| point.kind == Kind::Volume);
    let (anonymous, named): (Vec<_>, Vec<_>) = points.partition(|point| point.anonymous);
    let requests = |points: Vec<&MountPoint>| {
        points
            .into_iter()
            .map(|point| of_point(container, point))
            .collect()
    };
    (requests(named), requests(anonymous))
}

fn of_point(container: &Container, point: &MountPoint) -> Request {
    let mut request = Request {
        name: point.name.clone(),
        driver: container.host_config.volume_driver.clone(),
        ..Request::default()
    };
    let asked = container.host_config.mounts.iter().find(|mount| {
        request::clean(&mount.target).is_ok_and(|target| target == point.destination)
    });
    if let Some(options) = asked.and_then(|mount| mount.volume_options.as_ref()) {
        request.labels.clone_from(&options.labels);
        if let Some(driver) = &options.driver_config {
            request.driver.clone_from(&driver.name);
            request.options.clone_from(&driver.options);
        }
    }
    if point.anonymous {
        request.labels.insert(ANONYMOUS.into(), String::new());
    }
    request
}
