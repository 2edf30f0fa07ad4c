//! A real Apache Kafka broker on loopback: one node, KRaft, as the files in `xtask/kafka` describe
//! it.
//!
//! It listens on three free ports: plain text, TLS with SASL SCRAM, and its own controller. For
//! tests it lives as long as its [`Broker`] value, and dies with this process however that ends:
//! the shell that started it waits for our end of a pipe to close. For developers it stays until it
//! is stopped.
//!
//! **Invariant:** [`Broker::start`] returns only a broker that has answered a request.

pub(crate) mod install;
mod probe;

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;

use crate::kafka::install::Installation;
use crate::paths::Paths;

/// How long a broker may take; on two busy cores it took 4 to 12 s.
const START_MAX: Duration = Duration::from_secs(90);

/// How long a broker may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(15);

/// The name of a cluster is 16 bytes in base64; it only has to be one.
const CLUSTER_ID: &str = "Z3JpZGxvb20tdGVzdC1rYQ";

/// What the folder of a run is called, before its process number.
const RUN: &str = "run-";

/// Whom the secure door knows.
const USER: &str = "gridloom";

/// That user's password. The broker holds test data and listens on loopback only.
const PASSWORD: &str = "gridloom-test";

/// Starts the broker, and takes it down when our end of its standard input closes: with us, however
/// we end. An interrupt from the terminal is for us alone. What ignores a signal passes that on to
/// its children, so only the interrupt is ignored: the broker must hear when it is told to stop.
const WATCHED: &str = r#"
trap "" INT
"$@" </dev/null &
broker=$!
cat >/dev/null
kill "$broker"
{ sleep 10; kill -9 "$broker"; } 2>/dev/null &
late=$!
wait "$broker"
kill "$late"
"#;

/// Where a broker listens, and how to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Host and port without encryption.
    pub(crate) plain: String,
    /// Host and port with TLS and SASL.
    secure: String,
    /// The certificate that the broker's is signed with.
    certificate: PathBuf,
}

impl Addresses {
    /// What the tests read.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("GRIDLOOM_TEST_KAFKA", self.plain.clone()),
            ("GRIDLOOM_TEST_KAFKA_SECURE", self.secure.clone()),
            ("GRIDLOOM_TEST_KAFKA_CA", self.certificate.display().to_string()),
            ("GRIDLOOM_TEST_KAFKA_USER", USER.to_owned()),
            ("GRIDLOOM_TEST_KAFKA_PASSWORD", PASSWORD.to_owned()),
        ]
    }
}

/// A running broker; stopped and its data removed when dropped.
pub(crate) struct Broker {
    addresses: Addresses,

    folder: PathBuf,
    shell: Child,
}

