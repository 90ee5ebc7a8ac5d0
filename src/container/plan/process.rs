//! The program: arguments, environment, where it is looked for, what it may do.

use super::security::{self, Security};
use super::{c_string, limits};
use crate::error::{Context, Error, Kind, Result};
use crate::host::Need;
use crate::record::container::Container;
use crate::runtime::plan::{Arguments, Process, Strings};
use crate::sys::{reaper, stub};
use std::ffi::CString;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `exec`: what runs beside the container's own program.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    pub args: Vec<String>,
    /// `NAME=value`, added to the container's.
    pub env: Vec<String>,
    /// Empty: the container's user.
    pub user: String,
    /// Empty: the container's directory.
    pub working_dir: String,
    pub terminal: bool,
    pub open_stdin: bool,
    /// All capabilities of the container's own user namespace.
    pub privileged: bool,
    /// Rows and columns of the caller's terminal.
    pub size: (u16, u16),
}

/// The container's first program.
pub fn init_process(container: &Container, security: &Security) -> Result<Process> {
    let config = &container.config;
    let mut args = vec![container.path.clone()];
    args.extend(container.args.iter().cloned());
    let size = (
        container.host_config.console_size[0],
        container.host_config.console_size[1],
    );
    let env = environment(container, config.tty, &[]);
    let mut process = build(&args, &env, &config.working_dir, security)?;
    process.makes_directory = true;
    process.terminal = config.tty.then_some(size);
    if container.host_config.init == Some(true) {
        let made = reaper::make().context(|| "cannot make the program of --init");
        process.reaper = Some(made?);
    }
    process.limits = limits::ulimits(&container.host_config.ulimits)?;
    Ok(process)
}

/// A further program.
pub fn exec_process(container: &Container, request: &ExecRequest) -> Result<Process> {
    let mut security = Security::of(&container.host_config)?;
    if request.privileged {
        security.bounding = security::available()?;
    }
    let env = environment(container, request.terminal, &request.env);
    let directory = match request.working_dir.as_str() {
        "" => &container.config.working_dir,
        given => given,
    };
    let mut process = build(&request.args, &env, directory, &security)?;
    process.terminal = request.terminal.then_some(request.size);
    process.limits = limits::ulimits(&container.host_config.ulimits)?;
    Ok(process)
}

fn build(args: &[String], env: &[String], directory: &str, security: &Security) -> Result<Process> {
    let program = args.first().ok_or_else(|| {
        Error::invalid("no command specified").hint("name a command after the image")
    })?;
    let directory = if directory.is_empty() { "/" } else { directory };
    if !directory.starts_with('/') {
        return Err(Error::new(
            Kind::NotExecutable,
            format!(
                "the working directory '{directory}' is invalid, it needs to be an absolute path"
            ),
        ));
    }
    let strings = |list: &[String]| list.iter().map(|s| c_string(s)).collect::<Result<Vec<_>>>();
    let has_home = env.iter().any(|v| v.starts_with("HOME="));
    Ok(Process {
        program: c_string(program)?,
        arguments: Arguments::new(strings(args)?),
        candidates: candidates(program, env)?,
        environment: Strings::new(strings(env)?, 1),
        home_is_set: has_home,
        directory: c_string(directory)?,
        makes_directory: false,
        bounding: security.bounding,
        permitted: security.bounding,
        no_new_privileges: security.no_new_privileges,
        seccomp: security.filter()?,
        limits: Vec::new(),
        terminal: None,
        reaper: None,
        needs_keyring: security.may_use_keys(),
        stub: stub::make()
            .context(|| "cannot make the start program")
            .map_err(|e| e.hint(Need::ProgramsInMemory.hint()))?,
    })
}

/// Docker's order: PATH, HOSTNAME, TERM, then what was asked for.
fn environment(container: &Container, terminal: bool, more: &[String]) -> Vec<String> {
    let mut env = vec![
        format!("PATH={DEFAULT_PATH}"),
        format!("HOSTNAME={}", container.config.hostname),
    ];
    if terminal {
        env.push("TERM=xterm".into());
    }
    for variable in container.config.env.iter().chain(more) {
        set(&mut env, variable);
    }
    env
}

/// Replaces a variable of the same name or adds it; `NAME` alone removes it.
fn set(env: &mut Vec<String>, variable: &str) {
    let Some((name, _)) = variable.split_once('=') else {
        env.retain(|v| v.split_once('=').is_none_or(|(n, _)| n != variable));
        return;
    };
    let same = env
        .iter_mut()
        .find(|v| v.split_once('=').is_some_and(|(n, _)| n == name));
    match same {
        Some(old) => *old = variable.to_string(),
        None => env.push(variable.to_string()),
    }
}

/// Where the program may be, in the order of PATH.
fn candidates(program: &str, env: &[String]) -> Result<Vec<CString>> {
    if program.contains('/') {
        return Ok(vec![c_string(program)?]);
    }
    if program.is_empty() {
        return Ok(Vec::new());
    }
    let path = env
        .iter()
        .find_map(|v| v.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    path.split(':')
        .map(|dir| match dir {
            "" => c_string(&format!("./{program}")),
            dir => c_string(&format!("{dir}/{program}")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_replace_and_remove() {
        let mut env = vec!["A=1".to_string(), "B=2".to_string()];
        set(&mut env, "A=3");
        set(&mut env, "C=4");
        set(&mut env, "B");
        assert_eq!(env, ["A=3", "C=4"]);
    }

    #[test]
    fn where_a_program_is_looked_for() {
        let env = ["PATH=/a::/b".to_string()];
        let found: Vec<_> = candidates("x", &env).unwrap();
        assert_eq!(
            found,
            [c"/a/x".into(), c"./x".into(), CString::from(c"/b/x")]
        );
        assert_eq!(candidates("./x", &env).unwrap(), [CString::from(c"./x")]);
        assert!(candidates("", &env).unwrap().is_empty());
    }
}
