//! Tests of JSON records: what is taken, what is refused and why, and that nothing is rounded.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::types::Int64Type;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use schemas::event::MeterReading;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use super::*;
use crate::format::Arrival;
use crate::format::Decoded;
use crate::format::Decoder;
use crate::format::RECORD_BYTES_MAX;
use crate::format::example::schema;

fn decode(records: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::json(&schema(), RECORD_BYTES_MAX, Arrival::OfMedium).unwrap();
    for (position, record) in records.iter().enumerate() {
        decoder.push(position as i64, None, record);
    }
    decoder.finish()
}

/// The one row of a record printed as JSON again, or why it is refused.
#[track_caller]
fn check(record: &str, expected: &str) {
    let decoded = decode(&[record.as_bytes()]);
    assert_eq!(decoded.rows.num_rows() + decoded.refused.len(), 1, "either a row or refused");
    let found = match decoded.refused.first() {
        Some(refused) => format!("{}: {}", refused.reason.as_str(), refused.detail),
        None => encode(&decoded.rows).remove(0),
    };
    assert_eq!(found, expected);
}

#[test]
fn a_whole_record_is_a_row() {
    check(
        r#"{"id":"m1","at":"2016-08-31T00:00:05Z","kw":1.5,"n":3,"ok":true}"#,
        r#"{"id":"m1","at":"2016-08-31T00:00:05Z","kw":1.5,"n":3,"ok":true}"#,
    );
}

#[test]
fn order_extra_fields_and_absent_nullable_columns_do_not_matter() {
    check(
        r#" { "x": [1, {"id": 7}], "kw": -0.25e1, "at": 1472601605000, "id": "m\u00e9\n" } "#,
        r#"{"id":"mé\n","at":"2016-08-31T00:00:05Z","kw":-2.5,"n":null,"ok":null}"#,
    );
}

#[test]
fn the_last_of_two_fields_counts() {
    check(
        r#"{"id":"a","id":"b","at":0,"kw":1,"kw":null}"#,
        r#"{"id":"b","at":"1970-01-01T00:00:00Z","kw":null,"n":null,"ok":null}"#,
    );
}

#[test]
fn what_is_not_json_is_malformed() {
    check("hello", "malformed: not JSON: expected value at line 1 column 1");
    check(
        r#"{"id":"m1","at":0"#,
        "malformed: not JSON: EOF while parsing an object at line 1 column 17",
    );
    check("[1,2]", "malformed: a record must be one JSON object");
    check("3", "malformed: a record must be one JSON object");
    check(
        r#"{"id":"a","at":0}{"id":"b","at":0}"#,
        "malformed: something follows the JSON object; send one a record",
    );
}

