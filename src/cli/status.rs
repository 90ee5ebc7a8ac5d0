//! The one table from the kind of an error to the exit status.

use crate::error::Kind;

/// Exit status of `command` (as typed, without the program) that ended in an
/// error of `kind`. Sources: docker-run(1) "Exit Status", and Docker's own
/// answers for the rest.
pub fn of(kind: Kind, command: &str) -> u8 {
    let verb = command.rsplit(' ').next().unwrap_or_default();
    let runs = matches!(verb, "run" | "exec");
    match kind {
        Kind::Exit(status) => status,
        // 128 + SIGPIPE, as a program that SIGPIPE ends.
        Kind::BrokenPipe => 141,
        Kind::Usage => 125,
        Kind::Streams => 1,
        Kind::NotExecutable if runs => 126,
        Kind::NoSuchCommand if runs => 127,
        Kind::Template if matches!(verb, "inspect" | "info" | "version" | "events") => 64,
        _ if verb == "run" => 125,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::error::Kind;

    #[test]
    fn statuses_are_dockers() {
        for (kind, command, want) in [
            (Kind::Usage, "ps", 125),
            (Kind::NotFound, "ps", 1),
            (Kind::NotFound, "run", 125),
            (Kind::Internal, "container run", 125),
            (Kind::NoSuchCommand, "run", 127),
            (Kind::NoSuchCommand, "container exec", 127),
            (Kind::NotExecutable, "exec", 126),
            (Kind::NoSuchCommand, "start", 1),
            (Kind::Conflict, "exec", 1),
            (Kind::Template, "ps", 1),
            (Kind::Template, "inspect", 64),
            (Kind::Template, "container inspect", 64),
            (Kind::Streams, "run", 1),
            (Kind::Exit(3), "run", 3),
            (Kind::BrokenPipe, "logs", 141),
        ] {
            assert_eq!(of(kind, command), want, "{kind:?} {command}");
        }
    }
}
