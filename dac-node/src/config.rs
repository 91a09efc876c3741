//! The node's configuration: one TOML file, read and checked once at start.
//!
//! Promise: an unknown field is an error, every default is the one written here, and [`NodeConfig::check`] names every
//! bad value at once and says what to put there. The comments of `dac config example` are the comments of these
//! structures: they cannot drift apart.
//!
//! Terms: durations carry a unit (`250ms`, `30s`, `2days`), sizes too (`64 MiB`). Relative paths are relative to the
//! configuration file.
//!
//! Left out on purpose: members, their keys and addresses (the committee file has them), passwords (see
//! [`crate::keystore`]), reloading while running.

mod check;
mod example;
mod units;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use libp2p::Multiaddr;

use crate::service::RollupPolicy;

pub use check::Problem;
pub use example::example;

/// Longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, an unknown field, or a value of the wrong type.
    #[error("configuration {}: {detail}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        detail: String,
    },
    /// Values that cannot work.
    #[error("the configuration has {} problem(s):{}", problems.len(), list(problems))]
    Invalid {
        /// All of them, in file order.
        problems: Vec<Problem>,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// A structure whose field comments become the comments of the example file.
trait Documented: Default + serde::Serialize {
    const FIELDS: &'static [Field];
}

/// One field of the example file.
struct Field {
    name: &'static str,
    comment: &'static [&'static str],
    /// TOML shown in a comment when the field has no default.
    sample: Option<&'static str>,
}

/// Declares a table of the configuration: comments, fields and defaults in one place.
macro_rules! settings {
    (
        $(#[doc = $struct_doc:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)+)])?
                $field:ident: $type:ty = $default:expr $(, sample $sample:literal)?;
            )+
        }
    ) => {
        $(#[doc = $struct_doc])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[serde($($serde)+)])?
                pub $field: $type,
            )+
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)+ }
            }
        }

        impl Documented for $name {
            const FIELDS: &'static [Field] = &[
                $(Field {
                    name: stringify!($field),
                    comment: &[$($doc),+],
                    sample: settings!(@sample $($sample)?),
                },)+
            ];
        }
    };
    (@sample) => { None };
    (@sample $sample:literal) => { Some($sample) };
}

settings! {
    /// Everything a node is told when it starts, besides its password.
    pub struct NodeConfig {
        /// Where batches, shards and certificates are kept. One node per directory.
        data_dir: PathBuf = "data".into();
        /// Directory of the node's two keystores, as written by `dac keys new --dir`.
        keys_dir: PathBuf = "keys".into();
        /// File with the password of the keystores: one line. Without it the node looks at DAC_PASSWORD_FILE and
        /// DAC_PASSWORD, then asks on the terminal.
        #[serde(skip_serializing_if = "Option::is_none")]
        password_file: Option<PathBuf> = None, sample "\"password\"";
        /// The committee this node is a member of, as written by `dac committee new`. The seat is found by the key.
        committee: PathBuf = "committee.json".into();
        /// Largest batch this member takes, at most 64 MiB. Rollups may have lower limits of their own.
        #[serde(with = "units::size")]
        batch_bytes_max: ByteSize = ByteSize::mib(64);
        /// Batches being received, verified or certified at the same time. More are refused as `busy`.
        batches_in_flight_max: usize = 64;
        /// Memory budget: bytes of those batches together. A batch takes several times its size in memory while it is
        /// coded and verified, so plan for about three times this number.
        #[serde(with = "units::size")]
        bytes_in_flight_max: ByteSize = ByteSize::mib(512);
        /// Threads that hash, code and verify. 0 means one for each processor.
        compute_threads: usize = 0;
        /// How members reach each other.
        network: NetworkConfig = NetworkConfig::default();
        /// The HTTP interface for rollups, readers and operators.
        api: ApiConfig = ApiConfig::default();
        /// How long this member waits for others. The defaults suit members on different continents.
        timings: TimingsConfig = TimingsConfig::default();
        /// Room on the disk and how long things stay there.
        store: StoreConfig = StoreConfig::default();
        /// Keeping what was promised: repair, scrub, audits.
        heal: HealConfig = HealConfig::default();
        /// Who computes Keccak and Poseidon.
        hash: HashConfig = HashConfig::default();
        /// L1, for a committee that is registered there. With a provider and a registry this node follows L1: the committee file
        /// above and the rollups below are then not used.
        l1: L1Config = L1Config::default();
        /// Logs, on standard error.
        log: LogConfig = LogConfig::default();
        /// The rollups this member serves, at least one.
        rollups: Vec<RollupPolicy> = Vec::new();
    }
}

