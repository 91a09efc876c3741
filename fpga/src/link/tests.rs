use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::*;
use crate::deadline::{Deadline, returning};
use crate::device::{FaultPlan, FaultyDevice, InProcess, Injected};
use crate::packet::{Header, Opcode, checksum};
use crate::registers::{ERRORS, ID, ID_VALUE, SELF_TEST};
use crate::{Connect, Device, DeviceError, DeviceName, Endpoint, Model};

/// Long for a machine, short for a test.
const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(10);

fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..=STREAM_BYTES_MAX).prop_map(Frame::Stream),
        any::<u16>().prop_map(|address| Frame::Read { address, value: 0 }),
        any::<(u16, u32)>().prop_map(|(address, value)| Frame::Write { address, value }),
        any::<u32>().prop_map(|number| Frame::Reset { number }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_round_trip_however_the_pipe_cuts_them(
        frames in proptest::collection::vec(any_frame(), 1..6),
        idle in 0usize..20,
        cut in 1usize..5000,
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.encode(false, &mut bytes);
            bytes.resize(bytes.len() + idle, 0);
        }
        let (mut decoder, mut decoded) = (Decoder::of_host(), Vec::new());
        for part in bytes.chunks(cut) {
            decoder.push(part);
            while let Some(frame) = decoder.next_frame().unwrap() {
                decoded.push(frame);
            }
        }
        prop_assert_eq!(decoded, frames);
        prop_assert_eq!(decoder.pending_bytes(), 0);
    }

    #[test]
    fn any_bytes_are_frames_or_refused_and_a_reset_is_found_behind_them(
        noise in proptest::collection::vec(1u8.., 0..9000),
        number: u32,
    ) {
        let mut decoder = Decoder::of_host();
        decoder.push(&noise);
        let mut is_lost = false;
        loop {
            match decoder.next_frame() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    is_lost = true;
                    break;
                }
            }
        }
        let mut reset = vec![0; RESYNC_BYTES];
        Frame::Reset { number }.encode(false, &mut reset);
        decoder.push(&reset);
        let mut last = None;
        loop {
            if is_lost {
                prop_assert!(decoder.seek_reset());
                is_lost = false;
            }
            match decoder.next_frame() {
                Ok(Some(frame)) => last = Some(frame),
                Ok(None) => break,
                Err(_) => is_lost = true,
            }
        }
        prop_assert_eq!(last, Some(Frame::Reset { number }));
    }
}

