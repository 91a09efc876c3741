//! Hearing of certificates that were made while this member was away.
//!
//! How: each member numbers the certificates it stores. It is asked for all of them when it connects, later for those
//! since; only unknown ones are fetched. One honest member that stores a certificate is enough to hear of it, so every
//! member is asked. A certificate is stored only when it verifies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use attest::{BatchId, Certificate, CheckedCertificate};
use tokio::sync::mpsc;

use super::super::{Completion, Shared};
use super::ask::{ask, peers};
use super::blocking;
use crate::custody::CatchUpReport;
use dac_node_engine::message::{CERTIFICATES_MAX, Question, Reply};
use dac_node_engine::{Event, SeatSet};

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Pages taken of one member in one round: 4 million certificates.
const PAGES_MAX: usize = 1024;
/// How often it is looked whether somebody connected.
const PERIOD: Duration = Duration::from_millis(500);

/// What was heard of whom.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    /// Place up to which each member's certificates are known here.
    cursors: HashMap<u16, u64>,
    heard: SeatSet,
    pub(super) found: u64,
    pub(super) refused: u64,
}

impl CatchUp {
    pub(super) fn report(&self, connected: u16) -> CatchUpReport {
        CatchUpReport {
            members_heard: self.heard.len(),
            members_connected: connected,
            certificates_found: self.found,
            certificates_refused: self.refused,
        }
    }

    /// A member that went away may come back with another store: it is asked from the beginning.
    fn forget_absent(&mut self, connected: &SeatSet) {
        self.cursors.retain(|seat, _| connected.contains(*seat));
        self.heard = self.heard.iter().filter(|seat| connected.contains(*seat)).collect();
    }
}

/// Asks whoever connected, and everybody from time to time.
pub(super) async fn run(shared: Arc<Shared>, engine: mpsc::Sender<Completion>) {
    let mut asked_all_at = shared.clock.now().monotonic;
    loop {
        let connected = *shared.network.connected().borrow();
        shared.heal.catch_up.lock().forget_absent(&connected);
        let now = shared.clock.now().monotonic;
        let everybody = now.saturating_sub(asked_all_at) >= shared.heal.config.catch_up_every;
        if everybody {
            asked_all_at = now;
        }
        for peer in peers(&shared) {
            if everybody || !shared.heal.catch_up.lock().heard.contains(peer) {
                hear(&shared, &engine, peer).await;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Takes everything that one member has and this one does not know yet.
async fn hear(shared: &Arc<Shared>, engine: &mpsc::Sender<Completion>, peer: u16) {
    for _ in 0..PAGES_MAX {
        let from = shared.heal.catch_up.lock().cursors.get(&peer).copied().unwrap_or(0);
        let question = Question::CertificatesSince(from);
        let Some(Reply::CertificatesSince { ids, next, more }) =
            ask(shared, peer, question, ANSWER_MAX).await
        else {
            return;
        };
        if let Err(error) = take(shared, engine, peer, ids).await {
            tracing::warn!(member = peer, %error, "could not take the certificates of a member");
            return;
        }
        let mut catch_up = shared.heal.catch_up.lock();
        catch_up.cursors.insert(peer, next);
        if !more || next <= from {
            catch_up.heard.insert(peer);
            return;
        }
    }
}

async fn take(
    shared: &Arc<Shared>,
    engine: &mpsc::Sender<Completion>,
    peer: u16,
    ids: Vec<BatchId>,
) -> Result<(), dac_node_store::Error> {
    let unknown = blocking(shared, move |shared| {
        let mut unknown = Vec::new();
        for id in ids {
            if shared.store.certificate(id)?.is_none() {
                unknown.push(id);
            }
        }
        Ok(unknown)
    });
    for wanted in unknown.await?.chunks(CERTIFICATES_MAX) {
        let question = Question::Certificates(wanted.to_vec());
        let Some(Reply::Certificates(found)) = ask(shared, peer, question, ANSWER_MAX).await else {
            return Ok(());
        };
        for bytes in found {
            if let Some(certificate) = keep(shared, peer, wanted, bytes).await? {
                // A batch still in memory here waits for it. Without an engine the node stops.
                let _stopping = engine.send(Completion::Event(Event::CertificateFound(certificate))).await;
            }
        }
    }
    Ok(())
}

/// Verifies one certificate and stores it.
async fn keep(
    shared: &Arc<Shared>,
    peer: u16,
    wanted: &[BatchId],
    bytes: Vec<u8>,
) -> Result<Option<Box<CheckedCertificate>>, dac_node_store::Error> {
    let (worker, verified) = (shared.clone(), bytes.clone());
    let checked = shared.compute.run(move || {
        let certificate = Certificate::decode_strict(&verified)?;
        certificate.verify(&worker.engine.committee)
    });
    match checked.await {
        Some(Ok(certificate)) if wanted.contains(&certificate.batch_id()) => {
            let id = certificate.batch_id();
            blocking(shared, move |shared| shared.store.put_certificate(id, &bytes)).await?;
            shared.heal.catch_up.lock().found += 1;
            return Ok(Some(Box::new(certificate)));
        }
        Some(Ok(_)) | None => shared.heal.catch_up.lock().refused += 1,
        Some(Err(error)) => {
            shared.heal.catch_up.lock().refused += 1;
            tracing::debug!(member = peer, %error, "certificate of another committee or none");
        }
    }
    Ok(None)
}
