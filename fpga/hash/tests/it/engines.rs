//! Which engines exist and which are handed out.

use std::sync::Arc;

use fpga_hash::{Error, software, software_by_name, software_names};

#[test]
fn the_best_engine_is_the_first_that_runs() {
    let first =
        software_names().into_iter().find(|name| software_by_name(name).is_ok()).expect("scalar always runs");
    assert_eq!(software().engine(), first);
    assert!(Arc::ptr_eq(&software(), &software_by_name(first).expect("it runs")));
}

#[test]
fn scalar_always_runs_and_is_last() {
    assert_eq!(software_names().last(), Some(&"software-scalar"));
    assert_eq!(software_by_name("software-scalar").expect("no feature needed").engine(), "software-scalar");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn an_engine_runs_exactly_where_the_cpu_reports_its_features() {
    let ifma = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
    assert_eq!(software_by_name("software-avx512ifma").is_ok(), ifma);
    assert_eq!(software_by_name("software-avx2").is_ok(), is_x86_feature_detected!("avx2"));
    let adx = is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx");
    assert_eq!(software_by_name("software-adx").is_ok(), adx);
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    let error = software_by_name("software-avx9").expect_err("no such engine");
    assert!(matches!(error, Error::UnknownEngine { ref known, .. } if *known == software_names()));
}