#[test]
fn frames_have_the_documented_bytes_and_near_misses_are_refused() {
    let mut bytes = Vec::new();
    Frame::Write { address: 0x0130, value: 0x0403_0201 }.encode(false, &mut bytes);
    Frame::Stream(vec![9]).encode(true, &mut bytes);
    assert_eq!(bytes, [3, 0, 0x30, 1, 1, 2, 3, 4, 0x81, 0, 0, 0, 1, 0, 0, 0, 9]);
    for head in [
        [0x81, 0, 0, 0, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 1, 0x10, 0, 0],
        [1, 0, 1, 0, 1, 0, 0, 0],
        [2, 0, 0, 0, 1, 0, 0, 0],
        [5, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let mut decoder = Decoder::of_host();
        decoder.push(&head);
        assert_eq!(decoder.next_frame(), Err(FrameError { head }));
    }
}

/// A model behind a socket pair, until the host goes.
fn served() -> (Link, std::thread::JoinHandle<()>) {
    let (host, device) = UnixStream::pair().unwrap();
    let server =
        std::thread::spawn(move || serve(&Pipe::of_unix(device).unwrap(), &mut Model::keccak()).unwrap());
    (Link::new(Pipe::of_unix(host).unwrap()), server)
}

fn loopback(link: &mut Link, tag: u64) {
    let payload: Vec<u8> = (0..4096u32).map(|byte| (byte * 7 + 1).to_le_bytes()[0]).collect();
    let mut header = Header::request(Opcode::Loopback, 0, tag, 1, 4096);
    header.payload_crc32c = checksum(&payload);
    link.write_stream(&[header.encode().as_slice(), &payload].concat(), LONG).unwrap();
    let mut reply = [0; 64 + 4096];
    link.read_stream(&mut reply, LONG).unwrap();
    assert_eq!(Header::decode(reply.first_chunk().unwrap()).unwrap().tag, tag);
    assert_eq!(&reply[64..], payload);
}

#[test]
fn streams_and_registers_cross_a_socket() {
    let (mut link, server) = served();
    link.reset(LONG).unwrap();
    assert_eq!(link.reg_read(ID, LONG).unwrap(), ID_VALUE);
    link.reg_write(SELF_TEST, 5, LONG).unwrap();
    assert_eq!(link.reg_read(SELF_TEST, LONG).unwrap(), !5);
    for tag in 0..10 {
        loopback(&mut link, tag);
    }
    drop(link);
    server.join().unwrap();
}

#[test]
fn a_reset_finds_the_way_back_from_noise_and_from_a_cut_frame() {
    let (mut link, server) = served();
    let mut cut = Vec::new();
    Frame::Stream(vec![1; STREAM_BYTES_MAX]).encode(false, &mut cut);
    for noise in [&[0xff; 100], &cut[..50], &cut[..]] {
        link.disturb(noise);
        link.reset(LONG).unwrap();
        assert_eq!(link.reg_read(ERRORS, LONG).unwrap(), 0, "power-on");
        loopback(&mut link, 1);
    }
    drop(link);
    server.join().unwrap();
}

/// Takes nothing and answers nothing until it is reset.
#[derive(Debug)]
struct Hung {
    model: Model,
    is_hung: bool,
}

impl Endpoint for Hung {
    fn accept(&mut self, bytes: &[u8]) -> usize {
        if self.is_hung { 0 } else { self.model.accept(bytes) }
    }

    fn work(&mut self, output: &mut Vec<u8>) -> bool {
        !self.is_hung && self.model.work(output)
    }

    fn reg_read(&mut self, address: u32) -> Result<u32, DeviceError> {
        self.model.reg_read(address)
    }

    fn reg_write(&mut self, address: u32, value: u32) -> Result<(), DeviceError> {
        self.model.reg_write(address, value)
    }

    fn reset(&mut self) {
        self.is_hung = false;
        self.model.reset();
    }
}

#[test]
fn a_reset_reaches_a_device_that_takes_nothing_any_more() {
    let (host, device) = UnixStream::pair().unwrap();
    let mut hung = Hung { model: Model::keccak(), is_hung: true };
    let server = std::thread::spawn(move || serve(&Pipe::of_unix(device).unwrap(), &mut hung).unwrap());
    let mut link = Link::new(Pipe::of_unix(host).unwrap());
    link.write_stream(&vec![1; 1 << 20], LONG).unwrap();
    let (waited, mut link) = returning(move || (link.reg_read(ID, Duration::from_millis(5)), link));
    assert!(matches!(waited, Err(DeviceError::TimedOut { .. })), "{waited:?}");
    link.reset(LONG).unwrap();
    loopback(&mut link, 1);
    drop(link);
    server.join().unwrap();
}

/// The queue was full, so the pipe was not read, so the reset behind it was not found: the device was lost until the host
/// hung up, and the server turned in circles.
#[test]
fn a_reset_is_found_behind_more_than_the_queue_holds() {
    let (host, device) = UnixStream::pair().unwrap();
    let mut hung = Hung { model: Model::keccak(), is_hung: true };
    let server = std::thread::spawn(move || serve(&Pipe::of_unix(device).unwrap(), &mut hung).unwrap());
    let mut link = Link::new(Pipe::of_unix(host).unwrap());
    link.write_stream(&vec![1; 12 << 20], LONG).unwrap();
    link.reset(LONG).unwrap();
    loopback(&mut link, 1);
    drop(link);
    server.join().unwrap();
}

/// Answers to registers grew without a bound while the host did not read.
#[test]
fn a_host_that_asks_and_never_reads_is_not_answered_for_ever() {
    let (mut link, server) = served();
    let mut reads = Vec::new();
    for _ in 0..(1 << 16) / 8 {
        Frame::Read { address: 0, value: 0 }.encode(false, &mut reads);
    }
    // Queue, output and sockets hold a few MiB together.
    let (refused, link) = returning(move || {
        ((0..256).find_map(|_| link.try_disturb(&reads, Duration::from_secs(2)).err()), link)
    });
    assert!(matches!(refused, Some(DeviceError::TimedOut { .. })), "16 MiB of questions were taken");
    drop(link);
    server.join().unwrap();
}

#[test]
fn of_many_resets_the_last_is_answered() {
    let (mut link, server) = served();
    let mut resets = Vec::new();
    for number in 0..100_000 {
        Frame::Reset { number }.encode(false, &mut resets);
    }
    link.disturb(&resets);
    link.reset(LONG).unwrap();
    loopback(&mut link, 1);
    drop(link);
    server.join().unwrap();
}

/// A reset whose mark had come and whose number had not was looked for once more, behind itself, and never found.
#[test]
fn a_reset_is_found_wherever_the_pipe_cuts_it() {
    let mut reset = vec![0; RESYNC_BYTES];
    Frame::Reset { number: 0x0102_0304 }.encode(false, &mut reset);
    for cut in RESYNC_BYTES - 20..=reset.len() {
        let mut decoder = Decoder::of_host();
        decoder.push(&[0xff; 40]);
        assert_eq!(decoder.next_frame_or_reset(), None);
        decoder.push(&reset[..cut]);
        let first = decoder.next_frame_or_reset();
        decoder.push(&reset[cut..]);
        let frame = first.or_else(|| decoder.next_frame_or_reset());
        assert_eq!(frame, Some(Frame::Reset { number: 0x0102_0304 }), "cut after {cut} bytes");
        assert_eq!(decoder.next_frame_or_reset(), None);
    }
}

#[test]
fn a_listener_that_takes_nobody_costs_a_timeout() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("card");
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let refused = returning(move || refused(|| Pipe::unix(&path, SHORT)));
    assert!(matches!(refused, Some(DeviceError::TimedOut { .. })), "{refused:?}");
}

