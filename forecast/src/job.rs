//! Work whose answer is not needed yet: it is done on a thread beside, and asked for later.
//!
//! What a [`Job`] gives is a function of what it was given, so that it does not matter when, or on
//! which thread, it is done: whoever asks for the answer too early does the work himself, or waits
//! for the one who began it. So the caller stays deterministic as long as *when it asks* does not
//! depend on a clock.
//!
//! # Bounds
//!
//! One thread a process, which lives as long as the process. Jobs that wait are as many as their
//! owners hold: each series one, at most.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::mpsc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// Something that is done beside, or done already; see [`self`]. Copies share the answer.
#[derive(Clone)]
pub struct Job<T>(Arc<Shared<T>>);

/// Work that has not begun.
type Work<T> = Box<dyn FnOnce() -> T + Send>;

/// How far a job is.
enum State<T> {
    Waiting(Work<T>),
    Running,
    Done(T),
    /// The work panicked. Whoever asks for the answer does, too.
    Broken,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

/// A job of whatever kind, as the thread knows it.
trait Begin: Send + Sync {
    /// Does the work, unless somebody began it.
    fn begin(&self);
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No panic happens under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Begin for Shared<T> {
    fn begin(&self) {
        let work = {
            let mut state = self.lock();
            match std::mem::replace(&mut *state, State::Running) {
                State::Waiting(work) => work,
                other => {
                    *state = other;
                    return;
                }
            }
        };
        let answer = catch_unwind(AssertUnwindSafe(work));
        *self.lock() = answer.map_or(State::Broken, State::Done);
        self.changed.notify_all();
    }
}

impl<T: Send + 'static> Job<T> {
    /// Begins this beside, when the jobs before it are done.
    pub fn begin(work: impl FnOnce() -> T + Send + 'static) -> Job<T> {
        let shared =
            Shared { state: Mutex::new(State::Waiting(Box::new(work))), changed: Condvar::new() };
        let shared = Arc::new(shared);
        // Without a thread the work is done by whoever asks for its answer.
        if let Some(queue) = queue() {
            drop(queue.send(shared.clone()));
        }
        Job(shared)
    }

    /// The answer, by `read`.
    ///
    /// # Panics
    /// The work panicked.
    fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        self.0.begin();
        let mut state = self.0.lock();
        loop {
            match &*state {
                State::Done(answer) => return read(answer),
                State::Broken => panic!("work that was done beside panicked"),
                State::Waiting(_) | State::Running => {
                    let woken = self.0.changed.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl<T: Clone + Send + 'static> Job<T> {
    /// The answer. Waits for it, or does the work, where it is not there.
    ///
    /// # Panics
    /// The work panicked.
    pub fn answer(self) -> T {
        self.read(|_| ());
        match Arc::try_unwrap(self.0) {
            Ok(shared) => match shared.state.into_inner().unwrap_or_else(PoisonError::into_inner) {
                State::Done(answer) => answer,
                _ => unreachable!("read says that it is done"),
            },
            Err(shared) => Job(shared).read(T::clone),
        }
    }
}

impl<T> std::fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &*self.0.lock() {
            State::Waiting(_) => "Job(waiting)",
            State::Running => "Job(running)",
            State::Done(_) => "Job(done)",
            State::Broken => "Job(broken)",
        })
    }
}

/// What is saved is the answer: a job waits for it.
impl<T: Serialize + Send + 'static> Serialize for Job<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.read(|answer| answer.serialize(serializer))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Job<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Job<T>, D::Error> {
        let answer = T::deserialize(deserializer)?;
        let state = Mutex::new(State::Done(answer));
        Ok(Job(Arc::new(Shared { state, changed: Condvar::new() })))
    }
}

/// Where jobs wait for the thread; `None` where there could be no thread.
fn queue() -> Option<&'static mpsc::Sender<Arc<dyn Begin>>> {
    static QUEUE: OnceLock<Option<mpsc::Sender<Arc<dyn Begin>>>> = OnceLock::new();
    let start = || {
        let (queue, jobs) = mpsc::channel::<Arc<dyn Begin>>();
        let work = move || jobs.into_iter().for_each(|job| job.begin());
        let thread = std::thread::Builder::new().name("review".to_owned()).spawn(work);
        thread.is_ok().then_some(queue)
    };
    QUEUE.get_or_init(start).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_same_whoever_does_the_work() {
        let jobs: Vec<Job<u64>> = (0..50).map(|n| Job::begin(move || n * n)).collect();
        let copies = jobs.clone();
        let answers = jobs.into_iter().rev().map(Job::answer);
        assert!(answers.eq((0..50).rev().map(|n| n * n)));
        assert_eq!(copies[7].clone().answer(), 49);
    }

    #[test]
    fn what_is_saved_is_the_answer() {
        let text = serde_json::to_string(&Job::begin(|| vec![1, 2, 3])).unwrap();
        assert_eq!(text, "[1,2,3]");
        let read: Job<Vec<u32>> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.answer(), [1, 2, 3]);
    }

    #[test]
    #[should_panic(expected = "done beside")]
    fn work_that_panics_panics_where_its_answer_is_asked_for() {
        Job::begin(|| -> u32 { panic!("no answer") }).answer();
    }
}
