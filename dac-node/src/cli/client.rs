//! What the commands that talk to members share: whom to ask, progress, and failures in the committee's own words.

use std::path::PathBuf;

use attest::CommitteeFile;
use dac_client::{Client, ClientConfig, Error, Event, Progress};
use indicatif::ProgressBar;

use super::keys::parse_url;
use super::{Exit, Failure, Output, committee};

/// Arguments of every command that asks members and believes only the committee file.
#[derive(Debug, clap::Args)]
pub(super) struct ClientArgs {
    /// The committee file: who has to have signed
    #[arg(long, value_name = "FILE")]
    committee: PathBuf,
    /// Base URL of a member, best first; may be given several times [default: those in the committee file]
    #[arg(long = "endpoint", value_name = "URL", value_parser = parse_url)]
    endpoints: Vec<String>,
    /// Follow HTTP_PROXY and HTTPS_PROXY
    #[arg(long)]
    proxy: bool,
}

impl ClientArgs {
    /// A client, and the committee file behind it. Connects to nobody yet.
    pub(super) fn client(&self) -> Result<(Client, CommitteeFile), Failure> {
        let (file, committee) = committee::load(&self.committee)?;
        let endpoints = if self.endpoints.is_empty() { urls(&file) } else { self.endpoints.clone() };
        let mut config = ClientConfig::new(endpoints, committee);
        config.proxy_from_environment = self.proxy;
        Ok((Client::new(config).map_err(failure)?, file))
    }
}

/// The members' URLs, in seat order.
pub(super) fn urls(file: &CommitteeFile) -> Vec<String> {
    file.members.iter().filter_map(|member| member.api.clone()).collect()
}

/// Shows the client's progress as one bar, invisible without a terminal.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    output: Output,
}

impl Bar {
    pub(super) fn new(output: &Output) -> Self {
        Bar { bar: output.bytes_bar("", 0), output: *output }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self, what: &'static str, bytes: u64, total_bytes: u64) {
        self.bar.set_message(what);
        self.bar.set_length(total_bytes);
        self.bar.set_position(bytes);
    }
}

impl Progress for Bar {
    fn report(&self, event: Event) {
        match event {
            Event::Hashing { total_bytes } => self.show("hashing", 0, total_bytes),
            Event::Sent { bytes, total_bytes } => self.show("sending", bytes, total_bytes),
            Event::Received { bytes, total_bytes } => self.show("receiving", bytes, total_bytes),
            Event::Waiting => self.bar.set_message("committee at work"),
            Event::Verifying => self.bar.set_message("verifying"),
            Event::Retrying { endpoint, detail, pause } => {
                let pause = pause.as_millis();
                self.bar.suspend(|| {
                    self.output.note(&format!("{endpoint}: {detail}; next attempt in {pause} ms"))
                });
            }
            _ => {}
        }
    }
}

/// A client's error as an exit code, a code and advice.
pub(super) fn failure(error: Error) -> Failure {
    let detail = error.to_string();
    match &error {
        Error::NoEndpoint => {
            Failure::usage("nobody to ask: the committee file has no API URLs", "give --endpoint URL")
        }
        Error::InvalidEndpoint { .. } => Failure::usage(detail, "a URL is for example http://127.0.0.1:8547"),
        Error::Submission(_) => {
            Failure::usage(detail, "a batch has 1 byte to 64 MiB, and --hot-for is at most --retain-for")
        }
        Error::Committee(_) => Failure::verification("invalid_committee", detail, "see: dac committee check"),
        Error::Certificate(_) | Error::AnotherBatch { .. } => Failure::verification(
            "false_certificate",
            detail,
            "ask another member; tell the operator of this one",
        ),
        Error::Commitments(_) | Error::DataHash { .. } => Failure::verification(
            "batch_mismatch",
            detail,
            "ask another member; tell the operator of this one",
        ),
        Error::File { .. } => Failure::new(
            Exit::LocalIo,
            "cannot_write",
            detail,
            "check the path, its permissions and the free space",
        ),
        Error::NotCertified { status } => {
            let members = status.members.iter().filter(|member| member.outcome != "signed");
            let members: String = members.map(|member| format!("; {member}")).collect();
            refusal("quorum_not_reached", detail + &members)
        }
        Error::NoCertificateInTime { .. } => refusal("no_certificate_in_time", detail),
        Error::DeadlineOver { .. } => refusal("deadline_over", detail),
        Error::Refused { problem, .. } => refusal(&problem.code, detail),
        Error::Exhausted { .. } => match error.code() {
            Some(code) => refusal(code, detail),
            None => unreachable(detail),
        },
        _ => Failure::other(detail, "run again with DAC_LOG=debug"),
    }
}

/// Nobody answered.
pub(super) fn unreachable(detail: String) -> Failure {
    let hint = "check the URLs, and that the members run: dac status --endpoint URL";
    Failure::new(Exit::Unreachable, "unreachable", detail, hint)
}

/// What a member answered instead of what was asked for.
pub(super) fn refusal(code: &str, detail: String) -> Failure {
    let exit = match code {
        "unknown_batch" | "not_certified" => Exit::NotFound,
        _ => Exit::Refused,
    };
    Failure::new(exit, code, detail, hint(code))
}

fn hint(code: &str) -> &'static str {
    match code {
        "unauthorised" => {
            "the members' configuration must name this rollup and this key's address (dac keys show --file); \
             the committee file must be theirs"
        }
        "quota_exceeded" => "wait until tomorrow (UTC), or have the members raise quota_per_day",
        "too_large" => "split the batch, or have the members raise batch_max",
        "expired" => "take a later --deadline or a shorter --retain-for; compare the clocks",
        "stale_epoch" => "take the committee file of the members' epoch",
        "storage_full" | "storage_error" => "the member's operator has to make room or repair the disk",
        "busy" | "shutting_down" | "not_ready" => "try again in a moment, or with another --endpoint",
        "quorum_not_reached" | "no_certificate_in_time" | "no_answer" | "unreachable" => {
            "see which members are missing: dac status; submitting again is safe, it is the same batch"
        }
        "deadline_over" => "submit again with a longer --deadline",
        "unknown_batch" => "check the id; a batch is known to its own committee only",
        "not_certified" => "wait for the certificate: dac status ID",
        "irretrievable" => "too few members are up: dac status, then try again",
        _ => "see the member's log under this code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Reason;

    #[test]
    fn every_reason_of_a_member_has_advice_of_its_own() {
        let general = hint("something else");
        for reason in [
            Reason::Unauthorised,
            Reason::QuotaExceeded,
            Reason::TooLarge,
            Reason::StorageFull,
            Reason::StorageError,
            Reason::StaleEpoch,
            Reason::Expired,
            Reason::ShuttingDown,
            Reason::Busy,
            Reason::Unreachable,
            Reason::NoAnswer,
        ] {
            assert_ne!(hint(reason.code()), general, "{}", reason.code());
        }
    }

    #[test]
    fn silence_is_unreachable_and_a_no_is_a_refusal() {
        let silent = failure(Error::Exhausted { attempts: Vec::new() });
        assert_eq!((silent.exit, silent.code.as_str()), (Exit::Unreachable, "unreachable"));
        let problem = dac_client::Problem { code: "quota_exceeded".into(), ..Default::default() };
        let attempts = Vec::new();
        let refused =
            failure(Error::Refused { endpoint: "http://a".into(), problem: Box::new(problem), attempts });
        assert_eq!((refused.exit, refused.code.as_str()), (Exit::Refused, "quota_exceeded"));
        assert_eq!(refusal("unknown_batch", String::new()).exit, Exit::NotFound);
    }
}