settings! {
    /// How members reach each other.
    pub struct NetworkConfig {
        /// Addresses to listen on, as multiaddresses. TCP is the default; for QUIC add
        /// "/ip4/0.0.0.0/udp/9547/quic-v1". The addresses that other members dial are in the committee file.
        listen: Vec<Multiaddr> = vec![default_listen()];
    }
}

settings! {
    /// The HTTP interface.
    pub struct ApiConfig {
        /// Address and port. Submissions are authorised by signature and reads are public, but there is no TLS here:
        /// put a proxy in front before this listens to the world.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8547));
        /// Connections at the same time; more wait.
        connections_max: usize = 1024;
        /// Longest silence inside the body of a submission.
        #[serde(with = "humantime_serde")]
        body_idle_max: Duration = Duration::from_secs(15);
        /// Slowest body, bytes a second on average; slower ones are cut off.
        #[serde(with = "units::size")]
        body_rate_min: ByteSize = ByteSize::kib(64);
        /// Bodies that may be buffered before anyone vouched for them, in bytes together: the signature covers the hash
        /// of the body, so without the hash in a header it is checked only at the end. More are refused as `busy`.
        #[serde(with = "units::size")]
        unauthenticated_bytes_max: ByteSize = ByteSize::mib(64);
        /// Bodies that a rollup has vouched for, in bytes together. More are refused as `busy`.
        #[serde(with = "units::size")]
        authorised_bytes_max: ByteSize = ByteSize::mib(512);
        /// Longest wait for a certificate inside one request; then the answer is where to ask later.
        #[serde(with = "humantime_serde")]
        wait_max: Duration = Duration::from_secs(120);
    }
}

settings! {
    /// How long a member waits for others.
    pub struct TimingsConfig {
        /// Without a new piece for this time, missing pieces are asked for from members chosen at random. At least this
        /// long; more when the measured round trips are longer.
        #[serde(with = "humantime_serde")]
        piece_timeout_floor: Duration = Duration::from_millis(250);
        /// The same, at most this long.
        #[serde(with = "humantime_serde")]
        piece_timeout_ceiling: Duration = Duration::from_secs(4);
        /// Without enough pieces for this time after the last new one, this member refuses with `pieces_missing`.
        #[serde(with = "humantime_serde")]
        give_up_after: Duration = Duration::from_secs(20);
        /// Once the quorum has signed, the coordinator waits this long for late signers. Longer means later answers and
        /// more signers: each saves about 1,550 gas when L1 checks the certificate.
        #[serde(with = "humantime_serde")]
        certificate_linger: Duration = Duration::from_millis(2);
        /// The coordinator waits this long for a member's answer before it counts as `no_answer`.
        #[serde(with = "humantime_serde")]
        member_answer_timeout: Duration = Duration::from_secs(30);
        /// When the coordinator made no certificate for this long, other members make it.
        #[serde(with = "humantime_serde")]
        takeover_after: Duration = Duration::from_secs(2);
    }
}

settings! {
    /// Room on the disk and how long things stay there.
    pub struct StoreConfig {
        /// Free space that is left on the file system: below it, batches are refused as `storage_full`.
        #[serde(with = "units::size")]
        reserve: ByteSize = ByteSize::gib(1);
        /// Most bytes that this node keeps. Without it, all of the file system above the reserve.
        #[serde(with = "units::optional_size", skip_serializing_if = "Option::is_none")]
        max_bytes: Option<ByteSize> = None, sample "\"500 GiB\"";
        /// What expired stays this much longer.
        #[serde(with = "humantime_serde")]
        grace: Duration = Duration::from_secs(3600);
        /// A wall clock that is further ahead than this of what the node knows of the time is not believed for a day of
        /// running: nothing is dropped by it. Also after the node was down for longer: what expired then goes a day later.
        #[serde(with = "humantime_serde")]
        clock_step: Duration = Duration::from_secs(3600);
    }
}

