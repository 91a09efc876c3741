//! The system calls of the harness that the standard library does not have, each behind a safe function.

use std::ffi::CString;
use std::fs::File;
use std::io::{Error, Result};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Packets a TUN device holds for its reader; the default of 500 is less than one burst.
const DEVICE_QUEUE_PACKETS: libc::c_int = 20_000;

fn checked(result: libc::c_int) -> Result<()> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Gives the calling thread a network of its own, with nothing in it.
pub(super) fn enter_new_network() -> Result<()> {
    // SAFETY: takes a number; concerns the calling thread only.
    checked(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

/// Moves the calling thread into a network.
pub(super) fn enter_network(namespace: &File) -> Result<()> {
    // SAFETY: the descriptor is open as long as `namespace` is borrowed; concerns the calling thread only.
    checked(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// Opens a TUN device of the calling thread's network: reads and writes are whole IP packets behind a `virtio_net_hdr`, and
/// do not wait.
pub(super) fn open_device(name: &str) -> Result<File> {
    let mut options = File::options();
    let device = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    let mut request = request_for(name);
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).expect("bits of a short number");
    control(&device, libc::TUNSETIFF, &mut request)?;
    Ok(device)
}

/// Lets the kernel hand over TCP segments in one piece and without checksums, as it does to a network card that cuts and
/// sums them itself; or not any more.
pub(super) fn offload(device: &File, on: bool) -> Result<()> {
    let features = if on { libc::TUN_F_CSUM | libc::TUN_F_TSO4 } else { 0 };
    // SAFETY: takes a number; the descriptor is open as long as `device` is borrowed.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(features)) })
}

/// Gives a device of the calling thread's network an address in a /24 and switches it on.
pub(super) fn configure(name: &str, address: Ipv4Addr, mtu: u16) -> Result<()> {
    // SAFETY: takes numbers; the result is checked before it is owned.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    checked(raw)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let socket = File::from(unsafe { OwnedFd::from_raw_fd(raw) });
    let mut request = request_for(name);
    request.ifr_ifru.ifru_addr = socket_address(address);
    control(&socket, libc::SIOCSIFADDR, &mut request)?;
    request.ifr_ifru.ifru_addr = socket_address(Ipv4Addr::new(255, 255, 255, 0));
    control(&socket, libc::SIOCSIFNETMASK, &mut request)?;
    request.ifr_ifru.ifru_mtu = libc::c_int::from(mtu);
    control(&socket, libc::SIOCSIFMTU, &mut request)?;
    request.ifr_ifru.ifru_metric = DEVICE_QUEUE_PACKETS;
    control(&socket, libc::SIOCSIFTXQLEN, &mut request)?;
    switch_on(&socket, name)
}

/// Switches the calling thread's loopback device on.
pub(super) fn switch_on_loopback() -> Result<()> {
    // SAFETY: as in `configure`.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    checked(raw)?;
    // SAFETY: as in `configure`.
    switch_on(&File::from(unsafe { OwnedFd::from_raw_fd(raw) }), "lo")
}

fn switch_on(socket: &File, name: &str) -> Result<()> {
    let mut request = request_for(name);
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).expect("two low bits");
    control(socket, libc::SIOCSIFFLAGS, &mut request)
}

fn control(file: &File, code: libc::Ioctl, request: &mut libc::ifreq) -> Result<()> {
    // SAFETY: all codes of this file take a pointer to an `ifreq`, which lives until the call returns.
    checked(unsafe { libc::ioctl(file.as_raw_fd(), code, std::ptr::from_mut(request)) })
}

fn request_for(name: &str) -> libc::ifreq {
    // SAFETY: an `ifreq` is numbers and arrays of them; all zero is one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    assert!(name.len() < request.ifr_name.len(), "a device's name is shorter than 16 bytes");
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0; 14];
    for (to, from) in data[2..6].iter_mut().zip(address.octets()) {
        *to = from.cast_signed();
    }
    let family = libc::sa_family_t::try_from(libc::AF_INET).expect("a small number");
    libc::sockaddr { sa_family: family, sa_data: data }
}

/// Waits until a device has a packet, at most so long; false when none came.
pub(super) fn wait_readable(device: &File, milliseconds: libc::c_int) -> Result<bool> {
    let mut wanted = libc::pollfd { fd: device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one element, borrowed until the call returns.
    let ready = unsafe { libc::poll(&mut wanted, 1, milliseconds) };
    checked(ready)?;
    Ok(ready > 0)
}

/// A disk of a few MiB in memory, mounted until it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts a tmpfs of so many bytes on a directory, made if it is not there.
    ///
    /// # Errors
    /// Without the right to mount: this needs root, or a container with `CAP_SYS_ADMIN`.
    pub fn mount(path: &Path, bytes: u64) -> anyhow::Result<SmallDisk> {
        std::fs::create_dir_all(path)?;
        let target = CString::new(path.to_str().ok_or_else(|| anyhow::anyhow!("a path in UTF-8"))?)?;
        let options = CString::new(format!("size={bytes}"))?;
        // SAFETY: four strings that end in zero and live until the call returns.
        let mounted = checked(unsafe {
            libc::mount(c"tmpfs".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, options.as_ptr().cast())
        });
        let hint = "cannot mount a small disk: run this test as root, or in a container with CAP_SYS_ADMIN";
        mounted.map_err(|error| anyhow::anyhow!("{hint} ({error})"))?;
        Ok(SmallDisk { path: path.to_owned() })
    }

    /// Fills it until this many bytes are left; again with more left gives room back.
    ///
    /// # Errors
    /// What the file system said.
    pub fn leave(&self, bytes: u64) -> Result<()> {
        let filler = self.path.join("filler");
        if filler.exists() {
            std::fs::remove_file(&filler)?;
        }
        let free = self.free()?;
        std::fs::write(&filler, vec![0; usize::try_from(free.saturating_sub(bytes)).unwrap_or(0)])
    }

    fn free(&self) -> Result<u64> {
        let path = CString::new(self.path.to_string_lossy().as_bytes())?;
        // SAFETY: numbers only; all zero is one.
        let mut facts: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: a string that ends in zero and a structure of ours, both alive until the call returns.
        checked(unsafe { libc::statvfs(path.as_ptr(), &mut facts) })?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Ok(path) = CString::new(self.path.to_string_lossy().as_bytes()) {
            // SAFETY: a string that ends in zero. Detached at once, whoever still has files open there.
            let _gone = unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
    }
}
