//! One message as a whole Arrow IPC stream: its schema, its dictionaries, its batches.
//!
//! Arrow's own reader is made for bytes that one knows: it panics over many that were made to
//! mislead it, a panic on the thread of a source ends the process, and after its restart the same
//! message would stand there again. It also unpacks and widens as much as a message claims. So what
//! anybody may have sent is read here: what Arrow writes is read as Arrow reads it, and whatever
//! else stands there is refused in words.
//!
//! Only the columns that the stream has are read. A dictionary is looked up at once, and every text
//! layout becomes the same one.
//!
//! # Bounds
//!
//! What a message's rows take is counted before they are made ([`Budget`]): a dictionary or a view
//! can make much of few bytes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::RecordBatchOptions;
use arrow_ipc::DictionaryBatch;
use arrow_ipc::Endianness;
use arrow_ipc::Message;
use arrow_ipc::MetadataVersion;
use arrow_ipc::root_as_message;
use arrow_schema::Field;
use arrow_schema::Schema;
use arrow_schema::SchemaRef;

use super::FILE_MAGIC;
use super::batches::ROWS_MAX;
use super::column;
use super::column::Cells;
use super::column::Layout;
use super::column::Parts;
use crate::format::columns;
use crate::source::Reason;
use crate::source::Refusal;

/// What stands before the length of a part, except in streams of old.
const CONTINUES: u32 = u32::MAX;

/// What a value takes at least, in bytes.
const VALUE_BYTES: usize = 8;

/// The batches of a message, of the columns that are wanted of it; what their rows take may be so
/// many bytes.
pub(super) fn read(
    message: &[u8],
    wanted: &SchemaRef,
    bytes_max: usize,
) -> Result<Vec<RecordBatch>, Refusal> {
    if message.starts_with(FILE_MAGIC) {
        return Err(malformed(
            "the record is an Arrow IPC file; send a stream, as pyarrow's new_stream and arrow-rs' \
             StreamWriter write it",
        ));
    }
    let mut cuts = Cuts { rest: message };
    let head = cuts.next()?.map(|(head, _)| head);
    let head = head.ok_or_else(|| malformed("the record is an Arrow IPC stream of nothing"))?;
    let mut stream = Stream::begin(&head, wanted, bytes_max)?;
    let mut batches = Vec::new();
    while let Some((head, body)) = cuts.next()? {
        match (head.header_as_record_batch(), head.header_as_dictionary_batch()) {
            (Some(batch), _) => batches.extend(stream.batch(&batch, body)?),
            (None, Some(dictionary)) => stream.dictionary(&dictionary, body)?,
            (None, None) => {
                let kind = head.header_type();
                return Err(malformed(format!("the stream goes on with a {kind:?}, not a batch")));
            }
        }
    }
    Ok(batches)
}

/// Cuts a stream where its parts end: each is a head, and a body whose length the head says.
struct Cuts<'a> {
    rest: &'a [u8],
}

impl<'a> Cuts<'a> {
    /// The next head with its body; `None` at the end.
    fn next(&mut self) -> Result<Option<(Message<'a>, &'a [u8])>, Refusal> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = match self.number()? {
            CONTINUES => self.number()?,
            length => length,
        };
        if length == 0 {
            return match self.rest.len() {
                0 => Ok(None),
                left => Err(malformed(format!(
                    "{left} bytes follow the end of the stream; send one stream a message"
                ))),
            };
        }
        let head = self.cut(length as usize)?;
        let head = root_as_message(head).map_err(|_| malformed("not an Arrow IPC stream"))?;
        let length = usize::try_from(head.bodyLength());
        let length = length.map_err(|_| malformed("a part of the stream has a negative length"))?;
        Ok(Some((head, self.cut(length)?)))
    }

    fn number(&mut self) -> Result<u32, Refusal> {
        let bytes = self.cut(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn cut(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let Some((part, rest)) = self.rest.split_at_checked(length) else {
            let left = self.rest.len();
            return Err(malformed(format!(
                "not an Arrow IPC stream, or one that was cut: {length} bytes should follow where \
                 {left} do"
            )));
        };
        self.rest = rest;
        Ok(part)
    }
}

/// A stream whose schema was read.
struct Stream<'a> {
    version: MetadataVersion,
    /// In the order in which batches have them.
    columns: Vec<Column<'a>>,
    /// How many columns are wanted, also such as are not there.
    width: usize,
    /// The dictionaries of all columns.
    known: BTreeSet<i64>,

    dictionaries: BTreeMap<i64, Cells<'a>>,
    rows: usize,
    budget: Budget,
}

/// A column of a stream.
struct Column<'a> {
    field: arrow_ipc::Field<'a>,
    /// `None` where nobody wants it.
    wanted: Option<Wanted>,
}

/// How a column that is wanted is read.
#[derive(Clone, Copy)]
struct Wanted {
    layout: Layout,
    /// Where its values are named by their place in a dictionary: in which, and how places lie.
    dictionary: Option<(i64, Layout)>,
}

