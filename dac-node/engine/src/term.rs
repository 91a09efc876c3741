//! The term of an epoch: when exchanges may begin under it, and when a member may sign.
//!
//! Promise: nothing begins outside the term, and nothing is signed before it begins; what began inside is finished, also
//! after the end. The end needs no message: it is a time, and the engine compares every event with it.
//!
//! Choice: members learn of a beginning at slightly different moments. Whoever has not heard yet takes part in the
//! exchange and keeps its signature back until it hears, for as long as a coordinator waits for answers.

use std::time::Duration;

use super::event::Now;
use super::state::Phase;
use super::{Effect, Effects, Engine};
use crate::message::OpenId;
use crate::{Reason, Refusal};

/// Where the epoch of an engine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// It has begun.
    Running {
        /// First monotonic moment at which it has to be confirmed again, or ends; `None` without an L1.
        until: Option<Duration>,
    },
    /// Its time has come on a block that may still be taken back.
    Beginning,
    /// It has ended, not begun, or nobody knows: in words.
    Closed(String),
}

impl Term {
    /// Whether this member may coordinate something new.
    ///
    /// # Errors
    /// The refusal, with what is known about the term.
    pub fn check_submission(&self, now: Now) -> Result<(), Refusal> {
        match self {
            Term::Running { until } if until.is_none_or(|until| now.monotonic < until) => Ok(()),
            Term::Running { .. } => Err(stale("the epoch has come to its end".to_owned())),
            Term::Beginning => {
                Err(stale("the epoch begins: its first block is not confirmed yet".to_owned()))
            }
            Term::Closed(why) => Err(stale(why.clone())),
        }
    }

    /// Whether this member may take part in something new that another member coordinates.
    pub(super) fn check_open(&self, now: Now) -> Result<(), Refusal> {
        if *self == Term::Beginning { Ok(()) } else { self.check_submission(now) }
    }
}

fn stale(detail: String) -> Refusal {
    Refusal::new(Reason::StaleEpoch, detail)
}

impl Engine {
    /// The term changed: sign what waited for its beginning, or refuse it.
    pub(super) fn on_term(&mut self, term: Term, now: Now, effects: &mut Effects) {
        self.term = term;
        match &self.term {
            Term::Running { .. } => self.batches.values_mut().for_each(|batch| batch.early = false),
            // Also what began when it ran: the chain has taken the beginning back.
            Term::Beginning => self.batches.values_mut().for_each(|batch| batch.early = true),
            Term::Closed(_) => {}
        }
        let held: Vec<OpenId> = self
            .batches
            .values()
            .filter(|batch| batch.phase == Phase::Held)
            .map(|batch| batch.open_id)
            .collect();
        for open_id in held {
            match &self.term {
                Term::Running { .. } => self.sign(open_id, now, effects),
                Term::Beginning => {}
                Term::Closed(why) => self.refuse(open_id, stale(why.clone()), now, effects),
            }
        }
    }

    /// Everything is durable: sign, or wait for the term to begin, or refuse because it will not.
    pub(super) fn sign(&mut self, open_id: OpenId, now: Now, effects: &mut Effects) {
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let Some((_, statement)) = &batch.statement else { return };
        if batch.early {
            batch.phase = Phase::Held;
            batch.last_progress = now.monotonic;
            if let Term::Closed(why) = &self.term {
                let refusal = stale(why.clone());
                self.refuse(open_id, refusal, now, effects);
            }
            return;
        }
        let statement = statement.clone();
        batch.phase = Phase::Signing;
        effects.push(Effect::Sign { open_id, statement });
    }

    /// The term did not begin for as long as anybody waits for this answer.
    pub(super) fn on_held_too_long(&mut self, open_id: OpenId, now: Now, effects: &mut Effects) {
        let waited = self.config.answer_timeout;
        let detail = format!("the epoch did not begin within {waited:?} after the batch was stored");
        self.refuse(open_id, stale(detail), now, effects);
    }
}
