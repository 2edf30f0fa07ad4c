//! Tests of CSV records: quoting, NULL, types, refusals.

use std::sync::Arc;

use arrow_schema::DataType;
use arrow_schema::Field;
use arrow_schema::Schema;
use schemas::relation::timestamp_type;

use super::Quotes;
use crate::format::Decoder;
use crate::format::json;

fn schema() -> arrow_schema::SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("at", timestamp_type(), false),
        Field::new("kw", DataType::Float64, true),
        Field::new("n", DataType::Int64, true),
        Field::new("ok", DataType::Boolean, true),
        Field::new("note", DataType::Utf8, true),
    ]))
}

#[track_caller]
fn check(header: &str, record: &str, expected: &str) {
    let mut decoder = Decoder::csv(&schema(), header.as_bytes(), 1_000).unwrap();
    decoder.push(0, None, record.as_bytes());
    let decoded = decoder.finish();
    let found = match decoded.refused.first() {
        Some(refused) => format!("{}: {}", refused.reason.as_str(), refused.detail),
        None => json::encode(&decoded.rows).remove(0),
    };
    assert_eq!(found, expected);
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
    let why = |header: &str| Decoder::csv(&schema(), header.as_bytes(), 1_000).err().unwrap();
    assert_eq!(why("id,kw"), "the header lacks column at (it has: id, kw)");
    assert_eq!(why("id,at,id"), "the header names column id 2 times");
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
