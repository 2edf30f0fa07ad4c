//! Tests of what is said of Avro records, and of what is wrong with it.

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
