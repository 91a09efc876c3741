//! Verification without any member: a certificate, a committee, and the bytes.

use attest::{Certificate, CheckedCertificate, Committee, DataHash, Encode, Statement};
use dac_node_coding::{Coder, Commitments, Layout, commit};
use serde::Serialize;

use crate::Error;

/// What an offline check established.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The batch.
    pub batch_id: attest::BatchId,
    /// What was signed.
    pub statement: Statement,
    /// Seats that signed.
    pub signers: Vec<attest::SeatIndex>,
    /// The certificate in its SCALE form, as hex.
    pub certificate: String,
    /// True when the bytes were given and have all three commitments.
    pub batch_verified: bool,
}

impl Verification {
    pub(crate) fn of(certificate: &CheckedCertificate, batch_verified: bool) -> Self {
        Verification {
            batch_id: certificate.batch_id(),
            statement: *certificate.statement(),
            signers: certificate.signers().to_vec(),
            certificate: scale_hex(certificate.certificate()),
            batch_verified,
        }
    }
}

/// Checks a certificate (SCALE or JSON) against a committee, and the bytes against it when they are given.
///
/// Needs no network. With a batch it costs all three commitments: one pass of each hash and the whole encoding.
///
/// # Errors
/// [`Error::Certificate`], [`Error::Commitments`].
pub fn verify_offline(
    certificate: &[u8],
    committee: &Committee,
    batch: Option<&[u8]>,
) -> Result<(CheckedCertificate, Verification), Error> {
    let checked = decode(certificate)?.verify(committee).map_err(Error::Certificate)?;
    if let Some(batch) = batch {
        check_batch(&checked, committee, batch)?;
    }
    let verification = Verification::of(&checked, batch.is_some());
    Ok((checked, verification))
}

/// SCALE begins with a number of 8 bytes, JSON with a brace: both are tried, SCALE's error is shown for other bytes.
fn decode(bytes: &[u8]) -> Result<Certificate, Error> {
    let text = std::str::from_utf8(bytes).ok().map(str::trim);
    match text {
        Some(json) if json.starts_with('{') => Certificate::from_json(json),
        _ => Certificate::decode_strict(bytes),
    }
    .map_err(Error::Certificate)
}

/// Recomputes all three commitments of `batch` and compares them with the statement.
pub(crate) fn check_batch(
    certificate: &CheckedCertificate,
    committee: &Committee,
    batch: &[u8],
) -> Result<(), Error> {
    let statement = certificate.statement();
    check_field("dataBytes", &statement.data_bytes, &(batch.len() as u64))?;
    let found = commitments(committee, batch)?;
    let announced = Commitments {
        data_hash: statement.data_hash,
        data_root: statement.data_root,
        shards_root: statement.shards_root,
    };
    found.check(&announced).map_err(Error::Commitments)
}

fn commitments(committee: &Committee, batch: &[u8]) -> Result<Commitments, Error> {
    let thresholds = committee.thresholds();
    let (members, minimum_shards) = (thresholds.members(), thresholds.minimum_shards());
    let layout = Layout::new(members, minimum_shards, batch.len() as u64).map_err(Error::Commitments)?;
    let coder = Coder::new(members, minimum_shards).map_err(Error::Commitments)?;
    Ok(commit(&*fpga_hash::software(), &coder, &layout, batch).0)
}

/// One field of a certificate against what was submitted.
pub(crate) fn check_field<T: PartialEq + ToString>(
    what: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::AnotherBatch { what, expected: expected.to_string(), found: found.to_string() })
}

/// keccak256 of the batch, on a thread that may block.
pub(crate) async fn data_hash(batch: bytes::Bytes) -> Result<DataHash, Error> {
    off_runtime(move || Ok(DataHash(fpga_hash::keccak256(&batch)))).await
}

/// Runs what computes for long outside the runtime's workers.
pub(crate) async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Thread(error.to_string())),
    }
}

pub(crate) fn scale_hex(certificate: &Certificate) -> String {
    format!("0x{}", hex::encode(certificate.encode()))
}
