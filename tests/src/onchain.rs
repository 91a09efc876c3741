//! A committee on a simulated L1: real members with libp2p, stores and HTTP, which follow a chain that the test mines.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use attest::{
    Address, Certificate, Committee, CommitteeFile, Domain, Epoch, MemberEntry, RollupId, SignatureBytes,
    SubmitterKey, Thresholds,
};
use bytes::Bytes;
use dac_node::chain_member::{ChainMember, Epochs, Registry};
use dac_node::clock::{Clock, SystemClock};
use dac_node::compute::ComputePool;
use dac_node::config::HashConfig;
use dac_node::devnet::Transport;
use dac_node::devnet::chain::ChainDevnet;
use dac_node::hash_engine::HashEngine;
use dac_node::settlement::simulated::SimulatedChain;
use dac_node::settlement::{Change, Contact, MemberId, Quota, Settlement, Standing};

use crate::{Answer, Rollup, Times};

/// Time of the first block: years from the machine's calendar.
pub const L1_START: u64 = 2_500_000_000;
/// Between announcement and activation.
pub const ANNOUNCEMENT_DELAY: u64 = 7 * 86_400;
/// Longest retention.
pub const RETENTION: u64 = 60 * 86_400;
/// Blocks above an event before it counts.
pub const CONFIRMATIONS: u64 = 3;
/// Attempts for one batch, at one member after the other.
const ATTEMPTS_MAX: usize = 400;
/// Pause between two of them.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);

/// The chain, and the members that follow it.
#[derive(Debug)]
pub struct Onchain {
    /// L1.
    pub chain: Arc<SimulatedChain>,
    /// What the members share.
    pub devnet: ChainDevnet,
    /// Running members; `None` while stopped.
    pub members: Vec<Option<ChainMember>>,
    /// Who they are, registered.
    pub entries: Vec<MemberEntry>,
    /// The rollup, not yet authorised.
    pub rollup: Rollup,
    /// The committees announced so far.
    pub committees: Vec<Committee>,
}

impl Onchain {
    /// Members that are registered on L1; no epoch, no rollup.
    ///
    /// # Panics
    /// When a member does not start.
    pub async fn start(directory: &Path, members: u16) -> Onchain {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Onchain::start_with(directory, members, |_| clock.clone()).await
    }

    /// The same, each with a clock of its own; `devnet.clock` is the last one's.
    ///
    /// # Panics
    /// When a member does not start.
    pub async fn start_with(
        directory: &Path,
        members: u16,
        clock: impl Fn(usize) -> Arc<dyn Clock>,
    ) -> Onchain {
        let registry = Registry {
            chain_id: 31337,
            address: Address([0xab; 20]),
            announcement_delay_seconds: ANNOUNCEMENT_DELAY,
            retention_seconds_max: RETENTION,
        };
        let devnet = ChainDevnet {
            directory: directory.to_owned(),
            transport: Transport::Tcp,
            registry,
            confirmations: CONFIRMATIONS,
            poll_period: Duration::from_millis(50),
            compute: ComputePool::new(0).expect("compute threads start"),
            hash: HashEngine::start(&HashConfig::default()).await.expect("the software engine starts"),
            clock: Arc::new(SystemClock::new()),
        };
        let domain = Domain { chain_id: registry.chain_id, registry: registry.address };
        let key = SubmitterKey::from_bytes(&[0x5b; 32]).expect("a fixed key");
        let rollup = Rollup::new(RollupId([0x5e; 32]), domain, key);
        let chain = Arc::new(SimulatedChain::new(L1_START));
        let mut onchain =
            Onchain { chain, devnet, members: vec![], entries: vec![], rollup, committees: vec![] };
        for index in 0..members {
            let operator = Address([u8::try_from(index).expect("few members") + 1; 20]);
            let candidate = onchain.devnet.prepare(index, operator).await.expect("a member is prepared");
            onchain.entries.push(candidate.entry.clone());
            onchain.mine(vec![registered(&candidate.entry)]).await;
            onchain.devnet.clock = clock(usize::from(index));
            let member = onchain.devnet.start(candidate, onchain.chain.clone()).await;
            onchain.members.push(Some(member.expect("a member starts")));
        }
        onchain
    }

    /// L1's time.
    ///
    /// # Panics
    /// While the provider is told to fail.
    pub async fn l1_time(&self) -> u64 {
        self.chain.head().await.expect("the provider answers").timestamp
    }

    /// A block with these changes, 12 seconds later, and the confirmations above it.
    pub async fn mine(&self, changes: Vec<Change>) {
        let time = self.l1_time().await;
        self.chain.mine(time + 12, changes);
        self.chain.mine_empty(CONFIRMATIONS, 12);
    }

    /// Lets the rollup submit.
    pub async fn authorise(&self) {
        let (id, submitter) = (self.rollup.id, self.rollup.key.address());
        let quota =
            Quota { batch_bytes_max: 1 << 20, bytes_per_day: 1 << 40, retention_seconds_max: RETENTION };
        self.mine(vec![
            Change::RollupSet { id, admin: Address([9; 20]), quota },
            Change::SubmitterSet { id, submitter, allowed: true },
        ])
        .await;
    }

    /// Announces members, by index, for as soon as may be. Gives the activation time.
    pub async fn announce(&mut self, epoch: u64, members: &[usize], thresholds: Thresholds) -> u64 {
        let activates_at = self.l1_time().await + ANNOUNCEMENT_DELAY + 60;
        let committee = self.file(epoch, members, thresholds).check().expect("a committee");
        let change = Change::EpochAnnounced {
            epoch,
            committee_hash: committee.hash().0,
            minimum_shards: thresholds.minimum_shards(),
            quorum: thresholds.quorum(),
            activates_at,
            members: members.iter().map(|index| id(&self.entries[*index])).collect(),
        };
        self.committees.push(committee);
        self.mine(vec![change]).await;
        activates_at
    }