impl Broker {
    /// Starts a broker of its own for this process.
    pub(crate) fn start(paths: &Paths) -> anyhow::Result<Broker> {
        let installation = Installation::prepare(paths)?;
        sweep(&paths.kafka);
        let folder = paths.kafka.join(format!("{RUN}{}", std::process::id()));
        let addresses = configure(&installation, &folder)?;
        let java = installation.broker(&folder);
        let mut command = Command::new("sh");
        command.args(["-c", WATCHED, "broker"]).arg(java.get_program()).args(java.get_args());
        command.stdin(Stdio::piped());
        let shell = spawn(command, &folder)?;
        let mut broker = Broker { addresses, folder, shell };
        let plain = broker.addresses.plain.clone();
        wait_until_it_answers(&plain, &broker.folder, &mut broker.shell)?;
        Ok(broker)
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let began = Instant::now();
        while began.elapsed() < STOP_MAX && !matches!(self.shell.try_wait(), Ok(Some(_))) {
            std::thread::sleep(Duration::from_millis(50));
        }
        // A shell that has ended cannot be killed, and that is well.
        self.shell.kill().ok();
        self.shell.wait().ok();
        // What is left lies in the target directory; the next run has a folder of its own.
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// Removes what runs left that were killed. What cannot be removed is in nobody's way.
fn sweep(kafka: &Path) {
    for entry in fs::read_dir(kafka).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let lives = |pid: &str| Path::new("/proc").join(pid).exists();
        if name.strip_prefix(RUN).is_some_and(|pid| !lives(pid)) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Starts a broker that outlives us.
pub(crate) fn start_for_developers(paths: &Paths) -> anyhow::Result<Addresses> {
    if let Some(pid) = running(paths)? {
        bail!("a broker runs already (process {pid}); stop it with `cargo xtask kafka stop`");
    }
    let installation = Installation::prepare(paths)?;
    let folder = developers(paths);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let addresses = configure(&installation, &folder)?;
    let mut command = installation.broker(&folder);
    // Its own group, so that an interrupt in the terminal is not its end.
    command.stdin(Stdio::null()).process_group(0);
    let mut java = spawn(command, &folder)?;
    fs::write(folder.join("pid"), java.id().to_string())?;
    wait_until_it_answers(&addresses.plain, &folder, &mut java)?;
    Ok(addresses)
}

/// Stops what [`start_for_developers`] started.
pub(crate) fn stop_for_developers(paths: &Paths) -> anyhow::Result<()> {
    let Some(pid) = running(paths)? else { bail!("no broker runs that `kafka start` started") };
    let kill = format!("kill {pid}");
    let status = Command::new("sh").args(["-c", &kill]).status().context("sh could not be run")?;
    ensure!(status.success(), "process {pid} could not be stopped");
    let began = Instant::now();
    while running(paths)?.is_some() {
        ensure!(
            began.elapsed() < STOP_MAX,
            "process {pid} does not stop; its log is in {}",
            developers(paths).display()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn developers(paths: &Paths) -> PathBuf {
    paths.kafka.join("developers")
}

/// The process of the developers' broker, if it lives. A process that took over its number is not
/// it: the command line tells.
fn running(paths: &Paths) -> anyhow::Result<Option<u32>> {
    let folder = developers(paths);
    let Ok(pid) = fs::read_to_string(folder.join("pid")) else { return Ok(None) };
    let pid: u32 = pid.trim().parse().context("the file `pid` does not hold a process number")?;
    let listed = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let ours = String::from_utf8_lossy(&listed).contains(&folder.display().to_string());
    Ok(ours.then_some(pid))
}

/// Writes the configuration with free ports and formats the storage.
fn configure(installation: &Installation, folder: &Path) -> anyhow::Result<Addresses> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    // Held until all three are known, so that they differ.
    let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = Vec::new();
    for listener in &free {
        let listener =
            listener.as_ref().map_err(|error| anyhow::anyhow!("no free port: {error}"))?;
        ports.push(listener.local_addr()?.port());
    }
    drop(free);
    let properties = include_str!("../kafka/server.properties")
        .replace("{plain}", &ports[0].to_string())
        .replace("{secure}", &ports[1].to_string())
        .replace("{controller}", &ports[2].to_string())
        .replace("{folder}", &folder.display().to_string())
        .replace("{tls}", &installation.tls().display().to_string());
    fs::write(folder.join("server.properties"), properties)?;
    fs::write(folder.join("log4j2.properties"), include_str!("../kafka/log4j2.properties"))?;
    let user = format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]");
    let formatted = installation.format(folder, CLUSTER_ID, &user).output().context("java")?;
    ensure!(
        formatted.status.success(),
        "the broker's storage could not be formatted: {}{}",
        String::from_utf8_lossy(&formatted.stdout),
        String::from_utf8_lossy(&formatted.stderr)
    );
    Ok(Addresses {
        plain: format!("127.0.0.1:{}", ports[0]),
        secure: format!("127.0.0.1:{}", ports[1]),
        certificate: installation.certificate(),
    })
}

fn spawn(mut command: Command, folder: &Path) -> anyhow::Result<Child> {
    let log = fs::File::create(log(folder))?;
    command.env("KAFKA_LOG_DIR", folder).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("the broker's process could not be started")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("broker.log")
}

fn wait_until_it_answers(address: &str, folder: &Path, process: &mut Child) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut why = None;
    while began.elapsed() < START_MAX {
        match probe::answers(address) {
            Ok(()) => return Ok(()),
            Err(error) => why = Some(error),
        }
        if let Some(status) = process.try_wait()? {
            bail!("it ended with {status}:\n{}", last_lines(folder));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let why = why.map(|error| error.to_string()).unwrap_or_default();
    bail!("no answer at {address} in {} s ({why}):\n{}", START_MAX.as_secs(), last_lines(folder))
}

fn last_lines(folder: &Path) -> String {
    const LINES: usize = 20;
    let text = fs::read_to_string(log(folder)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
