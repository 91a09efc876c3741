//! Pieces: checked on arrival, pushed on, pulled when they do not come.

use std::time::Duration;

use dac_node_coding::{CheckedPiece, Piece};
use rand::seq::SliceRandom;

use super::event::{Credit, Now};
use super::state::{Batch, Phase};
use super::{Effect, Effects, Engine, Note};
use crate::message::{Message, OpenId, Want};
use crate::{Reason, Refusal};

/// Stripes pulled at once: keeps the answers of one round within the senders' queues.
const PULLS_PER_ROUND_MAX: usize = 64;

impl Engine {
    /// A piece arrived. It is checked unless it cannot be of use any more.
    pub(super) fn on_piece(
        &mut self,
        from: u16,
        open_id: OpenId,
        piece: Piece,
        credit: Credit,
        effects: &mut Effects,
    ) {
        let (seat, k) = (self.config.seat, self.config.committee.thresholds().minimum_shards());
        // Unknown: late, or never authorised here. Nothing is buffered and nobody is at fault.
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        batch.introduced.insert(from);
        if batch.phase == Phase::Admitting {
            batch.parked.push((from, piece, credit));
            return;
        }
        let Some(stripe) = batch.stripes.get_mut(piece.stripe as usize) else {
            if batch.phase == Phase::Receiving {
                let why = format!("piece of stripe {} of {}", piece.stripe, batch.layout.stripes());
                effects.push(Effect::Penalise { seat: from, why });
            }
            return;
        };
        let to_push = piece.index == seat && from == batch.open.coordinator && !stripe.pushed;
        let useful = batch.phase == Phase::Receiving && !stripe.decoding && stripe.known.len() < k;
        if !(to_push || useful) || !stripe.known.insert(piece.index) {
            effects.push(Effect::Note(Note::DuplicatePiece));
            return;
        }
        // Only a checked piece is progress: garbage must not postpone pulling.
        let (layout, shards_root) = (batch.layout, batch.open.shards_root);
        effects.push(Effect::CheckPiece { open_id, from, layout, shards_root, piece, credit });
    }

    /// A piece was checked: keep it, push it on if it is the own one, decode at `k`.
    pub(super) fn on_piece_checked(
        &mut self,
        open_id: OpenId,
        from: u16,
        (number, index): (u32, u16),
        result: Result<CheckedPiece, dac_node_coding::Error>,
        now: Now,
        effects: &mut Effects,
    ) {
        let (seat, k) = (self.config.seat, usize::from(self.config.committee.thresholds().minimum_shards()));
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let coordinator = batch.open.coordinator;
        let Some(stripe) = batch.stripes.get_mut(number as usize) else { return };
        let piece = match result {
            Ok(piece) => piece,
            Err(error) => {
                stripe.known.remove(index);
                if error.is_peer_fault() {
                    effects.push(Effect::Penalise { seat: from, why: error.to_string() });
                }
                return;
            }
        };
        if stripe.held.iter().any(|held| held.index() == index) {
            // Its check was asked for before a refusal, and again after it.
            return;
        }
        let push = index == seat && from == coordinator && !stripe.pushed;
        if !stripe.decoding || push {
            stripe.held.push(piece.clone());
        }
        let full = !stripe.decoding && stripe.held.len() >= k;
        if full {
            stripe.decoding = true;
            let (layout, pieces) = (batch.layout, stripe.held.clone());
            effects.push(Effect::Decode { open_id, layout, stripe: number, pieces });
        }
        batch.progress(now.monotonic, &self.config);
        if full && batch.open_stripes().is_empty() {
            self.note_stage_of(open_id, "verified", now, effects);
        }
        if push {
            self.push_on(open_id, number, piece.into_piece(), effects);
        }
        self.pull_if_starved(open_id, number, effects);
    }

    /// Sends the own piece to the members that the plan assigns, and to those that asked for it.
    fn push_on(&mut self, open_id: OpenId, number: u32, piece: Piece, effects: &mut Effects) {
        let (seat, connected) = (self.config.seat, self.connected);
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let targets = batch.plan.targets(number, seat);
        let Some(stripe) = batch.stripes.get_mut(number as usize) else { return };
        stripe.pushed = true;
        let wanters = std::mem::take(&mut stripe.wanters);
        let mut to: Vec<u16> = targets.into_iter().filter(|target| connected.contains(*target)).collect();
        to.extend(wanters.iter().filter(|wanter| !to.contains(wanter)).collect::<Vec<_>>());
        send_pieces(batch, to, vec![piece], effects);
    }

    /// Pulls at once when the pushes that can still come do not suffice: their senders are not connected.
    fn pull_if_starved(&mut self, open_id: OpenId, number: u32, effects: &mut Effects) {
        let (seat, connected) = (self.config.seat, self.connected);
        let k = self.config.committee.thresholds().minimum_shards();
        let Some(batch) = self.batches.get(&open_id) else { return };
        let Some(stripe) = batch.stripes.get(number as usize) else { return };
        if batch.phase != Phase::Receiving || stripe.decoding || !stripe.asked.is_empty() {
            return;
        }
        let own = batch.plan.direct(number).into_iter().filter(|(_, to)| *to == seat);
        let offered = batch.plan.sources(number, seat).into_iter().filter(|from| connected.contains(*from));
        let outstanding =
            offered.chain(own.map(|(index, _)| index)).filter(|index| !stripe.known.contains(*index));
        let reachable = stripe.known.len() + u16::try_from(outstanding.count()).unwrap_or(u16::MAX);
        if reachable < k {
            self.pull(open_id, number, effects);
        }
    }

