//! One committee of seven for every test that leaves it as it found it.

use std::path::PathBuf;

use attest::{RollupId, SubmitterKey, Thresholds};
use bytesize::ByteSize;
use dac_node::config::NodeConfig;
use dac_node::devnet::{Devnet, DevnetConfig};
use dac_node::service::RollupPolicy;
use e2e::{Rollup, Times};
use tokio::sync::OnceCell;

/// Largest batch of these members.
pub(crate) const BATCH_BYTES_MAX: u64 = 1 << 20;
/// Largest batch of the small rollup.
pub(crate) const SMALL_BATCH_BYTES_MAX: u64 = 32 << 10;
/// What the small rollup may submit a day: two of its largest batches, and a bit.
pub(crate) const SMALL_QUOTA_BYTES: u64 = 70 << 10;

/// The committee, as a client knows it.
pub(crate) struct Shared {
    pub(crate) api: Vec<String>,
    pub(crate) committee: PathBuf,
    pub(crate) rollup: Rollup,
    /// Unix seconds at the start.
    pub(crate) now: u64,
}

impl Shared {
    /// Times that every member accepts.
    pub(crate) fn times(&self) -> Times {
        Times::from(self.now)
    }

    /// The rollup with the small limits; its submitter is the same.
    pub(crate) fn small_rollup(&self) -> Rollup {
        let key = SubmitterKey::from_bytes(&self.rollup.key.to_bytes()).unwrap();
        Rollup::new(small_rollup_id(), self.rollup.domain, key)
    }
}

fn small_rollup_id() -> RollupId {
    RollupId(fpga_hash::keccak256(b"small rollup"))
}

fn adjust(config: &mut NodeConfig) {
    config.batch_bytes_max = ByteSize::b(BATCH_BYTES_MAX);
    let small = RollupPolicy {
        id: small_rollup_id(),
        quota_per_day: ByteSize::b(SMALL_QUOTA_BYTES),
        batch_max: ByteSize::b(SMALL_BATCH_BYTES_MAX),
        ..config.rollups[0].clone()
    };
    config.rollups.push(small);
}

/// Starts the committee at the first call. It lives on a runtime of its own until the process ends: a test's runtime ends
/// with the test.
pub(crate) async fn shared() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED.get_or_init(start).await
}

async fn start() -> Shared {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            // A static is never dropped: the directory is emptied at the next run instead.
            let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared-committee");
            let _first_run = std::fs::remove_dir_all(&directory);
            let thresholds = Thresholds::new(7, 3, 5).unwrap();
            let config = DevnetConfig { adjust, ..DevnetConfig::new(thresholds, directory) };
            let devnet = Devnet::start(config).await.unwrap();
            let shared = Shared {
                api: devnet.api_urls(),
                committee: devnet.committee_path(),
                rollup: Rollup::of(&devnet),
                now: devnet.clock().now().unix_seconds,
            };
            assert!(sender.send(shared).is_ok(), "the first test waits for the committee");
            std::future::pending::<()>().await;
        });
    });
    receiver.await.expect("the shared committee starts")
}
