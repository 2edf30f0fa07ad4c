//! Tests of object container files: codecs, going on at any record, and files that are broken.

use apache_avro::Codec;
use apache_avro::DeflateSettings;

use super::*;
use crate::format::avro::container::Container;

fn values(count: i64) -> Vec<Value> {
    let value = |n: i64| {
        let (id, at) = (("id", text(&format!("m{n}"))), ("at", Value::Long(n)));
        record(vec![id, at, ("kw", none()), ("n", some(Value::Long(n))), ("ok", none())])
    };
    (0..count).map(value).collect()
}

/// What is read from the record at `first` on, and how it ends.
fn read(file: &[u8], first: u64) -> (Vec<Vec<u8>>, Result<(), String>) {
    let mut records = Vec::new();
    let mut open = match Container::open(file) {
        Ok(open) => open,
        Err(detail) => return (records, Err(detail)),
    };
    match open.skip(first) {
        Ok(skipped) => assert!(skipped <= first),
        Err(detail) => return (records, Err(detail)),
    }
    loop {
        match open.next() {
            Ok(Some(record)) => records.push(record.to_vec()),
            Ok(None) => return (records, Ok(())),
            Err(detail) => return (records, Err(detail)),
        }
    }
}

#[test]
fn every_codec_gives_the_same_records_from_any_on() {
    let values = values(10);
    let data: Vec<_> = values.iter().map(|v| written::datum(WRITER, v.clone())).collect();
    for codec in [Codec::Null, Codec::Deflate(DeflateSettings::default()), Codec::Snappy] {
        for block in [1, 4, 100] {
            let file = written::container(WRITER, &values, codec, block);
            for first in 0..=10 {
                let expected = (data[first..].to_vec(), Ok(()));
                assert_eq!(read(&file, first as u64), expected, "{codec:?} {block} {first}");
            }
            let mut open = Container::open(file.as_slice()).unwrap();
            assert_eq!(open.skip(1_000), Ok(10), "there are no more");
        }
    }
}

#[test]
fn a_file_of_no_records_ends_at_once() {
    let file = written::container(WRITER, &[], Codec::Null, 1);
    assert_eq!(read(&file, 0), (Vec::new(), Ok(())));
}

#[test]
fn a_file_that_is_cut_gives_what_is_whole_and_then_says_so() {
    let file = written::container(WRITER, &values(8), Codec::Null, 4);
    for end in 0..file.len() {
        let (records, how) = read(&file[..end], 0);
        match how {
            // Cut between two blocks it is a file like any other.
            Ok(()) => assert!([0, 4].contains(&records.len()), "{end}"),
            Err(_) => assert!(records.is_empty() || records.len() == 4, "{end}"),
        }
    }
}

#[track_caller]
fn broken(file: &[u8], expected: &str) {
    assert_eq!(read(file, 0).1.unwrap_err(), expected);
}

#[test]
fn files_that_cannot_be_read_say_why() {
    broken(b"", "it is no Avro object container file");
    broken(b"PAR1 not really", "it is no Avro object container file");
    let file = written::container(WRITER, &values(2), Codec::Null, 2);
    let last = file.len() - 1;
    let mut other = file.clone();
    other[last] ^= 1;
    broken(&other, "a block does not end with the file's mark");

    // The head of the one block stands behind the mark that it ends with, too.
    let mark = &file[file.len() - 16..];
    let block = file.windows(16).position(|window| window == mark).unwrap() + 16;
    let mut other = file.clone();
    other[block] = 8;
    assert!(read(&other, 0).1.unwrap_err().contains("bytes should follow"), "four of two");
    other[block] = 2;
    assert!(read(&other, 0).1.unwrap_err().ends_with("follow the last record of a block"));
    other[block] = 1;
    broken(&other, "a block of less than no records");

    let head = |entries: &[(&str, &str)]| {
        let mut head = b"Obj\x01".to_vec();
        head.push(entries.len() as u8 * 2);
        for text in entries.iter().flat_map(|(name, value)| [name, value]) {
            head.push(text.len() as u8 * 2);
            head.extend_from_slice(text.as_bytes());
        }
        head.push(0);
        head.extend_from_slice(&[7; 16]);
        head
    };
    broken(&head(&[]), "its head has no schema");
    broken(&head(&[("avro.schema", "7")]), "its schema: 7 is no type");
    let least = r#"{"type":"record","name":"R","fields":[]}"#;
    let packed = [("avro.schema", least), ("avro.codec", "zstandard")];
    broken(
        &head(&packed),
        "its blocks are packed with \"zstandard\"; write it with null, deflate or snappy",
    );
    let mut none = head(&[("avro.schema", least)]);
    none.extend_from_slice(&[2, 0]);
    none.extend_from_slice(&[7; 16]);
    broken(&none, "a block of 1 records has only 0 bytes");
}

#[test]
fn a_block_that_is_damaged_is_not_unpacked() {
    for codec in [Codec::Deflate(DeflateSettings::default()), Codec::Snappy] {
        let mut file = written::container(WRITER, &values(50), codec, 50);
        let mark = file[file.len() - 16..].to_vec();
        let block = file.windows(16).position(|window| window == mark).unwrap() + 16;
        // Behind both numbers of the block's head; the last byte of a number has no high bit.
        let ends = (block..file.len()).filter(|at| file[*at] & 0x80 == 0);
        let begin = ends.take(2).last().unwrap() + 1;
        file[begin] = 0xff;
        assert!(read(&file, 0).1.is_err(), "{codec:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), ..Default::default() })]

    /// A file with any byte changed is read to its end or to where it is broken, and no further.
    #[test]
    fn any_damage_is_survived(at in 0..400_usize, to in any::<u8>()) {
        let mut file = written::container(WRITER, &values(6), Codec::Null, 3);
        let at = at % file.len();
        file[at] = to;
        let (records, how) = read(&file, 0);
        prop_assert!(records.len() <= 400 && (how.is_ok() || !how.unwrap_err().is_empty()));
    }
}
