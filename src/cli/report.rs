//! How a failure is shown: on standard error, control characters spelled out,
//! in the shape Docker gives each sort.

use super::front::Front;
use super::{status, stdout};
use crate::error::{Error, Kind, Result};
use crate::text::escape::visible;
use std::io::Write;

/// Prints `error` as `front`'s command shows errors; gives the exit status.
pub fn show(error: &Error, front: &Front) -> u8 {
    let status = status::of(error.kind(), &front.command);
    if matches!(error.kind(), Kind::Exit(_) | Kind::BrokenPipe) {
        return status;
    }
    stderr(&text(error, front));
    status
}

/// The lines that [`show`] prints.
fn text(error: &Error, front: &Front) -> String {
    let verb = front.command.rsplit(' ').next().unwrap_or_default();
    // Docker answers `run`, and bad option values of `create`, with its name
    // in front and a pointer to the help behind.
    let with_pointer = match error.kind() {
        Kind::Usage => true,
        Kind::Streams => false,
        _ => verb == "run",
    };
    let mut out = if with_pointer {
        format!("{}: {}\n", front.program, visible(error.message()))
    } else {
        format!("Error: {}\n", visible(error.message()))
    };
    if let Some(hint) = error.hint_text() {
        out.push_str(&format!("hint: {}\n", visible(hint)));
    }
    if front.debug {
        out.push_str(&causes(error));
    }
    if with_pointer {
        out.push_str(&format!(
            "\nRun '{} --help' for more information\n",
            front.full()
        ));
    }
    out
}

fn causes(error: &Error) -> String {
    let mut out = format!("debug: {:?}\n", error.kind());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        out.push_str(&format!(
            "debug: caused by: {}\n",
            visible(&cause.to_string())
        ));
        source = cause.source();
    }
    out
}

/// Does `act` for each of `names`, one after the other: a success prints the
/// name as it was typed, a failure is shown and the next one follows. Status 1
/// when any failed.
pub fn each(
    front: &Front,
    names: &[String],
    mut act: impl FnMut(&str) -> Result<()>,
) -> Result<u8> {
    let mut worst = 0;
    for name in names {
        match act(name) {
            Ok(()) => stdout::line(name)?,
            Err(e) if e.kind() == Kind::BrokenPipe => return Err(e),
            Err(e) => {
                show(&e, front);
                worst = 1;
            }
        }
    }
    Ok(worst)
}

/// Writes to standard error. That it cannot be written is nothing that could
/// be told anywhere.
pub fn stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(command: &str) -> Front {
        Front {
            program: "wherry".into(),
            command: command.into(),
            ..Front::default()
        }
    }

    #[test]
    fn shapes() {
        let missing = Error::not_found("No such container: x").hint("see `wherry ps -a`");
        assert_eq!(
            text(&missing, &front("stop")),
            "Error: No such container: x\nhint: see `wherry ps -a`\n"
        );
        assert_eq!(
            text(&Error::invalid("invalid mode: q"), &front("container run")),
            "wherry: invalid mode: q\n\nRun 'wherry container run --help' for more information\n"
        );
        assert_eq!(
            text(
                &Error::usage("invalid containerPort: abc"),
                &front("create")
            ),
            "wherry: invalid containerPort: abc\n\nRun 'wherry create --help' for more information\n"
        );
    }

    #[test]
    fn debug_shows_the_causes_and_controls_are_spelled_out() {
        let io = std::io::Error::other("\x1b]0;evil\x07");
        let front = Front {
            debug: true,
            ..front("ps")
        };
        assert_eq!(
            text(&Error::internal("bad \x1b[2J").caused_by(io), &front),
            "Error: bad \\x1b[2J\ndebug: Internal\ndebug: caused by: \\x1b]0;evil\\x07\n"
        );
    }
}
