//! What the containers of one network have: addresses and names, below
//! `networks/<id>` of the run directory, each a symbolic link. Making one is
//! taking it, so no lock is held, and a monitor answers a question with one
//! look at a small directory.
//!
//! ```text
//! a/172.18.0.2     -> ID of the container that has it
//! n/web/ID         -> 172.18.0.2,fd00::2
//! i/ID             -> web: the name that an address stands for
//! next4 next6      the address that was given out last
//! ```

use super::record::{Network, Pool};
use crate::error::{Context, Error, Result};
use crate::fs::{lock, private};
use crate::paths::Paths;
use ipnet::IpNet;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What belongs to one network.
#[derive(Debug, Clone)]
pub struct Register {
    dir: PathBuf,
}

/// Who knows about containers.
pub trait Owners {
    /// Whether the container still uses what it has been given.
    fn uses(&self, id: &str) -> bool;
    /// All that is in use, by address: asked when the run directory was wiped.
    fn all(&self) -> Vec<(IpAddr, String)>;
}

impl Register {
    pub fn of(paths: &Paths, network: &str) -> Self {
        Self {
            dir: paths.run_network(network),
        }
    }

    /// Takes the next free address of the pool, round and round: one that was
    /// given back is still known to neighbours for a while.
    pub fn take(
        &self,
        network: &Network,
        pool: &Pool,
        owner: &str,
        owners: &dyn Owners,
    ) -> Result<IpAddr> {
        self.prepare(owners)?;
        let is_four = pool.subnet.addr().is_ipv4();
        let cursor = self.dir.join(if is_four { "next4" } else { "next6" });
        let range = Range::of(pool.range());
        let last = fs::read_to_string(&cursor).ok();
        let last = last
            .and_then(|text| text.trim_end().parse().ok())
            .map(number);
        let start = match last {
            Some(last) if range.holds(last) => last.wrapping_add(1),
            _ => range.first,
        };
        for step in 0..range.size() {
            let ip = range.address(start, step);
            if pool.is_free(ip) && self.claim(ip, owner, owners)? {
                // As long as any: what lies here is always the same size.
                fs::write(&cursor, format!("{ip:<39}"))
                    .context(|| format!("cannot write \"{}\"", cursor.display()))?;
                return Ok(ip);
            }
        }
        let family = if is_four { "IPv4" } else { "IPv6" };
        Err(Error::conflict(format!(
            "no available {family} addresses on this network's address pools: {} ({})",
            network.name, network.id
        )))
    }

    /// Takes this address.
    pub fn take_this(
        &self,
        pool: &Pool,
        ip: IpAddr,
        owner: &str,
        owners: &dyn Owners,
    ) -> Result<()> {
        self.prepare(owners)?;
        let busy = || Error::new(crate::error::Kind::Denied, "Address already in use");
        if !pool.is_free(ip) {
            return Err(busy().hint(format!("{ip} is the network's own")));
        }
        if self.claim(ip, owner, owners)? {
            return Ok(());
        }
        let other = self.owner(ip).unwrap_or_default();
        Err(busy().hint(format!(
            "{ip} belongs to container {}",
            crate::text::id::short(&other)
        )))
    }

    /// Gives an address back.
    pub fn release(&self, ip: IpAddr, owner: &str) {
        if self.owner(ip).as_deref() == Some(owner) {
            let _ = fs::remove_file(self.address(ip));
        }
    }

    /// Gives back all that is not in use any more: what killed monitors had.
    pub fn sweep(&self, uses: &dyn Fn(&str) -> bool) {
        let read = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
        for entry in read(&self.dir.join("a")) {
            let path = entry.path();
            if fs::read_link(&path).is_ok_and(|owner| !uses(&owner.to_string_lossy())) {
                let _ = fs::remove_file(path);
            }
        }
        let gone = |entry: &fs::DirEntry| !uses(&entry.file_name().to_string_lossy());
        for name in read(&self.dir.join("n")) {
            for entry in read(&name.path()).filter(gone) {
                let _ = fs::remove_file(entry.path());
            }
            // Fails while another container has the name.
            let _ = fs::remove_dir(name.path());
        }
        for entry in read(&self.dir.join("i")).filter(gone) {
            let _ = fs::remove_file(entry.path());
        }
    }

    /// Whose address it is.
    pub fn owner(&self, ip: IpAddr) -> Option<String> {
        text(&self.address(ip))
    }

