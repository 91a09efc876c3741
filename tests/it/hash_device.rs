//! A committee whose hash device is the simulated gateware: it certifies, and nothing that the device does costs a batch.

use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use attest::Thresholds;
use bytes::Bytes;
use dac_node_coding::{Coder, Layout, commit};
use e2e::{CommitteeProcess, Times, metric, noise, real_batch, until};
use rtl_sim::{Design, Library, Trace, default_directory};

/// Replies of a good self-test (one each for loopback and an unknown opcode, 17 for lengths), and some of the work.
const SPARED: &str = "24";

fn now() -> u64 {
    use dac_node::clock::{Clock, SystemClock};
    SystemClock::new().now().unix_seconds
}

/// What the device has hashed with Keccak.
fn by_device(metrics: &str, name: &str) -> f64 {
    metric(metrics, name, &[("seat", "0"), ("engine", "fpga"), ("function", "keccak256")])
}

/// The simulated card. What is missing to build it (Verilator, for instance) is said in the panic.
static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let built = Library::build(&Design::accelerator().unwrap(), Trace::Without, &default_directory());
    built.unwrap_or_else(|error| panic!("{error}"))
});

/// A simulated card, or a program that uses one, in its own process; killed when dropped.
struct Card(Child);

impl Card {
    fn start(socket: &Path, fault: &[&str]) -> Card {
        Card::at(&format!("unix:{}", socket.display()), fault)
    }

    fn at(name: &str, fault: &[&str]) -> Card {
        let mut command = Command::new(env!("CARGO_BIN_EXE_card"));
        command.arg(name).arg(LIBRARY.path()).args(fault).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let line = first_line(&mut process);
        assert_eq!(line, "listening\n", "the simulated card did not start");
        Card(process)
    }
}

/// What a process says first.
fn first_line(process: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line
}

