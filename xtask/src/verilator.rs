//! Verilator, make and a C++ compiler: what the simulated gateware is built with.

use std::process::{Command, Stdio};

use anyhow::ensure;

use crate::step;

/// Debian's packages, and the programs they bring.
const PACKAGES: [(&str, &str); 3] = [("verilator", "verilator"), ("make", "make"), ("g++", "g++")];

/// Installs what is missing with apt-get, as root; else says what to install.
///
/// # Errors
/// What is missing and how to get it.
pub(crate) fn install() -> anyhow::Result<()> {
    let missing: Vec<&str> =
        PACKAGES.into_iter().filter(|(_, program)| !runs(program)).map(|(package, _)| package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let can_install = runs("apt-get") && is_root();
    ensure!(
        can_install,
        "the tests of the gateware need {list}: as root, apt-get install -y --no-install-recommends {list} \
         (or your system's packages of the same names)"
    );
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
        command
    };
    step("package lists", apt(&["update", "-qq"]))?;
    let mut install = apt(&["install", "-y", "-qq", "--no-install-recommends"]);
    install.args(&missing);
    step("packages", install)?;
    let still: Vec<&str> =
        PACKAGES.into_iter().filter(|(_, program)| !runs(program)).map(|(package, _)| package).collect();
    ensure!(still.is_empty(), "apt-get was content, but {} cannot be started", still.join(" "));
    Ok(())
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout == b"0\n")
}
