//! Tests of Avro records, written by the crate `apache-avro`: what is taken, what is refused and
//! why, what stands before a datum, and that no bytes at all do any harm.

mod container;

use apache_avro::Decimal;
use apache_avro::GenericSingleObjectWriter;
use apache_avro::Schema as Written;
use apache_avro::types::Value;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use schemas::event::MeterReading;
use schemas::relation::Relation;

use super::*;
use crate::format::Decoded;
use crate::format::Decoder;
use crate::format::RECORD_BYTES_MAX;
use crate::format::example::schema;
use crate::format::json::encode;

/// What a writer of the stream's rows has, with nothing that has a meaning of its own.
const WRITER: &str = r#"{"type":"record","name":"Reading","namespace":"plant","fields":[
    {"name":"id","type":"string"},
    {"name":"at","type":"long"},
    {"name":"kw","type":["null","double"],"default":null},
    {"name":"n","type":["null","long"]},
    {"name":"ok","type":["null","boolean"]}]}"#;

fn record(fields: Vec<(&str, Value)>) -> Value {
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn some(value: Value) -> Value {
    Value::Union(1, Box::new(value))
}

fn none() -> Value {
    Value::Union(0, Box::new(Value::Null))
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn whole() -> Value {
    record(vec![
        ("id", text("m1")),
        ("at", Value::Long(5_000)),
        ("kw", some(Value::Double(1.5))),
        ("n", none()),
        ("ok", some(Value::Boolean(true))),
    ])
}

const WHOLE: &str = r#"{"id":"m1","at":"1970-01-01T00:00:05Z","kw":1.5,"n":null,"ok":true}"#;

fn decoder(writer: &str, framing: Framing) -> Decoder {
    let config = AvroConfig { schema: AvroSchema::parse(writer).unwrap(), framing };
    Decoder::avro(&schema(), config, RECORD_BYTES_MAX, Arrival::OfMedium).unwrap()
}

fn decode(writer: &str, framing: Framing, records: &[&[u8]]) -> Decoded {
    let mut decoder = decoder(writer, framing);
    for (position, record) in records.iter().enumerate() {
        decoder.push(position as i64, None, record);
    }
    decoder.finish()
}

/// The one row of a record as JSON, or why it is refused.
fn found(writer: &str, framing: Framing, record: &[u8]) -> String {
    let decoded = decode(writer, framing, &[record]);
    assert_eq!(decoded.rows.num_rows() + decoded.refused.len(), 1, "either a row or refused");
    match decoded.refused.first() {
        Some(refused) => format!("{}: {}", refused.reason.as_str(), refused.detail),
        None => encode(&decoded.rows).remove(0),
    }
}

#[track_caller]
fn check(writer: &str, value: Value, expected: &str) {
    let datum = written::datum(writer, value);
    assert_eq!(found(writer, Framing::Any, &datum), expected);
}

/// A writer of an id, an instant, and one column of a type; or of that column in their place.
fn writer_of(column: &str, kind: &str) -> String {
    let mut fields = vec![("id", r#""string""#), ("at", r#""long""#)];
    fields.retain(|(name, _)| *name != column);
    fields.push((column, kind));
    let field = |(name, kind): &(&str, &str)| format!(r#"{{"name":"{name}","type":{kind}}}"#);
    let fields: Vec<String> = fields.iter().map(field).collect();
    format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","))
}

/// What a column holds after one value of a type was read, or why it is refused.
#[track_caller]
fn column(column: &str, kind: &str, value: Value, expected: &str) {
    let writer = writer_of(column, kind);
    let mut fields = vec![("id", text("m1")), ("at", Value::Long(0))];
    fields.retain(|(name, _)| *name != column);
    fields.push((column, value));
    let datum = written::datum(&writer, record(fields));
    let found = found(&writer, Framing::Bare, &datum);
    let row: Option<serde_json::Value> = serde_json::from_str(&found).ok();
    assert_eq!(row.map_or(found, |row| row[column].to_string()), expected, "{kind} as {column}");
}

#[test]
fn a_whole_record_is_a_row() {
    check(WRITER, whole(), WHOLE);
}

#[test]
fn order_and_fields_that_no_column_has_do_not_matter() {
    let writer = r#"{"type":"record","name":"R","fields":[
        {"name":"list","type":{"type":"array","items":"string"}},
        {"name":"ok","type":"boolean"},
        {"name":"map","type":{"type":"map","values":["null","long"]}},
        {"name":"raw","type":"bytes"},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"inner","type":{"type":"record","name":"Inner","fields":[
            {"name":"sum","type":{"type":"fixed","name":"Sum","size":3}},
            {"name":"state","type":{"type":"enum","name":"State","symbols":["up","down"]}},
            {"name":"again","type":["null","Inner"]}]}},
        {"name":"state","type":"State"},
        {"name":"id","type":["string","long"]}]}"#;
    let inner = |again: Value| {
        record(vec![
            ("sum", Value::Fixed(3, vec![1, 2, 3])),
            ("state", Value::Enum(1, "down".to_owned())),
            ("again", again),
        ])
    };
    let map = [("a", none()), ("b", some(Value::Long(-7)))];
    let value = record(vec![
        ("list", Value::Array(vec![text("x"), text("y")])),
        ("ok", Value::Boolean(false)),
        ("map", Value::Map(map.map(|(key, value)| (key.to_owned(), value)).into())),
        ("raw", Value::Bytes(vec![0xff; 300])),
        ("at", Value::TimestampMillis(7)),
        ("inner", inner(some(inner(none())))),
        ("state", Value::Enum(0, "up".to_owned())),
        ("id", Value::Union(0, Box::new(text("mé")))),
    ]);
    let expected = r#"{"id":"mé","at":"1970-01-01T00:00:00.007Z","kw":null,"n":null,"ok":false}"#;
    check(writer, value, expected);
}

