//! The emulator: carries packets between TUN devices with rate, delay, loss and partitions that change at run time.
//!
//! Promise: a packet from member to member waits for the sender's uplink, travels for the link's delay, and waits for the
//! receiver's downlink; it is lost by lot, or when more than [`BUFFER`] of the uplink's time is waiting already, or when
//! the link is cut. Packets of one link keep their order. What waits is bounded by rate times [`BUFFER`] and delay.
//!
//! Devices are like cards that cut TCP into packets themselves: what a member sends in one go passes in one piece of up to
//! 64 KiB, counted as the packets it would be ([`wire_bytes`]). Packet by packet, kernel and emulator take about as much
//! processor time as the members' own network code, from the same processors. While any link loses packets, they pass one
//! by one and are lost one by one.
//!
//! Two threads for each member: one reads its device and decides when a packet arrives, one writes at that time. The
//! kernel's timers are good for about 0.1 ms.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::system;

/// Time that a packet may wait for the uplink before it is dropped.
const BUFFER: Duration = Duration::from_millis(100);
/// The network of all members.
const NETWORK: [u8; 3] = [10, 77, 0];
/// How often a reader looks whether it has to end.
const POLL_MS: i32 = 50;
/// `virtio_net_hdr` before every packet (Virtio 1.2, section 5.1.6): flags, kind of segmentation, and four numbers of 16
/// bits: length of the headers, bytes of a segment, and two about the checksum.
const VIRTIO_HEADER: usize = 10;
/// Kind of segmentation: none, the packet goes as it is.
const GSO_NONE: u8 = 0;
/// Longest IPv4 packet.
const PACKET_MAX: usize = 65_535;
/// Why settings of a device do not fail.
const DEVICES_STAY: &str = "devices stay open as long as their links";

/// Of one direction between two members.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// From device to device, one way.
    pub delay: Duration,
    /// Share of packets that are lost.
    pub loss: f64,
    /// Nothing arrives.
    pub cut: bool,
}

/// All links of a committee, and its members' access to them.
#[derive(Debug)]
pub struct Links {
    shared: Arc<Shared>,
    devices: Vec<File>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    plan: Mutex<Plan>,
    outboxes: Vec<Outbox>,
    ends: AtomicBool,
}

#[derive(Debug)]
struct Plan {
    /// By sender, then receiver.
    links: Vec<Vec<Link>>,
    /// Of each member's uplink and downlink.
    bits_per_second: f64,
    up_free_at: Vec<Duration>,
    down_free_at: Vec<Duration>,
    rng: ChaCha8Rng,
}

/// Packets on their way to one member.
#[derive(Debug, Default)]
struct Outbox {
    waiting: Mutex<(u64, BinaryHeap<Reverse<Packet>>)>,
    changed: Condvar,
}

/// In the order of arrival; with its `virtio_net_hdr`.
type Packet = (Duration, u64, Vec<u8>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a member's device is.
pub(super) fn address(seat: u16) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, u8::try_from(seat + 1).expect("at most 254 members have a device"))
}

impl Links {
    /// Carries packets between these devices, in seat order, without limits at first.
    pub(super) fn new(devices: Vec<File>) -> anyhow::Result<Links> {
        let n = devices.len();
        let free = Link { delay: Duration::ZERO, loss: 0.0, cut: false };
        let plan = Plan {
            links: vec![vec![free; n]; n],
            bits_per_second: f64::INFINITY,
            up_free_at: vec![Duration::ZERO; n],
            down_free_at: vec![Duration::ZERO; n],
            rng: ChaCha8Rng::seed_from_u64(0x7a11),
        };
        let shared = Arc::new(Shared {
            started: now(),
            plan: Mutex::new(plan),
            outboxes: (0..n).map(|_| Outbox::default()).collect(),
            ends: AtomicBool::new(false),
        });
        let mut links = Links { shared, devices, threads: Vec::new() };
        links.cut_into_packets()?;
        for (seat, device) in links.devices.iter().enumerate() {
            let (reads, writes) = (device.try_clone()?, device.try_clone()?);
            let (reader, writer) = (links.shared.clone(), links.shared.clone());
            links.threads.push(std::thread::spawn(move || reader.read(seat, reads)));
            links.threads.push(std::thread::spawn(move || writer.write(seat, writes)));
        }
        Ok(links)
    }

    /// Changes one direction.
    pub fn set(&self, from: u16, to: u16, link: Link) {
        lock(&self.shared.plan).links[usize::from(from)][usize::from(to)] = link;
        self.cut_into_packets().expect(DEVICES_STAY);
    }

    /// Changes every direction.
    pub fn set_all(&self, link: Link) {
        lock(&self.shared.plan).links.iter_mut().flatten().for_each(|each| *each = link);
        self.cut_into_packets().expect(DEVICES_STAY);
    }

    /// By the kernel while packets can be lost, by the imagined card otherwise.
    fn cut_into_packets(&self) -> std::io::Result<()> {
        let lossy = lock(&self.shared.plan).links.iter().flatten().any(|link| link.loss > 0.0);
        self.devices.iter().try_for_each(|device| system::offload(device, !lossy))
    }

    /// Cuts every link between two groups, or joins them again.
    pub fn partition(&self, group: &[u16], cut: bool) {
        let mut plan = lock(&self.shared.plan);
        let n = plan.links.len();
        let inside = |seat: usize| group.iter().any(|member| usize::from(*member) == seat);
        for (from, to) in (0..n).flat_map(|from| (0..n).map(move |to| (from, to))) {
            if inside(from) != inside(to) {
                plan.links[from][to].cut = cut;
            }
        }
    }

