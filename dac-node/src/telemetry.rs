//! Logs: text for people or one JSON object a line for machines, always on standard error.
//!
//! Standard output belongs to results. The filter comes from the variable `DAC_LOG`, else from the caller; its language
//! is that of `tracing_subscriber::EnvFilter`, for example `info,libp2p=warn`.
//!
//! Left out on purpose: files and rotation (the service manager's work) and remote collectors.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Goes before the configured filter.
pub const LOG_VARIABLE: &str = "DAC_LOG";

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The filter does not parse.
    #[error("{from} has the log filter \"{filter}\": {detail}")]
    Filter {
        /// `DAC_LOG` or the configuration.
        from: &'static str,
        /// As written.
        filter: String,
        /// What the parser said.
        detail: String,
    },
    /// Something in this process logs already.
    #[error("logging has been started before")]
    Started,
}

/// Starts logging for the whole process.
///
/// # Errors
/// [`Error::Filter`]; [`Error::Started`] when called twice.
pub fn init(level: &str, json: bool) -> Result<(), Error> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(level, std::env::var(LOG_VARIABLE).ok())?)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr);
    let started = if json {
        subscriber.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        subscriber.with_target(false).try_init()
    };
    started.map_err(|_| Error::Started)
}

fn filter(level: &str, variable: Option<String>) -> Result<EnvFilter, Error> {
    let (from, text) = match variable {
        Some(text) if !text.is_empty() => (LOG_VARIABLE, text),
        _ => ("the configuration", level.to_owned()),
    };
    EnvFilter::try_new(&text).map_err(|error| Error::Filter { from, filter: text, detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_goes_before_the_configuration() {
        assert_eq!(filter("info", Some("debug".into())).unwrap().to_string(), "debug");
        assert_eq!(filter("info", Some(String::new())).unwrap().to_string(), "info");
        assert_eq!(filter("info,libp2p=warn", None).unwrap().to_string(), "libp2p=warn,info");
    }

    #[test]
    fn rejects_a_filter_that_does_not_parse_and_says_whose_it_is() {
        let found = filter("info", Some("a=b=c".into()));
        assert!(matches!(found, Err(Error::Filter { from: LOG_VARIABLE, .. })), "{found:?}");
    }
}
