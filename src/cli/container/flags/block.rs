//! Block devices: weights and rates, `PATH:NUMBER`.

use crate::error::{Error, Result};
use crate::record::container::{HostConfig, ThrottleDevice, WeightDevice};
use crate::text::size;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Resources")]
pub struct BlockFlags {
    /// Block IO (relative weight), between 10 and 1000, or 0 to disable
    #[arg(long, value_name = "uint16", default_value_t = 0)]
    blkio_weight: u16,
    /// Block IO weight (relative device weight)
    #[arg(long, value_name = "list", value_parser = weight)]
    blkio_weight_device: Vec<WeightDevice>,
    /// Limit read rate (bytes per second) from a device
    #[arg(long, value_name = "list", value_parser = bytes)]
    device_read_bps: Vec<ThrottleDevice>,
    /// Limit read rate (IO per second) from a device
    #[arg(long, value_name = "list", value_parser = operations)]
    device_read_iops: Vec<ThrottleDevice>,
    /// Limit write rate (bytes per second) to a device
    #[arg(long, value_name = "list", value_parser = bytes)]
    device_write_bps: Vec<ThrottleDevice>,
    /// Limit write rate (IO per second) to a device
    #[arg(long, value_name = "list", value_parser = operations)]
    device_write_iops: Vec<ThrottleDevice>,
}

impl BlockFlags {
    pub fn apply(self, host: &mut HostConfig) {
        host.blkio_weight = self.blkio_weight;
        host.blkio_weight_device = self.blkio_weight_device;
        host.blkio_device_read_bps = self.device_read_bps;
        host.blkio_device_read_iops = self.device_read_iops;
        host.blkio_device_write_bps = self.device_write_bps;
        host.blkio_device_write_iops = self.device_write_iops;
    }
}

/// The path, which has to look like a device's, and what follows it.
fn split(text: &str) -> Result<(&str, &str)> {
    match text.split_once(':') {
        Some((path, value)) if !path.is_empty() && path.starts_with("/dev/") => Ok((path, value)),
        Some((path, _)) if !path.is_empty() => {
            Err(Error::usage(format!("bad format for device path: {text}")))
        }
        _ => Err(Error::usage(format!("bad format: {text}"))),
    }
}

fn weight(text: &str) -> Result<WeightDevice> {
    let (path, value) = split(text)?;
    match value.parse() {
        Ok(weight) if weight == 0 || (10..=1000).contains(&weight) => Ok(WeightDevice {
            path: path.into(),
            weight,
        }),
        _ => Err(Error::usage(format!("invalid weight for device: {text}"))),
    }
}

fn bytes(text: &str) -> Result<ThrottleDevice> {
    let (path, value) = split(text)?;
    match size::parse(value).map(u64::try_from) {
        Ok(Ok(rate)) => Ok(ThrottleDevice {
            path: path.into(),
            rate,
        }),
        _ => Err(Error::usage(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. \
             Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ))),
    }
}

fn operations(text: &str) -> Result<ThrottleDevice> {
    let (path, value) = split(text)?;
    match value.parse() {
        Ok(rate) => Ok(ThrottleDevice {
            path: path.into(),
            rate,
        }),
        Err(_) => Err(Error::usage(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_numbers() {
        assert_eq!(bytes("/dev/sda:1mb").unwrap().rate, 1 << 20);
        assert_eq!(operations("/dev/sda:7").unwrap().rate, 7);
        assert_eq!(weight("/dev/sda:10").unwrap().weight, 10);
        for (text, want) in [
            ("", "bad format: "),
            ("/dev/sda", "bad format: /dev/sda"),
            (":5", "bad format: :5"),
            ("sda:5", "bad format for device path: sda:5"),
        ] {
            assert_eq!(bytes(text).unwrap_err().message(), want);
        }
        for text in ["/dev/sda:x", "/dev/sda:-1", "/dev/sda:"] {
            assert!(bytes(text).is_err() && operations(text).is_err(), "{text}");
        }
        for text in ["/dev/sda:9", "/dev/sda:1001", "/dev/sda:x"] {
            let want = format!("invalid weight for device: {text}");
            assert_eq!(weight(text).unwrap_err().message(), want);
        }
    }
}
