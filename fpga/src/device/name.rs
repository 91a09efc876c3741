//! How an operator names a device: `xdma:0`, `serial:/dev/ttyUSB0`, `tcp:host:port`, `unix:path`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{Connect, Device};
use crate::DeviceError;
use crate::link::{Link, Pipe};
use crate::xdma::Xdma;

/// A device by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceName {
    /// The n-th card of the XDMA driver: `/dev/xdma0_h2c_0` and its siblings.
    Xdma(u16),
    /// A serial line, 3 Mbit/s, raw.
    Serial(PathBuf),
    /// A socket: host and port.
    Tcp(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Why a text names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is none of xdma:NUMBER, serial:PATH, tcp:HOST:PORT, unix:PATH")]
pub struct NameError {
    /// The text.
    pub name: String,
}

impl FromStr for DeviceName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let parse = || {
            let (kind, place) = name.split_once(':').filter(|(_, place)| !place.is_empty())?;
            Some(match kind {
                "xdma" => Self::Xdma(place.parse().ok()?),
                "serial" => Self::Serial(place.into()),
                "tcp" => {
                    let (host, port) = place.rsplit_once(':')?;
                    port.parse::<u16>().ok().filter(|_| !host.is_empty())?;
                    Self::Tcp(place.to_owned())
                }
                "unix" => Self::Unix(place.into()),
                _ => return None,
            })
        };
        parse().ok_or_else(|| NameError { name: name.to_owned() })
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xdma(card) => write!(formatter, "xdma:{card}"),
            Self::Serial(path) => write!(formatter, "serial:{}", path.display()),
            Self::Tcp(place) => write!(formatter, "tcp:{place}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl Connect for DeviceName {
    type Device = Box<dyn Device>;

    fn connect(&mut self, timeout: Duration) -> Result<Box<dyn Device>, DeviceError> {
        Ok(match self {
            Self::Xdma(card) => Box::new(Xdma::open(*card, timeout)?),
            Self::Serial(path) => Box::new(Link::new(Pipe::serial(path)?)),
            Self::Tcp(place) => Box::new(Link::new(Pipe::tcp(place, timeout)?)),
            Self::Unix(path) => Box::new(Link::new(Pipe::unix(path, timeout)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for name in
            ["xdma:0", "serial:/dev/ttyUSB0", "tcp:card.example:9000", "tcp:[::1]:9000", "unix:/run/card"]
        {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        for name in
            ["", "xdma", "xdma:", "xdma:-1", "xdma:a", "tcp:9000", "tcp::9000", "tcp:h:99999", "usb:1"]
        {
            assert_eq!(name.parse::<DeviceName>(), Err(NameError { name: name.to_owned() }));
        }
    }
}