#[test]
fn a_column_takes_what_json_may_hold_in_it() {
    column("kw", r#""float""#, Value::Float(0.25), "0.25");
    column("kw", r#""int""#, Value::Int(-3), "-3.0");
    column("kw", r#""long""#, Value::Long(1 << 53), "9007199254740992.0");
    column("n", r#""int""#, Value::Int(i32::MIN), "-2147483648");
    column("n", r#""long""#, Value::Long(i64::MIN), "-9223372036854775808");
    column("n", r#""double""#, Value::Double(3.0), "3");
    column("id", r#"["null","string"]"#, some(text("")), r#""""#);
    column("at", r#""string""#, text("2016-08-31 12:00"), r#""2016-08-31T12:00:00Z""#);
    column("at", r#""double""#, Value::Double(1_000.0), r#""1970-01-01T00:00:01Z""#);
}

#[test]
fn what_types_mean_is_kept() {
    let symbols = r#"{"type":"enum","name":"E","symbols":["open","closed"]}"#;
    column("id", symbols, Value::Enum(1, "closed".to_owned()), r#""closed""#);
    let logical =
        |plain: &str, logical: &str| format!(r#"{{"type":"{plain}","logicalType":"{logical}"}}"#);
    let at = r#""2016-08-31T00:00:05.250Z""#;
    let ms = 1_472_601_605_250;
    column("at", &logical("long", "timestamp-millis"), Value::TimestampMillis(ms), at);
    let micros = logical("long", "timestamp-micros");
    column("at", &micros, Value::TimestampMicros(ms * 1_000 + 999), at);
    let nanos = logical("long", "timestamp-nanos");
    column("at", &nanos, Value::TimestampNanos(ms * 1_000_000 + 1), at);
    let local = logical("long", "local-timestamp-millis");
    column("at", &local, Value::LocalTimestampMillis(ms), at);
    let date = logical("int", "date");
    column("at", &date, Value::Date(17_044), r#""2016-08-31T00:00:00Z""#);
    column("at", r#"{"type":"long","logicalType":"ours"}"#, Value::Long(ms), at);
}

#[test]
fn a_decimal_is_the_number_that_its_digits_spell() {
    let bytes = r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#;
    let fixed = r#"{"type":"fixed","name":"D","size":20,"logicalType":"decimal","precision":9,
        "scale":1}"#;
    let decimal = |bytes: &[u8]| Value::Decimal(Decimal::from(bytes));
    column("kw", bytes, decimal(&[0x30, 0x39]), "123.45");
    column("kw", bytes, decimal(&[0xff, 0x38]), "-2.0");
    column("kw", fixed, decimal(&[0xff, 0x38]), "-20.0");
    column("n", bytes, decimal(&[0x30, 0x0c]), "123");
    column("n", fixed, decimal(&[0xf6]), "-1");
    column(
        "n",
        bytes,
        decimal(&[0x30, 0x39]),
        "wrong-type: n: expected a whole number of 64 bits, found 12345e-2",
    );
    column("kw", fixed, decimal(&[1; 20]), "wrong-type: kw: a decimal of over 128 bits");
}

#[test]
fn what_a_column_cannot_hold_is_refused_by_name() {
    column(
        "n",
        r#""double""#,
        Value::Double(1.5),
        "wrong-type: n: expected a whole number of 64 bits, found 1.5",
    );
    let long = Value::Long((1 << 53) + 1);
    let detail = "wrong-type: kw: 9007199254740993 is no double without loss";
    column("kw", r#""long""#, long, detail);
    let long = Value::Long(i64::MAX);
    let detail = "wrong-type: kw: 9223372036854775807 is no double without loss";
    column("kw", r#""long""#, long, detail);
    let either = r#"["double","string"]"#;
    column(
        "kw",
        either,
        some(text("1.5")),
        r#"wrong-type: kw: expected a number, found the text "1.5""#,
    );
    column("kw", either, some(text("NaN")), r#"not-finite: kw: "NaN" is not a number; send null"#);
    column(
        "n",
        r#"["long",{"type":"array","items":"long"}]"#,
        some(Value::Array(vec![Value::Long(1)])),
        "wrong-type: n: expected a whole number of 64 bits, found a list",
    );
    let id = r#"["null","string"]"#;
    column("id", id, none(), "missing-column: id is null and must have a value");
}

#[test]
fn what_is_no_finite_number_is_said_so() {
    for (number, word) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-f64::INFINITY, "-inf")] {
        for name in ["kw", "n"] {
            let detail = format!("not-finite: {name}: {word} is not a number; send null");
            column(name, r#""double""#, Value::Double(number), &detail);
        }
    }
    let detail = "not-finite: kw: NaN is not a number; send null";
    column("kw", r#""float""#, Value::Float(f32::NAN), detail);
}

#[test]
fn instants_must_be_instants() {
    let detail = "wrong-type: at: -1 is before 1970; instants are milliseconds since the epoch";
    column("at", r#""long""#, Value::Long(-1), detail);
    let micros = r#"{"type":"long","logicalType":"timestamp-micros"}"#;
    column("at", micros, Value::TimestampMicros(-1), detail);
    column(
        "at",
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        Value::TimestampMillis(1_472_601_605_000_000),
        "wrong-type: at: 1472601605000000 is after the year 9999; instants are milliseconds \
         since the epoch, not micro- or nanoseconds",
    );
    column(
        "at",
        r#""string""#,
        text("noon"),
        "wrong-type: at: \"noon\" is not an instant; write 2016-08-31T12:00:00Z or milliseconds \
         since the epoch",
    );
}

#[test]
fn a_record_that_is_cut_or_goes_on_is_malformed() {
    let datum = written::datum(WRITER, whole());
    for end in 1..datum.len() {
        let found = found(WRITER, Framing::Bare, &datum[..end]);
        assert!(found.starts_with("malformed: "), "{end}: {found}");
    }
    let two = [datum.as_slice(), &datum].concat();
    let detail = format!(
        "malformed: {} bytes follow the record; it was written with another schema, or is two",
        datum.len()
    );
    assert_eq!(found(WRITER, Framing::Any, &two), detail);
    assert_eq!(found(WRITER, Framing::Any, b""), "empty: the record has no bytes");
}

#[test]
fn bytes_that_are_no_value_are_malformed() {
    let check = |kind: &str, value: &[u8], expected: &str| {
        let writer = writer_of("more", kind);
        let record = [&[2, b'm', 0][..], value].concat();
        let expected =
            format!("malformed: more: {expected}; it was written with another schema, or cut");
        assert_eq!(found(&writer, Framing::Bare, &record), expected);
    };
    check(r#""boolean""#, &[7], "7 is neither true nor false");
    check(
        r#""string""#,
        &[2, 0xff],
        "a text is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0",
    );
    check(r#""string""#, &[1], "-1 is no length");
    check(r#""bytes""#, &[6, 0], "3 bytes should follow, and 1 do");
    check(r#"["null","long"]"#, &[4], "the union has no branch 2");
    check(r#"{"type":"enum","name":"E","symbols":["a"]}"#, &[2], "there is no symbol 1");
    check(r#""long""#, &[0xff; 10], "a whole number has more than 64 bits");
    check(r#""int""#, &[0x80, 0x80, 0x80, 0x80, 0x10], "2147483648 has more than 32 bits");
}

#[test]
fn half_a_record_leaves_no_trace() {
    let datum = written::datum(WRITER, whole());
    let decoded = decode(WRITER, Framing::Bare, &[&datum[..4], &datum]);
    assert_eq!((decoded.positions, decoded.refused[0].position), (vec![1], 0));
    assert_eq!(encode(&decoded.rows), [WHOLE]);
}

fn confluent_of(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), datum].concat()
}

fn single_object_of(writer: &str, value: &Value) -> Vec<u8> {
    let schema = Written::parse_str(writer).unwrap();
    let mut written = Vec::new();
    let mut writer = GenericSingleObjectWriter::new_with_capacity(&schema, 64).unwrap();
    writer.write_value_ref(value, &mut written).unwrap();
    written
}

#[test]
fn what_stands_before_a_datum_is_recognised_or_asked_for() {
    let datum = written::datum(WRITER, whole());
    let (confluent, single) = (confluent_of(7, &datum), single_object_of(WRITER, &whole()));
    for (framing, record) in [
        (Framing::Any, &datum),
        (Framing::Any, &confluent),
        (Framing::Any, &single),
        (Framing::Bare, &datum),
        (Framing::Confluent(None), &confluent),
        (Framing::Confluent(Some(7)), &confluent),
        (Framing::SingleObject, &single),
    ] {
        assert_eq!(found(WRITER, framing, record), WHOLE, "{framing:?}");
    }
    let refused = |framing, record: &[u8], expected: &str| {
        assert_eq!(found(WRITER, framing, record), format!("malformed: {expected}"));
    };
    let detail = "the record does not begin with a byte 0 and a schema number";
    refused(Framing::Confluent(None), &datum, detail);
    let detail = "the record was written with schema 7, and the source reads schema 8";
    refused(Framing::Confluent(Some(8)), &confluent, detail);
    let detail = "the record does not begin with C3 01 and a fingerprint, as single objects do";
    refused(Framing::SingleObject, &datum, detail);
    refused(Framing::Any, &single[..9], detail);
    assert!(found(WRITER, Framing::Bare, &single).starts_with("malformed: "));
}

#[test]
fn a_single_object_of_another_schema_is_refused_by_its_fingerprint() {
    let other = WRITER.replace("plant", "village");
    let fingerprints = [WRITER, &other].map(|text| AvroSchema::parse(text).unwrap().fingerprint());
    let [ours, theirs] = fingerprints.map(|fingerprint| format!("{fingerprint:016x}"));
    let record = single_object_of(&other, &whole());
    let expected = format!(
        "malformed: the record was written with the schema of fingerprint {theirs}, and the source \
         reads that of {ours}; give the source the schema of its writer"
    );
    for framing in [Framing::Any, Framing::SingleObject] {
        assert_eq!(found(WRITER, framing, &record), expected);
    }
}

#[test]
fn a_datum_may_begin_like_a_schema_number_but_not_be_read_both_ways() {
    let writer = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"string"},
        {"name":"at","type":"long"},{"name":"a","type":"long"},{"name":"b","type":"long"},
        {"name":"note","type":"string"}]}"#;
    let value = |note: &str| {
        let (id, at) = (("id", text("")), ("at", Value::Long(0)));
        record(vec![id, at, ("a", Value::Long(0)), ("b", Value::Long(0)), ("note", text(note))])
    };
    let row = r#"{"id":"","at":"1970-01-01T00:00:00Z","kw":null,"n":null,"ok":null}"#;
    let plain = written::datum(writer, value("hello"));
    assert_eq!(plain[..5], [0, 0, 0, 0, 10]);
    assert_eq!(found(writer, Framing::Any, &plain), row);
    let both = written::datum(writer, value("\0\0\0\0\0"));
    let expected = "malformed: the record can be read with and without a schema number before it; \
                    say which with `avro_framing` = \"confluent\" or \"none\"";
    assert_eq!(found(writer, Framing::Any, &both), expected);
    assert_eq!(found(writer, Framing::Bare, &both), row);
    assert_eq!(found(writer, Framing::Confluent(Some(10)), &both), row);
}

#[track_caller]
fn unread(writer: &str, expected: &str) {
    let opened = AvroSchema::parse(writer).and_then(|schema| {
        let config = AvroConfig { schema, framing: Framing::Any };
        Decoder::avro(&self::schema(), config, RECORD_BYTES_MAX, Arrival::OfRecord)
    });
    assert_eq!(opened.err().expect("it cannot be read"), expected);
}

#[test]
fn a_schema_that_is_none_says_why() {
    unread("{", "not JSON: EOF while parsing an object at line 1 column 1");
    unread(r#""long""#, "it is the schema of long, not of a record");
    let fixed = r#"{"type":"fixed","name":"F","size":7}"#;
    unread(fixed, "it is the schema of fixed, not of a record");
    unread(r#"{"name":"R"}"#, r#""type" is missing"#);
    unread(r#"{"type":"record","name":"R"}"#, r#""fields" is missing"#);
    unread(&writer_of("kw", "7"), "field kw: 7 is no type");
    unread(
        &writer_of("kw", r#""Power""#),
        r#"field kw: there is no type "Power", or it is defined further down"#,
    );
    let twice = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
        {"name":"a","type":"int"}]}"#;
    unread(twice, "there are two fields a");
    unread(&writer_of("kw", r#"["null",["int"]]"#), "field kw: a union stands directly in a union");
}

#[test]
fn a_schema_that_cannot_be_the_streams_is_found_before_the_first_record() {
    let lacks = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"string"}]}"#;
    unread(lacks, "the Avro schema lacks column at (it has: id)");
    let kw = |kind: &str, found: &str| {
        let expected = format!("column kw is {found} in the Avro schema, not a number");
        unread(&writer_of("kw", kind), &expected);
    };
    kw(r#""string""#, "string");
    kw(r#""bytes""#, "bytes");
    kw(r#"["null","string",{"type":"array","items":"double"}]"#, "a union of null, string, array");
    kw(r#"{"type":"int","logicalType":"date"}"#, "date");
    kw(r#"{"type":"int","logicalType":"time-millis"}"#, "time");
    unread(&writer_of("id", r#""null""#), "column id is null in the Avro schema, not text");
    unread(
        &writer_of("arrived_at", r#""bytes""#),
        "column arrived_at is bytes in the Avro schema, not an instant: ISO 8601 text or \
         milliseconds since the epoch",
    );
}

/// Of the table that the Avro project publishes for all its languages.
#[test]
fn fingerprints_are_those_of_other_languages() {
    let check = |text: &str, expected: i64| {
        assert_eq!(AvroSchema::parse(text).unwrap().fingerprint() as i64, expected, "{text}");
    };
    check(r#"{"fields":[], "type":"record", "name":"foo"}"#, -4_824_392_279_771_201_922);
    let namespace = r#"{"fields":[], "type":"record", "name":"foo", "namespace":"x.y"}"#;
    check(namespace, 5_916_914_534_497_305_771);
    let full = r#"{"fields":[], "type":"record", "name":"a.b.foo", "namespace":"x.y"}"#;
    check(full, -4_616_218_487_480_524_110);
    let field = r#"{"fields":[{"type":{"type":"boolean"}, "name":"f1"}], "type":"record",
        "name":"foo"}"#;
    check(field, 7_843_277_075_252_814_651);
    let extras = r#"{"fields":[{"type":"boolean","aliases":[],"name":"f1","default":true},
        {"order":"descending","name":"f2","doc":"Hello","type":"int"}],"type":"record",
        "name":"foo"}"#;
    check(extras, -4_860_222_112_080_293_046);
    let itself = r#"{"name":"PigValue","type":"record",
        "fields":[{"name":"value","type":["null","int","long","PigValue"]}]}"#;
    check(itself, -1_759_257_747_318_642_341);
}

#[test]
fn a_fingerprint_does_not_know_what_a_type_means() {
    let meant = writer_of("kw", r#"{"type":"bytes","logicalType":"decimal","precision":4}"#);
    let plain = writer_of("kw", r#""bytes""#);
    let [meant, plain] = [meant, plain].map(|text| AvroSchema::parse(&text).unwrap());
    assert_eq!(meant.fingerprint(), plain.fingerprint());
    assert_ne!(meant, plain);
}

#[test]
fn no_record_of_a_few_bytes_takes_the_stack_or_the_day() {
    let begun = |more: &[u8]| [&[2, b'm', 0][..], more].concat();
    let deep = writer_of("next", r#"["null","R"]"#);
    let record = begun(&[2, 2, b'm', 0].repeat(10_000));
    let expected = "malformed: next: it lies in more than 128 others; it was written with another \
                    schema, or cut";
    assert_eq!(found(&deep, Framing::Bare, &record), expected);

    let nothing = writer_of("z", r#"{"type":"array","items":"null"}"#);
    let most = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
    assert!(found(&nothing, Framing::Bare, &begun(&most)).starts_with('{'));

    // Ten of ten of ten…, and not a byte in them.
    let mut kind = r#""null""#.to_owned();
    for level in 0..9 {
        let again = if level == 0 { "null".to_owned() } else { format!("L{}", level - 1) };
        let more: String =
            (1..10).map(|at| format!(r#",{{"name":"f{at}","type":"{again}"}}"#)).collect();
        kind = format!(
            r#"{{"type":"record","name":"L{level}","fields":[{{"name":"f","type":{kind}}}{more}]}}"#
        );
    }
    let expected = "malformed: z: it has too many values; it was written with another schema, or \
                    cut";
    assert_eq!(found(&writer_of("z", &kind), Framing::Bare, &begun(&[])), expected);
}

#[test]
fn records_of_rows_are_kept_with_what_stands_before_them() {
    let record = confluent_of(7, &written::datum(WRITER, whole()));
    let mut decoder = decoder(WRITER, Framing::Any).keeping_records();
    decoder.push(0, None, &record);
    assert_eq!(decoder.finish().raw.get(0), Some(record.as_slice()));
}

#[test]
fn where_the_medium_does_not_know_the_arrival_the_record_may_say() {
    let writer = writer_of("arrived_at", r#"["null","long"]"#);
    let value = |arrived_at: Value| {
        record(vec![("id", text("a")), ("at", Value::Long(0)), ("arrived_at", arrived_at)])
    };
    let values = [some(Value::Long(5)), none(), some(Value::Long(-1))];
    let records = values.map(|arrived_at| written::datum(&writer, value(arrived_at)));
    let arrivals = |arrival: Arrival, medium: Option<Timestamp>| {
        let schema = AvroSchema::parse(&writer).unwrap();
        let config = AvroConfig { schema, framing: Framing::Bare };
        let mut decoder = Decoder::avro(&self::schema(), config, 1_000, arrival).unwrap();
        records.iter().for_each(|record| decoder.push(0, medium, record));
        let decoded = decoder.finish();
        let reasons: Vec<_> = decoded.refused.iter().map(|refused| refused.reason).collect();
        (decoded.arrived_at, reasons)
    };
    let medium = Some(Timestamp(9));
    assert_eq!(arrivals(Arrival::OfMedium, medium), (vec![medium; 3], vec![]));
    let expected = (vec![Some(Timestamp(5)), None], vec![Reason::WrongType]);
    assert_eq!(arrivals(Arrival::OfRecord, None), expected);
}

fn survives<R: Relation + PartialEq + std::fmt::Debug>(rows: &[R]) {
    let (columns, batch) = (R::schema(), R::to_batch(rows));
    let writer = written::schema_of(&columns);
    let config = AvroConfig { schema: AvroSchema::parse(&writer).unwrap(), framing: Framing::Bare };
    let mut decoder = Decoder::avro(&columns, config, RECORD_BYTES_MAX, Arrival::OfMedium).unwrap();
    for (position, value) in written::values_of(&batch).into_iter().enumerate() {
        decoder.push(position as i64, None, &written::datum(&writer, value));
    }
    let decoded = decoder.finish();
    assert!(decoded.refused.is_empty(), "{}: {:?}", R::NAME, decoded.refused);
    assert_eq!(R::from_batch(&decoded.rows).unwrap(), rows, "{}", R::NAME);
}

#[test]
fn every_relations_example_survives_a_round_trip() {
    macro_rules! all {
        ($($relation:ty,)*) => { $( survives::<$relation>(&[<$relation>::example()]); )* };
    }
    schemas::each_relation!(all);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), ..Default::default() })]

    /// Any bytes at all are either a row or refused, and do not disturb a good neighbour.
    #[test]
    fn any_bytes_are_a_row_or_refused(
        noise in proptest::collection::vec(any::<u8>(), 0..64),
        head in 0..3_usize,
    ) {
        let heads: [&[u8]; 3] = [&[], &[0, 0, 0, 0, 7], &[2, b'm', 0]];
        let noise = [heads[head], &noise].concat();
        let good = written::datum(WRITER, whole());
        let decoded = decode(WRITER, Framing::Any, &[&noise, &good]);
        prop_assert_eq!(decoded.rows.num_rows() + decoded.refused.len(), 2);
        prop_assert_eq!(decoded.positions.last(), Some(&1));
    }

    /// Readings survive being written and read, whatever their numbers.
    #[test]
    fn readings_survive_a_round_trip(
        values in proptest::collection::vec(
            (".{0,12}", 0..4_000_000_000_000_u64, any::<u64>(), any::<i64>()),
            1..20,
        ),
    ) {
        let readings: Vec<MeterReading> = values
            .into_iter()
            .map(|(meter_id, at, bits, revision)| (meter_id, at, f64::from_bits(bits), revision))
            .map(|(meter_id, at, kw, revision)| MeterReading {
                meter_id,
                measured_at: Timestamp(at),
                active_power_kw: if kw.is_finite() { kw } else { 0.0 },
                energy_import_kwh: (revision % 2 == 0).then_some(1.0 / 3.0),
                energy_export_kwh: None,
                quality: "good".to_owned(),
                revision,
            })
            .collect();
        survives(&readings);
    }
}
