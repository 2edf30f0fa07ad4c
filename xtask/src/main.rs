//! The yard's tools: `cargo xtask test` runs every test against the real components it needs.
//!
//! The tests need an Apache Kafka broker and the desk's clients (psql, JDBC, Python's ADBC and
//! dbt). This resolves the broker's jars once (Maven), starts it on loopback, gets the clients,
//! runs the tests with their places in the environment, stops the broker whatever happened, and
//! prints the totals. What cannot be had is a failure, never a reason to skip.
//!
//! It depends on nothing that needs a C compiler, so that it can name what is missing before the
//! build of the workspace fails for it.

mod accuracy;
mod clients;
mod kafka;
mod needs;
mod paths;
mod suite;

use std::process::ExitCode;

use anyhow::Context;
use anyhow::bail;

use crate::paths::Paths;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [ARGS…]   install clients, start a broker, run `cargo test ARGS…` (default: --workspace
                 --no-fail-fast), stop it, print the totals
  kafka start    start a broker that stays until it is stopped, and print how to use it
  kafka stop     stop it
  clients        get the desk's clients (Python, JDBC), and print where they are
  accuracy [SET] backtest the public sets of GRIDLOOM_DATA and write the table of docs/forecast.md;
                 with a part of a set's name, print only its rows
  needs          say which system packages are missing";

#[expect(clippy::print_stderr, reason = "this is a command-line tool")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well; an error where the command itself could not do its work.
#[expect(clippy::print_stdout, reason = "this is a command-line tool")]
fn run(args: &[String]) -> anyhow::Result<bool> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", rest @ ..] => {
            needs::check()?;
            suite::run(&Paths::find()?, rest)
        }
        ["kafka", "start"] => {
            needs::check()?;
            let paths = Paths::find()?;
            let addresses =
                kafka::start_for_developers(&paths).context("the broker did not start")?;
            for (name, value) in addresses.environment() {
                println!("export {name}={value}");
            }
            Ok(true)
        }
        ["kafka", "stop"] => {
            kafka::stop_for_developers(&Paths::find()?)?;
            Ok(true)
        }
        ["clients"] => {
            needs::check()?;
            for (name, value) in clients::Clients::prepare(&Paths::find()?)?.environment() {
                println!("export {name}={value}");
            }
            Ok(true)
        }
        ["accuracy"] => accuracy::run(&Paths::find()?, None),
        ["accuracy", set] => accuracy::run(&Paths::find()?, Some(set)),
        ["needs"] => needs::check().map(|()| true),
        [] | ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(true)
        }
        other => bail!("there is no command {:?}\n\n{USAGE}", other.join(" ")),
    }
}
