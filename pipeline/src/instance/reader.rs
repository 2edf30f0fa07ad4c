//! Source threads: one a source, polling into one bounded channel.
//!
//! When the engine is behind, the channel is full and the thread waits; what it does not poll waits
//! where it is. Partitions that are ahead of the others are held by name.
//!
//! A door that breaks ends nobody but itself: one feed less is no reason to leave a grid alone. Its
//! thread says so, behind what it gave before, and tries the door again, at first soon and then
//! ever more rarely, until it opens and gives something. It goes on with the record behind the
//! last that it handed on: nothing is lost by a door that breaks, and nothing comes twice.
//!
//! # Bounds
//!
//! [`QUEUE`] pieces wait between the sources and the session.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use connectors::error::ConnectorError;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use connectors::source::Source;
use crossbeam_channel::Receiver;
use crossbeam_channel::SendTimeoutError;
use crossbeam_channel::Sender;
use crossbeam_channel::bounded;

#[cfg(test)]
mod tests;

/// Pieces that wait between the sources and the session: enough to keep it busy for a turn.
const QUEUE: usize = 64;

/// How long a poll may wait: how soon a stop or a hold is seen.
const POLL: Duration = Duration::from_millis(20);

/// Pause before a source that had trouble is polled again, where that may pass by itself.
const RETRY: Duration = Duration::from_millis(500);

/// Pause before a broken door is tried for the first time: a file that is being replaced is there
/// again by then.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// The longest pause: how long after it was mended a door may stay unseen.
const PAUSE_MAX: Duration = Duration::from_secs(60);

const _: () = assert!(PAUSE_FIRST.as_millis() <= PAUSE_MAX.as_millis());

/// Where each partition of a source goes on.
pub type Positions = BTreeMap<PartitionId, Position>;

/// Opens a door anew, to go on at these positions.
type Anew = Box<dyn Fn(&Positions) -> Result<Box<dyn Source>, ConnectorError> + Send>;

/// A source to be read, and how to try its door again.
pub struct Feed {
    name: String,
    /// `None` while it has not been opened.
    source: Option<Box<dyn Source>>,
    /// Opens it anew; one that has no such way is asked to resume.
    anew: Option<Anew>,
    positions: Positions,
    /// Why its door is broken, if it is.
    broken: Option<String>,
}

impl Feed {
    /// A source that stands at these positions.
    pub fn new(source: Box<dyn Source>, positions: Positions) -> Feed {
        let name = source.name().to_owned();
        Feed { name, source: Some(source), anew: None, positions, broken: None }
    }

    /// A source whose door was tried at these positions, and can be tried again.
    pub(super) fn opened(
        name: String,
        tried: Result<Box<dyn Source>, ConnectorError>,
        positions: Positions,
        anew: impl Fn(&Positions) -> Result<Box<dyn Source>, ConnectorError> + Send + 'static,
    ) -> Feed {
        let (source, broken) = match tried {
            Ok(source) => (Some(source), None),
            Err(error) => (None, Some(said(&error))),
        };
        Feed { name, source, anew: Some(Box::new(anew)), positions, broken }
    }

    /// Its partitions; none while it has not been opened.
    pub(super) fn partitions(&self) -> Vec<PartitionId> {
        self.source.as_ref().map_or_else(Vec::new, |source| source.partitions())
    }

    /// Why its door is broken, if it is.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// What readers say, in the order of each source.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most are pieces, and each is used up at once")]
pub enum Heard {
    /// A source gave something.
    Piece(Polled),
    /// Its door is broken: nothing comes until it is mended.
    Broken {
        /// The source.
        source: String,
        /// Why, and how to mend it.
        why: String,
    },
    /// Its door is open again.
    Mended {
        /// The source.
        source: String,
        /// Its partitions, as it has them now.
        partitions: Vec<PartitionId>,
    },
}

/// The sources of an instance, being read.
pub struct Readers {
    to: Sender<(u64, Heard)>,
    heard: Receiver<(u64, Heard)>,
    held: Arc<Mutex<BTreeSet<PartitionId>>>,
    threads: Vec<SourceThread>,
    /// The number of the next thread.
    next: u64,
}

/// A thread that reads one source.
struct SourceThread {
    source: String,
    number: u64,
    stop: Arc<AtomicBool>,
    mending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Readers {
    /// Starts a thread for each source.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(feeds: Vec<Feed>) -> std::io::Result<Readers> {
        let (to, heard) = bounded(QUEUE);
        let held = Arc::new(Mutex::new(BTreeSet::new()));
        let mut readers = Readers { to, heard, held, threads: Vec::new(), next: 0 };
        feeds.into_iter().try_for_each(|feed| readers.add(feed))?;
        Ok(readers)
    }

    /// Starts a thread for one more source.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn add(&mut self, feed: Feed) -> std::io::Result<()> {
        let (source, number) = (feed.name.clone(), self.next);
        let (stop, mending) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (to, held) = (self.to.clone(), self.held.clone());
        let line = Line { number, to, held, stop: stop.clone(), mending: mending.clone() };
        let thread = std::thread::Builder::new().name(format!("source:{source}"));
        let thread = thread.spawn(move || read(feed, line))?;
        self.threads.push(SourceThread { source, number, stop, mending, thread });
        self.next += 1;
        Ok(())
    }

    /// Reads a source no more. Its thread ends by itself, so that nobody waits for its last poll;
    /// what it has under way is not heard.
    pub fn remove(&mut self, source: &str) {
        self.threads.retain(|thread| {
            let goes = thread.source == source;
            if goes {
                thread.stop.store(true, Ordering::Relaxed);
            }
            !goes
        });
    }

