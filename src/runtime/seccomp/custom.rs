//! Profiles written by the user: Docker's JSON, which is that of the OCI
//! runtime specification with `archMap`, `includes`, `excludes` and `name`.
//! Rules are combined as runc and libseccomp do, see [`Rules::add`].

use super::Filter;
use super::abi::{ABIS, Abi, NAME};
use super::compile::{Condition, Op, Outcome, Plan, Test};
use super::table::{TABLE, find};
use crate::error::{Context, Error, Kind, Result, reason};
use crate::sys::caps::CapSet;
use oci_spec::runtime::{Arch, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator};
use serde::Deserialize;
use std::io::Read;

/// A file larger than this is not a profile.
const MAX_FILE: u64 = 1 << 20;

/// A profile as in its file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Document {
    default_action: Option<LinuxSeccompAction>,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<Architecture>>,
    flags: Option<Vec<String>>,
    listener_path: String,
    syscalls: Option<Vec<Syscall>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architecture {
    architecture: Arch,
    #[serde(default)]
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Syscall {
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<LinuxSeccompArg>>,
    #[serde(default)]
    includes: Option<Scope>,
    #[serde(default)]
    excludes: Option<Scope>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Scope {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// The JSON of a file, checked and without white space.
pub(super) fn read(path: &str) -> Result<String> {
    let failed = |e: &std::io::Error| {
        let kind = match e.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Invalid,
        };
        Error::new(
            kind,
            format!("opening seccomp profile ({path}) failed: {}", reason(e)),
        )
    };
    let file = std::fs::File::open(path).map_err(|e| failed(&e))?;
    let mut text = String::new();
    let length = file
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|e| failed(&e))?;
    if length as u64 > MAX_FILE {
        return Err(Error::invalid(format!(
            "seccomp profile ({path}) is larger than 1 MiB"
        )));
    }
    parse(&text).map_err(|e| e.within(format!("seccomp profile ({path})")))?;
    let value: serde_json::Value = serde_json::from_str(&text).context(|| "seccomp profile")?;
    Ok(value.to_string())
}

/// `None`: a profile with neither a default nor rules, which is no filter.
pub(super) fn parse(json: &str) -> Result<Option<Document>> {
    let failed = || "decoding seccomp profile failed";
    let value: serde_json::Value = serde_json::from_str(json).context(failed)?;
    // serde would take an array for a struct: an empty one is no profile.
    if !value.is_object() {
        return Err(Error::invalid(format!("{}: not a JSON object", failed())));
    }
    let document: Document = serde_json::from_value(value).context(failed)?;
    let no_calls = document.syscalls.as_ref().is_none_or(Vec::is_empty);
    match document.default_action {
        None if no_calls => Ok(None),
        None => Err(Error::invalid(
            "seccomp profile: 'defaultAction' is missing",
        )),
        Some(_) => {
            // Whatever the capabilities: a bad rule is found before a container is made.
            document.filter(CapSet::EMPTY)?;
            Ok(Some(document))
        }
    }
}

impl Document {
    pub(super) fn filter(&self, bounding: CapSet) -> Result<Filter> {
        if !self.listener_path.is_empty() {
            return Err(Error::unsupported(
                "seccomp profile: 'listenerPath' is not supported",
            ));
        }
        let action = self.default_action.unwrap_or_default();
        let default = return_value(action, self.default_errno_ret)?;
        let mut rules = Rules::new(default);
        for call in self.syscalls.iter().flatten() {
            call.add_to(&mut rules, bounding)?;
        }
        let (outcomes, tests) = rules.finish();
        let abis = self.abis()?;
        let plan = Plan {
            outcomes: &outcomes,
            tests: &tests,
            default,
            abis: &abis,
        };
        Ok(Filter {
            program: plan.compile(),
            flags: self.flags()?,
        })
    }

    /// The native ABI always, others as listed.
    fn abis(&self) -> Result<Vec<&'static Abi>> {
        let listed = self.architectures.as_deref().unwrap_or_default();
        let map = self.arch_map.as_deref().unwrap_or_default();
        if !listed.is_empty() && !map.is_empty() {
            return Err(Error::invalid(
                "seccomp profile: use either 'architectures' or 'archMap', not both",
            ));
        }
        let native = map.iter().find(|m| m.architecture == ABIS[0].arch);
        let below = native
            .and_then(|m| m.sub_architectures.as_deref())
            .unwrap_or_default();
        let wanted = |abi: &Abi| {
            abi.arch == ABIS[0].arch || listed.contains(&abi.arch) || below.contains(&abi.arch)
        };
        Ok(ABIS.iter().filter(|abi| wanted(abi)).collect())
    }

    fn flags(&self) -> Result<u64> {
        let Some(names) = &self.flags else {
            return Ok(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW);
        };
        names.iter().try_fold(0, |flags, name| match name.as_str() {
            "SECCOMP_FILTER_FLAG_TSYNC" => Ok(flags | libc::SECCOMP_FILTER_FLAG_TSYNC),
            "SECCOMP_FILTER_FLAG_LOG" => Ok(flags | libc::SECCOMP_FILTER_FLAG_LOG),
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(flags | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
            other => Err(Error::unsupported(format!(
                "seccomp profile: flag {other:?} is not supported"
            ))),
        })
    }
}

impl Syscall {
    fn add_to(&self, rules: &mut Rules, bounding: CapSet) -> Result<()> {
        let names = self.names.as_deref().unwrap_or_default();
        if !self.name.is_empty() && !names.is_empty() {
            return Err(Error::invalid(
                "seccomp profile: use either 'name' or 'names', not both",
            ));
        }
        let ret = return_value(self.action, self.errno_ret)?;
        let args = self.args.as_deref().unwrap_or_default();
        let conditions = args.iter().map(condition).collect::<Result<Vec<_>>>()?;
        if !self.applies(bounding)? {
            return Ok(());
        }
        let single = (!self.name.is_empty()).then_some(&self.name);
        // Names that no ABI here has are no numbers: nothing to filter.
        for row in names.iter().chain(single).filter_map(|name| find(name)) {
            rules.add(row, ret, &conditions);
        }
        Ok(())
    }

    fn applies(&self, bounding: CapSet) -> Result<bool> {
        let holds = |name: &String| CapSet::named(name).is_some_and(|cap| bounding.contains(cap));
        let here = |name: &String| name == NAME;
        if let Some(out) = &self.excludes {
            let arch = out.arches.iter().flatten().any(here);
            let caps = out.caps.iter().flatten().any(holds);
            if out.kernel_is_new_enough()? == Some(true) || arch || caps {
                return Ok(false);
            }
        }
        let Some(scope) = &self.includes else {
            return Ok(true);
        };
        let arches = scope.arches.as_deref().unwrap_or_default();
        let arch = arches.is_empty() || arches.iter().any(here);
        let caps = scope.caps.iter().flatten().all(holds);
        Ok(scope.kernel_is_new_enough()? != Some(false) && arch && caps)
    }
}

impl Scope {
    /// `None` when the scope says nothing of the kernel.
    fn kernel_is_new_enough(&self) -> Result<Option<bool>> {
        let Some(wanted) = &self.min_kernel else {
            return Ok(None);
        };
        let version = || {
            let (major, minor) = wanted.split_once('.')?;
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        };
        let minimum = version().ok_or_else(|| {
            Error::invalid(format!(
                "seccomp profile: 'minKernel' must be like \"4.8\", not {wanted:?}"
            ))
        })?;
        Ok(Some(kernel()? >= minimum))
    }
}

/// Version and patch level of the running kernel.
fn kernel() -> Result<(u32, u32)> {
    let file = "/proc/sys/kernel/osrelease";
    let text = std::fs::read_to_string(file).context(|| format!("cannot read \"{file}\""))?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(Error::internal(format!(
            "cannot read \"{file}\": not a version: {text:?}"
        ))),
    }
}

