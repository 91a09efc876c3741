//! `dac doctor`: does a member keep what it promised, and if not, what is missing, why, and how long it takes.
//!
//! What is shown is what members measured themselves and of each other. Exit code 0 means: everybody answered, every live
//! certificate's shard is where it belongs, nothing is damaged, no audit failed lately.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::client::unreachable;
use super::failure::Exit;
use super::keys::parse_url;
use super::status::{Answer, ask, client, endpoints};
use super::{Failure, Output, runtime};
use crate::custody::{CustodyReport, MemberCustody};
use crate::service::Readiness;

/// How often a member that repairs is asked again.
const POLL: Duration = Duration::from_secs(1);

/// Arguments of `dac doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Base URL of a member; may be given several times [default: http://127.0.0.1:8547]
    #[arg(long = "endpoint", value_name = "URL", value_parser = parse_url)]
    endpoints: Vec<String>,
    /// Examine the members of this committee file
    #[arg(long, value_name = "FILE")]
    committee: Option<PathBuf>,
    /// Wait until nothing is missing or damaged any more, with a bar and an estimate
    #[arg(long)]
    wait: bool,
}

/// What was found at one member.
#[derive(Debug, Serialize)]
struct Examined {
    endpoint: String,
    healthy: bool,
    /// What is wrong, in words; empty when nothing is.
    findings: Vec<String>,
    /// What the member's operator could set better; no fault.
    advice: Vec<String>,
    /// What the member reports; none when it did not answer.
    custody: Option<CustodyReport>,
}

/// Examines and shows.
pub(super) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let endpoints = endpoints(args.endpoints, args.committee.as_deref())?;
    let http = client()?;
    let examined = runtime()?.block_on(async {
        if args.wait {
            for endpoint in &endpoints {
                wait(&http, endpoint, output).await?;
            }
        }
        let all = endpoints.iter().map(|endpoint| examine(&http, endpoint));
        Ok::<_, Failure>(futures::future::join_all(all).await)
    })?;
    if examined.iter().all(|examined| examined.custody.is_none()) {
        let silent = examined.iter().flat_map(|examined| examined.findings.clone());
        return Err(unreachable(silent.collect::<Vec<_>>().join("; ")));
    }
    let unhealthy = examined.iter().filter(|examined| !examined.healthy).count();
    output.result(
        &serde_json::json!({ "healthy": unhealthy == 0, "members": examined }),
        &text(&examined, output),
    )?;
    if unhealthy == 0 {
        return Ok(());
    }
    let detail = format!("{unhealthy} of {} members need attention", examined.len());
    Err(Failure::new(
        Exit::Other,
        "unhealthy",
        detail,
        "see the findings; dac doctor --wait follows a repair",
    ))
}

async fn examine(http: &reqwest::Client, endpoint: &str) -> Examined {
    let (mut findings, mut advice) = (Vec::new(), Vec::new());
    match ask::<Readiness>(http, endpoint, "readyz").await {
        Answer::Yes(readiness) => advice = readiness.advice,
        Answer::No(problem) => findings.push(format!("not ready: {}", problem.detail)),
        Answer::Nothing(detail) => findings.push(format!("{endpoint} does not answer: {detail}")),
    }
    let custody = match ask::<CustodyReport>(http, endpoint, "v1/custody").await {
        Answer::Yes(report) => Some(report),
        Answer::No(problem) => {
            findings.push(format!("no custody report: {problem}"));
            None
        }
        Answer::Nothing(_) => None,
    };
    findings.extend(custody.iter().flat_map(diagnose));
    Examined { endpoint: endpoint.to_owned(), healthy: findings.is_empty(), findings, advice, custody }
}

/// What is wrong with a member, by its own report.
fn diagnose(report: &CustodyReport) -> Vec<String> {
    let mut findings = Vec::new();
    let repair = &report.repair;
    if report.shards_missing + report.shards_damaged > 0 {
        let left = repair.estimate_seconds.map_or("unknown".to_owned(), |left| format!("about {left} s"));
        findings.push(format!(
            "{} of {} shards missing, {} contents damaged; {} waiting ({} bytes), time left {left}",
            report.shards_missing,
            report.certificates_live,
            report.shards_damaged,
            repair.waiting,
            repair.waiting_bytes
        ));
    }
    for shard in report.waiting.iter().filter(|shard| shard.attempts > 0) {
        findings.push(format!("{} {}: {}", shard.batch_id, shard.state, shard.detail));
    }
    findings.extend(report.members.iter().filter_map(suspicion));
    findings
}

/// An audit of another member that failed after the last good one.
fn suspicion(member: &MemberCustody) -> Option<String> {
    let failure = member.last_failure.as_ref()?;
    if member.last_held_at.is_some_and(|held| held >= failure.at) {
        return None;
    }
    let name = member.name.clone().unwrap_or_else(|| format!("seat {}", member.seat));
    Some(format!(
        "{name} failed its last audit ({}, batch {}); {} of {} held so far",
        failure.outcome.label(),
        failure.batch_id,
        member.held,
        member.asked
    ))
}

/// Follows a repair to its end.
async fn wait(http: &reqwest::Client, endpoint: &str, output: &Output) -> Result<(), Failure> {
    let bar = output.count_bar("shards", 0);
    loop {
        let report = match ask::<CustodyReport>(http, endpoint, "v1/custody").await {
            Answer::Yes(report) => report,
            Answer::No(problem) => return Err(Failure::other(problem.to_string(), "update the member")),
            Answer::Nothing(detail) => return Err(unreachable(format!("{endpoint}: {detail}"))),
        };
        bar.set_length(report.certificates_live);
        bar.set_position(report.shards_here);
        let heard = report.catch_up.members_heard == report.catch_up.members_connected;
        if report.complete && heard && report.catch_up.members_connected > 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

fn text(examined: &[Examined], output: &Output) -> String {
    let rows: Vec<Vec<String>> = examined.iter().map(row).collect();
    let header = ["member", "state", "live", "here", "checked", "missing", "damaged", "audits held"];
    let mut text = output.table(&header, &rows);
    for examined in examined {
        for finding in &examined.findings {
            text.push_str(&format!("\n{}: {finding}", examined.endpoint));
        }
    }
    for (advice, members) in counted(examined.iter().flat_map(|examined| &examined.advice)) {
        text.push_str(&format!("\nadvice for {members} of them: {advice}"));
    }
    text
}

/// Each once, and how often it was there.
fn counted<'a>(all: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one.as_str()).or_default() += 1;
    }
    counts
}

fn row(examined: &Examined) -> Vec<String> {
    let state = if examined.healthy { "healthy" } else { "needs attention" };
    let mut row = vec![examined.endpoint.clone(), state.to_owned()];
    match &examined.custody {
        Some(report) => {
            let numbers = [
                report.certificates_live,
                report.shards_here,
                report.shards_checked,
                report.shards_missing,
                report.shards_damaged,
            ];
            row.extend(numbers.map(|number| number.to_string()));
            let held: u64 = report.members.iter().map(|member| member.held).sum();
            let asked: u64 = report.members.iter().map(|member| member.asked).sum();
            row.push(format!("{held} of {asked}"));
        }
        None => row.extend(std::iter::repeat_n("-".to_owned(), 6)),
    }
    row
}
