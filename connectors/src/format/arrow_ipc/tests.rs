//! Tests of messages that are Arrow IPC streams.
//!
//! Arrow's own writer writes them, and its own reader says what stands in them: what is read here
//! must be the same, whatever the layout of a column and whatever stands between. And no bytes at
//! all may do any harm.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::ArrayRef;
use arrow_array::Date32Array;
use arrow_array::Decimal128Array;
use arrow_array::DictionaryArray;
use arrow_array::FixedSizeBinaryArray;
use arrow_array::FixedSizeListArray;
use arrow_array::Float64Array;
use arrow_array::Int32Array;
use arrow_array::ListArray;
use arrow_array::NullArray;
use arrow_array::RecordBatch;
use arrow_array::RunArray;
use arrow_array::StringArray;
use arrow_array::StringViewArray;
use arrow_array::StructArray;
use arrow_array::TimestampMillisecondArray;
use arrow_array::UInt8Array;
use arrow_array::UInt32Array;
use arrow_array::UnionArray;
use arrow_array::builder::Int32Builder;
use arrow_array::builder::MapBuilder;
use arrow_array::builder::StringBuilder;
use arrow_array::types::Int8Type;
use arrow_array::types::Int32Type;
use arrow_array::types::UInt8Type;
use arrow_cast::cast;
use arrow_ipc::CompressionType;
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::DictionaryHandling;
use arrow_ipc::writer::FileWriter;
use arrow_ipc::writer::IpcWriteOptions;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::TimeUnit;
use arrow_schema::UnionFields;
use arrow_select::take::take;
use schemas::time::Timestamp;

use super::batches::Batches;
use super::batches::ROWS_MAX;
use crate::format::Arrival;
use crate::format::Decoded;
use crate::format::Decoder;
use crate::format::RECORD_BYTES_MAX;
use crate::format::columns;
use crate::format::example::schema;
use crate::format::json;
use crate::format::too_long;
use crate::source::Position;

/// What a message has of positions.
const SPAN: Position = ROWS_MAX as Position;

const ROWS: [&str; 3] = [
    r#"{"id":"m1","at":"1970-01-01T00:00:05Z","kw":1.5,"n":3,"ok":true}"#,
    r#"{"id":"m2","at":"1970-01-01T00:00:06Z","kw":null,"n":null,"ok":null}"#,
    r#"{"id":"a meter of a long name","at":"1970-01-01T00:00:07Z","kw":2.5,"n":7,"ok":false}"#,
];

fn batch(records: &[&str]) -> RecordBatch {
    let mut decoder = Decoder::json(&schema(), RECORD_BYTES_MAX, Arrival::OfMedium).unwrap();
    for record in records {
        decoder.push(0, None, record.as_bytes());
    }
    decoder.finish().rows
}

