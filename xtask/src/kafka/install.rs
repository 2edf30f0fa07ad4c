//! What a broker is made of: jars that Maven resolves, and a certificate for its secure door.
//!
//! Both are made once and kept in the target directory. They are made beside their place and moved
//! there when whole, so that an interrupted run leaves nothing half done.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::ensure;

use crate::paths::Paths;

/// How much memory the broker's Java may use.
const HEAP: &str = "-Xmx384m";

/// Which jars: changes with `pom.xml`, so that new versions get a new folder.
const JARS: &str = "jars-4.1.0";

/// The broker's parts.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    jars: PathBuf,
    tls: PathBuf,
}

impl Installation {
    /// Finds the parts, or makes them.
    pub(crate) fn prepare(paths: &Paths) -> anyhow::Result<Installation> {
        let jars = paths.kafka.join(JARS);
        let tls = paths.kafka.join("tls");
        let pom = paths.workspace.join("xtask/kafka/pom.xml");
        once(&jars, |folder| resolve(&pom, folder))?;
        once(&tls, make_certificate)?;
        Ok(Installation { jars, tls })
    }

    /// The folder of keys and certificates.
    pub(crate) fn tls(&self) -> &Path {
        &self.tls
    }

    /// The certificate that clients must trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.tls.join("broker.pem")
    }

    /// The command that formats the storage of the broker in `folder`.
    pub(crate) fn format(&self, folder: &Path, cluster_id: &str, user: &str) -> Command {
        let mut java = self.java(folder);
        java.arg("kafka.tools.StorageTool").args(["format", "-t", cluster_id]);
        java.arg("-c").arg(folder.join("server.properties")).args(["--add-scram", user]);
        java
    }

    /// The command that runs the broker in `folder`.
    pub(crate) fn broker(&self, folder: &Path) -> Command {
        let mut java = self.java(folder);
        java.arg("kafka.Kafka").arg(folder.join("server.properties"));
        java
    }

    fn java(&self, folder: &Path) -> Command {
        let mut java = Command::new("java");
        // A small heap and the quick compiler: it lives for minutes, on cores that the tests want.
        java.args([
            HEAP,
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.awt.headless=true",
        ]);
        let logging = folder.join("log4j2.properties");
        java.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        java.arg("-cp").arg(self.jars.join("*"));
        java
    }
}

/// Makes a folder whole or not at all.
pub(crate) fn once(
    folder: &Path,
    make: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let beside = folder.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&beside).with_context(|| beside.display().to_string())?;
    let made = make(&beside).and_then(|()| match fs::rename(&beside, folder) {
        // Another run was quicker: its folder is as good.
        Err(_) if folder.exists() => Ok(()),
        moved => moved.with_context(|| folder.display().to_string()),
    });
    if beside.exists() {
        fs::remove_dir_all(&beside).with_context(|| beside.display().to_string())?;
    }
    made
}

fn resolve(pom: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(pom).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", folder.display())).arg("-DincludeScope=runtime");
    run(&mut maven)
        .context("the broker's jars could not be resolved (is Maven's registry reachable?)")
}

/// A key and a certificate that signs itself.
fn make_certificate(folder: &Path) -> anyhow::Result<()> {
    let keytool = |args: &[&str]| {
        let mut command = Command::new("keytool");
        command.args(args).args(["-alias", "broker", "-storetype", "PKCS12"]);
        command.args(["-storepass", "changeit", "-keystore"]).arg(folder.join("broker.p12"));
        command
    };
    run(keytool(&["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-validity", "3650"])
        .args([
            "-dname",
            "CN=localhost",
            "-ext",
            "SAN=ip:127.0.0.1,dns:localhost",
            "-ext",
            "bc=ca:true",
        ]))?;
    run(keytool(&["-exportcert", "-rfc"]).arg("-file").arg(folder.join("broker.pem")))
}

/// Runs a command; an error with what it said where it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} could not be run"))?;
    ensure!(
        output.status.success(),
        "{program} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