#[test]
fn half_a_record_does_not_join_its_neighbour() {
    let decoded = decode(&[br#"{"id":"a","at":0"#, br#"}"#, br#"{"id":"b","at":1}"#]);
    assert_eq!(decoded.positions, [2]);
    assert_eq!(decoded.refused.iter().map(|r| r.position).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn wrong_types_name_the_column() {
    check(r#"{"id":7,"at":0}"#, "wrong-type: id: expected text, found a number");
    check(
        r#"{"id":"a","at":0,"kw":"1.5"}"#,
        r#"wrong-type: kw: expected a number, found the text "1.5""#,
    );
    check(
        r#"{"id":"a","at":0,"n":1.5}"#,
        "wrong-type: n: expected a whole number of 64 bits, found 1.5",
    );
    check(r#"{"id":"a","at":0,"ok":1}"#, "wrong-type: ok: expected true or false, found a number");
    check(r#"{"id":"a","at":0,"kw":[1,2]}"#, "wrong-type: kw: expected a number, found a list");
    check(
        r#"{"id":"a","at":0,"kw":{"v":1}}"#,
        "wrong-type: kw: expected a number, found an object",
    );
}

#[test]
fn instants_must_be_instants() {
    check(
        r#"{"id":"a","at":"noon"}"#,
        "wrong-type: at: \"noon\" is not an instant; write 2016-08-31T12:00:00Z or milliseconds \
         since the epoch",
    );
    check(
        r#"{"id":"a","at":-1}"#,
        "wrong-type: at: -1 is before 1970; instants are milliseconds since the epoch",
    );
    check(
        r#"{"id":"a","at":1472601605000000}"#,
        "wrong-type: at: 1472601605000000 is after the year 9999; instants are milliseconds \
         since the epoch, not micro- or nanoseconds",
    );
}

#[test]
fn a_missing_value_names_the_column() {
    check(r#"{"at":0}"#, "missing-column: id is missing and must have a value");
    check(r#"{"id":null,"at":0}"#, "missing-column: id is null and must have a value");
}

#[test]
fn what_is_no_finite_number_is_said_so() {
    check(
        r#"{"id":"a","at":0,"kw":NaN}"#,
        "not-finite: NaN is not a number: expected value at line 1 column 23; send null",
    );
    check(r#"{"id":"a","at":0,"kw":"NaN"}"#, r#"not-finite: kw: "NaN" is not a number; send null"#);
    for number in ["-Infinity", "Infinity", "-NaN", "1e999", "\"-inf\""] {
        let record = format!(r#"{{"id":"a","at":0,"kw":{number}}}"#);
        let refused = decode(&[record.as_bytes()]).refused;
        assert_eq!(refused[0].reason, Reason::NotFinite, "{number}: {}", refused[0].detail);
    }
}

#[test]
fn a_word_that_only_begins_like_nan_is_malformed() {
    let refused = decode(&[br#"{"id":"NaN","at":0,"kw":oops}"#]).refused;
    assert_eq!(refused[0].reason, Reason::Malformed);
}

#[test]
fn empty_and_too_long_records_are_kept_by_hash() {
    let long = vec![b'x'; RECORD_BYTES_MAX + 1];
    let decoded = decode(&[b"", &long]);
    let [empty, too_long] = &decoded.refused[..] else { panic!("both are refused") };
    assert_eq!((empty.reason, empty.kept.bytes), (Reason::Empty, 0));
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(empty.kept.sha256, nothing);
    assert_eq!((too_long.reason, too_long.kept.bytes), (Reason::TooLong, long.len() as i64));
    assert_eq!(too_long.kept.head.len(), 4096);
}

#[test]
fn whole_numbers_keep_all_their_bits() {
    for n in [i64::MAX, i64::MIN, 9_007_199_254_740_993, -1, 0] {
        let record = format!(r#"{{"id":"a","at":0,"n":{n}}}"#);
        let rows = decode(&[record.as_bytes()]).rows;
        assert_eq!(rows.column(3).as_primitive::<Int64Type>().value(0), n);
    }
    for n in ["9223372036854775808", "-9223372036854775809", "1e300", "9007199254740994.0"] {
        let record = format!(r#"{{"id":"a","at":0,"n":{n}}}"#);
        assert_eq!(decode(&[record.as_bytes()]).refused[0].reason, Reason::WrongType, "{n}");
    }
}

/// The arrival of each row and the reason of each refusal, of three records that say their own.
fn arrivals(arrival: Arrival, medium: Option<Timestamp>) -> (Vec<Option<u64>>, Vec<Reason>) {
    let mut decoder = Decoder::json(&schema(), RECORD_BYTES_MAX, arrival).unwrap();
    decoder.push(0, medium, br#"{"id":"a","at":0,"arrived_at":5}"#);
    decoder.push(1, medium, br#"{"id":"a","at":0}"#);
    decoder.push(2, medium, br#"{"id":"a","at":0,"arrived_at":"soon"}"#);
    let decoded = decoder.finish();
    let at = decoded.arrived_at.iter().map(|at| at.map(|at| at.0)).collect();
    (at, decoded.refused.iter().map(|refused| refused.reason).collect())
}

#[test]
fn where_the_medium_knows_the_arrival_the_record_does_not_count() {
    let medium = Some(Timestamp(9));
    assert_eq!(arrivals(Arrival::OfMedium, medium), (vec![Some(9); 3], vec![]));
    assert_eq!(arrivals(Arrival::OfMedium, None), (vec![None; 3], vec![]));
}

#[test]
fn where_the_medium_does_not_know_the_record_may_say() {
    let expected = (vec![Some(5), None], vec![Reason::WrongType]);
    assert_eq!(arrivals(Arrival::OfRecord, None), expected);
}

#[test]
fn records_of_rows_are_kept_where_they_are_asked_for() {
    let decoder = || Decoder::json(&schema(), RECORD_BYTES_MAX, Arrival::OfMedium).unwrap();
    let records: [&[u8]; 3] = [br#"{"id":"a", "at":0}"#, b"no", br#"{"at":1,"id":"b","x":7}"#];
    let decode = |mut decoder: Decoder| {
        let numbered = (0..).zip(records);
        numbered.for_each(|(position, record)| decoder.push(position, None, record));
        decoder.finish()
    };
    let kept = decode(decoder().keeping_records()).raw;
    assert_eq!([kept.get(0), kept.get(1)], [Some(records[0]), Some(records[2])]);
    assert_eq!(decode(decoder()).raw.get(0), None);
}

fn example_survives<R: Relation + PartialEq + std::fmt::Debug>() {
    let batch = R::to_batch(&[R::example()]);
    let mut decoder = Decoder::json(&R::schema(), RECORD_BYTES_MAX, Arrival::OfMedium).unwrap();
    decoder.push(0, None, encode(&batch)[0].as_bytes());
    let decoded = decoder.finish();
    assert!(decoded.refused.is_empty(), "{}: {:?}", R::NAME, decoded.refused);
    assert_eq!(R::from_batch(&decoded.rows).unwrap(), [R::example()], "{}", R::NAME);
}

#[test]
fn every_relations_example_survives_a_round_trip() {
    macro_rules! all {
        ($($relation:ty,)*) => { $( example_survives::<$relation>(); )* };
    }
    schemas::each_relation!(all);
}

fn bits(rows: &RecordBatch) -> Vec<u64> {
    rows.column(2).as_primitive::<Float64Type>().iter().map(|v| v.unwrap().to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), ..Default::default() })]

    /// Every finite double survives being written and read, bit by bit.
    #[test]
    fn doubles_survive_a_round_trip(raw in any::<u64>()) {
        let number = f64::from_bits(raw);
        prop_assume!(number.is_finite());
        let number = serde_json::Number::from_f64(number).unwrap();
        let record = format!(r#"{{"id":"a","at":0,"kw":{number}}}"#);
        let decoded = decode(&[record.as_bytes()]);
        prop_assert_eq!(bits(&decoded.rows), vec![raw]);
    }

    /// Any bytes at all are either a row or refused, and do not disturb a good neighbour.
    #[test]
    fn any_bytes_are_a_row_or_refused(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
        let decoded = decode(&[&noise, br#"{"id":"a","at":0}"#]);
        prop_assert_eq!(decoded.rows.num_rows() + decoded.refused.len(), 2);
        prop_assert_eq!(decoded.positions.last(), Some(&1));
    }

    /// A batch of readings survives being written and read.
    #[test]
    fn readings_survive_a_round_trip(
        values in proptest::collection::vec(
            (".{0,12}", 0..4_000_000_000_000_u64, -1e9..1e9_f64, any::<i64>()),
            1..20,
        ),
    ) {
        let readings: Vec<MeterReading> = values
            .into_iter()
            .map(|(meter_id, at, kw, revision)| MeterReading {
                meter_id,
                measured_at: Timestamp(at),
                active_power_kw: kw,
                energy_import_kwh: (revision % 2 == 0).then_some(kw / 3.0),
                energy_export_kwh: None,
                quality: "good".to_owned(),
                revision,
            })
            .collect();
        let rows = MeterReading::to_batch(&readings);
        let (schema, arrival) = (MeterReading::schema(), Arrival::OfMedium);
        let mut decoder = Decoder::json(&schema, RECORD_BYTES_MAX, arrival).unwrap();
        for (position, line) in encode(&rows).iter().enumerate() {
            decoder.push(position as i64, None, line.as_bytes());
        }
        prop_assert_eq!(decoder.finish().rows, rows);
    }
}
