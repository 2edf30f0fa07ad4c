//! One run of all tests: a broker and the clients before, the totals after.

use std::ffi::OsStr;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Command;
use std::process::Stdio;

use anyhow::Context;

use crate::clients::Clients;
use crate::kafka::Broker;
use crate::paths::Paths;
use crate::paths::cargo;

/// What runs when nothing else is asked for.
const EVERYTHING: [&str; 2] = ["--workspace", "--no-fail-fast"];

/// Runs the tests and prints the totals; whether all passed.
#[expect(clippy::print_stdout, reason = "this is a command-line tool")]
pub(crate) fn run(paths: &Paths, args: &[&str]) -> anyhow::Result<bool> {
    let broker =
        Broker::start(paths).context("the tests need a Kafka broker, which did not start")?;
    println!("broker at {}", broker.addresses().plain);
    let clients = Clients::prepare(paths)
        .context("the tests need the desk's clients, which are not there")?;
    let args = if args.is_empty() { &EVERYTHING } else { args };
    let mut tests = Command::new(cargo());
    // Build scripts are run anew when these change, and with ring's all that stands on it: whoever
    // calls cargo by hand and through us in turn would build nearly everything each time.
    std::env::vars_os().filter(|(name, _)| is_ours(name)).for_each(|(name, _)| {
        tests.env_remove(name);
    });
    let mut tests = tests
        .arg("test")
        .args(args)
        .current_dir(&paths.workspace)
        .envs(broker.addresses().environment())
        .envs(clients.environment())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo test could not be run")?;
    let output = tests.stdout.take().expect("stdout was asked to be piped");
    let mut totals = Totals::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("what the tests print could not be read")?;
        println!("{line}");
        totals.read(&line);
    }
    let status = tests.wait().context("cargo test could not be waited for")?;
    drop(broker);
    if !status.success() && totals.failed == 0 {
        // A crash or a compiler error prints no result line, and is a failure all the same.
        totals.failed = 1;
    }
    println!();
    totals.print_names();
    println!("{} passed, {} failed", totals.passed, totals.failed);
    Ok(status.success())
}

/// Whether cargo set this variable to tell a program about itself.
fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let begins = ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|begin| name.starts_with(begin));
    begins || ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&&*name)
}

/// What the result lines of all test binaries add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    names: Vec<String>,
}

impl Totals {
    fn read(&mut self, line: &str) {
        if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.names.push(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let count = |what: &str| {
            let piece = result.split([';', '.']).map(str::trim).find(|piece| piece.ends_with(what));
            piece.and_then(|piece| piece.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += count(" passed");
        self.failed += count(" failed");
    }

    #[expect(clippy::print_stdout, reason = "this is a command-line tool")]
    fn print_names(&self) {
        for name in &self.names {
            println!("failed: {name}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_see_the_environment_that_cargo_found() {
        let ours = |name: &str| is_ours(OsStr::new(name));
        assert!(ours("CARGO_MANIFEST_DIR") && ours("CARGO_PKG_NAME") && ours("CARGO_BIN_NAME"));
        assert!(!ours("CARGO_TARGET_DIR") && !ours("CARGO_HOME") && !ours("PATH"));
    }

    #[test]
    fn result_lines_add_up() {
        let mut totals = Totals::default();
        for line in [
            "running 2 tests",
            "test a ... ok",
            "test b::c ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; finished in 0.00s",
            "test result: ok. 41 passed; 0 failed; 1 ignored; 0 measured; finished in 1.25s",
        ] {
            totals.read(line);
        }
        let names = vec!["b::c".to_owned()];
        assert_eq!(totals, Totals { passed: 42, failed: 1, names });
    }
}
