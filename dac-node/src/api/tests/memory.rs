//! A backend in memory: seven keys, real statements and certificates, no network, no disk, and a script of faults.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use attest::{
    Address, BatchId, Certificate, Committee, CommitteeFile, DataHash, DataRoot, Domain, Epoch, MemberEntry,
    RollupId, SeatIndex, SecretKey, ShardsRoot, Submission, SubmissionSignature, SubmitterKey, Thresholds,
    aggregate,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::Semaphore;

use crate::api::{Backend, ShardStream};
use crate::custody::CustodyReport;
use crate::service::{
    BatchRef, BatchStatus, MemberOutcome, Outcome, PieceAnswer, ReadError, ReadableBatch, Readiness, Reason,
    Refusal, Stage, SubmissionRequest,
};

pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const ROLLUP: RollupId = RollupId([0xa1; 32]);
pub(super) const BYTES_MAX: u64 = 8 << 20;
const MEMBERS: u16 = 7;

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub(super) refuse_precheck: Option<Reason>,
    pub(super) refuse_submit: Option<Reason>,
    pub(super) silent_members: u16,
    pub(super) break_read_after: Option<u64>,
    pub(super) status_panics: bool,
    pub(super) own_refusal: Option<Reason>,
    pub(super) never_certified: bool,
}

struct Stored {
    submission: Submission,
    batch: Bytes,
    certificate: Option<Certificate>,
    status: BatchStatus,
}

pub(super) struct Memory {
    pub(super) file: CommitteeFile,
    pub(super) committee: Committee,
    keys: Vec<SecretKey>,
    pub(super) submitter: SubmitterKey,
    pub(super) script: Script,
    stored: Mutex<BTreeMap<BatchId, Stored>>,
    /// Calls of `submit` that began, and that ended.
    pub(super) begun: AtomicUsize,
    pub(super) ended: AtomicUsize,
    /// `submit` takes one permit; tests close the gate by taking them all.
    pub(super) gate: Semaphore,
}

impl Memory {
    pub(super) fn new(script: Script) -> Self {
        let domain = Domain { chain_id: 31_337, registry: Address::ZERO };
        let keys: Vec<_> = (0..MEMBERS)
            .map(|seat| SecretKey::generate(&[u8::try_from(seat).unwrap() + 1; 32]).unwrap())
            .collect();
        let members = keys
            .iter()
            .enumerate()
            .map(|(seat, key)| MemberEntry {
                name: Some(format!("member-{seat}")),
                operator: Address::ZERO,
                public_key: key.public_key().to_bytes(),
                proof_of_possession: key.prove_possession(&domain, Address::ZERO),
                peer_id: None,
                addresses: vec![],
                api: None,
            })
            .collect();
        let file = CommitteeFile {
            epoch: Epoch(1),
            chain_id: domain.chain_id,
            registry: domain.registry,
            minimum_shards: 3,
            quorum: 5,
            members,
        };
        Memory {
            committee: file.check().unwrap(),
            file,
            keys,
            submitter: SubmitterKey::from_bytes(&[9; 32]).unwrap(),
            script,
            stored: Mutex::default(),
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            gate: Semaphore::new(1000),
        }
    }

    pub(super) fn submission(&self, batch: &[u8]) -> Submission {
        Submission {
            rollup_id: ROLLUP,
            data_hash: DataHash(fpga_hash::keccak256(batch)),
            data_bytes: batch.len() as u64,
            hot_until: NOW + 3600,
            retain_until: NOW + 86_400,
            deadline: NOW + 60,
        }
    }

    pub(super) fn sign(&self, submission: &Submission) -> SubmissionSignature {
        self.submitter.sign(&submission.digest(self.committee.domain()))
    }

    pub(super) fn stored(&self) -> usize {
        self.stored.lock().unwrap().len()
    }

    /// Stores a certified batch without HTTP.
    pub(super) fn put(&self, batch: &[u8]) -> BatchId {
        self.store(self.submission(batch), Bytes::copy_from_slice(batch))
    }

    fn store(&self, submission: Submission, batch: Bytes) -> BatchId {
        let data_root = DataRoot([0x11; 32]);
        let shards_root = ShardsRoot([0x22; 32]);
        let statement = submission.statement(&self.committee, data_root, shards_root);
        let batch_id = statement.digest(self.committee.domain());
        let signing = MEMBERS - self.script.silent_members;
        let attestations = (0..signing).map(|seat| {
            self.keys[usize::from(seat)].attest(&statement, self.committee.domain(), SeatIndex(seat)).unwrap()
        });
        let aggregated = aggregate(&self.committee, &statement, attestations).certificate;
        let certificate = aggregated.ok().map(|checked| checked.into_certificate());
        let status = self.status_of(&submission, batch_id, signing, certificate.is_some());
        let stored = Stored { submission, batch, certificate, status };
        self.stored.lock().unwrap().entry(batch_id).or_insert(stored);
        batch_id
    }