fn written(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<u8> {
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn message(batches: &[RecordBatch]) -> Vec<u8> {
    written(batches, IpcWriteOptions::default())
}

/// What messages give that follow one another.
fn read_from(from: Position, messages: &[&[u8]]) -> Decoded {
    let mut batches = Batches::of(&schema(), RECORD_BYTES_MAX).unwrap();
    for (first, message) in (0..).step_by(ROWS_MAX).zip(messages) {
        let taken = batches.push((first, from), Some(Timestamp(7)), message);
        assert!(taken >= message.len(), "it takes at least what it is long");
    }
    let decoded = batches.finish();
    assert_eq!(decoded.rows.schema(), schema());
    assert_eq!(decoded.rows.num_rows(), decoded.positions.len());
    assert_eq!(decoded.arrived_at, vec![Some(Timestamp(7)); decoded.positions.len()]);
    assert_eq!(batches.records(), 0, "it is empty again");
    decoded
}

fn read(messages: &[&[u8]]) -> Vec<(Position, String)> {
    told(&read_from(0, messages))
}

/// Rows as JSON, and why others are none, each at its position.
fn told(decoded: &Decoded) -> Vec<(Position, String)> {
    let rows = json::encode(&decoded.rows);
    let mut told: Vec<_> = decoded.positions.iter().copied().zip(rows).collect();
    let why = decoded.refused.iter().map(|refused| {
        (refused.position, format!("{}: {}", refused.reason.as_str(), refused.detail))
    });
    told.extend(why);
    told.sort();
    told
}

/// The same by Arrow's reader, and fitted as a file's batches are.
fn as_arrow_reads(message: &[u8]) -> Vec<(Position, String)> {
    let reader = StreamReader::try_new(message, None).unwrap();
    columns::fits(&reader.schema(), &schema()).unwrap();
    let (mut all, mut first) = (Vec::new(), 0);
    for batch in reader {
        let batch = batch.unwrap();
        all.extend(told(&columns::fit(&batch, &schema(), first).unwrap()));
        first += batch.num_rows() as Position;
    }
    all
}

fn batch_of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// The columns of a batch, one of them in another layout.
fn columns_with(name: &str, kind: &DataType) -> Vec<(&'static str, ArrayRef)> {
    let batch = batch(&ROWS);
    let column = |of: &'static str| {
        let column = batch.column_by_name(of).unwrap();
        (of, if of == name { cast(column, kind).unwrap() } else { column.clone() })
    };
    ["id", "at", "kw", "n", "ok"].map(column).to_vec()
}

/// Columns that no stream has, of types that are passed over in as many ways.
fn others() -> Vec<(&'static str, ArrayRef)> {
    let words: DictionaryArray<Int8Type> = ["x", "y", "x"].into_iter().collect();
    let texts = StringViewArray::from(vec![Some("a text that is none of the short"), None, None]);
    let lists = [Some(vec![Some(1), None]), None, Some(vec![])];
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let pairs = [Some(vec![Some(1), Some(2)]), None, Some(vec![None, Some(3)])];
    let pairs = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(pairs, 2);
    let inner = Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef;
    let numbers = Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef;
    let field = Arc::new(Field::new("inner", DataType::Utf8, true));
    let structs = StructArray::from(vec![(field, inner.clone())]);
    let ends = Int32Array::from(vec![1, 3]);
    let runs = RunArray::<Int32Type>::try_new(&ends, &StringArray::from(vec!["x", "y"])).unwrap();
    let kinds = [DataType::Int32, DataType::Utf8].map(|kind| Field::new("of", kind, true));
    let kinds = UnionFields::from_fields(kinds);
    let either = vec![0_i8, 1, 0].into();
    let unions = UnionArray::try_new(kinds, either, None, vec![numbers, inner]).unwrap();
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for number in 0..3 {
        maps.keys().append_value("key");
        maps.values().append_value(number);
        maps.append(true).unwrap();
    }
    let codes = [[1_u8; 3], [2; 3], [3; 3]].into_iter();
    vec![
        ("words", Arc::new(words) as ArrayRef),
        ("texts", Arc::new(texts)),
        ("lists", Arc::new(lists)),
        ("pairs", Arc::new(pairs)),
        ("structs", Arc::new(structs)),
        ("runs", Arc::new(runs)),
        ("unions", Arc::new(unions)),
        ("maps", Arc::new(maps.finish())),
        ("nothing", Arc::new(NullArray::new(3))),
        ("amounts", Arc::new(Decimal128Array::from(vec![1, 2, 3]))),
        ("days", Arc::new(Date32Array::from(vec![1, 2, 3]))),
        ("codes", Arc::new(FixedSizeBinaryArray::try_from_iter(codes).unwrap())),
    ]
}

fn indexed(index: DataType, values: DataType) -> DataType {
    DataType::Dictionary(Box::new(index), Box::new(values))
}

#[test]
fn what_arrow_writes_is_read_as_arrow_reads_it() {
    use DataType::*;
    let time = |unit, zone: Option<&str>| Timestamp(unit, zone.map(Arc::from));
    let layouts = [
        ("id", vec![Utf8, LargeUtf8, Utf8View, indexed(Int8, Utf8), indexed(UInt64, LargeUtf8)]),
        ("at", vec![time(TimeUnit::Second, None), time(TimeUnit::Millisecond, Some("UTC"))]),
        ("at", vec![time(TimeUnit::Microsecond, Some("+02:00")), time(TimeUnit::Nanosecond, None)]),
        ("kw", vec![Float16, Float32, Float64, Int8, Int16, Int32, UInt8, UInt16, UInt32]),
        ("kw", vec![indexed(Int16, Float64), indexed(UInt16, Int32)]),
        ("n", vec![Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, indexed(UInt8, Int32)]),
        ("ok", vec![Boolean]),
    ];
    for (name, kinds) in layouts {
        for kind in kinds {
            let alone = batch_of(columns_with(name, &kind));
            let all = [others(), columns_with(name, &kind)].concat();
            let among = batch_of(all);
            for batch in [alone, among] {
                let message = message(&[batch.clone(), batch]);
                let expected = as_arrow_reads(&message);
                assert_eq!(expected.len(), 2 * ROWS.len());
                assert_eq!(read(&[&message]), expected, "{name} as {kind}");
            }
        }
    }
}

#[test]
fn streams_of_old_and_dictionaries_that_grow_are_read() {
    let old = IpcWriteOptions::try_new(8, true, MetadataVersion::V4).unwrap();
    let words = |words: [&str; 3]| -> RecordBatch {
        let words: DictionaryArray<Int32Type> = words.into_iter().collect();
        let mut columns = columns_with("", &DataType::Null);
        columns[0].1 = Arc::new(words);
        batch_of(columns)
    };
    let batches = [words(["a", "b", "a"]), words(["a", "b", "c"]), words(["a", "c", "b"])];
    let plain = IpcWriteOptions::default();
    let grows = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    let cases = [(old, &batches[..]), (plain, &batches[..]), (grows, &batches[..2])];
    for (options, batches) in cases {
        let message = written(batches, options);
        let expected = as_arrow_reads(&message);
        assert_eq!(expected.len(), 3 * batches.len());
        assert_eq!(read(&[&message]), expected);
    }
}

#[test]
fn each_row_has_a_position_of_its_own_and_any_can_be_gone_on_at() {
    let rows = batch(&ROWS);
    let two = message(&[rows.slice(0, 2), rows.slice(2, 1)]);
    let none = message(&[rows.slice(0, 0)]);
    let broken = &two[..two.len() / 2];
    let messages = [&two[..], broken, &none, &two];
    let all = read(&messages);
    let places: Vec<Position> = all.iter().map(|(position, _)| *position).collect();
    assert_eq!(places, [0, 1, 2, SPAN, 3 * SPAN, 3 * SPAN + 1, 3 * SPAN + 2]);
    let texts = ROWS.map(str::to_owned);
    let found: Vec<String> = all.iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(found[..3], texts);
    assert!(found[3].starts_with("malformed: "), "{}", found[3]);
    assert_eq!(found[4..], texts);
    for from in [1, 2, 3, SPAN, SPAN + 1, 3 * SPAN, 3 * SPAN + 2, 4 * SPAN] {
        let rest: Vec<_> = all.iter().filter(|(at, _)| *at >= from).cloned().collect();
        assert_eq!(told(&read_from(from, &messages)), rest, "from {from}");
    }
}

#[test]
fn rows_that_a_stream_must_not_hold_are_set_aside_one_by_one() {
    let columns = vec![
        ("id", Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])) as ArrayRef),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![5_000, 6_000, -1]))),
        ("kw", Arc::new(Float64Array::from(vec![1.5, 2.5, 3.5]))),
    ];
    let first = batch_of(columns.clone());
    let mut columns = columns;
    columns[2].1 = Arc::new(Float64Array::from(vec![f64::NAN, 2.5, 3.5]));
    let second = batch_of(columns);
    let message = message(&[first, second]);
    let row = r#"{"id":"a","at":"1970-01-01T00:00:05Z","kw":1.5,"n":null,"ok":null}"#;
    let found = read(&[&message]);
    assert_eq!(found[0], (0, row.to_owned()));
    let why: Vec<(Position, &str)> = (found[1..].iter())
        .map(|(position, why)| (*position, why.split(':').next().unwrap_or_default()))
        .collect();
    let expected = [
        (1, "missing-column"),
        (2, "wrong-type"),
        (3, "not-finite"),
        (4, "missing-column"),
        (5, "wrong-type"),
    ];
    assert_eq!(why, expected);
    let decoded = read_from(0, &[&message]);
    let kept = &decoded.refused[0].kept.head;
    assert_eq!(kept, r#"{"id":null,"at":"1970-01-01T00:00:06Z","kw":2.5,"n":null,"ok":null}"#);
}

