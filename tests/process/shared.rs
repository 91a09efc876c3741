//! What the tests of this binary share.

use std::path::Path;
use std::time::Duration;

use attest::Thresholds;
use dac_node::clock::{Clock, SystemClock};
use dac_node::config::NodeConfig;
use e2e::{Members, Setup, Times};

/// Members are this crate's build of `dac`.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_member");

/// Four members of which any two hold every batch and three certify: one may fail.
pub(crate) fn four() -> Thresholds {
    Thresholds::new(4, 2, 3).unwrap()
}

/// Four members on loopback, connected.
pub(crate) async fn four_members(directory: &Path) -> Members {
    members_with(directory, false, |_, _| {}).await
}

/// Four members with other configurations, perhaps on an emulated network.
pub(crate) async fn members_with(
    directory: &Path,
    emulated: bool,
    adjust: fn(u16, &mut NodeConfig),
) -> Members {
    let setup = Setup {
        program: Path::new(PROGRAM),
        arguments: &[],
        thresholds: four(),
        directory,
        emulated,
        adjust,
    };
    Members::start(&setup).await.unwrap()
}

/// Gives up on members within seconds, for tests in which some do not answer.
pub(crate) fn impatient(_: u16, config: &mut NodeConfig) {
    config.timings.piece_timeout_ceiling = Duration::from_secs(1);
    config.timings.give_up_after = Duration::from_secs(4);
    config.timings.member_answer_timeout = Duration::from_secs(5);
}

/// Hot for a day, kept for two, from now.
pub(crate) fn times() -> Times {
    let now = SystemClock::new().now().unix_seconds;
    Times { hot_until: now + 86_400, retain_until: now + 2 * 86_400, deadline: now + 86_400 }
}
