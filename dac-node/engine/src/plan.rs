//! Who sends which piece to whom: the seeded seat order of PROTOCOL section 5.
//!
//! Promise: every member computes the same plan from `(dataHash, stripe, coordinator, n, k, q)` alone; for every stripe the
//! coordinator sends each piece at most once, `m = k + spare` pieces in all (`spare = n - q`), so that without any `spare`
//! members the others hold `k`; and every member is offered `k + 1` pieces by coordinator and peers together.
//!
//! The coordinator keeps its own piece out of the exchange: it is busy sending, and is not trusted to be there. Only when
//! the other members are fewer than `k` does it send its own piece too.
//!
//! Choice: `k + 1` offers, not `k + 2`. One slow pusher then costs nothing, two cost one pull; the traffic of a healthy
//! committee stays at `(k + 1) / k` batches a member.

use attest::DataHash;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// How the coordinator disperses. [`Dispersal::FullReplication`] exists to be compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dispersal {
    /// Each piece once; members exchange the rest.
    #[default]
    Coded,
    /// The whole batch to everyone, no exchange: what other committees do.
    FullReplication,
}

/// The seeded plan of one batch.
#[derive(Clone, Debug)]
pub struct Plan {
    data_hash: DataHash,
    coordinator: u16,
    members: u16,
    minimum_shards: u16,
    holders: u16,
    dispersal: Dispersal,
}

impl Plan {
    /// A plan for a committee of `members` with thresholds `k` and `q`.
    pub fn new(
        data_hash: DataHash,
        coordinator: u16,
        thresholds: &attest::Thresholds,
        dispersal: Dispersal,
    ) -> Plan {
        let (members, k, q) = (thresholds.members(), thresholds.minimum_shards(), thresholds.quorum());
        assert!(coordinator < members, "coordinator {coordinator} outside a committee of {members}");
        let holders = (k + (members - q)).min(members - 1);
        Plan { data_hash, coordinator, members, minimum_shards: k, holders, dispersal }
    }

    /// Seats other than the coordinator, in the order seeded by `(dataHash, stripe)`; the first
    /// [`Plan::holder_count`] receive their own piece from the coordinator.
    pub fn order(&self, stripe: u32) -> Vec<u16> {
        let mut seats: Vec<u16> = (0..self.members).filter(|seat| *seat != self.coordinator).collect();
        let mut seed = [0u8; 36];
        seed[..32].copy_from_slice(self.data_hash.as_ref());
        seed[32..].copy_from_slice(&stripe.to_le_bytes());
        seats.shuffle(&mut ChaCha8Rng::from_seed(fpga_hash::keccak256(&seed)));
        seats
    }

    /// `m`, capped by the number of other members.
    pub fn holder_count(&self) -> u16 {
        self.holders
    }

    /// What the coordinator sends for one stripe: `(piece index, seat)`.
    pub fn direct(&self, stripe: u32) -> Vec<(u16, u16)> {
        let order = self.order(stripe);
        if self.dispersal == Dispersal::FullReplication {
            return order
                .iter()
                .flat_map(|seat| (0..self.minimum_shards).map(|index| (index, *seat)))
                .collect();
        }
        let mut sends: Vec<(u16, u16)> =
            order.iter().take(usize::from(self.holders)).map(|seat| (*seat, *seat)).collect();
        if self.holders < self.minimum_shards {
            sends.extend(order.iter().map(|seat| (self.coordinator, *seat)));
        }
        sends
    }

    /// Seats to which `holder` pushes its own piece of `stripe` when the coordinator's piece has arrived.
    pub fn targets(&self, stripe: u32, holder: u16) -> Vec<u16> {
        if self.dispersal == Dispersal::FullReplication {
            return Vec::new();
        }
        let order = self.order(stripe);
        let Some(at) = order.iter().take(usize::from(self.holders)).position(|seat| *seat == holder) else {
            return Vec::new();
        };
        (0..order.len()).filter(|p| self.offers(*p).any(|h| h == at)).map(|p| order[p]).collect()
    }

