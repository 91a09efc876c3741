//! One attachment of a device: its self-test, and packets in flight.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use fpga_hash::{FieldElement, Hasher};

use super::batch::{Batch, Elements, Messages, Prefixed, Shape};
use super::items_max;
use super::request::{Answer, Request};
use crate::deadline::Deadline;
use crate::packet::{HEADER_BYTES, Header, Limits, Opcode, Status, VERSION, checksum};
use crate::registers::{BUILD, CAPABILITIES, Capabilities, ERRORS, ID, ID_VALUE, SELF_TEST};
use crate::{Device, Fault};

/// Lengths of the self-test's messages: around one and two blocks of 136 bytes, the nodes' and the leaves'.
const SELF_TEST_LENGTHS: [usize; 9] = [0, 1, 64, 65, 135, 136, 137, 272, 1025];

/// Messages of each length, as far as the device takes so many at once.
const SELF_TEST_MESSAGES: usize = 7;

/// Elements of a Poseidon item, for both widths.
const SELF_TEST_WIDTHS: [usize; 2] = [2, 8];

/// An opcode that no device knows: a device must refuse it and go on.
const UNKNOWN_OPCODE: u8 = 0xff;

/// A device that passed its self-test, or is in it.
#[derive(Debug)]
pub(super) struct Session<D> {
    device: D,
    limits: Limits,
    attachment: u64,
    timeout: Duration,
    next_tag: u64,
    in_flight: Vec<InFlight>,
    packet: Vec<u8>,
    answered: u64,
}

/// A packet that was sent and not answered.
#[derive(Debug)]
struct InFlight {
    tag: u64,
    item_count: u32,
    shape: Shape,
    requests: Vec<Request>,
}