impl<'a> Stream<'a> {
    fn begin(
        head: &Message<'a>,
        wanted: &SchemaRef,
        bytes_max: usize,
    ) -> Result<Stream<'a>, Refusal> {
        let Some(schema) = head.header_as_schema() else {
            let kind = head.header_type();
            return Err(malformed(format!("the stream begins with a {kind:?}, not its schema")));
        };
        let version = head.version();
        if !(MetadataVersion::V4..=MetadataVersion::V5).contains(&version) {
            return Err(malformed(format!("streams of version {version:?} are not known")));
        }
        if schema.endianness() != Endianness::Little {
            return Err(malformed("its numbers are big-endian; write them little-endian"));
        }
        let (mut columns, mut found, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
        for field in schema.fields().into_iter().flatten() {
            dictionaries_of(&field, &mut known);
            let name = field.name().unwrap_or_default();
            // Of two columns of one name the first counts.
            let twice = found.iter().any(|field: &Field| field.name() == name);
            let wanted = match wanted.fields().find(name) {
                Some((_, column)) if !twice => {
                    let layout = Layout::of(&field).map_err(|kind| columns::lossy(column, kind))?;
                    found.push(Field::new(name, layout.data_type(), true));
                    Some(Wanted { layout, dictionary: dictionary(&field)? })
                }
                _ => None,
            };
            columns.push(Column { field, wanted });
        }
        columns::fits(&Schema::new(found), wanted)?;
        let (width, budget) = (wanted.fields().len(), Budget { left: bytes_max, max: bytes_max });
        let dictionaries = BTreeMap::new();
        Ok(Stream { version, columns, width, known, dictionaries, rows: 0, budget })
    }

    /// Takes in values that columns name by their place.
    fn dictionary(&mut self, batch: &DictionaryBatch<'a>, body: &'a [u8]) -> Result<(), Refusal> {
        let id = batch.id();
        if !self.known.contains(&id) {
            return Err(malformed("a dictionary is of no column"));
        }
        let mut wanted = self.columns.iter().filter_map(|column| column.wanted);
        let is_of = |wanted: &Wanted| wanted.dictionary.is_some_and(|(of, _)| of == id);
        let Some(Wanted { layout, .. }) = wanted.find(is_of) else { return Ok(()) };
        let values = batch.data().ok_or_else(|| malformed("a dictionary has no values"))?;
        let count = length(values.length())?;
        self.budget.spend(count.saturating_mul(VALUE_BYTES))?;
        let cells = Parts::of(&values, body).and_then(|mut parts| parts.cells(layout, count));
        let cells = cells.map_err(|detail| malformed(format!("a dictionary: {detail}")))?;
        let known = self.dictionaries.entry(id).or_default();
        if !batch.isDelta() {
            known.clear();
        }
        known.extend(cells);
        Ok(())
    }

    /// The rows of a batch, if it has any.
    fn batch(
        &mut self,
        batch: &arrow_ipc::RecordBatch<'a>,
        body: &'a [u8],
    ) -> Result<Option<RecordBatch>, Refusal> {
        let rows = length(batch.length())?;
        let mut parts = Parts::of(batch, body).map_err(malformed)?;
        self.rows = self.rows.saturating_add(rows);
        if self.rows > ROWS_MAX {
            let detail = format!("the record has more than {ROWS_MAX} rows; send smaller batches");
            return Err(Refusal::new(Reason::TooLong, detail));
        }
        self.budget.spend(rows.saturating_mul(self.width).saturating_mul(VALUE_BYTES))?;
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for Column { field, wanted } in &self.columns {
            let name = field.name().unwrap_or_default();
            let Some(Wanted { layout, dictionary }) = wanted else {
                parts.skip(field, self.version).map_err(malformed)?;
                continue;
            };
            let cells = match dictionary {
                None => parts.cells(*layout, rows),
                Some((id, index)) => {
                    // Where all values are NULL, a dictionary need not be there.
                    let values = self.dictionaries.get(id).map(Vec::as_slice);
                    parts.indexed(*index, rows, values.unwrap_or_default())
                }
            };
            let cells = cells.map_err(|detail| malformed(format!("{name}: {detail}")))?;
            self.budget.spend(column::text_bytes(&cells))?;
            let array = column::array(*layout, &cells);
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        if rows == 0 {
            return Ok(None);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
        Ok(Some(batch.expect("each column has as many values as there are rows")))
    }
}

/// Notes the dictionaries of a column, and of those within it.
fn dictionaries_of(field: &arrow_ipc::Field<'_>, known: &mut BTreeSet<i64>) {
    known.extend(field.dictionary().map(|dictionary| dictionary.id()));
    for child in field.children().into_iter().flatten() {
        dictionaries_of(&child, known);
    }
}

/// The dictionary of a column that has one, and how places in it lie.
fn dictionary(field: &arrow_ipc::Field<'_>) -> Result<Option<(i64, Layout)>, Refusal> {
    let Some(dictionary) = field.dictionary() else { return Ok(None) };
    let index = match dictionary.indexType() {
        None => Some(Layout::Int32),
        Some(int) => Layout::of_int(int),
    };
    let index = index.ok_or_else(|| malformed("an index is no number of 8 to 64 bits"))?;
    Ok(Some((dictionary.id(), index)))
}

/// How many bytes rows may still take.
struct Budget {
    left: usize,
    max: usize,
}

impl Budget {
    fn spend(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Some(left) = self.left.checked_sub(bytes) else {
            let detail = format!(
                "the record's rows take more than {} bytes; send smaller batches or raise \
                 `record_bytes_max`",
                self.max
            );
            return Err(Refusal::new(Reason::TooLong, detail));
        };
        self.left = left;
        Ok(())
    }
}

fn length(said: i64) -> Result<usize, Refusal> {
    usize::try_from(said).map_err(|_| malformed("a batch has a negative length"))
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::Malformed, detail)
}
