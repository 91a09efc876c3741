//! `dac submit`, `fetch` and `status` against real members, in this process, on loopback.

use std::path::{Path, PathBuf};
use std::time::Duration;

use attest::Thresholds;
use dac_node::config::NodeConfig;
use dac_node::devnet::{Devnet, DevnetConfig};
use serde_json::json;
use tokio::runtime::Runtime;

use super::{Run, command, finish};

/// Four members (k = 2, q = 3) with a batch to submit. Dropping the runtime stops them.
struct Committee {
    runtime: Runtime,
    devnet: Option<Devnet>,
    directory: tempfile::TempDir,
}

/// Members that are away are named after seconds; those that are there answer within milliseconds.
fn impatient(config: &mut NodeConfig) {
    config.timings.member_answer_timeout = Duration::from_secs(5);
}

impl Committee {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let thresholds = Thresholds::new(4, 2, 3).unwrap();
        let config = DevnetConfig { adjust: impatient, ..DevnetConfig::new(thresholds, directory.path()) };
        let devnet = runtime.block_on(Devnet::start(config)).unwrap();
        let batch: Vec<u8> = (0_u32..300_000).map(|i| (i % 1009 * 31 % 253).to_le_bytes()[0]).collect();
        std::fs::write(directory.path().join("batch"), batch).unwrap();
        Committee { runtime, devnet: Some(devnet), directory }
    }

    fn devnet(&mut self) -> &mut Devnet {
        self.devnet.as_mut().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn stop_member(&mut self, seat: u16) {
        let devnet = self.devnet.as_mut().unwrap();
        self.runtime.block_on(devnet.stop_member(seat)).unwrap();
    }

    /// `dac --json ARGUMENTS --committee .. --endpoint ..` with the devnet's password.
    fn dac(&mut self, arguments: &[&str]) -> Run {
        let urls = self.devnet().api_urls();
        let mut command = command(&["--json"]);
        command
            .args(arguments)
            .arg("--committee")
            .arg(self.path("committee.json"))
            .env("DAC_PASSWORD", "devnet");
        for url in &urls {
            command.args(["--endpoint", url]);
        }
        finish(command)
    }

    fn submit(&mut self, file: &Path, more: &[&str]) -> Run {
        let rollup = self.devnet().rollup_id().to_string();
        let key = self.path("submitter.json");
        let fixed = ["submit", file.to_str().unwrap(), "--rollup", &rollup, "--key", key.to_str().unwrap()];
        self.dac(&[&fixed, more].concat())
    }

    fn stop(mut self) {
        if let Some(devnet) = self.devnet.take() {
            self.runtime.block_on(devnet.stop()).unwrap();
        }
    }
}

#[test]
fn certifies_a_batch_and_reads_it_back_with_a_member_gone() {
    let mut committee = Committee::start();
    let (batch, certificate, out) =
        (committee.path("batch"), committee.path("certificate"), committee.path("out"));
    let (certificate, out) = (certificate.to_str().unwrap(), out.to_str().unwrap());

    let report = committee.submit(&batch, &["--out", certificate, "--check-roots"]).succeeds().json();
    assert!(report["signers"].as_array().unwrap().len() >= 3, "{report}");
    let id = report["batch_id"].as_str().unwrap().to_owned();
    committee.submit(&batch, &["--out", certificate]).fails(7, "exists");

    // Who has only the committee file, the certificate and the batch believes it.
    let committee_file = committee.path("committee.json");
    let mut verify = command(&["--json", "verify", "--certificate", certificate, "--committee"]);
    verify.arg(committee_file).arg("--batch").arg(&batch);
    let verified = finish(verify).succeeds().json();
    assert_eq!((&verified["batch_id"], &verified["batch_checked"]), (&json!(id), &json!(true)));

    let status = committee.dac(&["status", &id]).succeeds().json();
    assert_eq!((&status["stage"], &status["batch_id"]), (&json!("certified"), &json!(id)));
    // Members count their shards now and then, not with every certificate.
    let counted = |report: &serde_json::Value| {
        let members = report["members"].as_array().unwrap();
        members.iter().any(|member| member["custody"]["shards_here"] == 1)
    };
    let mut ready = committee.dac(&["status"]).succeeds().json();
    for _ in 0..300 {
        if counted(&ready) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        ready = committee.dac(&["status"]).succeeds().json();
    }
    assert_eq!((&ready["ready"], &ready["asked"]), (&json!(4), &json!(4)), "{ready}");
    let asked = ready["members"].as_array().unwrap();
    assert!(asked.iter().all(|member| member["custody"]["shards_missing"] == 0), "{ready}");
    assert!(counted(&ready), "{ready}");

    let examined = committee.dac(&["doctor"]).succeeds().json();
    assert_eq!(examined["healthy"], true, "{examined}");
    let members = examined["members"].as_array().unwrap();
    let advised = |member: &serde_json::Value| member["advice"] == json!(dac_node::kernel::advice());
    assert!(members.len() == 4 && members.iter().all(advised), "{examined}");

    committee.stop_member(0);
    committee.dac(&["doctor"]).fails(1, "unhealthy");
    let fetched = committee.dac(&["fetch", &id, "--out", out]).succeeds().json();
    assert_eq!(fetched["roots_verified"], true);
    assert_eq!(std::fs::read(out).unwrap(), std::fs::read(&batch).unwrap());
    committee.dac(&["fetch", &id, "--out", out]).fails(7, "exists");
    committee.dac(&["fetch", "--certificate", certificate, "--out", out, "--force"]).succeeds();
    let hash = fetched["data_hash"].as_str().unwrap();
    let by_hash = committee.dac(&["fetch", "--data-hash", hash, "--out", out, "--force"]).succeeds().json();
    assert_eq!(by_hash["roots_verified"], false);
    committee.stop();
}