    /// What any source says next, waiting up to `wait`.
    pub fn next(&self, wait: Duration) -> Option<Heard> {
        let end = Instant::now() + wait;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let (number, heard) = self.heard.recv_timeout(left).ok()?;
            if self.threads.iter().any(|thread| thread.number == number) {
                return Some(heard);
            }
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
            // One at a broken door holds nothing, and may be there for long.
            if !thread.mending.load(Ordering::Relaxed) && thread.thread.join().is_err() {
                tracing::error!("a source thread ended badly");
            }
        }
    }
}

/// Between a source's thread and whoever drives the instance.
struct Line {
    number: u64,
    to: Sender<(u64, Heard)>,
    held: Arc<Mutex<BTreeSet<PartitionId>>>,
    stop: Arc<AtomicBool>,
    /// The thread is at a door that is broken.
    mending: Arc<AtomicBool>,
}

impl Line {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says something; whether anybody is there to hear it.
    fn say(&self, heard: Heard) -> bool {
        let mut item = (self.number, heard);
        // The receiver leaves only at a stop: look for it while the queue is full.
        while let Err(error) = self.to.send_timeout(item, POLL) {
            match error {
                SendTimeoutError::Timeout(back) if !self.stopped() => item = back,
                _ => return false,
            }
        }
        true
    }

    /// Waits, unless it is told to stop; whether it goes on.
    fn pause(&self, pause: Duration) -> bool {
        let mut left = pause;
        while !left.is_zero() && !self.stopped() {
            let part = left.min(POLL);
            std::thread::sleep(part);
            left -= part;
        }
        !self.stopped()
    }
}

/// A source on its thread.
struct Reader {
    name: String,
    source: Option<Box<dyn Source>>,
    anew: Option<Anew>,
    line: Line,

    /// Behind what was handed on last.
    positions: Positions,
    partitions: BTreeSet<PartitionId>,
    holding: BTreeSet<PartitionId>,
    /// How long to wait before a broken door is tried.
    pause: Duration,
}

fn read(feed: Feed, line: Line) {
    let partitions = feed.partitions().into_iter().collect();
    let Feed { name, source, anew, positions, mut broken } = feed;
    let (holding, pause) = (BTreeSet::new(), PAUSE_FIRST);
    let mut reader = Reader { name, source, anew, line, positions, partitions, holding, pause };
    while !reader.line.stopped() {
        let piece = match broken.take() {
            Some(why) => reader.mended(why),
            None => match reader.poll() {
                Ok(piece) => Some(piece),
                Err(error) if error.retry() => {
                    tracing::warn!(source = %reader.name, %error, "will try again");
                    reader.line.pause(RETRY);
                    continue;
                }
                Err(error) => {
                    broken = Some(said(&error));
                    continue;
                }
            },
        };
        let Some(piece) = piece else { return };
        if !reader.give(piece) {
            return;
        }
    }
}

impl Reader {
    /// The next piece of what is not held.
    fn poll(&mut self) -> Result<Polled, ConnectorError> {
        let source = self.source.as_mut().expect("one that was not opened is broken");
        let wanted: BTreeSet<PartitionId> = {
            let held = self.line.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.intersection(&self.partitions).cloned().collect()
        };
        if wanted != self.holding {
            source.hold(&wanted);
            self.holding = wanted;
        }
        source.poll(POLL)
    }

    /// Hands a piece on; whether anybody wants more.
    fn give(&mut self, piece: Polled) -> bool {
        let behind = match &piece {
            Polled::Idle => return true,
            Polled::Batch(fetched) => Some((fetched.partition.clone(), fetched.next)),
            Polled::Mark { partition, position, .. } => Some((partition.clone(), *position)),
            Polled::End { .. } => None,
        };
        if !self.line.say(Heard::Piece(piece)) {
            return false;
        }
        self.positions.extend(behind);
        self.pause = PAUSE_FIRST;
        true
    }

    /// Tries a broken door until it opens, and gives what came of that; `None` if nobody waits for
    /// it any more.
    fn mended(&mut self, mut why: String) -> Option<Polled> {
        self.line.mending.store(true, Ordering::Relaxed);
        let mut known = String::new();
        let piece = loop {
            if why != known {
                tracing::warn!(source = %self.name, error = %why, "broken: ticks close without it");
                known.clone_from(&why);
                let source = self.name.clone();
                if !self.line.say(Heard::Broken { source, why }) {
                    return None;
                }
            }
            if !self.line.pause(self.pause) {
                return None;
            }
            self.pause = longer(self.pause);
            match self.open() {
                Ok(piece) => break piece,
                Err(error) => why = said(&error),
            }
        };
        self.line.mending.store(false, Ordering::Relaxed);
        tracing::warn!(source = %self.name, "its door is open again");
        let (source, partitions) = (self.name.clone(), self.partitions.iter().cloned().collect());
        self.line.say(Heard::Mended { source, partitions }).then_some(piece)
    }

    /// Tries the door where it was left, and takes what it gives first: one that breaks at once is
    /// not open.
    fn open(&mut self) -> Result<Polled, ConnectorError> {
        if let Some(anew) = &self.anew {
            // Whatever is left of the old one goes first, so that there are never two.
            self.source = None;
            let source = anew(&self.positions)?;
            self.partitions = source.partitions().into_iter().collect();
            self.source = Some(source);
        } else if let Some(source) = &mut self.source {
            source.resume(&self.positions)?;
        }
        self.holding.clear();
        self.poll()
    }
}

/// What happened, and how to mend it.
fn said(error: &ConnectorError) -> String {
    format!("{error} ({})", error.hint())
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(PAUSE_MAX)
}
