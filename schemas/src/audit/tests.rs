//! The chain: order, numbering, what a link covers, what a break names.

use arrow_array::BooleanArray;
use arrow_array::DictionaryArray;
use arrow_array::Float64Array;
use arrow_array::Int32Array;
use arrow_array::StringArray;
use arrow_array::StringViewArray;
use arrow_array::TimestampMicrosecondArray;
use arrow_array::UInt16Array;
use arrow_array::UInt64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;

use super::canonical::Encoder;
use super::*;

const TICK: Timestamp = Timestamp(5_000);

fn head() -> Head {
    Head::genesis("north")
}

/// Records (subject, number, reason, value) as a batch of one float payload column.
fn batch(tick: Timestamp, rows: &[(&str, Option<u32>, &str, Option<f64>)]) -> RecordBatch {
    let mut records = Records::new(tick);
    for (subject, number, reason, _) in rows {
        let entry = Entry { subject, reason, actor: "guard", ..Entry::default() };
        match number {
            Some(number) => records.push_numbered(*number, &entry),
            None => records.push(&entry),
        }
    }
    assert_eq!(records.len(), rows.len());
    let values: Float64Array = rows.iter().map(|row| row.3).collect();
    let field = Field::new("power_kw", DataType::Float64, true);
    records.finish(vec![(field, Arc::new(values))]).unwrap()
}

fn link(batches: &[(Kind, RecordBatch)]) -> Links {
    chain(&head(), TICK, batches).unwrap()
}

#[track_caller]
fn check_order(rows: &[(&str, Option<u32>, &str, Option<f64>)], expected: &[(&str, i64)]) {
    let links = link(&[(Kind::Action, batch(TICK, rows))]);
    let ids = record_ids(Kind::Action, &links.batches[0].1).unwrap();
    let found: Vec<(&str, i64)> = ids.iter().map(|id| (id.subject.as_str(), id.sequence)).collect();
    assert_eq!(found, expected);
}

