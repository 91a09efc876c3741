//! `dac status`: where a batch stands, member by member; without an id, whether the members are ready and complete.
//!
//! What is shown is what members say; nothing of it is verified (that is what certificates are for).

use std::path::{Path, PathBuf};
use std::time::Duration;

use attest::{BatchId, CommitteeFile};
use dac_client::{BatchStatus, MemberOutcome, Problem};
use futures::future::join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{refusal, unreachable, urls};
use super::keys::parse_url;
use super::{Failure, Output, committee, runtime};

/// Where a node listens unless it is told otherwise.
const ENDPOINT_DEFAULT: &str = "http://127.0.0.1:8547";

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Longest answer: a status of 256 members takes a quarter.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Arguments of `dac status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The batch id; without it, the readiness and completeness of each member is shown
    id: Option<BatchId>,
    /// Base URL of a member; may be given several times [default: http://127.0.0.1:8547]
    #[arg(long = "endpoint", value_name = "URL", value_parser = parse_url)]
    endpoints: Vec<String>,
    /// Ask the members of this committee file
    #[arg(long, value_name = "FILE")]
    committee: Option<PathBuf>,
}

/// What one member answered.
#[derive(Debug)]
pub(super) enum Answer<T> {
    Yes(T),
    No(Problem),
    Nothing(String),
}

/// Asks and shows.
pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let endpoints = endpoints(args.endpoints, args.committee.as_deref())?;
    let http = client()?;
    let runtime = runtime()?;
    match args.id {
        Some(id) => runtime.block_on(batch(&http, &endpoints, id, output)),
        None => runtime.block_on(readiness(&http, &endpoints, output)),
    }
}

/// Who is asked: whoever is named, and the members of the committee file.
pub(super) fn endpoints(
    mut endpoints: Vec<String>,
    committee: Option<&Path>,
) -> Result<Vec<String>, Failure> {
    if let Some(path) = committee {
        for url in named_urls(&committee::load(path)?.0)? {
            if !endpoints.contains(&url) {
                endpoints.push(url);
            }
        }
    }
    if endpoints.is_empty() {
        endpoints.push(ENDPOINT_DEFAULT.into());
    }
    Ok(endpoints)
}

/// A client that asks members. Proxies of the environment are for the world outside, members are named explicitly.
pub(super) fn client() -> Result<reqwest::Client, Failure> {
    let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build();
    http.map_err(|error| Failure::other(format!("cannot set up HTTP: {error}"), "check the TLS libraries"))
}

fn named_urls(file: &CommitteeFile) -> Result<Vec<String>, Failure> {
    let urls = urls(file);
    if urls.is_empty() {
        return Err(Failure::usage("the committee file has no API URLs", "give --endpoint URL"));
    }
    Ok(urls)
}

/// The first member that knows the batch.
async fn batch(
    http: &reqwest::Client,
    endpoints: &[String],
    id: BatchId,
    output: &Output,
) -> Result<(), Failure> {
    let mut silent = Vec::new();
    let mut refused = None;
    for endpoint in endpoints {
        match ask::<BatchStatus>(http, endpoint, &format!("v1/batches/{id}/status")).await {
            Answer::Yes(status) => return output.result(&status, &batch_text(&status, endpoint, output)),
            Answer::No(problem) => refused = Some((endpoint, problem)),
            Answer::Nothing(detail) => silent.push(format!("{endpoint}: {detail}")),
        }
    }
    match refused {
        Some((endpoint, problem)) => Err(refusal(&problem.code, format!("{endpoint}: {problem}"))),
        None => Err(unreachable(silent.join("; "))),
    }
}

fn batch_text(status: &BatchStatus, endpoint: &str, output: &Output) -> String {
    let stages: Vec<String> =
        status.stage_ms.iter().map(|(stage, ms)| format!("{stage} {ms:.1} ms")).collect();
    format!(
        "{}: {} of {} signatures needed\nas told by   {endpoint}\nrollup       {}\nbytes        {}\ndata hash    {}\n\
         coordinator  seat {}\nstages       {}\n\n{}",
        status.stage,
        status.signers,
        status.quorum,
        status.rollup_id,
        status.data_bytes,
        status.data_hash,
        status.coordinator,
        stages.join(", "),
        members_table(&status.members, output),
    )
}

/// One line per member, with its reason.
pub(super) fn members_table(members: &[MemberOutcome], output: &Output) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let rows: Vec<Vec<String>> = members
        .iter()
        .map(|member| {
            vec![
                member.seat.to_string(),
                or_dash(member.name.clone()),
                member.outcome.clone(),
                or_dash(member.after_ms.map(|ms| format!("{ms} ms"))),
                or_dash(member.reason.clone()),
                member.detail.clone().unwrap_or_default(),
            ]
        })
        .collect();
    output.table(&["seat", "name", "outcome", "after", "reason", "detail"], &rows)
}

/// All members at once. Fails only when nobody answered.
async fn readiness(http: &reqwest::Client, endpoints: &[String], output: &Output) -> Result<(), Failure> {
    let members: Vec<Member> = join_all(endpoints.iter().map(|endpoint| member(http, endpoint))).await;
    if members.iter().all(|member| member.state == UNREACHABLE) {
        let silent = members.iter().map(|member| format!("{}: {}", member.endpoint, member.detail));
        return Err(unreachable(silent.collect::<Vec<_>>().join("; ")));
    }
    let rows: Vec<Vec<String>> = members.iter().map(Member::row).collect();
    let ready = members.iter().filter(|member| member.ready).count();
    let value = json!({ "members": members, "ready": ready, "asked": endpoints.len() });
    output.result(&value, &output.table(&["endpoint", "state", "shards", "detail"], &rows))
}

/// The state of a member that does not answer.
const UNREACHABLE: &str = "unreachable";

/// What one member says of itself.
#[derive(Debug, Serialize)]
struct Member {
    endpoint: String,
    ready: bool,
    state: &'static str,
    detail: String,
    /// Whether it keeps what it promised; none when it does not say.
    custody: Option<Completeness>,
}

/// The part of the custody report that tells whether anything is missing; all of it: `dac doctor`.
#[derive(Debug, Serialize, Deserialize)]
struct Completeness {
    complete: bool,
    certificates_live: u64,
    shards_here: u64,
    shards_checked: u64,
    shards_missing: u64,
    shards_damaged: u64,
}

impl Member {
    fn row(&self) -> Vec<String> {
        let shards = self.custody.as_ref().map_or("-".to_owned(), |custody| {
            let Completeness { certificates_live: live, shards_here: here, shards_checked, .. } = custody;
            let damaged = match custody.shards_damaged {
                0 => String::new(),
                damaged => format!(", {damaged} damaged"),
            };
            format!("{here} of {live} here, {shards_checked} checked{damaged}")
        });
        vec![self.endpoint.clone(), self.state.to_owned(), shards, self.detail.clone()]
    }
}

async fn member(http: &reqwest::Client, endpoint: &str) -> Member {
    let (state, detail) = match ask::<Value>(http, endpoint, "readyz").await {
        Answer::Yes(ready) => {
            ("ready", format!("{} members connected, quorum {}", ready["connected"], ready["quorum"]))
        }
        Answer::No(problem) => ("not ready", problem.detail),
        Answer::Nothing(detail) => (UNREACHABLE, detail),
    };
    let custody = match state {
        UNREACHABLE => None,
        _ => match ask(http, endpoint, "v1/custody").await {
            Answer::Yes(custody) => Some(custody),
            Answer::No(_) | Answer::Nothing(_) => None,
        },
    };
    Member { endpoint: endpoint.to_owned(), ready: state == "ready", state, detail, custody }
}

/// Asks one member.
pub(super) async fn ask<T: DeserializeOwned>(
    http: &reqwest::Client,
    endpoint: &str,
    path: &str,
) -> Answer<T> {
    match get(http, &format!("{endpoint}/{path}")).await {
        Ok((true, body)) => match serde_json::from_slice(&body) {
            Ok(value) => Answer::Yes(value),
            Err(error) => Answer::Nothing(format!("not an answer of a member: {error}")),
        },
        Ok((false, body)) => match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if !problem.code.is_empty() => Answer::No(problem),
            _ => Answer::Nothing("not a problem document of a member".into()),
        },
        Err(detail) => Answer::Nothing(detail),
    }
}

/// Whether the answer is a success, and its body, bounded.
async fn get(http: &reqwest::Client, url: &str) -> Result<(bool, Vec<u8>), String> {
    let mut response = http.get(url).send().await.map_err(|error| innermost(&error))?;
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| innermost(&error))? {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&part);
    }
    Ok((response.status().is_success(), body))
}

/// The cause that a person can act on: reqwest wraps "connection refused" several times.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
