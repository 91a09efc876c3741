//! What the Keccak core must reach on this board, over five seeds or more.

use anyhow::{Context, ensure};
use serde_json::Value;

/// Least median clock, in MHz.
const CLOCK_MHZ_MIN: f64 = 150.0;

/// Least throughput for its area at the median clock, in Gbit/s per thousand LUT4.
const GBIT_PER_S_PER_KLUT4_MIN: f64 = 1.3;

/// Seeds that make a median to judge by: one seed alone is off by 10 % and more.
const SEEDS_MIN: usize = 5;

/// Judges the report of the core; with fewer seeds it says that it does not.
///
/// # Errors
/// The figure that is too low.
pub(super) fn check(core: &Value) -> anyhow::Result<()> {
    let figure = |name: &str| core[name].as_f64().with_context(|| format!("the report holds no {name}"));
    let seeds = core["fmax_mhz"].as_array().map_or(0, Vec::len);
    let (clock, throughput) = (figure("fmax_median_mhz")?, figure("gbit_per_s_per_klut4")?);
    if seeds < SEEDS_MIN {
        println!("keccak: not judged, that takes {SEEDS_MIN} seeds (--seeds) and there are {seeds}");
        return Ok(());
    }
    ensure!(
        clock >= CLOCK_MHZ_MIN,
        "keccak: the median clock is {clock:.2} MHz and must be at least {CLOCK_MHZ_MIN}"
    );
    ensure!(
        throughput >= GBIT_PER_S_PER_KLUT4_MIN,
        "keccak: {throughput:.3} Gbit/s per thousand LUT4, and it must be at least {GBIT_PER_S_PER_KLUT4_MIN}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn core(clocks: &[f64], median: f64, throughput: f64) -> Value {
        json!({"fmax_mhz": clocks, "fmax_median_mhz": median, "gbit_per_s_per_klut4": throughput})
    }

    #[test]
    fn a_core_below_either_bound_is_refused() {
        let five = [150.0; 5];
        assert!(check(&core(&five, 150.0, 1.3)).is_ok());
        assert!(check(&core(&five, 149.99, 1.6)).unwrap_err().to_string().contains("149.99 MHz"));
        assert!(check(&core(&five, 170.0, 1.299)).unwrap_err().to_string().contains("1.299 Gbit/s"));
        assert!(check(&json!({"fmax_mhz": five})).is_err(), "a report without the figures");
    }

    #[test]
    fn one_placement_is_not_judged() {
        assert!(check(&core(&[140.0], 140.0, 1.2)).is_ok());
    }
}