/// Why a message is refused as a whole.
#[track_caller]
fn check(message: &[u8], expected: &str) {
    assert_eq!(read(&[message]), [(0, expected.to_owned())]);
}

#[test]
fn what_is_no_stream_of_the_columns_says_why() {
    let rows = batch(&ROWS);
    let whole = message(std::slice::from_ref(&rows));
    check(b"", "empty: the record has no bytes");
    check(
        ROWS[0].as_bytes(),
        "malformed: not an Arrow IPC stream, or one that was cut: 1684611707 bytes should follow \
         where 60 do",
    );
    let end = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    check(&end, "malformed: the record is an Arrow IPC stream of nothing");
    let twice = [&whole[..], &whole].concat();
    let left = whole.len();
    let expected =
        format!("malformed: {left} bytes follow the end of the stream; send one stream a message");
    check(&twice, &expected);

    let mut file = FileWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    file.write(&rows).unwrap();
    check(
        &file.into_inner().unwrap(),
        "malformed: the record is an Arrow IPC file; send a stream, as pyarrow's new_stream and \
         arrow-rs' StreamWriter write it",
    );
    let packed = IpcWriteOptions::default();
    let packed = packed.try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    // Without a byte, so that it can be written by whoever cannot compress.
    let none = with_ids(Arc::new(StringViewArray::from(Vec::<&str>::new())));
    check(
        &written(&[none], packed),
        "malformed: its columns are compressed; write them as they are, and let the producer \
         compress (`compression.type`)",
    );
    let one = columns_with("", &DataType::Null).into_iter().take(1).collect();
    check(&message(&[batch_of(one)]), "missing-column: column at is missing");
    let whole_numbers = batch_of(columns_with("at", &DataType::Int64));
    check(
        &message(&[whole_numbers]),
        "wrong-type: column at is Int64, which is no Timestamp(ms, \"UTC\") without loss",
    );
    let days = batch_of(columns_with("at", &DataType::Date32));
    check(
        &message(&[days]),
        "wrong-type: column at is Date, which is no Timestamp(ms, \"UTC\") without loss",
    );
}

