//! A member's own network: a namespace with a loopback device and one TUN device that leads to the emulator.

use std::fs::File;
use std::net::Ipv4Addr;

use anyhow::Context;

use super::system;

/// Name of the device in each namespace.
const DEVICE: &str = "dac0";
/// As on most of the internet.
const MTU: u16 = 1500;

/// One member's network. It ends with the last process and descriptor in it.
#[derive(Debug)]
pub(super) struct Namespace {
    namespace: File,
}

impl Namespace {
    /// Makes one whose device has this address; the other end of the device comes with it.
    ///
    /// # Errors
    /// Without the right to make networks.
    pub(super) fn new(address: Ipv4Addr) -> anyhow::Result<(Namespace, File)> {
        let make = || -> anyhow::Result<(Namespace, File)> {
            system::enter_new_network().context("cannot make a network namespace")?;
            system::switch_on_loopback().context("loopback device")?;
            let device = system::open_device(DEVICE).context("/dev/net/tun")?;
            system::configure(DEVICE, address, MTU).context("TUN device")?;
            let namespace = File::open("/proc/thread-self/ns/net")?;
            tune().context("settings of the namespace's TCP")?;
            Ok((Namespace { namespace }, device))
        };
        // A thread of its own: the caller stays where it is.
        std::thread::scope(|scope| scope.spawn(make).join()).expect("making a namespace does not panic")
    }

    /// Does something inside.
    pub(super) fn inside<T: Send>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let work = || {
            self.enter()?;
            work()
        };
        std::thread::scope(|scope| scope.spawn(work).join()).expect("work inside a namespace does not panic")
    }

    /// Moves the calling thread there, for good.
    pub(super) fn enter(&self) -> anyhow::Result<()> {
        system::enter_network(&self.namespace).context("cannot enter a network namespace")
    }

    /// A second handle.
    pub(super) fn try_clone(&self) -> anyhow::Result<Namespace> {
        Ok(Namespace { namespace: self.namespace.try_clone()? })
    }
}

/// What operators on several continents are told to set: BBR where the kernel has it, buffers for the product of rate and
/// round trip, and no slow start after a pause.
fn tune() -> std::io::Result<()> {
    let set = |name: &str, value: &str| std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value);
    set("tcp_slow_start_after_idle", "0")?;
    set("tcp_rmem", "4096 4194304 16777216")?;
    set("tcp_wmem", "4096 4194304 16777216")?;
    // A kernel without it keeps what it has.
    let _kept = set("tcp_congestion_control", "bbr");
    Ok(())
}