impl<D: Device> Session<D> {
    /// Resets the device, reads who it is, and has it hash what software hashes too, all of it before `deadline`.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub(super) fn attach(
        mut device: D,
        attachment: u64,
        timeout: Duration,
        deadline: Deadline,
        software: &Arc<dyn Hasher>,
    ) -> Result<Self, Fault> {
        device.reset(deadline.timeout())?;
        let limits = identify(&mut device, deadline)?;
        // Drawn anew each time: a reply to an earlier attachment, of this process or of one before it, fits no request.
        let next_tag = RandomState::new().hash_one(attachment);
        let mut session = Self {
            device,
            limits,
            attachment,
            timeout,
            next_tag,
            in_flight: Vec::new(),
            packet: Vec::new(),
            answered: 0,
        };
        session.loopback(deadline)?;
        session.refuses_what_it_does_not_know(deadline)?;
        for length in SELF_TEST_LENGTHS {
            session.self_test(length, &**software, deadline)?;
        }
        for width in SELF_TEST_WIDTHS {
            let inputs: Vec<FieldElement> =
                (1..).map(FieldElement::from).take(width * SELF_TEST_MESSAGES).collect();
            session.compare(&Elements { width, inputs: &inputs }, &**software, deadline)?;
        }
        session.has_errors(0, "0", deadline)?;
        Ok(session)
    }

    /// Compares the sticky errors.
    fn has_errors(&mut self, wanted: u32, expected: &'static str, deadline: Deadline) -> Result<(), Fault> {
        match self.device.reg_read(ERRORS, deadline.timeout())? {
            found if found == wanted => Ok(()),
            found => Err(Fault::WrongDevice { register: "sticky errors", expected, found }),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Packets answered since the device was opened.
    pub(super) fn answered(&self) -> u64 {
        self.answered
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether another packet can be sent without waiting for a reply.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < usize::try_from(self.limits.packets_max).unwrap_or(usize::MAX)
    }

    /// Whether `next` fits into one packet with `requests`.
    pub(super) fn fits(&self, requests: &[Request], next: &Request) -> bool {
        let Some(first) = requests.first() else { return true };
        let items: u64 = requests.iter().chain([next]).map(|request| u64::from(request.item_count)).sum();
        first.shape == next.shape && items <= items_max(&self.limits, &first.shape) as u64
    }

    /// Sends requests of one shape as one packet.
    ///
    /// # Errors
    /// [`Fault`]; the requests are dropped.
    pub(super) fn send(&mut self, requests: Vec<Request>) -> Result<(), Fault> {
        self.send_before(requests, Deadline::after(self.timeout))
    }

    fn send_before(&mut self, requests: Vec<Request>, deadline: Deadline) -> Result<(), Fault> {
        let Some(Shape { opcode, prefix, item_bytes }) = requests.first().map(|request| request.shape) else {
            return Ok(());
        };
        let (tag, item_count) = (self.next_tag, requests.iter().map(|request| request.item_count).sum());
        self.next_tag = self.next_tag.wrapping_add(1);
        self.packet.clear();
        self.packet.resize(HEADER_BYTES, 0);
        for request in &requests {
            self.packet.extend_from_slice(&request.payload);
        }
        self.packet.resize(self.packet.len().next_multiple_of(HEADER_BYTES), 0);
        let mut header = Header::request(opcode, prefix, tag, item_count, item_bytes);
        header.payload_crc32c = checksum(&self.packet[HEADER_BYTES..]);
        self.packet[..HEADER_BYTES].copy_from_slice(&header.encode());
        let shape = Shape { opcode, prefix, item_bytes };
        // In flight even if it does not get there: requests are dropped when their session is, after its fault was counted.
        self.in_flight.push(InFlight { tag, item_count, shape, requests });
        Ok(self.device.write_stream(&self.packet, deadline.timeout())?)
    }

    /// Waits for one reply and hands its digests out. Says how many of its requests were answered too late: their callers
    /// have gone at their deadline.
    ///
    /// # Errors
    /// [`Fault`]: the session is over, the requests in flight are dropped with it.
    pub(super) fn receive(&mut self) -> Result<usize, Fault> {
        self.receive_before(Deadline::after(self.timeout))
    }

    fn receive_before(&mut self, deadline: Deadline) -> Result<usize, Fault> {
        let (packet, payload) = self.reply(deadline)?;
        let (mut digests, _) = payload.as_chunks::<32>();
        let mut late = 0;
        for request in packet.requests {
            let (own, rest) = digests.split_at(usize::try_from(request.item_count).unwrap_or(usize::MAX));
            digests = rest;
            let answer = Answer { digests: own.to_vec(), attachment: self.attachment };
            late += usize::from(request.answer.send(answer).is_err());
        }
        self.answered += 1;
        Ok(late)
    }

    /// The next reply, checked in everything but its digests.
    fn reply(&mut self, deadline: Deadline) -> Result<(InFlight, Vec<u8>), Fault> {
        let mut bytes = [0; HEADER_BYTES];
        self.device.read_stream(&mut bytes, deadline.timeout())?;
        let header = Header::decode(&bytes)?;
        let status = header.check_reply()?;
        let place = self.in_flight.iter().position(|packet| packet.tag == header.tag);
        let place = place.ok_or(Fault::UnexpectedReply { tag: header.tag })?;
        let packet = &self.in_flight[place];
        if status != Status::Ok {
            return Err(Fault::Refused { status });
        }
        let item_bytes = if packet.shape.opcode == Opcode::Loopback { packet.shape.item_bytes } else { 32 };
        let is_ours = header.opcode == packet.shape.opcode.number() && header.item_bytes == item_bytes;
        if header.item_count != packet.item_count || !is_ours {
            return Err(Fault::WrongCounts { expected: packet.item_count, found: header.item_count });
        }
        // Bounded: consistent with the counts that were sent.
        let payload_bytes = usize::try_from(header.padded_payload_bytes()).unwrap_or(usize::MAX);
        let mut payload = vec![0; payload_bytes];
        self.device.read_stream(&mut payload, deadline.timeout())?;
        let found = checksum(&payload);
        if found != header.payload_crc32c {
            return Err(Fault::PayloadChecksum { expected: header.payload_crc32c, found });
        }
        Ok((self.in_flight.remove(place), payload))
    }

    /// A request with an opcode that does not exist must come back with its status and its sticky bit, and nothing else.
    fn refuses_what_it_does_not_know(&mut self, deadline: Deadline) -> Result<(), Fault> {
        let (opcode, tag) = (UNKNOWN_OPCODE, self.next_tag);
        self.next_tag = self.next_tag.wrapping_add(1);
        let header = Header { opcode, ..Header::request(Opcode::Loopback, 0, tag, 1, 0) };
        self.device.write_stream(&header.encode(), deadline.timeout())?;
        let mut bytes = [0; HEADER_BYTES];
        self.device.read_stream(&mut bytes, deadline.timeout())?;
        let reply = Header::decode(&bytes)?;
        if reply.tag != tag {
            return Err(Fault::UnexpectedReply { tag: reply.tag });
        }
        if reply.check_reply()? != Status::Opcode {
            return Err(Fault::NotRefused { opcode });
        }
        let bit = Status::Opcode.sticky_bit();
        self.has_errors(bit, "the bit of an unknown opcode", deadline)?;
        self.device.reg_write(ERRORS, bit, deadline.timeout())?;
        Ok(())
    }

    /// Sends bytes through the device and back.
    fn loopback(&mut self, deadline: Deadline) -> Result<(), Fault> {
        if !self.limits.knows(Opcode::Loopback) {
            return Ok(());
        }
        let bytes = self.limits.loopback_bytes_max().min(1024) / 8 * 8;
        let shape = Shape { opcode: Opcode::Loopback, prefix: 0, item_bytes: bytes };
        let payload = noise(bytes as usize);
        let (answer, _nobody) = sync_channel(1);
        self.send_before(vec![Request { shape, item_count: 1, payload: payload.clone(), answer }], deadline)?;
        let (_, returned) = self.reply(deadline)?;
        if returned.starts_with(&payload) { Ok(()) } else { Err(Fault::WrongDigest) }
    }

    /// Compares the device with software on messages of one length, with and without prefix.
    fn self_test(&mut self, length: usize, software: &dyn Hasher, deadline: Deadline) -> Result<(), Fault> {
        let bytes = noise(length * SELF_TEST_MESSAGES);
        let messages: Vec<&[u8]> =
            (0..SELF_TEST_MESSAGES).map(|message| &bytes[message * length..][..length]).collect();
        self.compare(&Messages(&messages), software, deadline)?;
        if length > 0 {
            self.compare(&Prefixed { prefix: 1, item_bytes: length, items: &bytes }, software, deadline)?;
        }
        Ok(())
    }

    /// Compares device and software on the first items of a batch, if the device can do such at all.
    fn compare<B: Batch>(&mut self, batch: &B, software: &dyn Hasher, deadline: Deadline) -> Result<(), Fault>
    where
        B::Output: Default,
    {
        let Some(shape) = batch.shape(&self.limits) else { return Ok(()) };
        let items = SELF_TEST_MESSAGES.min(items_max(&self.limits, &shape));
        let (mut payload, mut expected) = (Vec::new(), vec![B::Output::default(); items]);
        batch.pack(0..items, &shape, &mut payload);
        batch.software(0..items, &mut expected, software);
        let (answer, answered) = sync_channel(1);
        let item_count = u32::try_from(items).expect("at most seven");
        self.send_before(vec![Request { shape, item_count, payload, answer }], deadline)?;
        self.receive_before(deadline)?;
        let answer = answered.try_recv().map(|answer| answer.digests).unwrap_or_default();
        let found: Option<Vec<B::Output>> = answer.iter().map(|digest| B::read(digest)).collect();
        if found.is_some_and(|found| found == expected) { Ok(()) } else { Err(Fault::WrongDigest) }
    }
}

/// Reads who answers, and what it can do.
fn identify(device: &mut impl Device, deadline: Deadline) -> Result<Limits, Fault> {
    let wrong = |register, expected, found| Err(Fault::WrongDevice { register, expected, found });
    let id = device.reg_read(ID, deadline.timeout())?;
    if id != ID_VALUE {
        return wrong("id", "0x48434144", id);
    }
    let build = device.reg_read(BUILD, deadline.timeout())?;
    if build.to_le_bytes()[0] != VERSION {
        return wrong("build", "version 1 in bits 7 to 0", build);
    }
    for pattern in [0x0123_4567, 0xffff_0000] {
        device.reg_write(SELF_TEST, pattern, deadline.timeout())?;
        let found = device.reg_read(SELF_TEST, deadline.timeout())?;
        if found != !pattern {
            return wrong("self-test", "the complement of what was written", found);
        }
    }
    let capabilities = device.reg_read(CAPABILITIES, deadline.timeout())?;
    match Capabilities::decode(capabilities).limits() {
        Some(limits) => Ok(limits),
        None => wrong("capabilities", "sane limits", capabilities),
    }
}

/// Bytes without a pattern that a stuck wire could imitate; the same every time.
fn noise(bytes: usize) -> Vec<u8> {
    let words = (0..bytes.div_ceil(8) as u64).flat_map(|word| super::splitmix(word + 1).to_le_bytes());
    words.take(bytes).collect()
}
