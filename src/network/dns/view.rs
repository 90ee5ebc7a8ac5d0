//! What a container can resolve: the names that its networks know, read off
//! their registers when they are asked for.

use super::packet::{self, Code, Question};
use crate::network::register::Register;
use crate::text::id;
use std::net::IpAddr;

/// A container's view.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Its networks that resolve names, with their own.
    pub networks: Vec<(Register, String)>,
    /// Name, and ID of the container that it stands for here (`--link`).
    pub links: Vec<(String, String)>,
    /// Other names are asked of others.
    pub forwards: bool,
}

impl View {
    /// The answer, or `None` when others are to be asked.
    pub fn answer(&self, message: &[u8], question: &Question, room: usize) -> Option<Vec<u8>> {
        if let Some(ip) = question.reverse()
            && let Some(name) = self.name(ip)
        {
            return Some(packet::pointer(message, question, &name));
        }
        if let Some(mut list) = self.addresses(&question.name) {
            list.retain(|ip| question.wants(ip));
            shuffle(&mut list, message);
            return Some(packet::addresses(message, question, &list, room));
        }
        match self.forwards {
            true => None,
            false => Some(packet::refusal(message, Some(question), Code::Refused)),
        }
    }

    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let linked = self
            .links
            .iter()
            .filter(|(link, _)| link.eq_ignore_ascii_case(name));
        let mut found: Option<Vec<IpAddr>> = None;
        for (_, owner) in linked {
            for (register, _) in &self.networks {
                let list = register.addresses_of(id::short(owner), owner);
                found.get_or_insert_default().extend(list);
            }
        }
        if found.as_ref().is_some_and(|list| !list.is_empty()) {
            return found;
        }
        for (register, network) in &self.networks {
            let inner = name
                .len()
                .checked_sub(network.len() + 1)
                .filter(|&at| name.is_char_boundary(at))
                .map(|at| name.split_at(at))
                .filter(|(_, end)| end[1..].eq_ignore_ascii_case(network) && end.starts_with('.'))
                .map(|(inner, _)| inner);
            let list = register
                .addresses(name)
                .or_else(|| register.addresses(inner?));
            if let Some(list) = list {
                found.get_or_insert_default().extend(list);
            }
        }
        if let Some(list) = &mut found {
            list.sort_unstable();
            list.dedup();
        }
        found
    }

    fn name(&self, ip: IpAddr) -> Option<String> {
        self.networks.iter().find_map(|(register, network)| {
            let name = register.name(ip)?;
            Some(format!("{name}.{network}"))
        })
    }
}

/// Several containers with one name take turns. The number of the question is
/// as good as any.
fn shuffle(list: &mut [IpAddr], message: &[u8]) {
    if !list.is_empty() {
        let by = usize::from(packet::id(message).unwrap_or_default()) % list.len();
        list.rotate_left(by);
    }
}
