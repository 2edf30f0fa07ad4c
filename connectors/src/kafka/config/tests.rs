//! Tests of what is said of a topic's format, and of what is wrong with it.

use std::fs;

use serde_json::json;

use super::*;

const SCHEMA: &str = r#" {"type":"record","name":"R","fields":[{"name":"at","type":"long"}]}"#;

fn read(more: Value, base: &Path) -> Result<KafkaFormat, String> {
    let mut values = json!({"brokers": "x:1", "topic": "t"});
    let (Value::Object(values), Value::Object(more)) = (&mut values, more) else {
        panic!("two objects");
    };
    values.extend(more);
    let values: BTreeMap<String, Value> = values.clone().into_iter().collect();
    let read = KafkaSourceConfig::read("s", &values, base);
    let text = |error: ConnectorError| {
        let findings = error.findings();
        let texts: Vec<String> = findings.iter().map(Finding::to_string).collect();
        texts.join("; ").replace(&base.display().to_string(), "DIR")
    };
    read.map(|config| config.format).map_err(text)
}

fn avro(framing: Framing) -> Result<KafkaFormat, String> {
    let schema = AvroSchema::parse(SCHEMA).unwrap();
    Ok(KafkaFormat::Avro(AvroConfig { schema, framing }))
}

#[test]
fn a_schema_stands_in_the_configuration_or_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("r.avsc"), SCHEMA).unwrap();
    let read = |more: Value| read(more, folder.path());
    for schema in [SCHEMA, "r.avsc"] {
        let found = read(json!({"format": "avro", "avro_schema": schema}));
        assert_eq!(found, avro(Framing::Any), "{schema}");
    }
    assert_eq!(read(json!({})), Ok(KafkaFormat::Json));
    assert_eq!(read(json!({"format": "json"})), Ok(KafkaFormat::Json));
    let framed = |more: Value| {
        let mut all = json!({"format": "avro", "avro_schema": "r.avsc"});
        let (Value::Object(all), Value::Object(more)) = (&mut all, more) else {
            panic!("two objects");
        };
        all.extend(more);
        read(Value::Object(all.clone()))
    };
    assert_eq!(framed(json!({"avro_framing": "none"})), avro(Framing::Bare));
    assert_eq!(framed(json!({"avro_framing": "confluent"})), avro(Framing::Confluent(None)));
    assert_eq!(framed(json!({"avro_framing": "single-object"})), avro(Framing::SingleObject));
    assert_eq!(framed(json!({"avro_schema_id": 7})), avro(Framing::Confluent(Some(7))));
}

#[test]
fn formats_have_the_names_that_those_of_files_have() {
    let here = Path::new(".");
    let csv = |header: Option<&str>| Ok(KafkaFormat::Csv { header: header.map(str::to_owned) });
    assert_eq!(read(json!({"format": "csv"}), here), csv(None));
    assert_eq!(read(json!({"format": "csv", "header": "a,\"b\""}), here), csv(Some("a,\"b\"")));
    assert_eq!(read(json!({"format": "arrow-ipc"}), here), Ok(KafkaFormat::ArrowIpc));
    for (name, _) in FORMATS {
        let path = format!("x.{}", if name == "arrow-ipc" { "arrow" } else { name });
        let values = json!({"path": path, "format": if name == "json" { "ndjson" } else { name }});
        let Value::Object(values) = values else { panic!("an object") };
        let values: BTreeMap<String, Value> = values.into_iter().collect();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(&path), "").unwrap();
        let file = crate::file::FileSourceConfig::read("s", &values, folder.path()).unwrap();
        assert_eq!(file.files.len(), 1, "{name}");
    }
}

#[test]
fn what_goes_with_another_format_is_told() {
    let check = |more: Value, expected: &str| {
        assert_eq!(read(more, Path::new(".")).unwrap_err(), expected);
    };
    let of_csv = "`header`: is for CSV records (say format = \"csv\")";
    check(json!({"header": "a,b"}), of_csv);
    check(json!({"format": "arrow-ipc", "header": "a,b"}), of_csv);
    check(
        json!({"format": "csv", "avro_schema": SCHEMA, "avro_schema_id": 7}),
        "`avro_schema`: is for Avro records (say format = \"avro\"); `avro_schema_id`: is for Avro \
         records (say format = \"avro\")",
    );
    check(
        json!({"format": "arrow-ipc", "avro_framing": "none"}),
        "`avro_framing`: is for Avro records (say format = \"avro\")",
    );
    check(
        json!({"format": "cvs", "header": "a,b"}),
        "`format`: \"cvs\" is not one of json, csv, avro, arrow-ipc (did you mean \"csv\"?)",
    );
    check(
        json!({"format": "csv", "heder": "a,b"}),
        "`heder`: is not an option of this kind (did you mean `header`?)",
    );
    check(
        json!({"format": "csv", "header": "a,\"b"}),
        "`header`: a quote is opened and not closed",
    );
    check(json!({"format": "csv", "header": ["a"]}), "`header`: expected a text, found [\"a\"]");
}

#[test]
fn mistakes_are_told_with_where_and_how_to_mend_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.avsc"), "{").unwrap();
    let check = |more: Value, expected: &str| {
        assert_eq!(read(more, folder.path()).unwrap_err(), expected);
    };
    check(
        json!({"format": "avro"}),
        "`avro_schema`: is missing: the schema of the records, as a path of a file or as its JSON",
    );
    check(
        json!({"avro_schema": SCHEMA}),
        "`avro_schema`: is for Avro records (say format = \"avro\")",
    );
    check(
        json!({"format": "avro", "avro_schema": "none.avsc"}),
        "`avro_schema`: DIR/none.avsc does not exist (relative paths start at the folder of the \
         configuration file; the schema's JSON may stand here too)",
    );
    check(
        json!({"format": "avro", "avro_schema": "bad.avsc"}),
        "`avro_schema`: DIR/bad.avsc: not JSON: EOF while parsing an object at line 1 column 1",
    );
    check(
        json!({"format": "avro", "avro_schema": "{}", "avro_framing": "confluence"}),
        "`avro_framing`: \"confluence\" is not one of none, confluent, single-object (did you mean \
         \"confluent\"?); `avro_schema`: \"type\" is missing",
    );
    check(
        json!({"format": "avro", "avro_schema": SCHEMA, "avro_framing": "none",
            "avro_schema_id": 7}),
        "`avro_schema_id`: only records of Confluent's wire format have one (leave it out, or say \
         avro_framing = \"confluent\")",
    );
}