    fn status_of(
        &self,
        submission: &Submission,
        batch_id: BatchId,
        signers: u16,
        certified: bool,
    ) -> BatchStatus {
        let members = (0..MEMBERS).map(|seat| {
            let refused = self.script.own_refusal.filter(|_| seat == 0);
            let silent = (seat >= signers).then_some(Reason::NoAnswer);
            let reason = refused.or(silent);
            MemberOutcome {
                seat,
                name: Some(format!("member-{seat}")),
                outcome: if reason.is_none() { Outcome::Signed } else { Outcome::Refused },
                reason,
                detail: reason.map(|_| "no attestation for 5000 ms".to_owned()),
                after_ms: Some(12),
            }
        });
        let stage = match (certified, self.script.own_refusal) {
            (_, Some(_)) => Stage::Refused,
            (true, None) => Stage::Certified,
            (false, None) => Stage::BelowQuorum,
        };
        BatchStatus {
            batch_id,
            rollup_id: submission.rollup_id,
            data_bytes: submission.data_bytes,
            data_hash: submission.data_hash,
            data_root: DataRoot([0x11; 32]),
            shards_root: ShardsRoot([0x22; 32]),
            hot_until: submission.hot_until,
            retain_until: submission.retain_until,
            stage,
            coordinator: 0,
            quorum: 5,
            signers,
            members: members.collect(),
            stage_ms: BTreeMap::from([("received".to_owned(), 1.5)]),
            sent_bytes: 10,
            received_bytes: 20,
        }
    }

    fn lookup<T>(&self, name: BatchRef, view: impl Fn(BatchId, &Stored) -> T) -> Option<T> {
        let stored = self.stored.lock().unwrap();
        stored
            .iter()
            .find(|(id, stored)| match name {
                BatchRef::Id(wanted) => **id == wanted,
                BatchRef::DataHash(wanted) => stored.submission.data_hash == wanted,
            })
            .map(|(id, stored)| view(*id, stored))
    }
}

fn request_submission(request: &SubmissionRequest, data_hash: DataHash, data_bytes: u64) -> Submission {
    Submission {
        rollup_id: request.rollup_id,
        data_hash,
        data_bytes,
        hot_until: request.hot_until,
        retain_until: request.retain_until,
        deadline: request.deadline,
    }
}

impl Backend for Memory {
    fn precheck(&self, request: &SubmissionRequest, _content_length: Option<u64>) -> Result<(), Refusal> {
        if let Some(reason) = self.script.refuse_precheck {
            return Err(Refusal::new(reason, "as scripted"));
        }
        if request.rollup_id != ROLLUP {
            return Err(Refusal::new(Reason::Unauthorised, "unknown rollup"));
        }
        if request.deadline < NOW {
            let detail = format!("deadline {} is over, now is {NOW}", request.deadline);
            return Err(Refusal::new(Reason::Expired, detail));
        }
        Ok(())
    }

