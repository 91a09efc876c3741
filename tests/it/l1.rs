//! Members follow a real chain over JSON-RPC: anvil, behind two providers of which one dies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address as L1Address, U256};
use alloy_sol_types::SolValue;
use attest::{
    Address, Certificate, Committee, CommitteeFile, Epoch, MemberEntry, RollupId, SignatureBytes,
    SubmitterKey, Thresholds,
};
use contracts::ICommitteeRegistry::{Announcement, Contact, Quota};
use contracts::{CertificateVerifier, CommitteeRegistry};
use dac_node::chain_member::{ChainMember, Registry};
use dac_node::clock::{Clock, SystemClock};
use dac_node::compute::ComputePool;
use dac_node::config::HashConfig;
use dac_node::devnet::Transport;
use dac_node::devnet::anvil::Anvil;
use dac_node::devnet::chain::ChainDevnet;
use dac_node::hash_engine::HashEngine;
use dac_node::settlement::Standing;
use dac_node::settlement::ethereum::Ethereum;
use dac_node::settlement::operator::{self, Operator};
use e2e::{Rollup, Times, noise};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) const CHAIN_ID: u64 = 31337;
pub(crate) const DELAY: u64 = 120;
pub(crate) const RETENTION: u64 = 60 * 86_400;
const CONFIRMATIONS: u64 = 2;
/// Longest wait for what members see of L1, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to the chain that can be cut.
struct Provider {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Provider {
    async fn start(chain: &str) -> Provider {
        let chain: SocketAddr = chain.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            // Connections end with this task.
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(chain).await {
                        let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Provider { url, task }
    }
}

/// The contracts on a chain of this machine.
pub(crate) struct Chain {
    anvil: Anvil,
    pub(crate) owner: Operator,
    pub(crate) registry: L1Address,
    verifier: L1Address,
}

impl Chain {
    pub(crate) async fn deploy() -> Chain {
        Chain::deploy_on(CHAIN_ID).await
    }

    pub(crate) async fn deploy_on(chain_id: u64) -> Chain {
        let anvil = Anvil::start(chain_id).await.unwrap();
        let owner = Chain::owner(&anvil);
        owner.endow(owner.address()).await.unwrap();
        let terms = (owner.address(), U256::from(DELAY), U256::from(RETENTION)).abi_encode_params();
        let (registry, _) = owner.deploy(&CommitteeRegistry::BYTECODE, &terms).await.unwrap();
        let (verifier, _) =
            owner.deploy(&CertificateVerifier::BYTECODE, &registry.abi_encode()).await.unwrap();
        Chain { anvil, owner, registry, verifier }
    }

    fn owner(anvil: &Anvil) -> Operator {
        let key = SubmitterKey::from_bytes(&[0x01; 32]).unwrap();
        Operator::connect(anvil.url(), Some(&key)).unwrap()
    }

    pub(crate) fn terms(&self) -> Registry {
        Registry {
            chain_id: CHAIN_ID,
            address: Address(self.registry.into_array()),
            announcement_delay_seconds: DELAY,
            retention_seconds_max: RETENTION,
        }
    }

    /// Puts the registry to another address, without what is in it, and a verifier before it there.
    pub(crate) async fn move_registry(&mut self, to: L1Address) {
        let code = self.owner.ask_test_chain("eth_getCode", json!([self.registry, "latest"])).await.unwrap();
        self.owner.test_chain("anvil_setCode", json!([to, code])).await.unwrap();
        // The owner is in the first word of its storage.
        let owner = self.owner.address().into_word();
        self.owner.test_chain("anvil_setStorageAt", json!([to, U256::ZERO, owner])).await.unwrap();
        let (verifier, _) =
            self.owner.deploy(&CertificateVerifier::BYTECODE, &to.abi_encode()).await.unwrap();
        (self.registry, self.verifier) = (to, verifier);
    }

    /// The next block has this time, which may lie before the last one's.
    pub(crate) async fn set_time(&self, seconds: u64) {
        self.owner.test_chain("evm_setTime", json!([seconds])).await.unwrap();
        self.mine(1).await;
    }

    async fn mine(&self, blocks: u64) {
        self.owner.test_chain("anvil_mine", json!([format!("{blocks:#x}")])).await.unwrap();
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        self.owner.test_chain("evm_increaseTime", json!([seconds])).await.unwrap();
        self.mine(1 + CONFIRMATIONS).await;
    }

