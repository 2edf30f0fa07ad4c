//! Readers against a source that breaks where it is told to.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use connectors::error::ConnectorError;
use connectors::source::Guarantee;
use connectors::source::PartitionId;
use connectors::source::Polled;
use connectors::source::Position;
use connectors::source::Source;
use schemas::time::Timestamp;

use super::Feed;
use super::Heard;
use super::PAUSE_MAX;
use super::Positions;
use super::Readers;
use super::longer;

/// How long to wait for what must come.
const WAIT: Duration = Duration::from_secs(20);

/// A place, and how often it is still broken.
type Breaks = Arc<Mutex<BTreeMap<Position, usize>>>;

/// Marks from the position on where it goes on up to `end`; the instant of each is `era` and its
/// own position.
struct Marks {
    name: &'static str,
    era: u64,
    end: Position,
    breaks: Breaks,

    at: Position,
    over: bool,
}

impl Marks {
    fn new(name: &'static str, era: u64, end: Position, breaks: &Breaks) -> Box<Marks> {
        Box::new(Marks { name, era, end, breaks: breaks.clone(), at: 0, over: false })
    }
}

fn partition(name: &str) -> PartitionId {
    PartitionId::new(name, 0)
}

impl Source for Marks {
    fn name(&self) -> &str {
        self.name
    }

    fn streams(&self) -> Vec<&str> {
        vec![self.name]
    }

    fn partitions(&self) -> Vec<PartitionId> {
        vec![partition(self.name)]
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn resume(&mut self, positions: &Positions) -> Result<(), ConnectorError> {
        self.at = positions.get(&partition(self.name)).copied().unwrap_or(0);
        self.over = false;
        Ok(())
    }

    fn hold(&mut self, _: &BTreeSet<PartitionId>) {}

    fn poll(&mut self, wait: Duration) -> Result<Polled, ConnectorError> {
        if let Some(left) = self.breaks.lock().unwrap().get_mut(&self.at).filter(|n| **n > 0) {
            *left -= 1;
            // Whoever goes on without asking for a position begins somewhere else.
            self.at = 0;
            return Err(missing(self.name));
        }
        let partition = partition(self.name);
        if self.over {
            std::thread::sleep(wait);
            return Ok(Polled::Idle);
        }
        if self.at == self.end {
            self.over = true;
            return Ok(Polled::End { partition });
        }
        self.at += 1;
        let (at, position) = (Timestamp(self.era + self.at as u64), self.at);
        Ok(Polled::Mark { partition, at, position })
    }
}

fn missing(name: &str) -> ConnectorError {
    let (what, hint) = ("topic \"t\"".to_owned(), "make the topic first".to_owned());
    ConnectorError::Missing { connector: name.to_owned(), what, hint }
}

/// What is heard up to the end of a source, a word each.
#[track_caller]
fn heard(readers: &Readers) -> Vec<String> {
    let (began, mut words) = (Instant::now(), Vec::new());
    loop {
        assert!(began.elapsed() < WAIT, "it does not end: {words:?}");
        match readers.next(Duration::from_millis(50)) {
            Some(Heard::Piece(Polled::Mark { at, .. })) => words.push(at.0.to_string()),
            Some(Heard::Piece(Polled::End { .. })) => return words,
            Some(Heard::Piece(other)) => panic!("{other:?}"),
            Some(Heard::Broken { why, .. }) => words.push(why),
            Some(Heard::Mended { partitions, .. }) => words.push(format!("{}", partitions.len())),
            None => {}
        }
    }
}

const WHY: &str = "s: topic \"t\" does not exist (make the topic first)";

#[test]
fn a_door_that_breaks_is_tried_again_and_goes_on_where_it_was() {
    let breaks = Breaks::new(Mutex::new(BTreeMap::from([(2, 2)])));
    let feed = Feed::new(Marks::new("s", 100, 4, &breaks), Positions::new());
    let readers = Readers::start(vec![feed]).unwrap();
    // That it breaks a second time for the same reason is no news, and it is not open in between.
    assert_eq!(heard(&readers), ["101", "102", WHY, "1", "103", "104"]);
}

#[test]
fn a_door_that_did_not_open_is_opened_anew_where_it_should_go_on() {
    let breaks = Breaks::default();
    let positions = Positions::from([(partition("s"), 2)]);
    let feed = Feed::opened("s".to_owned(), Err(missing("s")), positions, move |positions| {
        let mut marks = Marks::new("s", 200, 4, &breaks);
        marks.resume(positions)?;
        Ok(marks)
    });
    assert_eq!((feed.broken(), feed.partitions().len()), (Some(WHY), 0));
    let readers = Readers::start(vec![feed]).unwrap();
    assert_eq!(heard(&readers), [WHY, "1", "203", "204"]);
}

#[test]
fn of_a_source_that_is_read_no_more_nothing_is_heard_though_another_has_its_name() {
    let breaks = Breaks::default();
    let one = Feed::new(Marks::new("s", 1_000, 500, &breaks), Positions::new());
    let mut readers = Readers::start(vec![one]).unwrap();
    // More is under way than is heard.
    let first = readers.next(WAIT);
    assert!(matches!(first, Some(Heard::Piece(Polled::Mark { at: Timestamp(1_001), .. }))));
    readers.remove("s");
    let other = Marks::new("s", 5_000, 2, &breaks);
    readers.add(Feed::new(other, Positions::new())).unwrap();
    assert_eq!(heard(&readers), ["5001", "5002"]);
}

#[test]
fn a_broken_door_keeps_nobody_who_stops() {
    let breaks = Breaks::new(Mutex::new(BTreeMap::from([(0, usize::MAX)])));
    let feed = Feed::new(Marks::new("s", 0, 1, &breaks), Positions::new());
    let readers = Readers::start(vec![feed]).unwrap();
    assert!(matches!(readers.next(WAIT), Some(Heard::Broken { .. })));
    let began = Instant::now();
    drop(readers);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn pauses_grow_up_to_a_minute() {
    let mut pause = super::PAUSE_FIRST;
    let mut seconds = Vec::new();
    for _ in 0..8 {
        seconds.push(pause.as_secs());
        pause = longer(pause);
    }
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(pause, PAUSE_MAX);
}
