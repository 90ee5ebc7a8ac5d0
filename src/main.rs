//! Chooses the front door and turns the result into an exit status.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(wherry::cli::run(std::env::args_os()))
}