fn return_value(action: LinuxSeccompAction, errno: Option<u32>) -> Result<u32> {
    use LinuxSeccompAction::{ScmpActErrno, ScmpActNotify, ScmpActTrace};
    match (action, errno) {
        (ScmpActNotify, _) => Err(Error::unsupported(
            "seccomp profile: SCMP_ACT_NOTIFY is not supported",
        )),
        // The kernel cuts anything above MAX_ERRNO.
        (ScmpActErrno | ScmpActTrace, Some(4096..)) => Err(Error::invalid(format!(
            "seccomp profile: errno {} is larger than 4095",
            errno.unwrap_or_default()
        ))),
        (ScmpActErrno | ScmpActTrace, _) | (_, None) => Ok(action.as_u32(errno)),
        (_, Some(_)) => Err(Error::invalid(format!(
            "seccomp profile: {action:?} does not take an errno"
        ))),
    }
}

fn condition(arg: &LinuxSeccompArg) -> Result<Condition> {
    use LinuxSeccompOperator as O;
    if arg.index() > 5 {
        return Err(Error::invalid(format!(
            "seccomp profile: argument index {} is larger than 5",
            arg.index()
        )));
    }
    let (op, value) = match arg.op() {
        O::ScmpCmpNe => (Op::Ne, arg.value()),
        O::ScmpCmpLt => (Op::Lt, arg.value()),
        O::ScmpCmpLe => (Op::Le, arg.value()),
        O::ScmpCmpEq => (Op::Eq, arg.value()),
        O::ScmpCmpGe => (Op::Ge, arg.value()),
        O::ScmpCmpGt => (Op::Gt, arg.value()),
        // `value` is the mask and `valueTwo` what must be left.
        O::ScmpCmpMaskedEq => (Op::Masked(arg.value()), arg.value_two().unwrap_or(0)),
    };
    Ok(Condition {
        index: arg.index() as u32,
        op,
        value,
    })
}