    async fn register(&self, key: &SubmitterKey, entry: &MemberEntry) {
        let operator = Operator::connect(self.anvil.url(), Some(key)).unwrap();
        operator.endow(operator.address()).await.unwrap();
        let proof = SignatureBytes(entry.proof_of_possession.0).decode().unwrap().to_padded();
        let call = CommitteeRegistry::registerCall {
            key: entry.public_key.decode().unwrap().to_padded().to_vec().into(),
            proof: proof.to_vec().into(),
            contact: Contact {
                name: entry.name.clone().unwrap(),
                peerId: entry.peer_id.clone().unwrap(),
                addresses: entry.addresses.clone(),
                api: entry.api.clone().unwrap(),
            },
        };
        operator.send(self.registry, &call).await.unwrap();
    }

    async fn authorise(&self, rollup: &Rollup) {
        let rollup_id = rollup.id.0.into();
        let quota = Quota { batchBytesMax: 1 << 20, bytesPerDay: 1 << 40, retentionSecondsMax: RETENTION };
        let admin = self.owner.address();
        let set = CommitteeRegistry::setRollupCall { rollupId: rollup_id, admin, quota };
        self.owner.send(self.registry, &set).await.unwrap();
        let submitter = rollup.key.address().0.into();
        let allow = CommitteeRegistry::setSubmitterCall { rollupId: rollup_id, submitter, allowed: true };
        self.owner.send(self.registry, &allow).await.unwrap();
    }

    /// Announces a committee for as soon as may be; its new members' keys go with it.
    async fn announce(&self, committee: &Committee, entries: &[MemberEntry], new: &[usize]) {
        let (_, now) = self.owner.now().await.unwrap();
        let key = |index: &usize| entries[*index].public_key.decode().unwrap();
        let announcement = Announcement {
            epoch: committee.epoch().0,
            minimumShards: committee.thresholds().minimum_shards(),
            quorum: committee.thresholds().quorum(),
            activatesAt: alloy_primitives::aliases::U48::saturating_from(now + DELAY + 20),
            members: committee.members().iter().map(|m| m.public_key.padded_hash().into()).collect(),
            newKeys: new.iter().flat_map(|index| key(index).to_padded()).collect::<Vec<u8>>().into(),
        };
        self.owner.send(self.registry, &CommitteeRegistry::announceCall { announcement }).await.unwrap();
        self.mine(CONFIRMATIONS).await;
    }

    /// L1 accepts the certificate and names the same batch.
    pub(crate) async fn accepts(&self, certificate: &Certificate) {
        let batch_id = self.judge(certificate).await.unwrap();
        assert_eq!(batch_id, certificate.batch_id().0);
    }

    /// What L1 says of a certificate: the batch, or why not.
    pub(crate) async fn judge(&self, certificate: &Certificate) -> Result<[u8; 32], operator::Error> {
        self.judge_bytes(certificate.statement.rollup_id.0, certificate.to_abi().unwrap()).await
    }