#[test]
fn kinds_are_declared_in_name_order() {
    assert!(Kind::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(Kind::ALL.windows(2).all(|pair| pair[0].name() < pair[1].name()));
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.name()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn records_are_numbered_within_their_subject() {
    check_order(
        &[("b", None, "", None), ("a", None, "x", None), ("a", None, "w", None)],
        &[("a", 0), ("a", 1), ("b", 0)],
    );
}

#[test]
fn records_in_order_keep_it_within_their_subject() {
    let mut records = Records::in_order(TICK);
    for (subject, reason) in [("b", "proposed"), ("a", "proposed"), ("b", "cleared")] {
        records.push(&Entry { subject, reason, ..Entry::default() });
    }
    let links = link(&[(Kind::Action, records.finish(Vec::new()).unwrap())]);
    let batch = &links.batches[0].1;
    let reasons = batch.column_by_name(REASON).unwrap().as_string::<i32>();
    let found: Vec<&str> = reasons.iter().flatten().collect();
    assert_eq!(found, ["proposed", "proposed", "cleared"]);
    let ids = record_ids(Kind::Action, batch).unwrap();
    assert_eq!(ids.iter().map(|id| id.sequence).collect::<Vec<_>>(), [0, 0, 1]);
}

#[test]
fn given_numbers_stand_and_others_follow_them() {
    check_order(
        &[("a", None, "", None), ("a", Some(7), "", None), ("a", Some(3), "", None)],
        &[("a", 3), ("a", 7), ("a", 8)],
    );
}

#[test]
fn a_number_given_twice_is_refused() {
    let rows = [("a", Some(1), "", None), ("a", Some(1), "other", None)];
    let error = chain(&head(), TICK, &[(Kind::Alarm, batch(TICK, &rows))]).unwrap_err();
    assert!(matches!(error, ChainError::Duplicate(id) if id.subject == "a" && id.sequence == 1));
}

#[test]
fn order_and_splitting_of_the_input_do_not_matter() {
    let rows = [("a", None, "1", None), ("a", None, "2", Some(1.5)), ("b", None, "3", Some(-0.25))];
    let whole = link(&[
        (Kind::Alarm, batch(TICK, &rows)),
        (Kind::Action, batch(TICK, &[("c", None, "", None)])),
    ]);
    let split = link(&[
        (Kind::Action, batch(TICK, &[("c", None, "", None)])),
        (Kind::Alarm, batch(TICK, &[rows[2], rows[0]])),
        (Kind::Alarm, batch(TICK, &[rows[1]])),
    ]);
    assert_eq!(whole.head, split.head);
    assert_eq!(whole.batches, split.batches);
    assert_eq!(whole.head.count, 4);
    assert_eq!(whole.batches[0].0, Kind::Action);
}

#[test]
fn instance_tick_kind_and_every_value_change_the_link() {
    let rows = [("a", None, "r", Some(1.0))];
    let base = link(&[(Kind::Action, batch(TICK, &rows))]).head.hash;
    let others = [
        chain(&Head::genesis("south"), TICK, &[(Kind::Action, batch(TICK, &rows))]).unwrap(),
        chain(&head(), Timestamp(10_000), &[(Kind::Action, batch(Timestamp(10_000), &rows))])
            .unwrap(),
        link(&[(Kind::Alarm, batch(TICK, &rows))]),
        link(&[(Kind::Action, batch(TICK, &[("a", None, "r", None)]))]),
        link(&[(Kind::Action, batch(TICK, &[("a", None, "r", Some(-1.0))]))]),
        link(&[(Kind::Action, batch(TICK, &[("a", Some(1), "r", Some(1.0))]))]),
        link(&[(Kind::Action, batch(TICK, &[("ar", None, "", Some(1.0))]))]),
    ];
    for other in others {
        assert_ne!(other.head.hash, base);
    }
}

#[test]
fn what_cannot_be_linked_is_refused_by_name() {
    let good = batch(TICK, &[("a", None, "", None)]);
    let of_other_tick = chain(&head(), Timestamp(10_000), &[(Kind::Action, good.clone())]);
    assert!(matches!(of_other_tick, Err(ChainError::Tick { found: TICK, .. })));
    let later = Head { tick: TICK, ..head() };
    let again = chain(&later, TICK, &[(Kind::Action, good.clone())]);
    assert!(matches!(again, Err(ChainError::TickOrder { .. })));
    let cut = good.project(&[0, 1, 3]).unwrap();
    let error = chain(&head(), TICK, &[(Kind::Action, cut)]).unwrap_err().to_string();
    assert_eq!(
        error,
        "audit batch of kind action: column 2 must be subject: Utf8, not actor: Utf8"
    );
    let linked = link(&[(Kind::Action, good)]).batches.remove(0);
    let error = chain(&head(), TICK, &[linked]).unwrap_err();
    assert!(matches!(error, ChainError::HashColumn { column: PREVIOUS_HASH, .. }));
}

#[test]
fn both_spellings_check_and_lead_to_each_other() {
    let rows = [("a", None, "1", None), ("b", None, "2", Some(2.0)), ("c", None, "3", None)];
    let links = link(&[(Kind::Alarm, batch(TICK, &rows))]);
    let (kind, shown) = &links.batches[0];
    let (first, stored) = compact(*kind, shown).unwrap();
    assert_eq!(first, head().hash);
    assert_eq!(links.stored, [(*kind, first, stored.clone())]);
    for batch in [shown, &stored] {
        let checked = check(&head().hash, None, *kind, batch).unwrap();
        assert_eq!(checked.breaks, []);
        assert_eq!(checked.hash, links.head.hash);
        assert_eq!(checked.last.unwrap().subject, "c");
    }
    assert_eq!(&expand(*kind, &first, &stored).unwrap(), shown);
}

fn replaced(batch: &RecordBatch, column: &str, values: ArrayRef) -> RecordBatch {
    let (position, _) = batch.schema_ref().column_with_name(column).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[position] = values;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn four() -> RecordBatch {
    let rows = ["a", "b", "c", "d"].map(|subject| (subject, None, "why", Some(1.0)));
    let links = link(&[(Kind::Action, batch(TICK, &rows))]);
    compact(Kind::Action, &links.batches[0].1).unwrap().1
}

#[track_caller]
fn check_breaks(batch: &RecordBatch, expected: &[&str]) {
    let checked = check(&head().hash, None, Kind::Action, batch).unwrap();
    let found: Vec<String> = checked.breaks.iter().map(|b| b.record.subject.clone()).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_edited_value_breaks_its_record_alone() {
    let values = Float64Array::from(vec![1.0, 1.0, 9.0, 1.0]);
    check_breaks(&replaced(&four(), "power_kw", Arc::new(values)), &["c"]);
}

#[test]
fn a_value_made_null_breaks_its_record() {
    let values = Float64Array::from(vec![Some(1.0), None, Some(1.0), Some(1.0)]);
    check_breaks(&replaced(&four(), "power_kw", Arc::new(values)), &["b"]);
}

#[test]
fn a_deleted_record_breaks_the_next() {
    let rest = arrow_select::concat::concat_batches(
        &four().schema(),
        [&four().slice(0, 1), &four().slice(2, 2)],
    );
    check_breaks(&rest.unwrap(), &["c"]);
}

#[test]
fn swapped_records_break_the_order() {
    let whole = four();
    let parts = [0, 2, 1, 3].map(|row| whole.slice(row, 1));
    let swapped = arrow_select::concat::concat_batches(&whole.schema(), &parts).unwrap();
    let checked = check(&head().hash, None, Kind::Action, &swapped).unwrap();
    assert!(matches!(checked.breaks[0].kind, BreakKind::Hash { .. }));
    assert_eq!(checked.breaks[0].record.subject, "c");
    assert!(checked.breaks.iter().any(|b| matches!(b.kind, BreakKind::Order { .. })));
}

fn encoded(column: ArrayRef) -> Vec<u8> {
    let field = Field::new("x", column.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap();
    let mut out = Vec::new();
    Encoder::new(&batch, &[]).unwrap().encode(0, &mut out);
    out
}

#[test]
fn the_encoding_speaks_of_values_not_of_their_layout() {
    let text = encoded(Arc::new(StringArray::from(vec!["on"])));
    assert_eq!(text, b"\x01\0\0\0x\x05\x02\0\0\0on");
    assert_eq!(text, encoded(Arc::new(StringViewArray::from(vec!["on"]))));
    let dictionary: DictionaryArray<Int32Type> = ["on"].into_iter().collect();
    assert_eq!(text, encoded(Arc::new(dictionary)));
    let integer = encoded(Arc::new(Int32Array::from(vec![7])));
    assert_eq!(integer, encoded(Arc::new(UInt16Array::from(vec![7]))));
    assert_eq!(integer, b"\x01\0\0\0x\x02\x08\0\0\0\x07\0\0\0\0\0\0\0");
    assert_ne!(
        encoded(Arc::new(Int64Array::from(vec![-1]))),
        encoded(Arc::new(UInt64Array::from(vec![u64::MAX])))
    );
    let ms = TimestampMillisecondArray::from(vec![3]).with_timezone(UTC);
    let us = TimestampMicrosecondArray::from(vec![3_000]).with_timezone(UTC);
    assert_eq!(encoded(Arc::new(ms)), encoded(Arc::new(us)));
    assert_eq!(encoded(Arc::new(BooleanArray::from(vec![None]))), b"");
    let quiet = f64::from_bits(0x7ff8_0000_0000_0001);
    assert_eq!(
        encoded(Arc::new(Float64Array::from(vec![quiet]))),
        encoded(Arc::new(Float64Array::from(vec![-f64::NAN])))
    );
}

#[test]
fn a_hash_is_read_back_from_its_text() {
    let hash = head().hash;
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert!("0g".repeat(32).parse::<Hash>().is_err());
    assert!("00".parse::<Hash>().is_err());
}

#[test]
fn the_chain_is_the_one_that_was_promised() {
    // Computed from the encoding as documented, with another implementation of SHA-256; it may
    // change with the encoding's version only.
    let rows = [("a", None, "r", Some(1.0)), ("b", None, "r", None)];
    let links = link(&[(Kind::Action, batch(TICK, &rows))]);
    let promised = "9998488c5c57f00a4660dc940bd48e554c69dbaf9f20dbead64a62cd2cf70a77";
    assert_eq!(links.head.hash.to_string(), promised);
}
