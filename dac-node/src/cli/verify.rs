//! `dac verify`: a certificate against a committee file, and a batch against the certificate. No network, no trust.
//!
//! With a batch everything is recomputed from its bytes: the Keccak hash, the Poseidon root, and the encoding with the
//! root over all its pieces.

use std::path::{Path, PathBuf};

use attest::{BATCH_BYTES_MAX, Certificate, CheckedCertificate, CommitteeFile, Thresholds};
use dac_node_coding::{Coder, Commitments, Layout, commit};
use serde_json::{Value, json};

use super::files::{self, JSON_BYTES_MAX};
use super::{Failure, Output, committee, time};

/// Arguments of `dac verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The certificate: SCALE bytes, their hex, its JSON, or the JSON result of `dac submit` or `dac devnet`
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The committee file; compare its hash with what L1 or an operator says
    #[arg(long, value_name = "FILE")]
    committee: PathBuf,
    /// Ask L1's verifier too: URL of a provider
    #[arg(long, value_name = "URL", requires = "verifier")]
    l1: Option<String>,
    /// The verifier's address on L1
    #[arg(long, value_name = "ADDRESS", requires = "l1")]
    verifier: Option<attest::Address>,
    /// The batch, to be checked against the certificate
    #[arg(long, value_name = "FILE")]
    batch: Option<PathBuf>,
}

/// Verifies; every mismatch is exit code 4.
pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let (file, committee) = committee::load(&args.committee)?;
    let certificate = read_certificate(&args.certificate)?;
    let checked = certificate.verify(&committee).map_err(|error| {
        let detail = format!("{}: {error}", args.certificate.display());
        Failure::verification("false_certificate", detail, "do not act on it; fetch it from another member")
    })?;
    if let (Some(url), Some(verifier)) = (&args.l1, args.verifier) {
        super::l1::verify(url, verifier, &certificate)?;
        output.note("L1's verifier accepts it");
    }
    if let Some(path) = &args.batch {
        let batch = files::read(path, BATCH_BYTES_MAX)?;
        let bar = output.spinner("recomputing all commitments");
        let found = check_batch(&checked, committee.thresholds(), &batch);
        bar.finish_and_clear();
        found.map_err(|detail| {
            let detail = format!("{}: {detail}", path.display());
            Failure::verification("batch_mismatch", detail, "it is not the certified batch; fetch it again")
        })?;
    }
    output.result(&value(&checked, &args), &text(&checked, &file, &args))
}

/// Reads a certificate in any of its forms.
pub(super) fn read_certificate(path: &Path) -> Result<Certificate, Failure> {
    let bytes = files::read(path, JSON_BYTES_MAX)?;
    decode_certificate(&bytes).map_err(|detail| {
        let detail = format!("{}: {detail}", path.display());
        Failure::verification("malformed_certificate", detail, "give the file that `dac submit --out` wrote")
    })
}

fn decode_certificate(bytes: &[u8]) -> Result<Certificate, String> {
    // SCALE first: text is no certificate in SCALE, whose 28 first bytes would be digits but whose lengths would not fit.
    let scale = Certificate::decode_strict(bytes);
    let (Err(error), Ok(text)) = (&scale, std::str::from_utf8(bytes)) else {
        return scale.map_err(|error| error.to_string());
    };
    let text = text.trim();
    if let Some(digits) = text.strip_prefix("0x") {
        return decode_hex(digits);
    }
    match serde_json::from_str(text) {
        Ok(value) => from_json(&value),
        Err(_) => Err(error.to_string()),
    }
}

fn decode_hex(digits: &str) -> Result<Certificate, String> {
    let bytes = hex::decode(digits).map_err(|error| format!("malformed hex: {error}"))?;
    Certificate::decode_strict(&bytes).map_err(|error| error.to_string())
}

/// The certificate itself, or an object that carries one under `certificate`.
fn from_json(value: &Value) -> Result<Certificate, String> {
    match value {
        Value::String(text) => decode_hex(text.strip_prefix("0x").unwrap_or(text)),
        Value::Object(fields) => match fields.get("certificate") {
            Some(inner @ (Value::String(_) | Value::Object(_))) if inner.get("certificate").is_none() => {
                from_json(inner)
            }
            _ => Certificate::from_json(&value.to_string()).map_err(|error| error.to_string()),
        },
        _ => Err("the JSON is neither a certificate nor an object with one".into()),
    }
}

/// Recomputes all three commitments. Cost: one pass of each hash and the encoding.
fn check_batch(checked: &CheckedCertificate, thresholds: Thresholds, batch: &[u8]) -> Result<(), String> {
    let statement = checked.statement();
    if batch.len() as u64 != statement.data_bytes {
        return Err(format!("{} bytes, the certificate is for {}", batch.len(), statement.data_bytes));
    }
    let (members, minimum_shards) = (thresholds.members(), thresholds.minimum_shards());
    let layout =
        Layout::new(members, minimum_shards, statement.data_bytes).map_err(|error| error.to_string())?;
    let coder = Coder::new(members, minimum_shards).map_err(|error| error.to_string())?;
    let (found, _) = commit(&*fpga_hash::software(), &coder, &layout, batch);
    let (data_hash, data_root, shards_root) =
        (statement.data_hash, statement.data_root, statement.shards_root);
    found.check(&Commitments { data_hash, data_root, shards_root }).map_err(|error| error.to_string())
}

fn value(checked: &CheckedCertificate, args: &Args) -> Value {
    json!({
        "valid": true,
        "batch_id": checked.batch_id(),
        "statement": checked.statement(),
        "signers": checked.signers(),
        "batch_checked": args.batch.is_some(),
    })
}

fn text(checked: &CheckedCertificate, file: &CommitteeFile, args: &Args) -> String {
    let statement = checked.statement();
    let signers: Vec<String> = checked
        .signers()
        .iter()
        .map(|seat| match &file.members[usize::from(seat.0)].name {
            Some(name) => format!("{seat} ({name})"),
            None => seat.to_string(),
        })
        .collect();
    let batch = match &args.batch {
        Some(path) => format!("{}: all commitments recomputed, equal", path.display()),
        None => "not given, only the certificate was checked".into(),
    };
    format!(
        "certificate valid\nbatch id     {}\nrollup       {}\nepoch        {}\ncommittee    {}\nbytes        {}\n\
         data hash    {}\ndata root    {}\nshards root  {}\nhot until    {}\nretain until {}\n\
         signers      {} of {}: {}\nbatch        {batch}",
        checked.batch_id(),
        statement.rollup_id,
        statement.epoch,
        statement.committee_hash,
        statement.data_bytes,
        statement.data_hash,
        statement.data_root,
        statement.shards_root,
        time::calendar(statement.hot_until),
        time::calendar(statement.retain_until),
        signers.len(),
        file.members.len(),
        signers.join(", "),
    )
}
