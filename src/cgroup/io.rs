//! Weights and rates of block devices. Written here and not by libcgroups,
//! whose conversion of a weight overflows.

use crate::error::{Context, Result};
use std::fmt::Display;
use std::path::Path;

/// Major and minor number.
pub type Number = (u32, u32);

/// What the user asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Io {
    /// Docker's 10 to 1000; 0 is unset.
    pub weight: u16,
    pub weights: Vec<(Number, u16)>,
    /// Device, key of `io.max` and rate.
    pub rates: Vec<(Number, &'static str, u64)>,
}

impl Io {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub fn apply(&self, dir: &Path) -> Result<()> {
        if self.weight != 0 {
            weigh(dir, "default", self.weight)?;
        }
        for ((major, minor), weight) in &self.weights {
            weigh(dir, format!("{major}:{minor}"), *weight)?;
        }
        for ((major, minor), key, rate) in &self.rates {
            // 0 is no limit, as in Docker.
            let rate = if *rate == 0 {
                "max".into()
            } else {
                rate.to_string()
            };
            write(dir, "io.max", &format!("{major}:{minor} {key}={rate}"))?;
        }
        Ok(())
    }
}

/// The scheduler BFQ has a file of its own, with Docker's range.
fn weigh(dir: &Path, whom: impl Display, weight: u16) -> Result<()> {
    if dir.join("io.bfq.weight").exists() {
        write(dir, "io.bfq.weight", &format!("{whom} {weight}"))
    } else {
        write(
            dir,
            "io.weight",
            &format!("{whom} {}", kernel_weight(weight)),
        )
    }
}

/// 10 to 1000 becomes 1 to 10,000, as runc has it.
fn kernel_weight(weight: u16) -> u32 {
    match weight {
        0 => 100,
        weight => 1 + (u32::from(weight).saturating_sub(10)) * 9999 / 990,
    }
}

fn write(dir: &Path, file: &str, text: &str) -> Result<()> {
    std::fs::write(dir.join(file), text)
        .context(|| format!("cannot set the container's limits: \"{text}\" into {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_the_kernel() {
        for (docker, kernel) in [(10, 1), (500, 4950), (1000, 10_000), (0, 100)] {
            assert_eq!(kernel_weight(docker), kernel);
        }
    }
}
