//! `gridloom run`: an instance from its configuration, until told to stop.
//!
//! Files end; brokers do not. An instance whose sources have all ended stops by itself, cleanly, as
//! one does that is told to (Ctrl-C, SIGTERM). One that was killed goes on where its log ends. A
//! source that breaks on the way stops nothing: it is tried again until it mends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use archive::Step;
use clap::Args;
use gridloom::check::Checked;
use gridloom::sealer;
use gridloom::sealer::Sealer;
use gridloom::wiring::open;
use gridloom::wiring::serve;
use pipeline::instance::Hook;
use pipeline::instance::Instance;
use pipeline::instance::Point;
use pipeline::instance::reader::Readers;

use crate::exit::say;

/// How long to wait for readings when there is nothing else to do.
const IDLE: Duration = Duration::from_millis(10);

/// Pieces taken between two looks at the dataflow.
const PIECES: usize = 64;

/// How often a running instance says where it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How often readers on other threads are told how it stands.
const NOTE_EVERY: Duration = Duration::from_millis(500);

/// Names a point and a count, `synced:120`: the process aborts when it reaches that point for that
/// time. Recovery is tested with it, since a moment between two system calls cannot be hit from
/// outside.
const ABORT: &str = "GRIDLOOM_TEST_ABORT";

/// The same between two writes of a seal: `written:2`, `committed:1`.
const SEAL_ABORT: &str = "GRIDLOOM_TEST_SEAL_ABORT";

/// What `run` may be told.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "gridloom.toml")]
    config: PathBuf,
}

impl Run {
    /// Runs the instance.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        ctrlc::set_handler(move || told.store(true, Ordering::Relaxed))
            .context("signals cannot be listened to")?;
        let checked = gridloom::check::check(&self.config, true)?;
        let Checked { config, catalog, plans, tables, .. } = checked;
        let name = config.instance.name.clone();
        let hook = abort_hook()?;
        let sealer = Sealer::start(&config, seal_hook()?).context("the sealer")?;
        let (mut instance, feeds) = open::open(&config, &catalog, plans, tables, hook)?;
        tracing::info!(instance = %name, tick = %instance.tick(), "running");
        let data_dir = &config.instance.data_dir;
        let served = serve::open(instance.handle(), data_dir, &config.desk)?;
        for line in served.iter().flat_map(|served| served.lines()) {
            say(&line);
        }
        let mut readers = Readers::start(feeds).context("source threads cannot be started")?;
        let last = keep_on(&mut instance, &mut readers, &stop)?;
        drop((readers, served));
        let tick = instance.tick();
        let head = instance.stop()?;
        // After the last sync, so that what it signed is sealed if that is due.
        drop(sealer);
        tracing::info!(instance = %name, %tick, ticks = last.ticks, readings = last.readings,
            records = head.count, head = %head.hash, "stopped");
        Ok(())
    }
}

/// What an instance has done since it started.
#[derive(Default)]
struct Served {
    ticks: u64,
    readings: usize,
    refused: usize,
    sent: usize,
}

fn keep_on(
    instance: &mut Instance,
    readers: &mut Readers,
    stop: &AtomicBool,
) -> anyhow::Result<Served> {
    let mut served = Served::default();
    let mut said = Instant::now();
    let mut noted = Instant::now();
    instance.note_status();
    let mut busy = true;
    while !stop.load(Ordering::Relaxed) && !instance.finished() {
        let mut wait = if busy { Duration::ZERO } else { IDLE };
        busy = false;
        if instance.wants_input() {
            for _ in 0..PIECES {
                let Some(heard) = readers.next(wait) else { break };
                instance.hear(heard);
                (busy, wait) = (true, Duration::ZERO);
            }
            readers.hold(instance.held());
        }
        for done in instance.turn(IDLE)? {
            busy = true;
            served.ticks += 1;
            served.readings += done.rows;
            served.refused += done.refused;
            served.sent += done.said.setpoints.len();
        }
        instance.closed().iter().for_each(|source| readers.remove(source));
        for feed in instance.opened() {
            readers.add(feed).context("a source thread cannot be started")?;
        }
        if noted.elapsed() >= NOTE_EVERY {
            noted = Instant::now();
            instance.note_status();
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            tracing::info!(tick = %instance.tick(), ticks = served.ticks,
                readings = served.readings,
                refused = served.refused, setpoints = served.sent, "at work");
        }
    }
    Ok(served)
}

fn abort_hook() -> anyhow::Result<Option<Hook>> {
    let Ok(text) = std::env::var(ABORT) else { return Ok(None) };
    let parsed = text.split_once(':').and_then(|(point, count)| {
        let point = match point {
            "appended" => Point::Appended,
            "synced" => Point::Synced,
            "sent" => Point::Sent,
            _ => return None,
        };
        Some((point, count.parse::<u64>().ok()?))
    });
    let (at, mut left) = parsed
        .with_context(|| format!("{ABORT} is appended:N, synced:N or sent:N, not {text:?}"))?;
    Ok(Some(Box::new(move |point, _| {
        if point == at {
            left = left.saturating_sub(1);
            if left == 0 {
                std::process::abort();
            }
        }
    })))
}

/// What is told of each step of a seal: nothing, unless a test wants the process to end there.
pub(super) fn seal_hook() -> anyhow::Result<sealer::Hook> {
    let Ok(text) = std::env::var(SEAL_ABORT) else { return Ok(Box::new(|_| {})) };
    let parsed = text.split_once(':').and_then(|(step, count)| {
        let step = match step {
            "widened" => Step::Widened,
            "written" => Step::Written,
            "committed" => Step::Committed,
            _ => return None,
        };
        Some((step, count.parse::<u64>().ok()?))
    });
    let (at, mut left) = parsed.with_context(|| {
        format!("{SEAL_ABORT} is widened:N, written:N or committed:N, not {text:?}")
    })?;
    Ok(Box::new(move |step| {
        if step == at {
            left = left.saturating_sub(1);
            if left == 0 {
                std::process::abort();
            }
        }
    }))
}
