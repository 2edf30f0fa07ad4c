//! Payloads made into rows: most are a row each, an Arrow IPC stream is many.
//!
//! # Positions
//!
//! A position is one record for ever, so where a message is a row its position is its offset. Where
//! it is many, they have positions of their own: `offset * 1000000 + row`, and what is no row (a
//! mark, a deleted key, a message that cannot be read) stands where the first would. It follows
//! that a source's format is part of what its positions mean.

use schemas::event::StreamDef;

use crate::error::Finding;
use crate::format::Arrival;
use crate::format::Decoded;
use crate::format::Decoder;
use crate::format::arrow_ipc::batches::Batches;
use crate::format::arrow_ipc::batches::ROWS_MAX;
use crate::kafka::config::KafkaFormat;
use crate::kafka::config::KafkaSourceConfig;
use crate::kafka::read::Raw;
use crate::source::Position;
use crate::source::Refusal;
use crate::source::Refused;

/// Takes in payloads, gives rows.
pub(crate) enum Payloads {
    /// Each is a row.
    Rows(Decoder),
    /// Each is many.
    Batches(Batches),
}

impl Payloads {
    /// Those of a topic for a stream.
    ///
    /// # Errors
    /// The format cannot give the stream's columns.
    pub(crate) fn of(stream: &StreamDef, config: &KafkaSourceConfig) -> Result<Payloads, Finding> {
        let (schema, longest) = (&stream.schema, config.record_bytes_max);
        let arrival = Arrival::OfMedium;
        let (key, decoder) = match &config.format {
            KafkaFormat::Json => ("stream", Decoder::json(schema, longest, arrival)),
            KafkaFormat::Csv { header: Some(header) } => {
                ("header", Decoder::csv(schema, Some(header.as_bytes()), longest, arrival))
            }
            KafkaFormat::Csv { header: None } => {
                ("stream", Decoder::csv(schema, None, longest, arrival))
            }
            KafkaFormat::Avro(avro) => {
                ("avro_schema", Decoder::avro(schema, avro.clone(), longest, arrival))
            }
            KafkaFormat::ArrowIpc => {
                let batches = Batches::of(schema, longest).map(Payloads::Batches);
                return batches.map_err(|message| Finding::at("stream", message));
            }
        };
        let decoder = decoder.map_err(|message| Finding::at(key, message))?;
        Ok(Payloads::Rows(decoder.keeping_records()))
    }

    /// How many positions a message has.
    pub(crate) fn span(&self) -> Position {
        match self {
            Payloads::Rows(_) => 1,
            Payloads::Batches(_) => ROWS_MAX as Position,
        }
    }

    /// Takes in the payload of a message, and of it what is not before `from`. Returns how many
    /// bytes that takes.
    pub(crate) fn push(&mut self, raw: &Raw<'_>, payload: &[u8], from: Position) -> usize {
        let first = raw.offset * self.span();
        match self {
            Payloads::Rows(decoder) => {
                decoder.push(first, raw.arrived_at, payload);
                payload.len()
            }
            Payloads::Batches(batches) => batches.push((first, from), raw.arrived_at, payload),
        }
    }

    /// Takes in a message that is no row of any format.
    pub(crate) fn refuse(&mut self, position: Position, refusal: Refusal, payload: &[u8]) {
        let refused = Refused::new(position, refusal, payload);
        match self {
            Payloads::Rows(decoder) => decoder.refuse(refused),
            Payloads::Batches(batches) => batches.refuse(refused),
        }
    }

    /// The number of rows taken in since the last [`Payloads::finish`], and of what was refused.
    pub(crate) fn records(&self) -> usize {
        match self {
            Payloads::Rows(decoder) => decoder.records(),
            Payloads::Batches(batches) => batches.records(),
        }
    }

    /// What was taken in; it is empty again.
    pub(crate) fn finish(&mut self) -> Decoded {
        match self {
            Payloads::Rows(decoder) => decoder.finish(),
            Payloads::Batches(batches) => batches.finish(),
        }
    }
}
