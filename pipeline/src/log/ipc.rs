//! Batches as pieces of Arrow IPC streams.
//!
//! A stream's rows of one tick are few, and its schema is longer than they are. So the schema is
//! written once a segment: the bodies of a stream's frames, put end to end from one that starts to
//! the next, are one Arrow IPC stream. A schema that changes starts a new one.
//!
//! **Invariant:** decoders that saw every frame of a segment in order give the batches the encoders
//! were given.
//!
//! # Bounds
//!
//! One encoder or decoder a stream and kind, as long as the segment.

use std::collections::BTreeMap;
use std::fmt;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::IpcWriteOptions;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;
use arrow_schema::SchemaRef;

use super::frame::Role;

/// The IPC streams of the segment being written.
#[derive(Debug, Default)]
pub(super) struct Encoders {
    streams: BTreeMap<(Role, String), Encoder>,
}

struct Encoder {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Encoders {
    /// Appends `batch` to `out`; whether that starts a new stream.
    pub(super) fn encode(
        &mut self,
        role: Role,
        name: &str,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
    ) -> Result<bool, ArrowError> {
        if batch.num_columns() == 0 {
            return Err(ArrowError::SchemaError("a batch without columns".to_owned()));
        }
        let key = (role, name.to_owned());
        let schema = batch.schema_ref();
        let known = self.streams.get(&key).is_some_and(|encoder| encoder.schema == *schema);
        if !known {
            // Eight bytes suffice for every type we write; the default 64 doubles small batches.
            let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
            let writer = StreamWriter::try_new_with_options(Vec::new(), schema, options)?;
            self.streams.insert(key.clone(), Encoder { schema: schema.clone(), writer });
        }
        let encoder = self.streams.get_mut(&key).expect("inserted above");
        encoder.writer.write(batch)?;
        out.append(encoder.writer.get_mut());
        Ok(!known)
    }
}

/// The IPC streams of the segment being read.
#[derive(Debug, Default)]
pub(super) struct Decoders {
    streams: BTreeMap<(Role, String), StreamDecoder>,
}

impl Decoders {
    /// The batch in a frame's body.
    pub(super) fn decode(
        &mut self,
        role: Role,
        name: &str,
        starts: bool,
        body: Buffer,
    ) -> Result<RecordBatch, ArrowError> {
        let key = (role, name.to_owned());
        if starts {
            self.streams.insert(key.clone(), StreamDecoder::new());
        }
        let Some(decoder) = self.streams.get_mut(&key) else {
            return Err(ArrowError::IpcError("a batch comes before its schema".to_owned()));
        };
        let mut body = body;
        let batch = decoder.decode(&mut body)?;
        let batch = batch.ok_or_else(|| ArrowError::IpcError("a batch is cut".to_owned()))?;
        if body.is_empty() {
            Ok(batch)
        } else {
            Err(ArrowError::IpcError("bytes follow a batch".to_owned()))
        }
    }
}