/// Connects until the listener's queue is full; what the next connection was told.
fn refused(connect: impl Fn() -> Result<Pipe, DeviceError>) -> Option<DeviceError> {
    let mut waiting = Vec::new();
    (0..100).find_map(|_| match connect() {
        Ok(pipe) => {
            waiting.push(pipe);
            None
        }
        Err(error) => Some(error),
    })
}

/// The host of a listener that is never asked for its connections, and the connections that fill its queue.
fn host_that_takes_nobody() -> (OwnedFd, SocketAddr, Vec<TcpStream>) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let address = SocketAddr::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap();
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let waiting = (0..100).map_while(connect).collect();
    (socket, address, waiting)
}

#[test]
fn a_host_that_does_not_answer_costs_a_timeout() {
    let (_socket, address, _waiting) = host_that_takes_nobody();
    let refused = returning(move || Pipe::tcp(&address.to_string(), SHORT).unwrap_err());
    assert!(matches!(refused, DeviceError::TimedOut { .. }), "{refused:?}");
    // As an operator names it.
    let mut name: DeviceName = format!("tcp:{address}").parse().unwrap();
    let refused = returning(move || name.connect(SHORT).unwrap_err());
    assert!(matches!(refused, DeviceError::TimedOut { .. }), "{refused:?}");
}

#[test]
fn a_name_with_many_addresses_has_one_deadline_for_all() {
    let (_socket, address, _waiting) = host_that_takes_nobody();
    let tried = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tried);
    let addresses = std::iter::repeat_n(address, 50).inspect(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let refused = returning(move || Pipe::tcp_to(addresses, Deadline::after(SHORT)).unwrap_err());
    assert!(matches!(refused, DeviceError::TimedOut { .. }), "{refused:?}");
    // The first takes all the time; the second finds none left.
    assert!((1..=2).contains(&tried.load(Ordering::SeqCst)), "{tried:?} addresses were tried");
    let closed = SocketAddr::from(([127, 0, 0, 1], 1));
    let refused = Pipe::tcp_to([closed].into_iter(), Deadline::after(LONG)).unwrap_err();
    assert!(matches!(refused, DeviceError::Io { .. }), "{refused:?}");
}