    /// What L1 says of bytes that are to be a certificate for a rollup.
    pub(crate) async fn judge_bytes(
        &self,
        rollup: [u8; 32],
        certificate: Vec<u8>,
    ) -> Result<[u8; 32], operator::Error> {
        let call =
            CertificateVerifier::verifyCall { rollupId: rollup.into(), certificate: certificate.into() };
        self.owner.call(self.verifier, &call).await.map(|batch_id| batch_id.0)
    }
}

fn committee(chain: &Chain, epoch: u64, entries: &[MemberEntry], members: [usize; 4]) -> Committee {
    let file = CommitteeFile {
        epoch: Epoch(epoch),
        chain_id: CHAIN_ID,
        registry: chain.terms().address,
        minimum_shards: 2,
        quorum: 3,
        members: members.iter().map(|index| entries[*index].clone()).collect(),
    };
    let committee = file.check().unwrap();
    assert_eq!(committee.thresholds(), Thresholds::new(4, 2, 3).unwrap());
    committee
}

async fn until_active(members: &[&ChainMember], epoch: u64) {
    for member in members {
        let mut epochs = member.epochs();
        let active = epochs.wait_for(|epochs| epochs.standing == Standing::Active(epoch));
        let node = tokio::time::timeout(PATIENCE, active).await.unwrap().unwrap().nodes[&epoch].clone();
        let mut connected = node.connected();
        let all = connected.wait_for(|seats| seats.len() == 4);
        tokio::time::timeout(PATIENCE, all).await.unwrap().unwrap();
    }
}

async fn certify(
    rollup: &Rollup,
    member: &ChainMember,
    clock: &dyn Clock,
    committee: &Committee,
    seed: u64,
) -> Certificate {
    let times = Times::from(clock.now().unix_seconds);
    let answer = rollup.submit(&member.api_url(), &noise(seed, 30_000), times).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let certificate = Certificate::from_json(&answer.json()["certificate"].to_string()).unwrap();
    certificate.verify(committee).unwrap().into_certificate()
}

/// Registered, authorised and rotated on a real chain, while the members run; their first provider dies on the way, and
/// the chain takes a confirmed announcement back.
#[tokio::test(flavor = "multi_thread")]
async fn members_follow_a_real_chain_through_a_rotation_a_reorg_and_the_death_of_a_provider() {
    let mut chain = Chain::deploy().await;
    let (first, second) =
        (Provider::start(chain.anvil.url()).await, Provider::start(chain.anvil.url()).await);
    let directory = tempfile::tempdir().unwrap();
    let devnet = ChainDevnet {
        directory: directory.path().to_owned(),
        transport: Transport::Tcp,
        registry: chain.terms(),
        confirmations: CONFIRMATIONS,
        poll_period: Duration::from_millis(200),
        compute: ComputePool::new(0).unwrap(),
        hash: HashEngine::start(&HashConfig::default()).await.unwrap(),
        clock: Arc::new(SystemClock::new()),
    };
    let (mut members, mut entries) = (Vec::new(), Vec::new());
    for index in 0..5 {
        let key = SubmitterKey::from_bytes(&[u8::try_from(index).unwrap() + 2; 32]).unwrap();
        let candidate = devnet.prepare(index, key.address()).await.unwrap();
        chain.register(&key, &candidate.entry).await;
        entries.push(candidate.entry.clone());
        let urls = [first.url.clone(), second.url.clone()];
        let l1 = Ethereum::new(&urls, CHAIN_ID, devnet.registry.address).unwrap();
        members.push(devnet.start(candidate, l1).await.unwrap());
    }
    let domain = attest::Domain { chain_id: CHAIN_ID, registry: devnet.registry.address };
    let rollup = Rollup::new(RollupId([0x5e; 32]), domain, SubmitterKey::from_bytes(&[0x5b; 32]).unwrap());
    chain.authorise(&rollup).await;
    let one = committee(&chain, 1, &entries, [0, 1, 2, 3]);
    chain.announce(&one, &entries, &[0, 1, 2, 3]).await;
    chain.pass(DELAY + 20).await;
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|index| &members[index]);
    until_active(&[a, b, c, d], 1).await;
    chain.accepts(&certify(&rollup, a, &*devnet.clock, &one, 1).await).await;

    // An announcement that was confirmed is taken back, with the blocks above it: the epoch never was.
    let snapshot = chain.owner.ask_test_chain("evm_snapshot", json!([])).await.unwrap();
    let two = committee(&chain, 2, &entries, [0, 1, 2, 4]);
    chain.announce(&two, &entries, &[4]).await;
    let mut epochs = e.epochs();
    let joined = epochs.wait_for(|epochs| epochs.nodes.contains_key(&2));
    tokio::time::timeout(PATIENCE, joined).await.unwrap().unwrap();
    chain.owner.test_chain("evm_revert", json!([snapshot])).await.unwrap();
    // The client counts transactions, and some of them are gone.
    chain.owner = Chain::owner(&chain.anvil);
    chain.mine(CONFIRMATIONS + 3).await;
    let left = epochs.wait_for(|epochs| epochs.nodes.is_empty());
    tokio::time::timeout(PATIENCE, left).await.unwrap().unwrap();

    // The provider that all members use dies. They take the other one, and the committee changes.
    first.task.abort();
    chain.announce(&two, &entries, &[4]).await;
    chain.pass(DELAY + 20).await;
    until_active(&[a, b, c, e], 2).await;
    chain.accepts(&certify(&rollup, e, &*devnet.clock, &two, 2).await).await;
    let refused =
        rollup.submit(&d.api_url(), &noise(3, 1000), Times::from(devnet.clock.now().unix_seconds)).await;
    refused.problem(409, "stale_epoch");
    for member in members {
        member.stop().await.unwrap();
    }
}
