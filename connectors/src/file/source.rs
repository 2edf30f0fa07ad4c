//! Recorded files, replayed in the order of each file.
//!
//! Of the files that are not held, the one whose next row is earliest in event time gives the next
//! piece, so that none runs far ahead of the others. With a `speed`, a row is given when its event
//! time has come: the first row given anchors event time to the clock, and from there event time
//! runs `speed` times as fast. A row that is earlier than one before it in its file does not wait.
//!
//! At its end a file says [`Polled::End`]: every tick its rows belong to may close. A file cannot
//! say that a key is gone: rows of an upsert stream replace each other here, and stay.
//!
//! # Bounds
//!
//! One piece of `batch_rows` is read ahead for each file, of lines at most 16 MiB and one more.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use schemas::event::StreamDef;
use schemas::time::Clock;
use schemas::time::Timestamp;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::file::config::FileSourceConfig;
use crate::file::reader::Opening;
use crate::file::reader::Reader;
use crate::source::Fetched;
use crate::source::Guarantee;
use crate::source::PartitionId;
use crate::source::Polled;
use crate::source::Position;
use crate::source::Source;

/// A source of recorded files.
pub struct FileSource {
    name: String,
    stream: StreamDef,
    config: FileSourceConfig,
    clock: Clock,
    /// The column of event time.
    event_time: usize,

    parts: Vec<Part>,
    held: BTreeSet<PartitionId>,
    /// The clock and the event time that belong together, once a row was given.
    anchor: Option<(Timestamp, Timestamp)>,
}

/// One file being read.
struct Part {
    id: PartitionId,
    reader: Option<Box<dyn Reader>>,
    /// What was read and not given.
    pending: Option<Fetched>,
}

impl FileSource {
    /// Opens the files at their beginning.
    ///
    /// # Errors
    /// A file cannot be opened, is of another format, or its columns cannot be the stream's. All
    /// files are tried, and everything that is wrong is reported at once.
    pub fn open(
        name: &str,
        stream: &StreamDef,
        config: FileSourceConfig,
        clock: Clock,
    ) -> Result<FileSource, ConnectorError> {
        let event_time = stream.schema.index_of(&stream.event_time).map_err(|_| {
            let message = format!("stream {} has no column {}", stream.name, stream.event_time);
            let findings = vec![Finding::at("stream", message)];
            ConnectorError::Config { connector: name.to_owned(), findings }
        })?;
        let mut source = FileSource {
            name: name.to_owned(),
            stream: stream.clone(),
            config,
            clock,
            event_time,
            parts: Vec::new(),
            held: BTreeSet::new(),
            anchor: None,
        };
        let mut errors = Vec::new();
        for index in 0..source.config.files.len() {
            match source.part(index, 0) {
                Ok(part) => source.parts.push(part),
                Err(error) => errors.push(error),
            }
        }
        match errors.len() {
            0 => Ok(source),
            1 => Err(errors.remove(0)),
            _ => Err(ConnectorError::Config {
                connector: name.to_owned(),
                findings: errors.into_iter().flat_map(ConnectorError::findings).collect(),
            }),
        }
    }

    fn id(&self, index: usize) -> PartitionId {
        let file = self.config.files[index].0.file_name().unwrap_or_default();
        PartitionId::new(&self.name, file.to_string_lossy())
    }

    fn part(&self, index: usize, at: Position) -> Result<Part, ConnectorError> {
        let id = self.id(index);
        let (path, format) = &self.config.files[index];
        let opening = Opening {
            partition: &id,
            path,
            format: *format,
            schema: &self.stream.schema,
            batch_rows: self.config.batch_rows,
            record_bytes_max: self.config.record_bytes_max,
        };
        let reader = Some(opening.open(at)?);
        Ok(Part { id, reader, pending: None })
    }

    /// Reads ahead where nothing is pending; returns a partition that has come to its end.
    fn read_ahead(&mut self) -> Result<Option<PartitionId>, ConnectorError> {
        for part in &mut self.parts {
            if part.pending.is_some() || self.held.contains(&part.id) {
                continue;
            }
            let Some(reader) = &mut part.reader else { continue };
            let Some((decoded, next)) = reader.next(self.config.batch_rows)? else {
                part.reader = None;
                return Ok(Some(part.id.clone()));
            };
            part.pending = Some(Fetched {
                partition: part.id.clone(),
                stream: self.stream.name.clone(),
                rows: decoded.rows,
                positions: decoded.positions,
                next,
                arrived_at: decoded.arrived_at,
                raw: decoded.raw,
                deleted: None,
                refused: decoded.refused,
            });
        }
        Ok(None)
    }