    fn authorise(
        &self,
        request: &SubmissionRequest,
        data_hash: DataHash,
        data_bytes: u64,
    ) -> BoxFuture<'_, Result<(), Refusal>> {
        let digest = request_submission(request, data_hash, data_bytes).digest(self.committee.domain());
        let recovered = SubmissionSignature(request.signature).recover(&digest);
        let authorised = recovered.is_ok_and(|address| address == self.submitter.address());
        Box::pin(async move {
            authorised.then_some(()).ok_or_else(|| Refusal::new(Reason::Unauthorised, "not a submitter"))
        })
    }

    fn submitted(
        &self,
        request: &SubmissionRequest,
        data_hash: DataHash,
        data_bytes: u64,
    ) -> BoxFuture<'_, Option<BatchId>> {
        let wanted = request_submission(request, data_hash, data_bytes);
        let known = self.lookup(BatchRef::DataHash(data_hash), |id, stored| (id, stored.submission));
        Box::pin(async move { known.filter(|(_, known)| *known == wanted).map(|(id, _)| id) })
    }

    fn submit(
        &self,
        request: SubmissionRequest,
        data_hash: DataHash,
        batch: Bytes,
    ) -> BoxFuture<'_, Result<BatchId, Refusal>> {
        Box::pin(async move {
            self.begun.fetch_add(1, Ordering::SeqCst);
            let _permit = self.gate.acquire().await.expect("the gate stays");
            assert_eq!(fpga_hash::keccak256(&batch), data_hash.0, "the API hands over what it checked");
            if let Some(reason) = self.script.refuse_submit {
                return Err(Refusal::new(reason, "as scripted"));
            }
            let id = self.store(request_submission(&request, data_hash, batch.len() as u64), batch);
            self.ended.fetch_add(1, Ordering::SeqCst);
            Ok(id)
        })
    }

    fn wait(&self, batch_id: BatchId) -> BoxFuture<'_, BatchStatus> {
        let status = self.lookup(BatchRef::Id(batch_id), |_, stored| stored.status.clone());
        let never = self.script.never_certified;
        Box::pin(async move {
            if never {
                std::future::pending::<()>().await;
            }
            status.expect("only stored batches are waited for")
        })
    }

    fn status(&self, name: BatchRef) -> BoxFuture<'_, Option<BatchStatus>> {
        assert!(!self.script.status_panics, "secret of the node");
        let status = self.lookup(name, |_, stored| stored.status.clone());
        Box::pin(async move { status })
    }

    fn certificate(&self, name: BatchRef) -> BoxFuture<'_, Option<Certificate>> {
        let certificate = self.lookup(name, |_, stored| stored.certificate.clone()).flatten();
        Box::pin(async move { certificate })
    }

    fn find(&self, name: BatchRef) -> BoxFuture<'_, Result<ReadableBatch, ReadError>> {
        let found = self.lookup(name, |batch_id, stored| ReadableBatch {
            batch_id,
            data_hash: stored.submission.data_hash,
            data_bytes: stored.submission.data_bytes,
            hot: true,
        });
        Box::pin(async move { found.ok_or(ReadError::Unknown) })
    }

    fn read(&self, batch: &ReadableBatch, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>> {
        let bytes = self.lookup(BatchRef::Id(batch.batch_id), |_, stored| stored.batch.clone()).unwrap();
        let broken = self.script.break_read_after;
        let part = 64 << 10;
        let offsets = (range.start..range.end).step_by(part);
        let parts = offsets.map(move |start| {
            if broken.is_some_and(|after| start >= after) {
                return Err(ReadError::Irretrievable { stripe: 1, found: 2, needed: 3 });
            }
            let end = (start + part as u64).min(range.end);
            let index = |at: u64| usize::try_from(at).unwrap();
            Ok(bytes.slice(index(start)..index(end)))
        });
        stream::iter(parts.collect::<Vec<_>>()).boxed()
    }

    fn shard(&self, name: BatchRef, index: u16) -> BoxFuture<'_, Result<ShardStream, ReadError>> {
        let found = self.lookup(name, |batch_id, _| batch_id);
        Box::pin(async move {
            let batch_id = found.ok_or(ReadError::Unknown)?;
            if index >= MEMBERS {
                let (asked, limit) = (u64::from(index), u64::from(MEMBERS));
                return Err(ReadError::OutOfRange { what: "shard", asked, limit });
            }
            if index != 0 {
                return Err(ReadError::NotHere { asked: index, own: 0 });
            }
            let bytes = stream::iter([Ok(Bytes::from_static(b"shard ")), Ok(Bytes::from_static(b"zero"))]);
            Ok(ShardStream { batch_id, index, shard_bytes: 10, bytes: bytes.boxed() })
        })
    }

    fn piece(
        &self,
        name: BatchRef,
        stripe: u32,
        index: u16,
    ) -> BoxFuture<'_, Result<PieceAnswer, ReadError>> {
        let found = self.lookup(name, |_, _| ());
        Box::pin(async move {
            found.ok_or(ReadError::Unknown)?;
            if stripe > 0 {
                return Err(ReadError::OutOfRange { what: "stripe", asked: stripe.into(), limit: 1 });
            }
            let path = vec![[1; 32], [2; 32]];
            Ok(PieceAnswer { stripe, index, bytes: Bytes::from_static(&[0, 255, 7]), path })
        })
    }

    fn custody(&self) -> CustodyReport {
        CustodyReport {
            complete: true,
            certificates_live: 2,
            shards_here: 2,
            shards_checked: 1,
            ..CustodyReport::default()
        }
    }

    fn committee(&self) -> Result<Arc<CommitteeFile>, Refusal> {
        Ok(Arc::new(self.file.clone()))
    }

    fn thresholds(&self) -> Result<Thresholds, Refusal> {
        Ok(self.committee.thresholds())
    }

    fn readiness(&self) -> Readiness {
        let connected = MEMBERS - self.script.silent_members;
        let ready = connected >= 5;
        let reasons = if ready { vec![] } else { vec!["members 3 to 6 are not connected".to_owned()] };
        Readiness { ready, reasons, connected, quorum: 5, advice: Vec::new() }
    }

    fn batch_bytes_max(&self) -> u64 {
        BYTES_MAX
    }
}
