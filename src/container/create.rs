//! Making a container: the image's settings and the user's joined into one
//! record that never changes.

use super::fill::Volumes;
use super::network::endpoints;
use super::plan::namespaces::{self, Namespaces};
use super::plan::security;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::fs::lock::Lock;
use crate::fs::replace::Durability;
use crate::image::config::ImageConfig;
use crate::record::container::{Config, Container, Healthcheck, HostConfig, State, VERSION};
use crate::record::containers::{self, New};
use crate::record::endpoint::Endpoint;
use crate::store::Image;
use crate::sys::procfs::Process;
use crate::text::{id, name, time};
use crate::userns::layout::Layout;
use crate::userns::monitors::{Entry, Role};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// When to ask the registry for the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pull {
    Always,
    #[default]
    Missing,
    Never,
}

/// What `run` and `create` ask for.
#[derive(Debug, Clone, Default)]
pub struct CreateRequest {
    /// `None`: a random one.
    pub name: Option<String>,
    /// `--platform` as given.
    pub platform: Option<String>,
    pub pull: Pull,
    /// As given; what is empty or `None` comes from the image.
    pub config: Config,
    pub host_config: HostConfig,
    /// Its networks, the first being that of the network mode; empty: that one.
    pub networks: Vec<Endpoint>,
    /// `--rootfs`: the root file system instead of an image.
    pub rootfs: Option<PathBuf>,
    /// Where the ID is written; must not exist.
    pub cidfile: Option<PathBuf>,
    /// It is to run at once: one with `--rm` is not to outlive the command
    /// that was killed before.
    pub run: bool,
}

/// A container that exists, with its lock still held.
pub struct Created {
    pub container: Container,
    pub state: State,
    pub lock: Lock,
    /// To be kept until the container runs, or is meant not to.
    pub starter: Entry,
}

/// Makes the container. `image` is `None` with `--rootfs`.
pub fn create(
    engine: &Engine,
    request: CreateRequest,
    image: Option<(&Image, &ImageConfig)>,
) -> Result<Created> {
    super::sweep::sweep(engine);
    let starter = Entry::add(&engine.paths.monitors(), Role::Starter)?;
    let cidfile = request.cidfile.as_deref().map(CidFile::begin).transpose()?;
    let mut request = request;
    let host = &mut request.host_config;
    let asked = std::mem::take(&mut request.networks);
    let networks = endpoints::at_creation(&engine.paths, host, asked)?;
    let donor = super::donor::resolve(&engine.paths, host)?;
    namespaces::check(
        host,
        &request.config.hostname,
        !request.config.exposed_ports.is_empty(),
    )?;
    let mut container = record(&request, image)?;
    container.ids = super::ids::layout(engine, &mut container, donor.as_ref())?;
    if let Some(donor) =
        donor.filter(|_| namespaces::container_of(&container.host_config.network_mode).is_some())
    {
        container.config.hostname = donor.config.hostname;
    }
    container.mounts = super::mounts::resolve(engine, &container.host_config, &container.config)?;
    // Everything that can be wrong is found before anything is written.
    check(&container)?;
    let volumes = Volumes::hold_named(engine, &container)?;
    let mut new = New::begin(&engine.paths, &container.id)?;
    let name = claim_name(&mut new, request.name.as_deref())?;
    let mut state = State {
        version: VERSION,
        name,
        volumes_ready: !super::volumes::has_any(&container),
        starter: request.run.then(Process::me),
        networks,
        ..State::default()
    };
    let durability = if container.host_config.auto_remove {
        Durability::Fast
    } else {
        Durability::Durable
    };
    let lock = new.finish(&container, &state, durability)?;
    let kept = image.map_or(Ok(()), |(image, _)| engine.store()?.ensure_kept(image));
    let made = kept.and_then(|()| make_volumes(engine, &container, volumes, &mut state));
    let lock = match made {
        Ok(()) => lock,
        Err(e) => {
            // As if it had not been tried.
            let _ = super::remove::discard(engine, &container.id, &state.name, lock, true);
            return Err(e);
        }
    };
    if let Some(cidfile) = cidfile {
        cidfile.finish(&container.id)?;
    }
    Ok(Created {
        container,
        state,
        lock,
        starter,
    })
}

/// Killed meanwhile, it leaves a container whose start does it over.
fn make_volumes(
    engine: &Engine,
    container: &Container,
    volumes: Volumes,
    state: &mut State,
) -> Result<()> {
    if state.volumes_ready {
        return Ok(());
    }
    volumes
        .and_anonymous(engine, container)?
        .fill(engine, container)?;
    state.volumes_ready = true;
    let durability = match container.host_config.auto_remove {
        true => Durability::Passing,
        false => Durability::Fast,
    };
    containers::write_state(&engine.paths, &container.id, state, durability)
}

