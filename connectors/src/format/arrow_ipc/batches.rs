//! Messages that are batches: each a whole Arrow IPC stream, its rows taken together or not at all.
//!
//! A message that cannot be read to its end is one refused record, and none of its rows counts. In
//! one that can, each row is judged by itself, as rows of a file are: what the schema forbids is
//! set aside, and its rendering as JSON stands for it.
//!
//! # Positions
//!
//! Each row has a position of its own, counted from that of its message. Rows of one message may
//! enter several ticks, and what is committed of them is told by position: under one number for
//! all, a stop between two ticks would lose the rows of the later one. So positions leave room for
//! [`ROWS_MAX`] rows between two messages, and a message that has more is refused.
//!
//! # Bounds
//!
//! A message is at most `record_bytes_max` long, and its rows take at most [`GROWTH_MAX`] times as
//! much.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use schemas::time::Timestamp;

use super::stream;
use crate::format::Decoded;
use crate::format::PIECE_BYTES_MAX;
use crate::format::columns;
use crate::format::of_a_length;
use crate::format::rows::Rows;
use crate::source::Position;
use crate::source::RawRecords;
use crate::source::Reason;
use crate::source::Refusal;
use crate::source::Refused;

/// The most rows of a message. Positions of a topic's rows are counted in these: another number
/// would be another row for every position that was written down.
pub(crate) const ROWS_MAX: usize = 1_000_000;

/// How many times as much as a message may have its rows may take. Names that a dictionary makes
/// short are some ten times as long; more is a mistake or an attack.
const GROWTH_MAX: usize = 16;

/// What the rows of a message may take whatever its length may be, in bytes.
const ROWS_BYTES_LIMIT: usize = 1 << 30;

// The texts of a piece are one column, and a place in them has 31 bits.
const _: () = assert!(PIECE_BYTES_MAX + ROWS_BYTES_LIMIT <= i32::MAX as usize);

/// Takes in messages, gives their rows.
pub(crate) struct Batches {
    schema: SchemaRef,
    record_bytes_max: usize,

    rows: Vec<RecordBatch>,
    positions: Vec<Position>,
    arrived_at: Vec<Option<Timestamp>>,
    refused: Vec<Refused>,
}

impl Batches {
    /// For a stream with these columns.
    ///
    /// # Errors
    /// A column's type is not one that streams have.
    pub(crate) fn of(schema: &SchemaRef, record_bytes_max: usize) -> Result<Batches, String> {
        Rows::new(schema)?;
        Ok(Batches {
            schema: schema.clone(),
            record_bytes_max,
            rows: Vec::new(),
            positions: Vec::new(),
            arrived_at: Vec::new(),
            refused: Vec::new(),
        })
    }

    /// Takes in a message whose first row is at `first`, and of it what is not before `from`.
    /// Returns how many bytes that takes.
    pub(crate) fn push(
        &mut self,
        (first, from): (Position, Position),
        arrived_at: Option<Timestamp>,
        message: &[u8],
    ) -> usize {
        match self.read(first, message) {
            Ok(pieces) => {
                let bytes = pieces.into_iter().map(|piece| self.keep(piece, from, arrived_at));
                bytes.sum::<usize>().max(message.len())
            }
            Err(refusal) => {
                if first >= from {
                    self.refused.push(Refused::new(first, refusal, message));
                }
                message.len()
            }
        }
    }

    fn read(&self, first: Position, message: &[u8]) -> Result<Vec<Decoded>, Refusal> {
        of_a_length(message, self.record_bytes_max)?;
        let bytes_max = self.record_bytes_max.saturating_mul(GROWTH_MAX).min(ROWS_BYTES_LIMIT);
        let mut first = first;
        let mut pieces = Vec::new();
        for batch in stream::read(message, &self.schema, bytes_max)? {
            let piece = columns::fit(&batch, &self.schema, first)
                .map_err(|detail| Refusal::new(Reason::Malformed, detail))?;
            first += batch.num_rows() as Position;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn keep(&mut self, piece: Decoded, from: Position, arrived_at: Option<Timestamp>) -> usize {
        let before = piece.positions.partition_point(|position| *position < from);
        let rows = piece.rows.slice(before, piece.rows.num_rows() - before);
        self.positions.extend_from_slice(&piece.positions[before..]);
        self.arrived_at.resize(self.positions.len(), arrived_at);
        self.refused.extend(piece.refused.into_iter().filter(|row| row.position >= from));
        let bytes = rows.get_array_memory_size();
        self.rows.push(rows);
        bytes
    }

    /// Takes in a message that was refused before it could be read.
    pub(crate) fn refuse(&mut self, refused: Refused) {
        self.refused.push(refused);
    }

    /// The number of rows taken in since the last [`Batches::finish`], and of what was refused.
    pub(crate) fn records(&self) -> usize {
        self.positions.len() + self.refused.len()
    }

    /// What was taken in; it is empty again.
    pub(crate) fn finish(&mut self) -> Decoded {
        let rows = concat_batches(&self.schema, &std::mem::take(&mut self.rows));
        Decoded {
            rows: rows.expect("batches of one schema, whose texts a piece can hold"),
            positions: std::mem::take(&mut self.positions),
            arrived_at: std::mem::take(&mut self.arrived_at),
            raw: RawRecords::default(),
            refused: std::mem::take(&mut self.refused),
        }
    }
}