    /// Asks as many peers as pieces are missing, those that hold their own piece first: for one piece each, and when
    /// everyone was asked once, for all that are missing. So one peer that has `k` pieces is enough.
    fn pull(&mut self, open_id: OpenId, number: u32, effects: &mut Effects) {
        let k = self.config.committee.thresholds().minimum_shards();
        let mut peers = self.peers();
        peers.shuffle(&mut self.rng);
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let holders: Vec<u16> = batch.plan.direct(number).into_iter().map(|(index, _)| index).collect();
        let Some(stripe) = batch.stripes.get_mut(number as usize) else { return };
        let held = stripe.known;
        let missing = usize::from(k.saturating_sub(held.len()));
        if peers.iter().all(|peer| stripe.asked.contains(*peer)) {
            stripe.asked = super::SeatSet::EMPTY;
            stripe.asked_all = true;
        }
        let count = if stripe.asked_all { k.saturating_sub(held.len()) } else { 1 };
        peers.retain(|peer| !stripe.asked.contains(*peer));
        peers.sort_by_key(|peer| held.contains(*peer) || !holders.contains(peer));
        for peer in peers.into_iter().take(missing) {
            stripe.asked.insert(peer);
            effects.push(Effect::Note(Note::Pulled { open_id, stripe: number, from: peer }));
            let mut to_introduce = Vec::new();
            if batch.introduced.insert(peer) {
                to_introduce.push(peer);
            }
            if !to_introduce.is_empty() {
                effects.push(Effect::Send {
                    to: to_introduce,
                    message: Message::Open(Box::new(batch.open.clone())),
                });
            }
            let want = Want { open_id, stripe: number, held, count };
            effects.push(Effect::Send { to: vec![peer], message: Message::Want(want) });
        }
    }

    /// A peer asks for pieces of an exchange.
    pub(super) fn on_want(&mut self, from: u16, want: &Want, credit: Credit, effects: &mut Effects) {
        let seat = self.config.seat;
        let lack = Effect::Send { to: vec![from], message: Message::Lack(want.open_id, want.stripe) };
        let Some(batch) = self.batches.get_mut(&want.open_id) else { return effects.push(lack) };
        batch.introduced.insert(from);
        if let (Phase::Signed, Some((batch_id, _))) = (&batch.phase, &batch.statement) {
            let (batch_id, want) = (*batch_id, want.clone());
            return effects.push(Effect::ServeWant { to: from, batch_id, want, credit });
        }
        let holder = batch.plan.direct(want.stripe).iter().any(|(index, to)| (*index, *to) == (seat, seat));
        let Some(stripe) = batch.stripes.get_mut(want.stripe as usize) else { return effects.push(lack) };
        let new = stripe.held.iter().filter(|piece| !want.held.contains(piece.index()));
        let pieces: Vec<Piece> =
            new.take(usize::from(want.count)).map(|piece| piece.clone().into_piece()).collect();
        if !pieces.is_empty() {
            send_pieces(batch, vec![from], pieces, effects);
        } else if holder && !stripe.pushed && batch.phase == Phase::Receiving && stripe.asked.is_empty() {
            // Its own piece is expected any moment. Who pulls itself does not expect it any more.
            stripe.wanters.insert(from);
        } else {
            effects.push(lack);
        }
    }

    /// A peer has nothing (more) of a stripe: ask the next one.
    pub(super) fn on_lack(
        &mut self,
        from: u16,
        open_id: OpenId,
        number: u32,
        _now: Now,
        effects: &mut Effects,
    ) {
        let peers = self.peers();
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        if batch.phase != Phase::Receiving {
            return;
        }
        let Some(stripe) = batch.stripes.get_mut(number as usize) else { return };
        let asked_now = stripe.asked.contains(from);
        let all_asked = peers.iter().all(|peer| stripe.asked.contains(*peer));
        // When everyone was asked the next round begins with the timer, not in a circle of messages.
        if asked_now && !all_asked && !stripe.decoding {
            self.pull(open_id, number, effects);
        }
    }

    /// The piece timer of one batch fired.
    pub(super) fn on_piece_deadline(&mut self, open_id: OpenId, now: Now, effects: &mut Effects) {
        let give_up_after = self.config.give_up_after;
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let open = batch.open_stripes();
        if now.monotonic >= batch.last_progress + give_up_after {
            let detail = missing_detail(batch, &open, give_up_after);
            return self.refuse(open_id, Refusal::new(Reason::PiecesMissing, detail), now, effects);
        }
        batch.pull_at = now.monotonic + batch.patience(&self.config);
        for number in open.into_iter().take(PULLS_PER_ROUND_MAX) {
            self.pull(open_id, number, effects);
        }
    }
}

/// Sends pieces, introducing the batch to peers that have not heard of it.
fn send_pieces(batch: &mut Batch, to: Vec<u16>, pieces: Vec<Piece>, effects: &mut Effects) {
    if to.is_empty() {
        return;
    }
    let strangers: Vec<u16> = to.iter().copied().filter(|peer| batch.introduced.insert(*peer)).collect();
    if !strangers.is_empty() {
        effects.push(Effect::Send { to: strangers, message: Message::Open(Box::new(batch.open.clone())) });
    }
    for piece in pieces {
        effects.push(Effect::Send { to: to.clone(), message: Message::Piece(batch.open_id, piece) });
    }
}

fn missing_detail(batch: &Batch, open: &[u32], after: Duration) -> String {
    let fewest =
        open.iter().filter_map(|s| batch.stripes.get(*s as usize)).map(|s| s.held.len()).min().unwrap_or(0);
    let (k, all) = (batch.layout.minimum_shards(), batch.layout.stripes());
    format!(
        "{} of {all} stripes incomplete, the fewest pieces of one are {fewest} of {k}, nothing new for {} ms",
        open.len(),
        after.as_millis()
    )
}
