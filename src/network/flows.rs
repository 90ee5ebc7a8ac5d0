//! What goes on without connections (UDP, ICMP echo), as long as something is
//! heard of it: found by its key when a packet comes, and by its number when
//! epoll(7) reports its socket.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What ends by silence.
pub trait Lapse {
    /// When something was heard of it last.
    fn last(&self) -> Instant;
    /// How long it may be silent.
    fn patience(&self) -> Duration;
}

/// At most so many flows at once; the one that was silent longest makes room.
pub struct Flows<K, F> {
    flows: HashMap<usize, (K, F)>,
    by_key: HashMap<K, usize>,
    /// Numbers are never used again: a late event finds nothing.
    next: usize,
    most: usize,
}

impl<K: Copy + Eq + Hash, F: Lapse> Flows<K, F> {
    /// Takes no memory before the first flow.
    pub fn at_most(most: usize) -> Self {
        Self {
            flows: HashMap::new(),
            by_key: HashMap::new(),
            next: 0,
            most,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    pub fn get_mut(&mut self, number: usize) -> Option<&mut F> {
        self.flows.get_mut(&number).map(|(_, flow)| flow)
    }

    pub fn find_mut(&mut self, key: K) -> Option<&mut F> {
        let number = *self.by_key.get(&key)?;
        self.get_mut(number)
    }

    /// Begins a flow, of which `make` is told the number.
    pub fn begin<E>(
        &mut self,
        key: K,
        make: impl FnOnce(usize) -> Result<F, E>,
    ) -> Result<&mut F, E> {
        if self.flows.len() >= self.most {
            let oldest = self.flows.iter().min_by_key(|(_, (_, flow))| flow.last());
            let oldest = oldest.map(|(number, _)| *number);
            oldest.into_iter().for_each(|number| self.end(number));
        }
        let number = self.next;
        let flow = make(number)?;
        self.next += 1;
        self.by_key.insert(key, number);
        Ok(&mut self.flows.entry(number).or_insert((key, flow)).1)
    }

    /// Ends what has been silent too long, and gives the memory back with the
    /// last one.
    pub fn sweep(&mut self) {
        let is_over = |flow: &F| flow.last().elapsed() >= flow.patience();
        let over = self.flows.iter().filter(|(_, (_, flow))| is_over(flow));
        let over: Vec<usize> = over.map(|(number, _)| *number).collect();
        over.into_iter().for_each(|number| self.end(number));
        if self.is_empty() {
            self.flows = HashMap::new();
            self.by_key = HashMap::new();
        }
    }

    fn end(&mut self, number: usize) {
        if let Some((key, _)) = self.flows.remove(&number) {
            self.by_key.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heard(Instant, Duration);

    impl Lapse for Heard {
        fn last(&self) -> Instant {
            self.0
        }
        fn patience(&self) -> Duration {
            self.1
        }
    }

    fn begin(flows: &mut Flows<u16, Heard>, key: u16, may_be_silent: u64) -> usize {
        let mut told = None;
        let made = flows.begin(key, |number| {
            told = Some(number);
            Ok::<_, ()>(Heard(Instant::now(), Duration::from_secs(may_be_silent)))
        });
        assert!(made.is_ok());
        told.unwrap()
    }

    #[test]
    fn the_most_silent_makes_room() {
        let mut flows = Flows::at_most(2);
        let first = begin(&mut flows, 1, 60);
        let second = begin(&mut flows, 2, 60);
        flows.get_mut(first).unwrap().0 = Instant::now();
        let third = begin(&mut flows, 3, 60);
        assert!(flows.find_mut(1).is_some() && flows.find_mut(3).is_some());
        assert!(flows.find_mut(2).is_none() && flows.get_mut(second).is_none());
        assert_ne!(third, second);
    }

    #[test]
    fn silence_ends_them_and_numbers_do_not_come_again() {
        let mut flows = Flows::at_most(2);
        let stays = begin(&mut flows, 1, 60);
        let over = begin(&mut flows, 2, 0);
        flows.sweep();
        assert!(flows.get_mut(stays).is_some() && flows.find_mut(2).is_none());
        flows.get_mut(stays).unwrap().1 = Duration::ZERO;
        flows.sweep();
        assert!(flows.is_empty());
        assert!(begin(&mut flows, 2, 60) > over);
    }

    #[test]
    fn one_that_cannot_be_made_leaves_nothing() {
        let mut flows: Flows<u16, Heard> = Flows::at_most(2);
        assert!(flows.begin(1, |_| Err("no socket")).is_err());
        assert!(flows.is_empty() && flows.find_mut(1).is_none());
    }
}