    /// Makes the container known by these names; the first is the one that its
    /// addresses stand for.
    pub fn enter(&self, names: &[String], owner: &str, addresses: &[IpAddr]) -> Result<()> {
        let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let list = list.join(",");
        for name in names.iter().filter(|name| is_label(name)) {
            let dir = self.dir.join("n").join(name.to_ascii_lowercase());
            put(&dir, owner, &list).context(|| format!("cannot enter the name {name}"))?;
        }
        if let Some(first) = names.first() {
            put(&self.dir.join("i"), owner, first)
                .context(|| format!("cannot enter the name {first}"))?;
        }
        Ok(())
    }

    /// Takes the names back.
    pub fn leave(&self, names: &[String], owner: &str) {
        for name in names.iter().filter(|name| is_label(name)) {
            let dir = self.dir.join("n").join(name.to_ascii_lowercase());
            let _ = fs::remove_file(dir.join(owner));
            // Fails while another container has the name.
            let _ = fs::remove_dir(dir);
        }
        let _ = fs::remove_file(self.dir.join("i").join(owner));
    }

    /// The addresses that a name has; `None`: nobody has it.
    pub fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        if !is_label(name) {
            return None;
        }
        let dir = self.dir.join("n").join(name.to_ascii_lowercase());
        let mut found: Option<Vec<IpAddr>> = None;
        for entry in fs::read_dir(dir).ok()?.flatten() {
            let list = text(&entry.path()).unwrap_or_default();
            let all = found.get_or_insert_default();
            all.extend(list.split(',').filter_map(|ip| ip.parse::<IpAddr>().ok()));
        }
        found
    }

    /// The addresses of one container, by a name that it has.
    pub fn addresses_of(&self, name: &str, owner: &str) -> Vec<IpAddr> {
        let link = self.dir.join("n").join(name).join(owner);
        let list = text(&link).unwrap_or_default();
        list.split(',').filter_map(|ip| ip.parse().ok()).collect()
    }

    /// The name of the container that has this address.
    pub fn name(&self, ip: IpAddr) -> Option<String> {
        text(&self.dir.join("i").join(self.owner(ip)?))
    }

    fn address(&self, ip: IpAddr) -> PathBuf {
        self.dir.join("a").join(ip.to_string())
    }

    /// Whether the address is ours now.
    fn claim(&self, ip: IpAddr, owner: &str, owners: &dyn Owners) -> Result<bool> {
        let path = self.address(ip);
        let failed = || format!("cannot take the address {ip}");
        match symlink(owner, &path) {
            Ok(()) => return Ok(true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).context(failed),
        }
        let Some(holder) = text(&path) else {
            return Ok(false);
        };
        if holder == owner {
            return Ok(true);
        }
        if owners.uses(&holder) {
            return Ok(false);
        }
        // Left by one that was killed. Two who find it must not both have it.
        let _lock = lock::directory(&self.dir.join("a"))?;
        if text(&path).as_deref() != Some(holder.as_str()) {
            return Ok(false);
        }
        let _ = fs::remove_file(&path);
        match symlink(owner, &path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e).context(failed),
        }
    }

    /// Makes the directory, with all that is in use in it.
    fn prepare(&self, owners: &dyn Owners) -> Result<()> {
        let place = self.dir.join("a");
        if place.exists() {
            return Ok(());
        }
        let fill = || -> io::Result<()> {
            private::dir(&self.dir)?;
            let new = crate::fs::replace::temporary_beside(&place);
            private::dir(&new)?;
            for (ip, owner) in owners.all() {
                let _ = symlink(owner, new.join(ip.to_string()));
            }
            match fs::rename(&new, &place) {
                // Somebody else was faster.
                Err(_) if place.exists() => fs::remove_dir_all(&new),
                other => other,
            }
        };
        fill().context(|| format!("cannot make \"{}\"", place.display()))
    }
}

/// What can be a name: no path, and no question that could be one.
pub fn is_label(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'/' && b != b'\\')
}