#[test]
fn a_message_that_is_cut_gives_nothing_or_whole_batches() {
    let rows = batch(&ROWS);
    let whole = message(&[rows.slice(0, 2), rows.slice(2, 1)]);
    let mut counts = Vec::new();
    for length in 1..whole.len() {
        let decoded = read_from(0, &[&whole[..length]]);
        match (&decoded.refused[..], decoded.rows.num_rows()) {
            ([], count) => counts.push(count),
            ([refused], 0) => assert_eq!(refused.position, 0),
            (refused, count) => panic!("{count} rows and {refused:?} of {length} bytes"),
        }
    }
    // A writer need not say that its stream ends: then it may end behind the schema or a batch.
    assert_eq!(counts, [0, 2, 3]);
}

#[test]
fn a_byte_that_is_wrong_does_no_harm_and_loses_no_message() {
    let words: DictionaryArray<Int8Type> = ["x", "y", "x"].into_iter().collect();
    let mut columns = columns_with("", &DataType::Null);
    columns[0].1 = Arc::new(words);
    columns.push(("texts", columns_with("id", &DataType::Utf8View)[0].1.clone()));
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5).unwrap();
    let whole = written(&[batch_of(columns)], options);
    for place in 0..whole.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut wrong = whole.clone();
            wrong[place] ^= mask;
            let decoded = read_from(0, &[&wrong]);
            let records = decoded.rows.num_rows() + decoded.refused.len();
            assert!(records > 0, "byte {place} changed by {mask:02x}");
        }
    }
}

/// Rows of one instant whose ids are these.
fn with_ids(ids: ArrayRef) -> RecordBatch {
    let at = TimestampMillisecondArray::from(vec![0; ids.len()]);
    batch_of(vec![("id", ids), ("at", Arc::new(at))])
}

#[test]
fn rows_that_take_more_than_a_message_may_are_refused_before_they_are_made() {
    let long = "x".repeat(10_000);
    let keys = UInt8Array::from(vec![0; 50_000]);
    let values = Arc::new(StringArray::from(vec![long.as_str()]));
    let named = DictionaryArray::<UInt8Type>::try_new(keys, values).unwrap();
    let views = StringViewArray::from(vec![long.as_str()]);
    let views = take(&views, &UInt32Array::from(vec![0; 20_000]), None).unwrap();
    for ids in [Arc::new(named) as ArrayRef, views] {
        check(
            &message(&[with_ids(ids)]),
            "too-long: the record's rows take more than 16777216 bytes; send smaller batches or \
             raise `record_bytes_max`",
        );
    }
}

#[test]
fn a_message_has_no_more_rows_than_positions() {
    let of = |count: usize| {
        let ids: DictionaryArray<Int8Type> = std::iter::repeat_n("m", count).collect();
        let message = message(&[with_ids(Arc::new(ids))]);
        let mut batches = Batches::of(&schema(), 64 << 20).unwrap();
        batches.push((SPAN, 0), None, &message);
        batches.finish()
    };
    let full = of(ROWS_MAX);
    assert_eq!((full.positions.len(), full.positions.last()), (ROWS_MAX, Some(&(2 * SPAN - 1))));
    let expected = "too-long: the record has more than 1000000 rows; send smaller batches";
    assert_eq!(told(&of(ROWS_MAX + 1)), [(SPAN, expected.to_owned())]);
    let long = vec![0xff; RECORD_BYTES_MAX + 1];
    check(&long, &format!("too-long: {}", too_long(RECORD_BYTES_MAX).detail));
}
