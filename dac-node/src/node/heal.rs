//! Keeping the promise after the signature: what is owed is known, what is damaged or missing comes back, and each member
//! asks the others for proof.
//!
//! Promise: every live certificate of this committee that any connected member stores becomes known here, and the shard
//! of this seat is fetched when it is not here, checked against the certificate, synced, and read back. Nothing here
//! signs: a shard that came back gives no right to attest. Work is bounded: [`repair::PARALLEL`] repairs at a time, one
//! content in the scrub, one question of the catch-up and one audit in flight.
//!
//! Files: `ledger.rs` (what is owed and its state), `catch_up.rs` (certificates that were missed), `repair.rs` (shards that
//! come back), `scrub.rs` (reading everything back), `audit.rs` (asking others for leaves), `ask.rs` (one question to one
//! member), `report.rs` (all of it as a document).
//!
//! Left out on purpose: bringing back a hot copy that is gone. Reads are served all the same, rebuilt from any `k` shards
//! of the committee; a hot copy that is damaged is written again.

mod ask;
mod audit;
mod catch_up;
mod ledger;
mod repair;
mod report;
mod scrub;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Completion, Shared};
use crate::config::HealConfig;

use audit::Audits;
use catch_up::CatchUp;
use ledger::Ledger;

pub(super) use report::refresh_metrics;

/// How often the ledger is brought up to date with the store.
const REFRESH_PERIOD: Duration = Duration::from_millis(500);

/// What all parts of healing share.
#[derive(Debug)]
pub(super) struct Heal {
    config: HealConfig,
    ledger: Mutex<Ledger>,
    catch_up: Mutex<CatchUp>,
    audits: Mutex<Audits>,
}

impl Heal {
    pub(super) fn new(config: HealConfig, members: u16) -> Heal {
        Heal {
            config,
            ledger: Mutex::default(),
            catch_up: Mutex::default(),
            audits: Mutex::new(Audits::new(members)),
        }
    }
}

/// Starts everything; it ends when the node stops.
pub(super) fn start(shared: &Arc<Shared>, completions: &mpsc::Sender<Completion>) {
    until_stopped(shared, refresh(shared.clone()));
    until_stopped(shared, catch_up::run(shared.clone(), completions.clone()));
    until_stopped(shared, repair::run(shared.clone(), completions.clone()));
    until_stopped(shared, scrub::run(shared.clone()));
    until_stopped(shared, audit::run(shared.clone()));
}

fn until_stopped(shared: &Arc<Shared>, work: impl Future<Output = ()> + Send + 'static) {
    let mut stopping = shared.stopping.subscribe();
    tokio::spawn(async move {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => {}
            () = work => {}
        }
    });
}

/// Follows the store: certificates that came, shards that arrived by the usual way, what expired.
async fn refresh(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(REFRESH_PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = blocking(&shared, ledger::refresh).await {
            tracing::error!(%error, "the ledger of shards cannot be brought up to date");
        }
    }
}

/// Runs something that waits for the disk.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, dac_node_store::Error> + Send + 'static,
) -> Result<T, dac_node_store::Error> {
    let shared = shared.clone();
    match tokio::task::spawn_blocking(move || work(&shared)).await {
        Ok(result) => result,
        Err(error) => Err(dac_node_store::Error::Metadata(error.to_string())),
    }
}