/// A link in a directory that may come and go.
fn put(dir: &Path, name: &str, target: &str) -> io::Result<()> {
    let path = dir.join(name);
    for _ in 0..16 {
        match symlink(target, &path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let _ = fs::remove_file(&path);
            }
            Err(e) if e.kind() == ErrorKind::NotFound => private::dir(dir)?,
            other => return other,
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn text(link: &Path) -> Option<String> {
    fs::read_link(link)
        .ok()?
        .into_os_string()
        .into_string()
        .ok()
}

/// Addresses as numbers, from first to last.
struct Range {
    first: u128,
    last: u128,
    four: bool,
}

/// Nobody looks further than this through a full pool.
const MOST: u128 = 1 << 20;

impl Range {
    fn of(net: IpNet) -> Self {
        Self {
            first: number(net.network()),
            last: number(net.broadcast()),
            four: net.addr().is_ipv4(),
        }
    }

    fn holds(&self, number: u128) -> bool {
        (self.first..=self.last).contains(&number)
    }

    fn size(&self) -> u128 {
        (self.last - self.first).saturating_add(1).min(MOST)
    }

    /// `step` behind `start`, round and round.
    fn address(&self, start: u128, step: u128) -> IpAddr {
        let size = (self.last - self.first).saturating_add(1);
        let at = self.first + (start.wrapping_sub(self.first).wrapping_add(step)) % size;
        match self.four {
            true => Ipv4Addr::from(at as u32).into(),
            false => Ipv6Addr::from(at).into(),
        }
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Alive(RefCell<Vec<String>>);

    impl Owners for Alive {
        fn uses(&self, id: &str) -> bool {
            self.0.borrow().iter().any(|known| known == id)
        }
        fn all(&self) -> Vec<(IpAddr, String)> {
            vec![("10.9.0.4".parse().unwrap(), "old".into())]
        }
    }

    fn register(name: &str) -> Register {
        let dir =
            std::env::temp_dir().join(format!("wherry-register-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        Register { dir }
    }

    fn pool(subnet: &str) -> Pool {
        Pool {
            subnet: subnet.parse().unwrap(),
            ip_range: None,
            gateway: None,
            auxiliary: BTreeMap::new(),
            asked: false,
        }
    }

    #[test]
    fn addresses_go_round() {
        let register = register("round");
        let alive = Alive(RefCell::new(vec!["old".into()]));
        let mut pool = pool("10.9.0.0/29");
        pool.gateway = Some("10.9.0.1".parse().unwrap());
        pool.auxiliary
            .insert("r".into(), "10.9.0.2".parse().unwrap());
        let network = Network::default();
        let take = |owner: &str| {
            register
                .take(&network, &pool, owner, &alive)
                .map(|ip| ip.to_string())
        };
        // 4 is in use, as was found out when the directory was made.
        assert_eq!(take("a").unwrap(), "10.9.0.3");
        assert_eq!(take("b").unwrap(), "10.9.0.5");
        register.release("10.9.0.3".parse().unwrap(), "b");
        register.release("10.9.0.3".parse().unwrap(), "a");
        assert_eq!(take("c").unwrap(), "10.9.0.6");
        assert_eq!(take("d").unwrap(), "10.9.0.3");
        alive
            .0
            .borrow_mut()
            .extend(["b", "c", "d"].map(String::from));
        let error = take("e").unwrap_err();
        assert!(error.message().starts_with("no available IPv4 addresses"));
        // One that died without giving its own back.
        alive.0.borrow_mut().retain(|id| id != "b");
        assert_eq!(take("e").unwrap(), "10.9.0.5");
        let five = "10.9.0.5".parse().unwrap();
        alive.0.borrow_mut().push("e".into());
        assert!(register.take_this(&pool, five, "e", &alive).is_ok());
        let taken = register.take_this(&pool, five, "f", &alive).unwrap_err();
        assert_eq!(taken.message(), "Address already in use");
        let gateway = "10.9.0.1".parse().unwrap();
        assert!(register.take_this(&pool, gateway, "f", &alive).is_err());
        register.sweep(&|id| id == "e");
        assert_eq!(register.owner(five).as_deref(), Some("e"));
        assert_eq!(register.owner("10.9.0.6".parse().unwrap()), None);
        fs::remove_dir_all(&register.dir).unwrap();
    }

    #[test]
    fn names_come_and_go() {
        let register = register("names");
        let ips =
            |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|ip| ip.parse().unwrap()).collect() };
        let names =
            |list: &[&str]| -> Vec<String> { list.iter().map(ToString::to_string).collect() };
        register
            .enter(&names(&["Web", "app"]), "1", &ips(&["10.9.0.2", "fd00::2"]))
            .unwrap();
        register
            .enter(&names(&["db", "app"]), "2", &ips(&["10.9.0.3"]))
            .unwrap();
        assert_eq!(register.addresses("WEB").unwrap().len(), 2);
        assert_eq!(register.addresses("app").unwrap().len(), 3);
        assert_eq!(register.addresses("nobody"), None);
        assert_eq!(register.addresses("../i"), None);
        register.leave(&names(&["Web", "app"]), "1");
        assert_eq!(register.addresses("web"), None);
        assert_eq!(register.addresses("app").unwrap(), ips(&["10.9.0.3"]));
        fs::remove_dir_all(&register.dir).unwrap();
    }
}
