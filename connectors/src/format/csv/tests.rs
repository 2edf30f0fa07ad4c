//! Tests of CSV records: quoting, NULL, types, refusals.

use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::SchemaRef;
use schemas::time::Timestamp;

use super::Quotes;
use crate::format::Arrival;
use crate::format::Decoder;
use crate::format::example::schema_with;
use crate::format::json;

fn schema() -> SchemaRef {
    schema_with(&[Field::new("note", DataType::Utf8, true)])
}

fn decoder(header: Option<&str>) -> Result<Decoder, String> {
    let arrival = Arrival::OfMedium;
    Decoder::csv(&schema(), header.map(str::as_bytes), 1_000, arrival)
}

fn found(header: Option<&str>, record: &str) -> String {
    let mut decoder = decoder(header).unwrap();
    decoder.push(0, None, record.as_bytes());
    let decoded = decoder.finish();
    assert_eq!(decoded.rows.num_rows() + decoded.refused.len(), 1, "either a row or refused");
    match decoded.refused.first() {
        Some(refused) => format!("{}: {}", refused.reason.as_str(), refused.detail),
        None => json::encode(&decoded.rows).remove(0),
    }
}

#[track_caller]
fn check(header: &str, record: &str, expected: &str) {
    assert_eq!(found(Some(header), record), expected);
}

#[test]
fn columns_are_matched_by_name() {
    check(
        "kw, at ,more,id,ok,n",
        "1.5,2016-08-31T00:00:05Z,x,m1,TRUE,3.0",
        r#"{"id":"m1","at":"2016-08-31T00:00:05Z","kw":1.5,"n":3,"ok":true,"note":null}"#,
    );
}

#[test]
fn quotes_hold_commas_line_ends_and_quotes() {
    check(
        "id,at,note",
        "\"a,b\",5000,\"say \"\"hi\"\"\nthere\"",
        concat!(
            r#"{"id":"a,b","at":"1970-01-01T00:00:05Z","kw":null,"n":null,"ok":null,"#,
            r#""note":"say \"hi\"\nthere"}"#,
        ),
    );
}

#[test]
fn an_empty_field_is_null_and_a_quoted_one_is_empty_text() {
    let row = |id, note| {
        let middle = r#""at":"1970-01-01T00:00:00Z","kw":null,"n":null,"ok":null"#;
        format!(r#"{{"id":"{id}",{middle},"note":{note}}}"#)
    };
    check("id,at,kw,note", ",0,,", &row("", "null"));
    check("id,at,kw,note", "a,0,,\"\"", &row("a", "\"\""));
    check("id,at", "a,", "missing-column: at is null and must have a value");
}

#[test]
fn bad_records_say_why() {
    check("id,at,kw", "a,0", "malformed: 2 fields where the header has 3");
    check("id,at", "\"a,0", "malformed: a quote is opened and not closed");
    check("id,at", "\"a\"b,0", "malformed: something follows a closing quote");
    check("id,at,kw", "a,0,much", r#"wrong-type: kw: expected a number, found "much""#);
    check(
        "id,at,n",
        "a,0,1.5",
        r#"wrong-type: n: expected a whole number of 64 bits, found "1.5""#,
    );
    check("id,at,ok", "a,0,yes", r#"wrong-type: ok: expected true or false, found "yes""#);
    check(
        "id,at,kw",
        "a,0,-Inf",
        r#"not-finite: kw: "-Inf" is not a finite number; leave it empty"#,
    );
    check(
        "id,at,kw",
        "a,0,1e999",
        r#"not-finite: kw: "1e999" is not a finite number; leave it empty"#,
    );
    check("id,at", "", "empty: the record has no bytes");
}

#[test]
fn a_header_must_name_what_must_have_a_value() {
    let why = |header: &str| decoder(Some(header)).err().unwrap();
    assert_eq!(why("id,kw"), "the header lacks column at (it has: id, kw)");
    assert_eq!(why("id,at,id"), "the header names column id 2 times");
    assert_eq!(why("id,\"at"), "the header: a quote is opened and not closed");
}

#[test]
fn without_a_header_records_have_the_columns_in_their_order() {
    let row = r#"{"id":"m1","at":"1970-01-01T00:00:05Z","kw":1.5,"n":3,"ok":true,"note":"x"}"#;
    assert_eq!(found(None, "m1,5000,1.5,3,true,x"), row);
    assert_eq!(found(None, "m1,5000"), "malformed: 2 fields where the header has 6");
}

#[test]
fn a_record_is_one_line() {
    let row = |id: &str| {
        let middle = r#""at":"1970-01-01T00:00:00Z","kw":null,"n":null,"ok":null"#;
        format!(r#"{{"id":"{id}",{middle},"note":null}}"#)
    };
    for end in ["", "\n", "\r\n"] {
        check("at,id", &format!("0,a{end}"), &row("a"));
    }
    check("at,id", "0,\"a\nb\"\n", &row("a\\nb"));
    let two = "malformed: there is more than one line; a message is one record, and its header is \
               not in it";
    check("at,id", "0,a\n0,b", two);
    check("at,id", "0,a\n\n", two);
    check("at,id", "0,\"a\"\r\n0,\"b\"\r\n", two);
    check("at,id", "at,id\n0,a\n", two);
    check("at,id", "\n", "empty: the record is an empty line");
}

#[test]
fn a_record_says_when_it_arrived_only_where_the_medium_does_not_know() {
    let arrived = |arrival: Arrival| {
        let header = "id,at,arrived_at".as_bytes();
        let mut decoder = Decoder::csv(&schema(), Some(header), 1_000, arrival).unwrap();
        decoder.push(0, None, b"a,0,7");
        decoder.push(1, Some(Timestamp(9)), b"a,0,7");
        decoder.finish().arrived_at
    };
    assert_eq!(arrived(Arrival::OfRecord), [Some(Timestamp(7)), Some(Timestamp(9))]);
    assert_eq!(arrived(Arrival::OfMedium), [None, Some(Timestamp(9))]);
}

#[test]
fn an_open_quote_is_seen_only_where_a_field_begins() {
    let goes_on = |lines: &[&str]| {
        let mut quotes = Quotes::new();
        lines.iter().map(|line| quotes.feed(line.as_bytes())).collect::<Vec<_>>()
    };
    assert_eq!(goes_on(&["a,\"b\n", "c\n", "d\"\n"]), [true, true, false]);
    assert_eq!(goes_on(&["\"a\"\"b\n", "\"\n"]), [true, false]);
    assert_eq!(goes_on(&["a,\"b\",c\n"]), [false]);
    assert_eq!(goes_on(&["\"a,\",\"\"\n"]), [false]);
    assert_eq!(goes_on(&["5\" pipe,b\n"]), [false]);
}