/// Rules gathered per row of the table.
struct Rules {
    default: u32,
    rows: Vec<Gathered>,
}

#[derive(Clone, Default)]
enum Gathered {
    #[default]
    Nothing,
    Unconditional(u32),
    Tests(Vec<Test>),
}

impl Rules {
    fn new(default: u32) -> Self {
        Self {
            default,
            rows: vec![Gathered::default(); TABLE.len()],
        }
    }

    /// Adds a rule as runc and libseccomp would: one with the default's result
    /// says nothing; the first without conditions wins over all with; two
    /// conditions on one argument are alternatives, others must all hold.
    fn add(&mut self, row: usize, ret: u32, conditions: &[Condition]) {
        let gathered = &mut self.rows[row];
        if ret == self.default || matches!(gathered, Gathered::Unconditional(_)) {
            return;
        }
        if conditions.is_empty() {
            *gathered = Gathered::Unconditional(ret);
            return;
        }
        if !matches!(gathered, Gathered::Tests(_)) {
            *gathered = Gathered::Tests(Vec::new());
        }
        let Gathered::Tests(tests) = gathered else {
            return;
        };
        let repeated = (0..6).any(|n| conditions.iter().filter(|c| c.index == n).count() > 1);
        match repeated {
            true => tests.extend(conditions.iter().map(|c| Test {
                conditions: vec![*c],
                ret,
            })),
            false => tests.push(Test {
                conditions: conditions.to_vec(),
                ret,
            }),
        }
    }

    fn finish(self) -> (Vec<Outcome>, Vec<Vec<Test>>) {
        let mut all = Vec::new();
        let outcomes = self.rows.into_iter().map(|row| match row {
            Gathered::Nothing => Outcome::Return(self.default),
            Gathered::Unconditional(ret) => Outcome::Return(ret),
            Gathered::Tests(tests) => {
                all.push(tests);
                // At most one for each row of the table.
                Outcome::Tests((all.len() - 1) as u16)
            }
        });
        (outcomes.collect(), all)
    }
}