#[test]
fn what_was_sent_before_a_reset_is_not_read_after_it() {
    let (mut link, server) = served();
    link.reset(LONG).unwrap();
    let header = Header::request(Opcode::Loopback, 0, 77, 1, 0).encode();
    link.write_stream(&[header; 5].concat(), LONG).unwrap();
    link.reset(LONG).unwrap();
    loopback(&mut link, 78);
    drop(link);
    server.join().unwrap();
}

#[test]
fn waits_end_at_their_deadline_and_a_closed_pipe_is_closed() {
    let (mut link, _server) = served();
    link.reset(LONG).unwrap();
    let waited = returning(move || link.read_stream(&mut [0; 64], Duration::from_millis(5)));
    assert!(matches!(waited, Err(DeviceError::TimedOut { done: 0, wanted: 64, .. })), "{waited:?}");
    let (host, device) = UnixStream::pair().unwrap();
    drop(device);
    let mut link = Link::new(Pipe::of_unix(host).unwrap());
    assert!(matches!(link.reset(LONG), Err(DeviceError::Closed { .. })));
}

#[test]
fn a_serial_line_carries_every_byte_value() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let board = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&board).unwrap();
    unlockpt(&board).unwrap();
    let path = ptsname(&board, Vec::new()).unwrap().into_string().unwrap();
    let mut link = Link::new(Pipe::serial(path.as_ref()).unwrap());
    let board = Pipe::of_file(board).unwrap();
    let server = std::thread::spawn(move || serve(&board, &mut Model::keccak()));
    link.reset(LONG).unwrap();
    for tag in 0..3 {
        loopback(&mut link, tag);
    }
    drop(link);
    server.join().unwrap().unwrap();
}

#[test]
fn a_socket_left_behind_is_taken_over_and_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let name = DeviceName::Unix(directory.path().join("card"));
    let living = Listener::bind(&name).unwrap();
    assert_eq!(Listener::bind(&name).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(living);
    // As a killed process leaves it: the file without a listener.
    drop(std::os::unix::net::UnixListener::bind(directory.path().join("card")).unwrap());
    Listener::bind(&name).unwrap();
}

#[test]
fn a_socket_in_the_file_system_serves_one_host_after_the_other_and_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("card");
    let listener = Listener::bind(&DeviceName::Unix(path.clone())).unwrap();
    assert_eq!(listener.name().unwrap(), DeviceName::Unix(path.clone()));
    let server = std::thread::spawn(move || {
        let mut model = Model::keccak();
        for _ in 0..2 {
            serve(&listener.accept().unwrap(), &mut model).unwrap();
        }
    });
    for _ in 0..2 {
        let mut link = Link::new(Pipe::unix(&path, LONG).unwrap());
        link.reset(LONG).unwrap();
        loopback(&mut link, 3);
    }
    server.join().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_late_reply_on_a_socket_times_out_and_comes_behind_the_reset() {
    let (host, device) = UnixStream::pair().unwrap();
    let plan = FaultPlan::limited(1, 1, &[Injected::Late], 1);
    plan.start();
    let mut late = FaultyDevice::new(InProcess::new(Model::keccak()), plan.into());
    let server = std::thread::spawn(move || serve(&Pipe::of_unix(device).unwrap(), &mut late).unwrap());
    let mut link = Link::new(Pipe::of_unix(host).unwrap());
    let header = Header::request(Opcode::Loopback, 0, 77, 1, 0).encode();
    link.write_stream(&header, LONG).unwrap();
    let mut reply = [0; 64];
    let (waited, mut link) =
        returning(move || (link.read_stream(&mut [0; 64], Duration::from_millis(5)), link));
    assert!(matches!(waited, Err(DeviceError::TimedOut { .. })), "{waited:?}");
    link.reset(LONG).unwrap();
    link.read_stream(&mut reply, LONG).unwrap();
    assert_eq!(Header::decode(&reply).unwrap().tag, 77);
    drop(link);
    server.join().unwrap();
}
