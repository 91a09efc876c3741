//! How a client behaves: whom it asks, how long it waits, how often it tries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use attest::{Committee, CommitteeFile};

use crate::Error;

/// The time, in Unix seconds. Used for relative times and for deadlines only.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Clock(Arc::new(now))
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Clock({})", self.now())
    }
}

/// The clock of the system. Before 1970 it is zero.
pub fn system_clock() -> Clock {
    Clock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the one place where the client's time enters")]
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    })
}

/// Everything a [`Client`](crate::Client) needs to know. Start with [`ClientConfig::new`] and change fields.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Base URLs of members, best first: `http://host:8547`, with a path when a proxy has one.
    pub endpoints: Vec<String>,
    /// Who has to have signed.
    pub committee: Committee,
    /// Longest connecting.
    pub connect_max: Duration,
    /// Longest silence while bytes go either way, and longest small request.
    pub idle_max: Duration,
    /// Longest wait for a certificate once all bytes are sent.
    pub certificate_max: Duration,
    /// Requests per operation, over all endpoints. At least one each.
    pub attempts_max: u32,
    /// Pause after the first round over all endpoints; doubles with every round, jittered by half.
    pub pause_min: Duration,
    /// Longest pause, also for `Retry-After`.
    pub pause_max: Duration,
    /// Whether `HTTP_PROXY` and the like are followed.
    pub proxy_from_environment: bool,
    /// The time.
    pub clock: Clock,
}

impl ClientConfig {
    /// The defaults: 5 s to connect, 30 s of silence, 150 s for a certificate, 8 attempts, pauses of 200 ms to 20 s,
    /// no proxy, the clock of the system.
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>, committee: Committee) -> Self {
        ClientConfig {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            committee,
            connect_max: Duration::from_secs(5),
            idle_max: Duration::from_secs(30),
            certificate_max: Duration::from_secs(150),
            attempts_max: 8,
            pause_min: Duration::from_millis(200),
            pause_max: Duration::from_secs(20),
            proxy_from_environment: false,
            clock: system_clock(),
        }
    }

    /// The defaults with the members' URLs from a committee file, in seat order.
    ///
    /// # Errors
    /// [`Error::Committee`] when the file does not hold; [`Error::NoEndpoint`] when it names no URL.
    pub fn from_committee_file(file: &CommitteeFile) -> Result<Self, Error> {
        let committee = file.check().map_err(Error::Committee)?;
        let endpoints: Vec<_> = file.members.iter().filter_map(|member| member.api.clone()).collect();
        if endpoints.is_empty() {
            return Err(Error::NoEndpoint);
        }
        Ok(ClientConfig::new(endpoints, committee))
    }
}