impl Drop for Card {
    fn drop(&mut self) {
        // It may be gone already.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A committee on a card, with what its metrics say.
struct Committee {
    process: CommitteeProcess,
    batches: u64,
}

impl Committee {
    async fn start(directory: &Path, socket: &Path) -> Committee {
        let device = format!("unix:{}", socket.display());
        let thresholds = Thresholds::new(4, 2, 3).unwrap();
        let program = env!("CARGO_BIN_EXE_committee");
        let process = CommitteeProcess::start_with(program, thresholds, directory, Some(&device)).await;
        Committee { process: process.unwrap(), batches: 0 }
    }

    async fn metrics(&self) -> String {
        self.process.rollup().get(&self.process.api()[0], "/metrics").await.text()
    }

    async fn faults(&self, kind: &str) -> f64 {
        metric(&self.metrics().await, "dac_hash_device_faults_total", &[("seat", "0"), ("kind", kind)])
    }

    async fn attachments(&self) -> f64 {
        metric(&self.metrics().await, "dac_hash_device_attachments_total", &[("seat", "0")])
    }

    async fn wait_attached(&self) {
        until("the device is attached", || async {
            let attached = metric(&self.metrics().await, "dac_hash_device_attached", &[("seat", "0")]);
            (attached == 1.0).then_some(())
        })
        .await;
    }

    /// Submits a batch and compares the certified roots with those that software computes here.
    async fn certifies(&mut self, batch: &Bytes) {
        let (rollup, times) = (self.process.rollup(), Times::from(now()));
        let api = &self.process.api()[self.batches as usize % 4];
        self.batches += 1;
        let certified = rollup.submit(api, batch, times).await.certified(self.process.committee());
        let (coder, layout) = (Coder::new(4, 2).unwrap(), Layout::new(4, 2, batch.len() as u64).unwrap());
        let (expected, _) = commit(&*fpga_hash::software(), &coder, &layout, batch);
        let statement = &certified.certificate.certificate().statement;
        assert_eq!(statement.data_hash, expected.data_hash);
        assert_eq!(statement.data_root, expected.data_root);
        assert_eq!(statement.shards_root, expected.shards_root);
    }

    /// Submits batches until a fault of this kind is counted; each must be certified with the right roots.
    async fn certifies_through(&mut self, kind: &str, before: f64) {
        for _ in 0..60 {
            let batch = noise(self.batches + 1000, 100_000);
            self.certifies(&batch).await;
            if self.faults(kind).await > before {
                return;
            }
        }
        panic!("no {kind} was counted:\n{}", self.metrics().await);
    }

    /// Submits batches until the device was attached so often, each time after a good self-test. On a busy machine
    /// self-tests fail first: the device may meet its fault in one of them, and is then attached once less.
    async fn certifies_until_attached(&mut self, attachments: f64, faults_before: f64) {
        for _ in 0..20 {
            self.wait_attached().await;
            if self.attachments().await >= attachments {
                return;
            }
            let batch = noise(self.batches + 1000, 100_000);
            self.certifies(&batch).await;
        }
        let (attached, faults) = (self.attachments().await, self.all_faults().await - faults_before);
        assert!(attached + 1.0 >= attachments && faults > 1.0, "{attached} attachments, {faults} faults");
    }

    async fn all_faults(&self) -> f64 {
        let text = self.metrics().await;
        let lines = text.lines().filter(|line| line.starts_with("dac_hash_device_faults_total"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committee_on_the_simulated_gateware_certifies_a_real_batch_with_its_digests() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("card.socket");
    let _card = Card::start(&socket, &[]);
    let mut committee = Committee::start(directory.path(), &socket).await;
    committee.wait_attached().await;
    committee.certifies(&real_batch("scroll-block-03.json")).await;
    let text = committee.metrics().await;
    let messages = by_device(&text, "dac_hash_messages_total");
    let bytes = by_device(&text, "dac_hash_bytes_total");
    // Every member hashes at least its decoded pieces and the batch's: more than a batch, in leaves of 1 KiB.
    assert!(messages > 2_000.0 && bytes > 517_840.0 * 4.0, "{messages} messages, {bytes} bytes");
    let poseidon = [("seat", "0"), ("engine", "fpga"), ("function", "poseidon")];
    assert_eq!(metric(&text, "dac_hash_messages_total", &poseidon), 0.0, "the device has no Poseidon");
    // On a busy machine an answer may come late or not in time, which costs nothing but the device's share of the work.
    let is_slow = |line: &str| line.contains("\"late\"") || line.contains("\"timed_out\"");
    let is_fault = |line: &&str| line.starts_with("dac_hash_device_faults_total") && !is_slow(line);
    for line in text.lines().filter(is_fault) {
        assert!(line.ends_with(" 0"), "{line}");
    }
    committee.process.kill().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_attaches_a_card_by_its_tcp_address() {
    let directory = tempfile::tempdir().unwrap();
    let batch = directory.path().join("batch");
    std::fs::write(&batch, noise(7, 100_000)).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let device = format!("tcp:127.0.0.1:{port}");
    let _card = Card::at(&device, &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_member"));
    command.args(["devnet", "--members", "4", "--stop", "0", "--json", "--serve", "--hash-device", &device]);
    let mut devnet = Card(command.arg("--batch").arg(&batch).stdout(Stdio::piped()).spawn().unwrap());
    let report: serde_json::Value = serde_json::from_str(&first_line(&mut devnet.0)).unwrap();
    assert_eq!(report["retrieved"], true, "{report}");
    let url = format!("{}/metrics", report["urls"][0].as_str().unwrap().trim_end_matches('/'));
    until("the card has hashed", || async {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let attached = metric(&text, "dac_hash_device_attached", &[("seat", "0")]);
        (attached == 1.0 && by_device(&text, "dac_hash_messages_total") > 0.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_device_costs_a_batch_and_it_comes_back_after_a_good_self_test() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("card.socket");
    let card = Card::start(&socket, &[]);
    let mut committee = Committee::start(directory.path(), &socket).await;
    committee.wait_attached().await;

    // Killed while a batch is being hashed.
    let (batch, certified) = (noise(999, 2_000_000), Cell::new(false));
    let before = by_device(&committee.metrics().await, "dac_hash_messages_total");
    let (rollup, api) = (committee.process.rollup(), committee.process.api()[0].clone());
    let killed = async {
        until("the device has begun", || async {
            let hashed = by_device(&rollup.get(&api, "/metrics").await.text(), "dac_hash_messages_total");
            (hashed > before).then_some(())
        })
        .await;
        drop(card);
        assert!(!certified.get(), "the batch was certified before the card was killed");
    };
    let certifies = async {
        committee.certifies(&batch).await;
        certified.set(true);
    };
    tokio::join!(certifies, killed);
    committee.certifies_through("closed", 0.0).await;

    for (fault, kind) in [
        ("timeout", "timed_out"),
        ("late", "timed_out"),
        ("twice", "unexpected_reply"),
        ("wrong-digest", "wrong_digest"),
        // Seldom in the sample: then a path or a root is wrong, and software decides.
        ("one-wrong-digest", "wrong_digest"),
        ("corrupt-header", "corrupt_header"),
        ("corrupt-payload", "corrupt_payload"),
    ] {
        // Before the card is there: members may be at work, and meet its fault, as soon as it is attached.
        let (faults, attachments) = (committee.faults(kind).await, committee.attachments().await);
        let all_faults = committee.all_faults().await;
        let card = Card::start(&socket, &[fault, SPARED]);
        committee.wait_attached().await;
        committee.certifies_through(kind, faults).await;
        committee.certifies_until_attached(attachments + 2.0, all_faults).await;
        let closed = committee.faults("closed").await;
        drop(card);
        committee.certifies_through("closed", closed).await;
    }
    committee.process.kill().unwrap();
}