settings! {
    /// Keeping what was promised: repair, scrub, audits.
    pub struct HealConfig {
        /// A shard of a live certificate that is not here after this time is fetched from other members. Longer than a
        /// batch usually takes to arrive, or it is fetched twice.
        #[serde(with = "humantime_serde")]
        repair_after: Duration = Duration::from_secs(30);
        /// How often every member is asked for certificates that are unknown here. A member that connects is asked at
        /// once.
        #[serde(with = "humantime_serde")]
        catch_up_every: Duration = Duration::from_secs(60);
        /// Everything stored is read back and compared with its commitments at this rate, bytes a second.
        #[serde(with = "units::size")]
        scrub_rate: ByteSize = ByteSize::mib(8);
        /// Pause between two such passes.
        #[serde(with = "humantime_serde")]
        scrub_pause: Duration = Duration::from_secs(600);
        /// How often another member, chosen at random, is asked for a random leaf of a random shard it owes.
        #[serde(with = "humantime_serde")]
        audit_every: Duration = Duration::from_secs(10);
        /// Longest wait for that leaf.
        #[serde(with = "humantime_serde")]
        audit_deadline: Duration = Duration::from_secs(5);
    }
}

settings! {
    /// Who computes Keccak and Poseidon.
    pub struct HashConfig {
        /// "software" is the fastest engine that this processor runs; an engine's own name pins it. "fpga" is the device
        /// named below, with software behind it.
        engine: String = "software".into();
        /// The device: "xdma:0", "serial:/dev/ttyUSB0", "tcp:host:port" or "unix:path". It is used after a good self-test;
        /// after a fault software goes on and the device is tried again.
        #[serde(skip_serializing_if = "Option::is_none")]
        device: Option<String> = None, sample "\"xdma:0\"";
        /// Software computes one digest in this many again, and at least one of each request; 1 computes all.
        recheck_one_in: u32 = 256;
        /// Longest that one call waits for the device; what it has not answered by then is hashed in software.
        #[serde(with = "humantime_serde")]
        device_timeout: Duration = Duration::from_secs(2);
        /// Pause before a detached device is tried again; doubles with each failure, up to 60 times this.
        #[serde(with = "humantime_serde")]
        reattach_after: Duration = Duration::from_secs(1);
    }
}

settings! {
    /// L1, for a committee that is registered there.
    pub struct L1Config {
        /// URLs of JSON-RPC providers, best first: the next one is asked when one fails. A provider is believed about the
        /// chain, so run one, or choose well.
        providers: Vec<String> = Vec::new();
        /// Address of the committee registry.
        #[serde(skip_serializing_if = "Option::is_none")]
        registry: Option<attest::Address> = None, sample "\"0x0000000000000000000000000000000000000001\"";
        /// Chain id that providers must have.
        chain_id: u64 = 1;
        /// First block that can hold an event of the registry: the one in which it was deployed.
        first_block: u64 = 0;
        /// Blocks above an event before it counts.
        confirmations: u64 = 12;
        /// Pause between two looks at the chain.
        #[serde(with = "humantime_serde")]
        poll_period: Duration = Duration::from_secs(12);
    }
}

settings! {
    /// Logs, on standard error.
    pub struct LogConfig {
        /// error, warn, info, debug, trace; or per module: "info,libp2p=warn". The variable DAC_LOG goes before it.
        level: String = "info".into();
        /// One JSON object a line instead of text.
        json: bool = false;
    }
}

impl HashConfig {
    /// Takes a device from the command line: it goes before the file.
    pub(crate) fn use_device(&mut self, device: Option<&fpga::DeviceName>) {
        if let Some(device) = device {
            self.engine = "fpga".to_owned();
            self.device = Some(device.to_string());
        }
    }
}

fn default_listen() -> Multiaddr {
    use libp2p::multiaddr::Protocol;
    Multiaddr::empty().with(Protocol::Ip4(Ipv4Addr::UNSPECIFIED)).with(Protocol::Tcp(9547))
}

impl NodeConfig {
    /// Reads and checks a file; relative paths become relative to it.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = read_bounded(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let mut config: NodeConfig = toml::from_str(&text)
            .map_err(|error| Error::Parse { path: path.into(), detail: error.to_string() })?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        config.check()?;
        Ok(config)
    }

    /// Checks every value that can be judged without the disk and the network.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all problems.
    pub fn check(&self) -> Result<(), Error> {
        let problems = check::problems(self);
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid { problems }) }
    }

    fn resolve_paths(&mut self, base: &Path) {
        let NodeConfig { data_dir, keys_dir, committee, password_file, .. } = self;
        for path in [data_dir, keys_dir, committee].into_iter().chain(password_file) {
            *path = base.join(&*path);
        }
    }
}

/// Reads a text file of at most [`FILE_BYTES_MAX`].
fn read_bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("larger than {FILE_BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