    /// The pending piece that is earliest in event time, and that time; a piece without rows is not
    /// late for anything.
    fn earliest(&self) -> Option<(usize, Timestamp)> {
        let parts = self.parts.iter().enumerate();
        let heads =
            parts.filter(|(_, part)| !self.held.contains(&part.id)).filter_map(|(at, part)| {
                let piece = part.pending.as_ref()?;
                let head = match piece.rows.num_rows() {
                    0 => Timestamp(0),
                    _ => event_time(piece, self.event_time, 0),
                };
                Some((at, head))
            });
        heads.min_by_key(|(at, head)| (*head, *at))
    }

    /// The event time that has come, and how long until `head` has.
    fn due(&mut self, head: Timestamp, speed: f64) -> (Timestamp, Duration) {
        let now = self.clock.now();
        let (wall, event) = *self.anchor.get_or_insert((now, head));
        let passed = now.millis().saturating_sub(wall.millis()) as f64 * speed;
        let come = event.plus(passed as u64);
        let missing = head.millis().saturating_sub(come.millis()) as f64 / speed;
        (come, Duration::from_millis(missing.ceil() as u64))
    }
}

/// The event time of one row.
fn event_time(piece: &Fetched, column: usize, row: usize) -> Timestamp {
    let ms = piece.rows.column(column).as_primitive::<TimestampMillisecondType>().value(row);
    Timestamp(ms.max(0) as u64)
}

/// Cuts off what is not due: from the first row on whose event time has not come.
fn cut(piece: &mut Fetched, column: usize, come: Timestamp) -> Option<Fetched> {
    let rows = piece.rows.num_rows();
    let row = (0..rows).find(|row| event_time(piece, column, *row) > come)?;
    let position = piece.positions[row];
    let refused = piece.refused.partition_point(|refused| refused.position < position);
    let rest = Fetched {
        partition: piece.partition.clone(),
        stream: piece.stream.clone(),
        rows: piece.rows.slice(row, rows - row),
        positions: piece.positions.split_off(row),
        next: piece.next,
        arrived_at: piece.arrived_at.split_off(row),
        raw: piece.raw.split_off(row),
        deleted: None,
        refused: piece.refused.split_off(refused),
    };
    piece.rows = piece.rows.slice(0, row);
    piece.next = position;
    Some(rest)
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn streams(&self) -> Vec<&str> {
        vec![&self.stream.name]
    }

    fn partitions(&self) -> Vec<PartitionId> {
        (0..self.config.files.len()).map(|index| self.id(index)).collect()
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn resume(
        &mut self,
        positions: &BTreeMap<PartitionId, Position>,
    ) -> Result<(), ConnectorError> {
        let partitions = self.partitions();
        if let Some(unknown) = positions.keys().find(|id| !partitions.contains(id)) {
            return Err(ConnectorError::Missing {
                connector: self.name.clone(),
                what: format!("file {}, which was read before,", unknown.partition),
                hint: "give back the file under its old name, or start with an empty data folder"
                    .to_owned(),
            });
        }
        let mut parts = Vec::new();
        for (index, id) in partitions.iter().enumerate() {
            parts.push(self.part(index, positions.get(id).copied().unwrap_or(0))?);
        }
        self.parts = parts;
        self.held.clear();
        self.anchor = None;
        Ok(())
    }

    fn hold(&mut self, partitions: &BTreeSet<PartitionId>) {
        self.held.clone_from(partitions);
    }

    fn poll(&mut self, wait: Duration) -> Result<Polled, ConnectorError> {
        if let Some(partition) = self.read_ahead()? {
            return Ok(Polled::End { partition });
        }
        let Some((at, head)) = self.earliest() else {
            std::thread::sleep(wait);
            return Ok(Polled::Idle);
        };
        let give = |part: &mut Part| part.pending.take().expect("earliest names what is pending");
        let Some(speed) = self.config.speed else {
            return Ok(Polled::Batch(give(&mut self.parts[at])));
        };
        let piece = self.parts[at].pending.as_ref().expect("earliest names what is pending");
        if piece.rows.num_rows() == 0 {
            return Ok(Polled::Batch(give(&mut self.parts[at])));
        }
        let (mut come, missing) = self.due(head, speed);
        if !missing.is_zero() {
            std::thread::sleep(missing.min(wait));
            come = self.due(head, speed).0;
            if come < head {
                return Ok(Polled::Idle);
            }
        }
        let mut piece = give(&mut self.parts[at]);
        self.parts[at].pending = cut(&mut piece, self.event_time, come);
        Ok(Polled::Batch(piece))
    }
}