    /// Rate of every uplink and every downlink.
    pub fn set_rate(&self, bits_per_second: f64) {
        lock(&self.shared.plan).bits_per_second = bits_per_second;
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        self.shared.outboxes.iter().for_each(|outbox| outbox.changed.notify_all());
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _said = thread.join();
        }
    }
}

impl Outbox {
    /// Wakes the writer only for a packet that comes before all others.
    fn put(&self, at: Duration, packet: Vec<u8>) {
        let mut waiting = lock(&self.waiting);
        waiting.0 += 1;
        let number = waiting.0;
        let is_next = waiting.1.peek().is_none_or(|next| at < next.0.0);
        waiting.1.push(Reverse((at, number, packet)));
        drop(waiting);
        if is_next {
            self.changed.notify_one();
        }
    }
}

impl Shared {
    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// Reads one member's packets until the end.
    fn read(&self, from: usize, mut device: File) {
        let mut buffer = vec![0; VIRTIO_HEADER + PACKET_MAX];
        while !self.ends() {
            let Ok(length) = device.read(&mut buffer) else {
                // Nothing there: the device does not wait.
                let _woken = system::wait_readable(&device, POLL_MS);
                continue;
            };
            let frame = &buffer[..length];
            let Some((header, packet)) = frame.split_first_chunk() else { continue };
            if let Some(to) = receiver(packet).filter(|to| *to < self.outboxes.len())
                && let Some(at) = self.arrival(from, to, wire_bytes(header, packet))
            {
                self.outboxes[to].put(at, frame.to_vec());
            }
        }
    }

    /// When a packet arrives; `None` when it does not.
    fn arrival(&self, from: usize, to: usize, bytes: usize) -> Option<Duration> {
        let now = now().duration_since(self.started);
        let mut plan = lock(&self.plan);
        let link = plan.links[from][to];
        let lost = link.loss > 0.0 && plan.rng.random_bool(link.loss.min(1.0));
        let sending = Duration::from_secs_f64(bytes as f64 * 8.0 / plan.bits_per_second);
        let begins = plan.up_free_at[from].max(now);
        if link.cut || begins - now > BUFFER {
            return None;
        }
        plan.up_free_at[from] = begins + sending;
        let arrives = (begins + sending + link.delay).max(plan.down_free_at[to]);
        if lost {
            return None;
        }
        // The downlink works while the packet travels: only what comes in too fast waits.
        plan.down_free_at[to] = arrives + sending;
        Some(arrives)
    }

    /// Writes what arrives at one member until the end.
    fn write(&self, to: usize, mut device: File) {
        let outbox = &self.outboxes[to];
        let mut waiting = lock(&outbox.waiting);
        while !self.ends() {
            let now = now().duration_since(self.started);
            let due = waiting.1.peek().map(|packet| packet.0.0);
            waiting = match due {
                Some(at) if at <= now => {
                    let packet = waiting.1.pop();
                    drop(waiting);
                    if let Some(Reverse((_, _, bytes))) = packet {
                        // A device that is being switched off takes nothing: lost like on any link.
                        let _lost = device.write(&bytes);
                    }
                    lock(&outbox.waiting)
                }
                Some(at) => {
                    let waited = outbox.changed.wait_timeout(waiting, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => outbox.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Bytes of all packets that a card makes of this one: headers of IPv4 and TCP are before every segment.
fn wire_bytes(header: &[u8; VIRTIO_HEADER], packet: &[u8]) -> usize {
    let segment = usize::from(u16::from_ne_bytes([header[4], header[5]]));
    let ip = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let tcp = packet.get(ip + 12).map_or(0, |offset| usize::from(offset >> 4) * 4);
    let segments = match header[1] {
        GSO_NONE => 1,
        _ => packet.len().saturating_sub(ip + tcp).div_ceil(segment.max(1)).max(1),
    };
    packet.len() + (segments - 1) * (ip + tcp)
}

/// The seat behind an IPv4 packet's destination; `None` for all other packets.
fn receiver(packet: &[u8]) -> Option<usize> {
    let (version, destination) = (packet.first()? >> 4, packet.get(16..20)?);
    let (network, host) = destination.split_at(3);
    (version == 4 && network == NETWORK && host[0] > 0).then(|| usize::from(host[0]) - 1)
}

#[expect(clippy::disallowed_methods, reason = "an emulator of links lives in real time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_in_one_piece_counts_as_its_packets() {
        let mut packet = vec![0x45; 20 + 32 + 3_000];
        packet[20 + 12] = 0x80;
        let mut header = [0; VIRTIO_HEADER];
        assert_eq!(wire_bytes(&header, &packet), packet.len(), "one packet");
        header[1] = 1;
        header[4..6].copy_from_slice(&1_448_u16.to_ne_bytes());
        assert_eq!(wire_bytes(&header, &packet), packet.len() + 2 * 52, "1,448, 1,448 and 104 bytes");
        packet.truncate(20 + 32 + 1_448);
        assert_eq!(wire_bytes(&header, &packet), packet.len());
        assert_eq!(wire_bytes(&header, &packet[..10]), 10, "cut short");
    }

    #[test]
    fn only_packets_to_a_member_have_a_receiver() {
        let mut packet = vec![0x45; 40];
        packet[16..20].copy_from_slice(&address(3).octets());
        assert_eq!(receiver(&packet), Some(3));
        packet[16] = 11;
        assert_eq!(receiver(&packet), None);
        assert_eq!(receiver(&[0x60; 40]), None, "IPv6");
        assert_eq!(receiver(&[0x45; 12]), None, "cut short");
    }
}
