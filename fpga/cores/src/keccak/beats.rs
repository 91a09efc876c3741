//! Messages as the core wants them: beats of records in turns. The software side of [`super::core`]'s input.

use std::collections::VecDeque;

/// One beat of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beat {
    /// Eight message bytes, the first in bits 7 to 0.
    pub data: u64,
    /// With `last`: message bytes in `data`, 0 to 7.
    pub bytes: u8,
    /// The message ends here.
    pub last: bool,
    /// The turn is passed.
    pub pass: bool,
}

impl Beat {
    /// The beat that passes a turn.
    pub const PASS: Self = Self { data: 0, bytes: 0, last: false, pass: true };
}

/// Bytes of a block.
const BLOCK_BYTES: usize = 136;

/// Deals messages out to the three slots, a record a turn; passes for ever when none is left.
///
/// Holds each message it was given until its last record is dealt.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    waiting: VecDeque<(usize, Vec<u8>)>,
    slots: [Option<Dealt>; 3],
    turn: usize,
    record: VecDeque<Beat>,
    finished: Vec<usize>,
}

/// A message on its way into a slot.
#[derive(Debug, Clone)]
struct Dealt {
    number: usize,
    bytes: Vec<u8>,
    taken: usize,
}

impl Turns {
    /// Deals these messages, the first to slot 0.
    pub fn new(messages: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { waiting: messages.into_iter().enumerate().collect(), ..Self::default() }
    }

    /// Numbers of the messages in the order in which their digests leave the core, as far as they are dealt.
    pub fn finished(&self) -> &[usize] {
        &self.finished
    }

    /// Messages that have begun and not ended.
    pub fn in_flight(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// The next beat. Endless.
    pub fn beat(&mut self) -> Beat {
        loop {
            if let Some(beat) = self.record.pop_front() {
                return beat;
            }
            self.deal();
        }
    }

    /// Puts the record of the next turn into the queue.
    fn deal(&mut self) {
        let slot = &mut self.slots[self.turn];
        self.turn = (self.turn + 1) % 3;
        if slot.is_none() {
            *slot = self.waiting.pop_front().map(|(number, bytes)| Dealt { number, bytes, taken: 0 });
        }
        let Some(message) = slot else {
            self.record.push_back(Beat::PASS);
            return;
        };
        let rest = &message.bytes[message.taken..];
        let (block, ends) =
            if rest.len() < BLOCK_BYTES { (rest, true) } else { (&rest[..BLOCK_BYTES], false) };
        let (words, tail) = block.as_chunks::<8>();
        let full = words.iter().map(|word| Beat { data: u64::from_le_bytes(*word), ..Beat::default() });
        self.record.extend(full);
        message.taken += block.len();
        if ends {
            let mut last = [0; 8];
            last[..tail.len()].copy_from_slice(tail);
            let bytes = u8::try_from(tail.len()).expect("a tail is shorter than 8");
            self.record.push_back(Beat { data: u64::from_le_bytes(last), bytes, last: true, pass: false });
            self.finished.push(message.number);
            *slot = None;
        }
    }
}

/// Vectors for a core: messages around the ends of blocks, three at a time.
///
/// A beat of the core's input a line (`pass last bytes data`, hexadecimal); an empty line; the digests, hexadecimal, in
/// the order they leave. After the last beat of a message come passes enough to bring its digest out.
pub fn vectors(digest: impl Fn(&[u8]) -> [u8; 32]) -> String {
    let pattern = |bytes| (0..251).cycle().take(bytes).collect::<Vec<u8>>();
    let messages: Vec<Vec<u8>> =
        [0, 1, 7, 8, 64, 65, 135, 136, 137, 271, 272, 273, 1025, 2720].map(pattern).into();
    let mut turns = Turns::new(messages.clone());
    let mut lines = Vec::new();
    while turns.finished().len() < messages.len() {
        lines.push(line(turns.beat()));
    }
    // The rest of the last record, and passes.
    lines.extend((0..17 + 6).map(|_| line(turns.beat())));
    lines.push(String::new());
    let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    lines.extend(turns.finished().iter().map(|number| hex(digest(&messages[*number]))));
    lines.join("\n") + "\n"
}

fn line(beat: Beat) -> String {
    let Beat { data, bytes, last, pass } = beat;
    format!("{:x} {:x} {bytes:x} {data:016x}", u8::from(pass), u8::from(last))
}