    /// Holders that push to `member`, for one stripe (its own piece from the coordinator not counted).
    pub fn sources(&self, stripe: u32, member: u16) -> Vec<u16> {
        if self.dispersal == Dispersal::FullReplication {
            return vec![self.coordinator];
        }
        let order = self.order(stripe);
        match order.iter().position(|seat| *seat == member) {
            Some(position) => self.offers(position).map(|holder| order[holder]).collect(),
            None => Vec::new(),
        }
    }

    /// Positions of the holders that push to position `p`, rotating so that every holder pushes about equally often.
    fn offers(&self, p: usize) -> impl Iterator<Item = usize> {
        let holders = usize::from(self.holders);
        let own = usize::from(p < holders);
        let wanted = (usize::from(self.minimum_shards) + 1).min(holders) - own;
        (1..=holders).map(move |j| (p + j) % holders).filter(move |h| *h != p).take(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest::Thresholds;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn plan(n: u16, k: u16, q: u16, coordinator: u16, seed: u8) -> Plan {
        let thresholds = Thresholds::new(n, k, q).expect("valid thresholds");
        Plan::new(DataHash::from([seed; 32]), coordinator, &thresholds, Dispersal::Coded)
    }

    /// Pieces each member ends with when the members of `silent` receive but never push.
    fn received(plan: &Plan, stripe: u32, silent: &[u16]) -> Vec<BTreeSet<u16>> {
        let mut got = vec![BTreeSet::new(); usize::from(plan.members)];
        for (index, seat) in plan.direct(stripe) {
            got[usize::from(seat)].insert(index);
            if index == seat && !silent.contains(&seat) {
                for target in plan.targets(stripe, seat) {
                    assert!(got[usize::from(target)].insert(seat), "a piece was pushed twice");
                }
            }
        }
        got
    }

    proptest! {
        #[test]
        fn every_member_is_offered_enough(n in 1u16..40, a in 0u16..40, b in 0u16..40, seed: u8, stripe in 0u32..5) {
            let q = 1 + a % n;
            let k = 1 + b % q;
            let plan = plan(n, k, q, (a * 7 + b) % n, seed);
            for (seat, pieces) in received(&plan, stripe, &[]).iter().enumerate() {
                if seat != usize::from(plan.coordinator) {
                    prop_assert!(pieces.len() >= usize::from(k), "seat {seat} got {}", pieces.len());
                    prop_assert!(pieces.len() <= usize::from(k) + 1);
                }
            }
        }

        #[test]
        fn sources_and_targets_agree(n in 2u16..20, a in 0u16..20, b in 0u16..20, stripe in 0u32..5) {
            let q = 1 + a % n;
            let k = 1 + b % q;
            let plan = plan(n, k, q, a % n, 3);
            for member in (0..n).filter(|seat| *seat != plan.coordinator) {
                for source in plan.sources(stripe, member) {
                    prop_assert!(plan.targets(stripe, source).contains(&member));
                }
            }
        }

        #[test]
        fn the_others_hold_k_pieces_without_any_spare_members(n in 4u16..12, stripe in 0u32..4, a: u16, b: u16) {
            let thresholds = Thresholds::default_for(n).expect("at least one member");
            let plan = Plan::new(DataHash::from([9; 32]), a % n, &thresholds, Dispersal::Coded);
            let spare = thresholds.members() - thresholds.quorum();
            let gone: BTreeSet<u16> = (0..spare).map(|i| (b % n + i) % n).collect();
            let left = plan.direct(stripe).iter().filter(|(_, seat)| !gone.contains(seat)).count();
            prop_assert!(left >= usize::from(thresholds.minimum_shards()));
        }
    }

    #[test]
    fn the_coordinator_sends_each_piece_once() {
        let plan = plan(7, 3, 5, 2, 1);
        let sends = plan.direct(4);
        assert_eq!(sends.len(), 5);
        assert_eq!(sends.iter().map(|(index, _)| index).collect::<BTreeSet<_>>().len(), 5);
    }
}
