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
fn tool(env: &Env, program: &str, args: &[&str]) -> String {
    let mut command = env.command(program);
    command.args(args);
    run(command, b"", 120).ok().text()
}