    fn file(&self, epoch: u64, members: &[usize], thresholds: Thresholds) -> CommitteeFile {
        CommitteeFile {
            epoch: Epoch(epoch),
            chain_id: self.rollup.domain.chain_id,
            registry: self.rollup.domain.registry,
            minimum_shards: thresholds.minimum_shards(),
            quorum: thresholds.quorum(),
            members: members.iter().map(|index| self.entries[*index].clone()).collect(),
        }
    }

    /// The activation's block, confirmed.
    pub fn activate(&self, activates_at: u64) {
        self.chain.mine(activates_at, vec![]);
        self.chain.mine_empty(CONFIRMATIONS, 12);
    }

    /// How L1 names a member.
    pub fn id(&self, index: usize) -> MemberId {
        id(&self.entries[index])
    }

    /// A member's base URL.
    ///
    /// # Panics
    /// When it is stopped.
    pub fn api(&self, index: usize) -> String {
        self.members[index].as_ref().expect("the member runs").api_url()
    }

    /// Waits until a member sees something; as long as a busy machine needs.
    ///
    /// # Panics
    /// When it never does.
    pub async fn until(&self, index: usize, is_so: impl FnMut(&Arc<Epochs>) -> bool) {
        let mut epochs = self.members[index].as_ref().expect("the member runs").epochs();
        let waited = tokio::time::timeout(Duration::from_secs(60), epochs.wait_for(is_so)).await;
        waited.expect("the member sees it in time").expect("the member runs");
    }

    /// Waits until members have an epoch active and are connected to each other in it.
    ///
    /// # Panics
    /// When they never are.
    pub async fn until_active(&self, epoch: u64, members: &[usize]) {
        for index in members {
            self.until(*index, |epochs| epochs.standing == Standing::Active(epoch)).await;
            let member = self.members[*index].as_ref().expect("the member runs");
            let node = member.epochs().borrow().nodes[&epoch].clone();
            let mut connected = node.connected();
            let all = connected.wait_for(|seats| usize::from(seats.len()) == members.len());
            tokio::time::timeout(Duration::from_secs(60), all).await.expect("in time").expect("it runs");
        }
    }

    /// Submits to one member after the other until the batch is certified; gives the certificate, verified with the
    /// committee of its epoch, and how often a member said no.
    ///
    /// # Panics
    /// When nobody certifies it, or for any refusal that a change of epochs does not explain.
    pub async fn certify(&self, batch: &Bytes, members: &[usize]) -> (Certificate, usize) {
        let times = Times::from(self.devnet.clock.now().unix_seconds);
        for attempt in 0..ATTEMPTS_MAX {
            let api = self.api(members[attempt % members.len()]);
            let answer = self.rollup.submit(&api, batch, times).await;
            if answer.status == 200 {
                return (self.verified(&answer), attempt);
            }
            let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
            assert!(
                ["stale_epoch", "quorum_not_reached", "busy"].contains(&code.as_str()),
                "{}",
                answer.text()
            );
            tokio::time::sleep(ATTEMPT_PAUSE).await;
        }
        panic!("nobody certified the batch in {ATTEMPTS_MAX} attempts");
    }

    /// The certificate of a 200, verified with the committee of the epoch it names.
    ///
    /// # Panics
    /// When it does not verify.
    pub fn verified(&self, answer: &Answer) -> Certificate {
        let certificate = Certificate::from_json(&answer.json()["certificate"].to_string()).expect("one");
        let epoch = certificate.statement.epoch;
        let committee = self.committees.iter().find(|committee| committee.epoch() == epoch);
        let checked = certificate.verify(committee.expect("an announced epoch")).expect("it verifies");
        checked.into_certificate()
    }

    /// Stops a member.
    ///
    /// # Panics
    /// When it fails.
    pub async fn stop_member(&mut self, index: usize) {
        self.members[index].take().expect("the member runs").stop().await.expect("it stops cleanly");
    }

    /// Starts it again.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart_member(&mut self, index: usize) {
        let number = u16::try_from(index).expect("few members");
        let candidate = self.devnet.prepare_again(number, &self.entries[index]).await.expect("prepared");
        let member = self.devnet.start(candidate, self.chain.clone()).await.expect("the member starts");
        self.members[index] = Some(member);
    }

    /// Stops everything.
    ///
    /// # Panics
    /// When a member fails.
    pub async fn stop(mut self) {
        for member in self.members.iter_mut().filter_map(Option::take) {
            member.stop().await.expect("a member stops cleanly");
        }
    }
}

fn id(entry: &MemberEntry) -> MemberId {
    entry.public_key.decode().expect("a key").padded_hash()
}

fn registered(entry: &MemberEntry) -> Change {
    let key = entry.public_key.decode().expect("a key");
    let proof = SignatureBytes(entry.proof_of_possession.0).decode().expect("a proof");
    Change::MemberRegistered {
        id: key.padded_hash(),
        operator: entry.operator,
        key: key.to_padded().to_vec(),
        proof: proof.to_padded().to_vec(),
        contact: Contact {
            name: entry.name.clone().unwrap_or_default(),
            peer_id: entry.peer_id.clone().unwrap_or_default(),
            addresses: entry.addresses.clone(),
            api: entry.api.clone().unwrap_or_default(),
        },
    }
}
