//! The thread of a running instance that seals.
//!
//! It looks at the signed head once in a while, and seals when enough ticks were signed since. The
//! tick loop does not know of it: they share files, not locks. What fails is told and tried again
//! later, for the records are safe where they are; so a store that is away costs nothing but room.
//!
//! # Bounds
//!
//! One thread, and what a seal holds.

use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use archive::Location;
use archive::Policy;
use archive::Step;
use schemas::time::Timestamp;

use crate::config::Archive;
use crate::config::Config;
use crate::sealed;
use crate::sealed::Sealing;
use crate::sealed::Segments;

/// How often the signed head is looked at: it is written about once a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long after a failure the next try is.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Whom the sealer tells of each step; tests end there.
pub type Hook = Box<dyn FnMut(Step) + Send>;

/// A running sealer; it ends, after what is due, when dropped.
#[derive(Debug)]
pub struct Sealer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sealer {
    /// Starts the sealer that a configuration describes; `None` if it switches sealing off.
    ///
    /// # Errors
    /// The thread cannot be started, or the location is no place.
    pub fn start(config: &Config, hook: Hook) -> anyhow::Result<Option<Sealer>> {
        let Archive { enabled, path, seal_every, policy } = &config.archive;
        if !enabled {
            return Ok(None);
        }
        let data_dir = config.instance.data_dir.clone();
        let at = path.as_deref().map(|path| Location::parse(path, config.base())).transpose()?;
        let mut work = Work {
            every_ms: seal_every.saturating_mul(config.instance.ingest.step.millis()),
            policy: *policy,
            segments: Segments::of(&data_dir),
            data_dir,
            at,
            hook,
            sealing: None,
            looked: None,
        };
        let (stop, stopped) = mpsc::channel();
        let body = move || {
            let mut again = Instant::now();
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                if Instant::now() >= again && !work.told() {
                    again = Instant::now() + AGAIN_AFTER;
                }
            }
            work.told();
        };
        let thread = std::thread::Builder::new().name("sealer".to_owned()).spawn(body)?;
        Ok(Some(Sealer { stop: Some(stop), thread: Some(thread) }))
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sealer ended in a panic; what it had sealed is sealed");
        }
    }
}

/// What the thread works with.
struct Work {
    every_ms: u64,
    policy: Policy,
    segments: Segments,
    data_dir: PathBuf,
    at: Option<Location>,
    hook: Hook,

    sealing: Option<Sealing>,
    /// The tick up to which everything is sealed that there is to seal.
    looked: Option<Timestamp>,
}

impl Work {
    /// Does what is due; whether that went well.
    fn told(&mut self) -> bool {
        let done = self.look();
        if let Err(error) = &done {
            // Opened again next time: what is on disk is what counts.
            self.sealing = None;
            tracing::error!("audit records are not sealed, and stay in the log: {error:#}");
        }
        done.is_ok()
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let Some(signed) = self.segments.signed()? else { return Ok(()) };
        let since = match self.looked {
            Some(tick) => tick,
            None => *self.looked.insert(sealed::sealed_to(&self.data_dir, self.at.as_ref())?),
        };
        if signed.tick.0.saturating_sub(since.0) < self.every_ms {
            return Ok(());
        }
        let sealing = match &mut self.sealing {
            Some(sealing) => sealing,
            None => self.sealing.insert(Sealing::open(&self.data_dir, self.at.clone())?),
        };
        let (seal, maintained) = sealing.seal(self.policy, &mut self.hook)?;
        self.looked = Some(signed.tick);
        if seal.records > 0 {
            tracing::info!(records = seal.records, tick = %seal.sealed.tick,
                compacted = maintained.compacted, retired = maintained.retired, "sealed");
        }
        Ok(())
    }
}