/// Joins what was asked for and what the image says.
fn record(request: &CreateRequest, image: Option<(&Image, &ImageConfig)>) -> Result<Container> {
    let id = id::random()?;
    let mut config = request.config.clone();
    let mut host = request.host_config.clone();
    if let Some((_, settings)) = image {
        join_image(&mut config, settings);
    }
    if config.hostname.is_empty() {
        config.hostname = if host.network_mode == "host" || host.uts_mode == "host" {
            nix::unistd::gethostname()
                .map(|h| h.to_string_lossy().into_owned())
                .unwrap_or_else(|_| id::short(&id).to_string())
        } else {
            id::short(&id).to_string()
        };
    }
    (host.masked_paths, host.readonly_paths) = security::default_paths(&host);
    let mut words = config.entrypoint.clone().unwrap_or_default();
    words.extend(config.cmd.clone().unwrap_or_default());
    let mut words = words.into_iter();
    let path = words.next().ok_or_else(|| {
        Error::invalid("no command specified")
            .hint("the image has none of its own: name one after the image")
    })?;
    let rootfs = match &request.rootfs {
        Some(dir) => Some(
            std::fs::canonicalize(dir)
                .context(|| format!("cannot use \"{}\" as root file system", dir.display()))?,
        ),
        None => None,
    };
    Ok(Container {
        version: VERSION,
        id,
        created: time::now(),
        path,
        args: words.collect(),
        image: image.map(|(i, _)| i.id.to_string()).unwrap_or_default(),
        image_manifest_descriptor: image.map(|(i, _)| i.manifest.to_oci()),
        layers: image
            .map(|(_, c)| c.diff_ids.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        rootfs,
        platform: image
            .map(|(_, c)| c.platform.to_string())
            .unwrap_or_default(),
        config,
        host_config: host,
        ids: Layout::default(),
        mounts: Vec::new(),
    })
}

/// The image's settings below the user's (moby, daemon/commit.go `merge`).
fn join_image(config: &mut Config, image: &ImageConfig) {
    let Some(of_image) = image.oci.config() else {
        return;
    };
    if config.user.is_empty() {
        config.user = of_image.user().clone().unwrap_or_default();
    }
    for variable in of_image.env().iter().flatten() {
        let name = variable.split('=').next();
        if !config.env.iter().any(|v| v.split('=').next() == name) {
            config.env.push(variable.clone());
        }
    }
    // A new entrypoint makes the image's command meaningless.
    if config.entrypoint.is_none() {
        if config.cmd.is_none() {
            config.cmd.clone_from(of_image.cmd());
        }
        config.entrypoint.clone_from(of_image.entrypoint());
    }
    if config.working_dir.is_empty() {
        config.working_dir = of_image.working_dir().clone().unwrap_or_default();
    }
    for path in of_image.volumes().iter().flatten() {
        let volumes = config.volumes.get_or_insert_default();
        volumes.entry(path.clone()).or_default();
    }
    for (key, value) in of_image.labels().iter().flatten() {
        config
            .labels
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
    for port in of_image.exposed_ports().iter().flatten() {
        config.exposed_ports.entry(port.clone()).or_default();
    }
    if let Some(check) = image.healthcheck() {
        let of_image: Healthcheck = serde_json::from_value(check.clone()).unwrap_or_default();
        config
            .healthcheck
            .get_or_insert_with(Healthcheck::default)
            .join(&of_image);
    }
    if config.stop_signal.is_none() {
        config.stop_signal.clone_from(of_image.stop_signal());
    }
    if config.stop_timeout.is_none() {
        config.stop_timeout = image.stop_timeout();
    }
}

/// Values that only fail when they are used.
fn check(container: &Container) -> Result<()> {
    let host = &container.host_config;
    security::capabilities(host)?;
    security::Security::of(host)?;
    super::plan::limits::ulimits(&host.ulimits)?;
    super::plan::limits::check(host)?;
    super::plan::logging::check(container)?;
    super::plan::devices::check_rules(host)?;
    let limited = !super::plan::limits::cgroup(host)?.is_none();
    if limited || !host.cgroup_parent.is_empty() {
        super::start::check_limits(container)?;
    }
    let whose = Namespaces::of(host)?;
    for (key, value) in &host.sysctls {
        super::plan::sysctl::check(key, value, &whose)?;
    }
    if let Some(signal) = &container.config.stop_signal {
        super::kill::parse_signal(signal)?;
    }
    let config = &container.config;
    // Both go into files of lines and words.
    for (what, name) in [
        ("hostname", &config.hostname),
        ("domainname", &config.domainname),
    ] {
        if name.len() > 64 || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid(format!(
                "invalid {what}: \"{}\"",
                name.escape_debug()
            )));
        }
    }
    let directory = &container.config.working_dir;
    if !directory.is_empty() && !Path::new(directory).is_absolute() {
        return Err(Error::invalid(format!(
            "the working directory '{directory}' is invalid, it needs to be an absolute path"
        )));
    }
    Ok(())
}

fn claim_name(new: &mut New<'_>, wanted: Option<&str>) -> Result<String> {
    if let Some(wanted) = wanted {
        let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
        name::check(wanted)?;
        new.claim(wanted)?;
        return Ok(wanted.to_string());
    }
    for attempt in 0..u32::MAX {
        let random = name::random(attempt)?;
        match new.claim(&random) {
            Ok(()) => return Ok(random),
            Err(e) if e.kind() == crate::error::Kind::Conflict => {}
            Err(e) => return Err(e),
        }
    }
    Err(Error::conflict("all random names are taken"))
}

/// `--cidfile`: made at once so that two commands do not share it, removed
/// again unless the container comes to be.
struct CidFile {
    path: PathBuf,
    file: std::fs::File,
    kept: bool,
}

impl CidFile {
    fn begin(path: &Path) -> Result<Self> {
        let file = match std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path)
        {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::conflict(format!(
                    "container ID file found, make sure the other container isn't running or delete {}",
                    path.display()
                )));
            }
            other => other.context(|| {
                format!(
                    "failed to create the container ID file \"{}\"",
                    path.display()
                )
            })?,
        };
        Ok(Self {
            path: path.to_path_buf(),
            file,
            kept: false,
        })
    }

    fn finish(mut self, id: &str) -> Result<()> {
        self.file
            .write_all(id.as_bytes())
            .context(|| format!("cannot write \"{}\"", self.path.display()))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
