//! Images out: made from containers, moved as files, compared.

mod copied;
mod imagetools;
mod killed;
mod listed;
mod made;
mod moved;
mod pushed;
mod referred;
mod signed;
mod whole;

use super::support::env::{Env, run};

/// Another tool's standard output; it has to succeed.
#[track_caller]
pub fn tool(env: &Env, program: &str, args: &[&str]) -> String {
    let mut command = env.command(program);
    command.args(args);
    run(command, b"", 120).ok().text()
}

/// What a registry has under a name, as it is.
#[track_caller]
fn raw(env: &Env, name: &str) -> String {
    let at = format!("docker://{name}");
    tool(
        env,
        "skopeo",
        &["inspect", "--tls-verify=false", "--raw", &at],
    )
}
