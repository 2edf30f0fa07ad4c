//! Names the system packages that the Kafka client library is built with, all at once and early.
//!
//! The library is C: its build dies half way where a header is missing, deep in the output of
//! somebody else's configure script. Cargo runs a build script as soon as it is compiled. This one
//! has no dependencies, so it is ready from the first second on, long before the scripts of
//! `openssl-sys` and `rdkafka-sys`, which wait for others; and when it fails, cargo starts nothing
//! more. That is scheduling and no promise: at worst the other script fails first, with its own
//! words.
//!
//! It asks only where what is built runs here: who builds for another machine brings its libraries.
//! `cargo xtask needs` asks the same and more; a test there compares the two lists.

use std::env;
use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;

/// What must be there: a program with arguments that must succeed, why, and the package's name on
/// Debian and Ubuntu.
const NEEDS: [(&str, &[&str], &str, &str); 5] = [
    ("cc", &["--version"], "the Kafka client library is C", "gcc"),
    ("c++", &["--version"], "the Kafka client's configure script asks for one", "g++"),
    ("make", &["--version"], "the Kafka client is built with it", "make"),
    ("pkg-config", &["--exists", "openssl"], "TLS and SASL to Kafka", "pkg-config libssl-dev"),
    ("pkg-config", &["--exists", "zlib"], "compressed Kafka messages", "pkg-config zlib1g-dev"),
];

/// Variables by which libraries are found elsewhere than where `pkg-config` looks.
const ELSEWHERE: [&str; 3] = ["OPENSSL_DIR", "OPENSSL_LIB_DIR", "OPENSSL_NO_PKG_CONFIG"];

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    for variable in ELSEWHERE.into_iter().chain(["PATH", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"]) {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    if env::var("HOST") != env::var("TARGET") {
        return ExitCode::SUCCESS;
    }
    let elsewhere = ELSEWHERE.into_iter().any(|variable| env::var_os(variable).is_some());
    let missing: Vec<_> = (NEEDS.iter())
        .filter(|(_, arguments, ..)| !(elsewhere && arguments.contains(&"openssl")))
        .filter(|(program, arguments, ..)| !succeeds(program, arguments))
        .collect();
    if missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("this machine lacks what the Kafka client library is built with:");
    for (program, arguments, why, _) in &missing {
        eprintln!("  - {program} {}: {why}", arguments.join(" "));
    }
    let packages: Vec<&str> = missing.iter().map(|(.., package)| *package).collect();
    eprintln!("on Debian or Ubuntu: apt-get install {}", packages.join(" "));
    ExitCode::FAILURE
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
