//! What an event of an epoll descriptor is about.

use nix::sys::epoll::{EpollEvent, EpollFlags};

/// Fits into the 64 bits that epoll keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Timer,
    /// A listener, by its number.
    Listener(usize),
    /// The two ends of a connection.
    Client(usize),
    Backend(usize),
    /// A client's datagrams, by the number of their flow.
    Flow(usize),
    /// Held packets.
    Queue,
    /// The socket for datagrams without a flow.
    Datagrams(usize),
    /// A connection in the making.
    Opening(usize),
    /// The sockets of a flow on the container's and on the far side.
    Near(usize),
    Far(usize),
    Echo(usize),
}

/// Bits that tell which it is.
const TAG: u32 = 4;

impl Token {
    pub fn event(self, flags: EpollFlags) -> EpollEvent {
        let (tag, index) = match self {
            Self::Timer => (0, 0),
            Self::Listener(index) => (1, index),
            Self::Client(index) => (2, index),
            Self::Backend(index) => (3, index),
            Self::Flow(index) => (4, index),
            Self::Queue => (5, 0),
            Self::Datagrams(index) => (6, index),
            Self::Opening(index) => (7, index),
            Self::Near(index) => (8, index),
            Self::Far(index) => (9, index),
            Self::Echo(index) => (10, index),
        };
        EpollEvent::new(flags, (index as u64) << TAG | tag)
    }
}

impl From<u64> for Token {
    fn from(data: u64) -> Self {
        let index = (data >> TAG) as usize;
        match data & ((1 << TAG) - 1) {
            1 => Self::Listener(index),
            2 => Self::Client(index),
            3 => Self::Backend(index),
            4 => Self::Flow(index),
            5 => Self::Queue,
            6 => Self::Datagrams(index),
            7 => Self::Opening(index),
            8 => Self::Near(index),
            9 => Self::Far(index),
            10 => Self::Echo(index),
            _ => Self::Timer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back() {
        for token in [
            Token::Timer,
            Token::Listener(1),
            Token::Client(2),
            Token::Backend(usize::MAX >> TAG),
            Token::Flow(4),
            Token::Queue,
            Token::Datagrams(0),
            Token::Opening(5),
            Token::Near(6),
            Token::Far(7),
            Token::Echo(8),
        ] {
            let event = token.event(EpollFlags::EPOLLIN);
            assert_eq!(Token::from(event.data()), token);
        }
    }
}
