//! Source threads: one a source, polling into one bounded channel.
//!
//! When the engine is behind, the channel is full and the thread waits; what it does not poll waits
//! where it is. Partitions that are ahead of the others are held by name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use connectors::error::ConnectorError;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Source;
use crossbeam_channel::Receiver;
use crossbeam_channel::SendTimeoutError;
use crossbeam_channel::Sender;
use crossbeam_channel::bounded;

/// Pieces that wait between the sources and the session: enough to keep it busy for a turn.
const QUEUE: usize = 64;

/// How long a poll may wait: how soon a stop or a hold is seen.
const POLL: Duration = Duration::from_millis(20);

/// Pause before a broken door that may mend is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// The sources of an instance, being read.
pub struct Readers {
    to: Sender<Result<Polled, ConnectorError>>,
    pieces: Receiver<Result<Polled, ConnectorError>>,
    held: Arc<Mutex<BTreeSet<PartitionId>>>,
    threads: Vec<SourceThread>,
}

/// A thread that reads one source.
struct SourceThread {
    source: String,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Readers {
    /// Starts a thread for each source; the sources are where they should begin.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(sources: Vec<Box<dyn Source>>) -> std::io::Result<Readers> {
        let (to, pieces) = bounded(QUEUE);
        let held = Arc::new(Mutex::new(BTreeSet::new()));
        let mut readers = Readers { to, pieces, held, threads: Vec::new() };
        sources.into_iter().try_for_each(|source| readers.add(source))?;
        Ok(readers)
    }

    /// Starts a thread for one more source, which is where it should begin.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn add(&mut self, source: Box<dyn Source>) -> std::io::Result<()> {
        let name = source.name().to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let (to, held, told) = (self.to.clone(), self.held.clone(), stop.clone());
        let thread = std::thread::Builder::new().name(format!("source:{name}"));
        let thread = thread.spawn(move || read(source, &to, &held, &told))?;
        self.threads.push(SourceThread { source: name, stop, thread });
        Ok(())
    }

    /// Reads a source no more. Its thread ends by itself, so that nobody waits for its last poll.
    pub fn remove(&mut self, source: &str) {
        self.threads.retain(|thread| {
            let goes = thread.source == source;
            if goes {
                thread.stop.store(true, Ordering::Relaxed);
            }
            !goes
        });
    }

    /// The next piece of any source, waiting up to `wait`.
    ///
    /// # Errors
    /// A source is broken for good.
    pub fn next(&self, wait: Duration) -> Result<Option<Polled>, ConnectorError> {
        match self.pieces.recv_timeout(wait) {
            Ok(piece) => piece.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Names the partitions that must wait.
    pub fn hold(&self, partitions: BTreeSet<PartitionId>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = partitions;
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.threads.iter().for_each(|thread| thread.stop.store(true, Ordering::Relaxed));
        for thread in self.threads.drain(..) {
            if thread.thread.join().is_err() {
                tracing::error!("a source thread ended badly");
            }
        }
    }
}

fn read(
    mut source: Box<dyn Source>,
    to: &Sender<Result<Polled, ConnectorError>>,
    held: &Mutex<BTreeSet<PartitionId>>,
    stop: &AtomicBool,
) {
    let partitions: BTreeSet<PartitionId> = source.partitions().into_iter().collect();
    let mut holding = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let wanted: BTreeSet<PartitionId> = {
            let held = held.lock().unwrap_or_else(PoisonError::into_inner);
            held.intersection(&partitions).cloned().collect()
        };
        if wanted != holding {
            source.hold(&wanted);
            holding = wanted;
        }
        let mut piece = match source.poll(POLL) {
            Ok(Polled::Idle) => continue,
            Err(error) if error.retry() => {
                tracing::warn!(source = source.name(), %error, "will try again");
                std::thread::sleep(RETRY);
                continue;
            }
            piece => piece,
        };
        let broken = piece.is_err();
        // The receiver leaves only at a stop: look for it while the queue is full.
        while let Err(SendTimeoutError::Timeout(back)) = to.send_timeout(piece, POLL) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            piece = back;
        }
        if broken {
            return;
        }
    }
}
