//! What the machine must have: named all at once, before a build fails for it half way.
//!
//! What the build alone needs is named by the build, too (`connectors/build.rs`), for whoever does
//! not come here first.

use std::process::Command;
use std::process::Stdio;

use anyhow::bail;

/// The oldest Java that runs the broker.
const JAVA_MIN: u32 = 17;

/// Something the machine must have.
struct Need {
    what: &'static str,
    why: &'static str,
    /// The package's name on Debian and Ubuntu.
    package: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: [Need; 11] = [
    Need {
        what: "a C compiler (cc)",
        why: "the Kafka client library is C",
        package: "gcc",
        is_there: || runs("cc", &["--version"]),
    },
    Need {
        what: "a C++ compiler (c++)",
        why: "the Kafka client's configure script asks for one",
        package: "g++",
        is_there: || runs("c++", &["--version"]),
    },
    Need {
        what: "make",
        why: "the Kafka client is built with it",
        package: "make",
        is_there: || runs("make", &["--version"]),
    },
    Need {
        what: "OpenSSL headers, found by pkg-config",
        why: "TLS and SASL to Kafka",
        package: "pkg-config libssl-dev",
        is_there: || runs("pkg-config", &["--exists", "openssl"]),
    },
    Need {
        what: "zlib headers, found by pkg-config",
        why: "compressed Kafka messages",
        package: "pkg-config zlib1g-dev",
        is_there: || runs("pkg-config", &["--exists", "zlib"]),
    },
    Need {
        what: "Java 17 or newer (java, keytool)",
        why: "the tests run a real Kafka broker",
        package: "openjdk-17-jre-headless",
        is_there: || {
            java().is_some_and(|version| version >= JAVA_MIN) && runs("keytool", &["-help"])
        },
    },
    Need {
        what: "Maven (mvn)",
        why: "the jars of the broker and of JDBC are resolved with it",
        package: "maven",
        is_there: || runs("mvn", &["--version"]),
    },
    Need {
        what: "a Java compiler (javac)",
        why: "the desk is tested with JDBC, in a program that is compiled as it runs",
        package: "openjdk-17-jdk-headless",
        is_there: || runs("javac", &["-version"]),
    },
    Need {
        what: "psql",
        why: "the desk is tested with it",
        package: "postgresql-client",
        is_there: || runs("psql", &["--version"]),
    },
    Need {
        what: "curl",
        why: "the HTTP door is tested with it",
        package: "curl",
        is_there: || runs("curl", &["--version"]),
    },
    Need {
        what: "Python 3 with venv",
        why: "the desk is tested with Python's drivers and dbt",
        package: "python3-venv",
        is_there: || runs("python3", &["-c", "import venv, ensurepip"]),
    },
];

/// Names everything that is missing, with the command that installs it.
pub(crate) fn check() -> anyhow::Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        missing.iter().map(|need| format!("  - {}: {}", need.what, need.why)).collect();
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    bail!(
        "this machine lacks\n{}\non Debian or Ubuntu: apt-get install {}",
        lines.join("\n"),
        packages.join(" ")
    )
}

fn runs(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The major version of the Java that is found.
fn java() -> Option<u32> {
    let output = Command::new("java").arg("-version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stderr))
}

/// The major version in what `java -version` prints.
fn major(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    let mut parts = version.split(['.', '-', '+', '_']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_itself_names_what_it_needs() {
        let script = include_str!("../../connectors/build.rs");
        let named = |need: &&Need| script.contains(&format!("\"{}\"", need.package));
        let packages: Vec<&str> = NEEDS.iter().filter(named).map(|need| need.package).collect();
        let wanted = ["gcc", "g++", "make", "pkg-config libssl-dev", "pkg-config zlib1g-dev"];
        assert_eq!(packages, wanted);
    }

    #[test]
    fn a_java_version_is_read_in_every_spelling() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\nmore"), Some(17));
        assert_eq!(major("java version \"1.8.0_311\""), Some(8));
        assert_eq!(major("openjdk version \"21-ea\" 2023-09-19"), Some(21));
        assert_eq!(major("command not found"), None);
    }
}