#[test]
fn says_who_refused_and_why() {
    let mut committee = Committee::start();
    let batch = committee.path("batch");
    let unknown = format!("0x{}", "11".repeat(32));
    let out = committee.path("out");
    let out = out.to_str().unwrap();
    committee.dac(&["fetch", &unknown, "--out", out]).fails(5, "unknown_batch");
    assert!(!Path::new(out).exists(), "a failed fetch left a file");
    committee.dac(&["status", &unknown]).fails(5, "unknown_batch");

    let key = committee.path("submitter.json");
    let file = batch.to_str().unwrap();
    let other_rollup = ["submit", file, "--rollup", &unknown, "--key", key.to_str().unwrap()];
    committee.dac(&other_rollup).fails(3, "unauthorised");
    committee.submit(&batch, &["--hot-for", "1h", "--retain-for", "1000d"]).fails(3, "quota_exceeded");
    committee.submit(&batch, &["--hot-for", "2h", "--retain-for", "1h"]).fails(2, "usage");
    committee.submit(&batch, &["--hot-for", "2 moons"]).fails(2, "usage");
    let empty = committee.path("empty");
    std::fs::write(&empty, "").unwrap();
    committee.submit(&empty, &[]).fails(2, "usage");

    committee.stop_member(1);
    committee.stop_member(2);
    let error = committee.submit(&batch, &[]).fails(3, "quorum_not_reached");
    let detail = error["detail"].as_str().unwrap();
    for missing in ["member 1", "member 2"] {
        assert!(detail.contains(missing), "{detail}");
    }
    committee.stop();
}

#[test]
fn nobody_there_is_exit_code_6() {
    // Ports that were free a moment ago; nothing listens there. With as many as half the attempts there are two rounds, and
    // one short pause between them.
    let listeners = [(); 4].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let urls =
        listeners.map(|listener| format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port()));
    let endpoints: Vec<&str> = urls.iter().flat_map(|url| ["--endpoint", url]).collect();
    let id = format!("0x{}", "11".repeat(32));
    let committee = super::SITE.path("committee.json");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let fetch = ["fetch", &id, "--committee", &committee, "--out", out.to_str().unwrap()];
    let questions: [&[&str]; 3] = [&["status"], &["status", &id], &fetch];
    // Each tries for a while before it gives up.
    std::thread::scope(|scope| {
        for question in questions {
            let (urls, endpoints) = (&urls, &endpoints);
            scope.spawn(move || {
                let question = [&["--json"], question, endpoints].concat();
                let error = super::dac(&question).fails(6, "unreachable");
                let detail = error["detail"].as_str().unwrap();
                assert!(urls.iter().all(|url| detail.contains(url)), "{error}");
            });
        }
    });
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "a failed fetch left a file");
    super::dac(&["--json", "status", "--endpoint", "ftp://x"]).fails(2, "usage");
}
