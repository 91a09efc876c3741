//! Members that break the protocol: what each kind does to its own messages, and what it answers.
//!
//! Two sorts. Some run a real engine, and what it sends is changed on the way: they withhold, spoil, delay. The others
//! have no engine and say whatever hurts: see [`super::lies`] for what they do on their own account.
//! None has a key but its own, and none can break a hash.

use std::collections::VecDeque;
use std::time::Duration;

use attest::{Attestation, SeatIndex};
use dac_node_engine::message::{Message, Vote};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::forge::spoil;

/// What a liar without an engine remembers of what it heard.
const INBOX_MAX: usize = 64;
/// Longest pause of a member that stalls.
const STALL_MAX: Duration = Duration::from_secs(8);
/// Answers to what it hears, in one run: liars must not keep each other busy for ever.
const REACTIONS_MAX: u32 = 300;

/// How a member lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Habit {
    /// Engine: sends pieces to some members only.
    Withholds,
    /// Engine: spoils half of the pieces it sends.
    SpoilsPieces,
    /// Engine: everything it says comes seconds late.
    Stalls,
    /// Engine: takes part, and never votes nor refuses.
    NeverVotes,
    /// Engine: every other vote does not verify.
    SpoilsVotes,
    /// Opens encodings that are wrong, in its own name and in others'.
    WrongRoots,
    /// Opens several encodings of one submission, right and wrong ones.
    TwoBatches,
    /// Opens different encodings to different members.
    DifferentOpens,
    /// Sends bytes that are no messages, and messages that make no sense.
    Garbage,
    /// Sends as much as the links take.
    Floods,
    /// Says again what was said in an earlier epoch.
    OldEpochs,
    /// Attests whatever it hears of, without a byte of it.
    AttestsBlind,
    /// Attests twice: a good attestation and another one, here one and there the other.
    AttestsTwice,
    /// All of the above that needs no engine.
    Everything,
}

impl Habit {
    const ALL: [Habit; 14] = [
        Habit::Withholds,
        Habit::SpoilsPieces,
        Habit::Stalls,
        Habit::NeverVotes,
        Habit::SpoilsVotes,
        Habit::WrongRoots,
        Habit::TwoBatches,
        Habit::DifferentOpens,
        Habit::Garbage,
        Habit::Floods,
        Habit::OldEpochs,
        Habit::AttestsBlind,
        Habit::AttestsTwice,
        Habit::Everything,
    ];

    pub(super) fn any(rng: &mut ChaCha8Rng) -> Habit {
        *Habit::ALL.choose(rng).expect("there are habits")
    }

    /// Whether it runs a real engine.
    pub(super) fn has_engine(self) -> bool {
        self <= Habit::SpoilsVotes
    }
}

/// A liar's own state.
#[derive(Debug)]
pub(super) struct Liar {
    pub(super) habit: Habit,
    /// What it received on streams, the last of it.
    pub(super) inbox: VecDeque<(u16, Message)>,
    reactions: u32,
}

impl Liar {
    pub(super) fn new(habit: Habit) -> Liar {
        Liar { habit, inbox: VecDeque::new(), reactions: 0 }
    }

    /// Keeps what it heard; false when it has reacted often enough.
    pub(super) fn hear(&mut self, from: u16, message: Message) -> bool {
        self.inbox.push_back((from, message));
        if self.inbox.len() > INBOX_MAX {
            self.inbox.pop_front();
        }
        self.reactions += 1;
        self.reactions <= REACTIONS_MAX
    }

    /// What becomes of a message of its engine: each with a delay.
    pub(super) fn tamper(
        &self,
        to: u16,
        message: Message,
        rng: &mut ChaCha8Rng,
    ) -> Option<(Duration, Message)> {
        let now = Duration::ZERO;
        match (self.habit, message) {
            (Habit::Withholds, Message::Piece(..)) if to.is_multiple_of(2) || rng.random_bool(0.3) => None,
            (Habit::SpoilsPieces, Message::Piece(id, piece)) if rng.random_bool(0.5) => {
                Some((now, Message::Piece(id, spoil(piece, rng))))
            }
            (Habit::SpoilsPieces, Message::ReadPiece(request, piece)) if rng.random_bool(0.5) => {
                Some((now, Message::ReadPiece(request, spoil(piece, rng))))
            }
            (Habit::Stalls, message) => Some((rng.random_range(now..STALL_MAX), message)),
            (Habit::NeverVotes, Message::Vote(_) | Message::No(_)) => None,
            (Habit::SpoilsVotes, Message::Vote(vote)) if rng.random_bool(0.5) => {
                Some((now, Message::Vote(spoiled(vote, rng))))
            }
            (_, message) => Some((now, message)),
        }
    }
}

/// A vote that does not verify, or not as this.
pub(super) fn spoiled(mut vote: Vote, rng: &mut ChaCha8Rng) -> Vote {
    let Attestation { batch_id, seat, signature } = &mut vote.attestation;
    match rng.random_range(0..3) {
        0 => signature.0[rng.random_range(0..48)] ^= 1 << rng.random_range(0..8),
        1 => batch_id.0[0] ^= 1,
        _ => *seat = SeatIndex(seat.0.wrapping_add(1)),
    }
    vote
}
