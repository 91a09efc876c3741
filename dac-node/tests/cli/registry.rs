//! The commands that an operator, an owner and a rollup give to a registry on L1, in their order, against anvil.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolValue;
use contracts::{CertificateVerifier, CommitteeRegistry};
use dac_node::devnet::anvil::Anvil;
use dac_node::settlement::operator::Operator;

use super::*;

const CHAIN_ID: u64 = 31337;
const DELAY_SECONDS: u64 = 600;
/// The certificate of [`certify`] is kept until 2030.
const RETENTION_SECONDS: u64 = 3650 * 86_400;

/// A chain with the two contracts, and a directory with the owner's key and the members'.
struct L1 {
    chain: Anvil,
    operator: Operator,
    registry: String,
    verifier: String,
    directory: tempfile::TempDir,
}

impl L1 {
    async fn deploy() -> L1 {
        let directory = tempfile::tempdir().unwrap();
        let chain = Anvil::start(CHAIN_ID).await.unwrap();
        let key = attest::SubmitterKey::from_bytes(&[9; 32]).unwrap();
        let operator = Operator::connect(chain.url(), Some(&key)).unwrap();
        operator.endow(operator.address()).await.unwrap();
        let mut l1 = L1 { chain, operator, registry: String::new(), verifier: String::new(), directory };
        let owner = l1.new_key("owner.json").await;
        let terms = (owner, U256::from(DELAY_SECONDS), U256::from(RETENTION_SECONDS)).abi_encode_params();
        let (registry, _) = l1.operator.deploy(&CommitteeRegistry::BYTECODE, &terms).await.unwrap();
        let terms = registry.abi_encode();
        let (verifier, _) = l1.operator.deploy(&CertificateVerifier::BYTECODE, &terms).await.unwrap();
        (l1.registry, l1.verifier) = (registry.to_string(), verifier.to_string());
        l1
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// A key with some ether; its address.
    async fn new_key(&self, name: &str) -> Address {
        let path = self.path(name);
        let new = ["--json", "keys", "new", "--submitter", "--out", &path, "--weak-for-devnet"];
        let made = dac_with_password(&new).succeeds().json();
        let address: Address = made["address"].as_str().unwrap().parse().unwrap();
        self.operator.endow(address).await.unwrap();
        address
    }

    /// Keys and entry of a member under an operator.
    fn prove(&self, seat: usize, operator: Address) {
        let (keys, entry) = (self.path(&format!("keys{seat}")), self.path(&format!("entry{seat}.json")));
        let (operator, chain_id) = (operator.to_string(), CHAIN_ID.to_string());
        dac_with_password(&["keys", "new", "--dir", &keys, "--weak-for-devnet"]).succeeds();
        let prove = ["keys", "prove", "--dir", &keys, "--chain-id", &chain_id, "--registry", &self.registry];
        let rest = ["--operator", &operator, "--address", "/ip4/127.0.0.1/tcp/9000", "--out", &entry];
        dac_with_password(&[&prove[..], &rest].concat()).succeeds();
    }

    /// `dac committee …` on this registry.
    fn committee(&self, arguments: &[&str]) -> Run {
        let (command, rest) = arguments.split_first().unwrap();
        let on = ["--json", "committee", command, "--l1", self.chain.url(), "--registry", &self.registry];
        dac_with_password(&[&on[..], rest].concat())
    }

    fn verify(&self) -> Run {
        let (certificate, committee) = (self.path("certificate"), self.path("committee.json"));
        let verify = ["--json", "verify", "--certificate", &certificate, "--committee", &committee];
        dac(&[&verify[..], &["--l1", self.chain.url(), "--verifier", &self.verifier]].concat())
    }

    async fn pass(&self, seconds: u64) {
        self.operator.test_chain("evm_increaseTime", serde_json::json!([seconds])).await.unwrap();
        self.operator.test_chain("anvil_mine", serde_json::json!(["0x2"])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_register_the_owner_announces_and_l1_judges_their_certificates() {
    let l1 = L1::deploy().await;
    let operator = l1.new_key("operator.json").await;
    let (key, other, owner) = (l1.path("operator.json"), l1.path("other.json"), l1.path("owner.json"));
    l1.new_key("other.json").await;
    let entries: Vec<String> = (0..MEMBERS).map(|seat| l1.path(&format!("entry{seat}.json"))).collect();
    let members: Vec<&str> = entries.iter().flat_map(|entry| ["--member", entry.as_str()]).collect();
    (0..MEMBERS).for_each(|seat| l1.prove(seat, operator));

    let announce = [&["announce", "--epoch", "1"], members.as_slice()].concat();
    l1.committee(&announce).fails(3, "not_registered");
    l1.committee(&["register", "--member", &entries[0], "--key", &other]).fails(2, "usage");
    for entry in &entries {
        let done = l1.committee(&["register", "--member", entry, "--key", &key]).succeeds().json();
        assert!((100_000..420_000).contains(&done["gas"].as_u64().unwrap()), "{done}");
    }
    l1.committee(&["register", "--member", &entries[0], "--key", &key]).fails(3, "l1_refused");

    // Without a key it is the call for the timelock; with one that does not own the registry, L1 refuses.
    let printed = l1.committee(&announce).succeeds().json();
    assert!(printed["data"].as_str().unwrap().len() > 2 + 2 * 128 * MEMBERS, "the keys go with it");
    l1.committee(&[&announce[..], &["--key", &key]].concat()).fails(3, "l1_refused");
    l1.committee(&[&announce[..], &["--key", &owner]].concat()).succeeds();

    let out = l1.path("committee.json");
    let status = ["status", "--confirmations", "0", "--out", &out];
    assert_eq!(l1.committee(&status).succeeds().json()["epoch"], 0, "announced, not begun");
    assert!(!Path::new(&out).exists());
    l1.pass(DELAY_SECONDS + 3600).await;
    let found = l1.committee(&status).succeeds().json();
    assert_eq!((&found["epoch"], &found["members"].as_array().unwrap().len()), (&Value::from(1), &MEMBERS));

    // The file that came from L1 is the committee's: what its members sign is valid on both sides.
    let password = Password::new(PASSWORD).unwrap();
    let load = |seat| NodeKeys::load(&l1.directory.path().join(format!("keys{seat}")), &password).unwrap();
    let keys: Vec<NodeKeys> = (0..MEMBERS).map(load).collect();
    let certificate = certify(l1.directory.path(), &keys);
    std::fs::write(l1.path("certificate"), certificate.encode()).unwrap();
    l1.verify().succeeds();

    // Kept for as long as was promised: the signatures are as good as ever, for L1 the certificate has expired.
    l1.pass(RETENTION_SECONDS).await;
    let error = l1.verify().fails(4, "false_certificate");
    assert!(error["detail"].as_str().unwrap().contains("CertificateExpired"), "{error}");
}
