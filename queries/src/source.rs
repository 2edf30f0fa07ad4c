//! From text to source: `CREATE SOURCE name (columns) WITH (options)`.
//!
//! A source of the user's own is a stream and the door that feeds it. The columns are written as
//! those of a table; what is said of the stream ([`OF_STREAM`]) and which kind of door it is stand
//! among the options, and all other options are the door's, as in the configuration. The statement
//! is all there is to know of a source, so it is what the audit log keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast;
use schemas::catalog::DEFAULT_LATENESS_MS;
use schemas::catalog::DEFAULT_RETAIN_MS;
use schemas::catalog::StreamSettings;
use schemas::contract::SourcePlan;
use schemas::event::Envelope;
use schemas::event::StreamDef;
use schemas::relation::timestamp_type;
use serde_json::Value;

use crate::plan::refuse::PlanError;
use crate::plan::refuse::nearest;
use crate::plan::statement;
use crate::plan::statement::millis;

/// What may be said of the stream itself.
pub const OF_STREAM: [&str; 6] =
    ["kind", "event_time", "envelope", "lateness", "retain", "out_of_order"];

/// A source, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceStatement {
    /// The stream and its door.
    pub plan: SourcePlan,
    /// Whether a source of that name may be there already.
    pub if_not_exists: bool,
}

/// Whether a text creates a source.
pub fn is_source(sql: &str) -> bool {
    let mut words = sql.split_whitespace();
    let mut next = |word: &str| words.next().is_some_and(|w| w.eq_ignore_ascii_case(word));
    next("CREATE") && next("SOURCE")
}

/// The source that a text creates.
///
/// # Errors
/// The text is no such statement, or says of the stream what there is not.
pub fn source(sql: &str) -> Result<SourceStatement, PlanError> {
    let expected = "CREATE SOURCE name (columns) WITH (kind = …, event_time = …, …)";
    // The parser knows tables with options; places in the text stay, since both words are as long
    // as each other with a space more.
    let at = sql.to_uppercase().find("SOURCE").filter(|_| is_source(sql));
    let Some(at) = at else { return Err(wrong(expected, "another statement", "")) };
    let text = format!("{}TABLE {}", &sql[..at], &sql[at + "SOURCE".len()..]);
    let ast::Statement::CreateTable(table) = statement::one(&text)? else {
        return Err(wrong(expected, "another statement", ""));
    };
    if table.query.is_some() || table.or_replace || table.temporary {
        return Err(wrong(expected, "AS, OR REPLACE or TEMPORARY", "write it without"));
    }
    let ast::CreateTableOptions::With(options) = &table.table_options else {
        let hint = "add WITH (kind = 'file', path = '…', event_time = '…')";
        return Err(wrong(expected, "no options", hint));
    };
    let (schema, key) = columns(&table)?;
    let mut options = values(options)?;
    if let Some(Value::String(schema)) = options.get("avro_schema")
        && !schema.trim_start().starts_with('{')
    {
        let hint = "write the schema itself: '{\"type\": \"record\", …}'";
        return Err(option("avro_schema", "a statement names no file of the server", hint));
    }
    let mut text_of = |name: &str| match options.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(option(name, &format!("{other} is no text"), "write it in quotes")),
    };
    let kind = text_of("kind")?.ok_or_else(|| option("kind", "it is missing", "kind = 'file'"))?;
    let event_time = text_of("event_time")?
        .ok_or_else(|| option("event_time", "it is missing", "name the column of the time"))?;
    let field = schema.field_with_name(&event_time);
    if !field.is_ok_and(|field| *field.data_type() == timestamp_type()) {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let hint = format!("declare a column TIMESTAMP NOT NULL; {}", nearest(&event_time, names));
        return Err(option("event_time", &format!("{event_time} is no instant"), &hint));
    }
    let envelope = match text_of("envelope")?.as_deref() {
        None | Some("append") => Envelope::Append,
        Some("upsert") if key.is_empty() => {
            return Err(option("envelope", "an upsert needs a key", "add PRIMARY KEY (…)"));
        }
        Some("upsert") => Envelope::Upsert,
        Some(other) => {
            return Err(option("envelope", &format!("there is no {other}"), "append or upsert"));
        }
    };
    let mut length = |name: &str, usual: u64| match text_of(name)? {
        None => Ok(usual),
        Some(text) => millis(&text).ok_or_else(|| {
            option(name, &format!("{text:?} is no length of time"), "write '90 s' or '2 days'")
        }),
    };
    let lateness_ms = length("lateness", DEFAULT_LATENESS_MS)?;
    let retain_ms = length("retain", DEFAULT_RETAIN_MS.max(lateness_ms))?;
    let out_of_order_ms = length("out_of_order", 0)?;
    if retain_ms > 0 && retain_ms < lateness_ms {
        let hint = "what may still be corrected must still be there: lower lateness too";
        return Err(option("retain", "it is shorter than lateness", hint));
    }
    let name = name_of(&table.name)?;
    let def = StreamDef { name, schema: Arc::new(schema), event_time, key, envelope };
    let settings = StreamSettings { def, lateness_ms, retain_ms };
    let sql = sql.trim().to_owned();
    let plan = SourcePlan { settings, kind, out_of_order_ms, options, sql };
    Ok(SourceStatement { plan, if_not_exists: table.if_not_exists })
}

fn wrong(expected: &'static str, found: &str, hint: &str) -> PlanError {
    PlanError::Statement { expected, found: found.to_owned(), hint: hint.to_owned() }
}

fn option(name: &str, message: &str, hint: &str) -> PlanError {
    PlanError::Option { message: format!("{name}: {message}"), hint: hint.to_owned(), at: None }
}

/// A name of one part, or `public.name`.
fn name_of(name: &ast::ObjectName) -> Result<String, PlanError> {
    let parts: Vec<String> = (name.0.iter())
        .filter_map(|part| part.as_ident())
        .map(|ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_lowercase(),
        })
        .collect();
    match parts.as_slice() {
        [name] => Ok(name.clone()),
        [schema, name] if schema == "public" => Ok(name.clone()),
        _ => Err(wrong("a name", &name.to_string(), "sources are in the schema public")),
    }
}

/// The columns and the key.
fn columns(table: &ast::CreateTable) -> Result<(Schema, Vec<String>), PlanError> {
    let mut fields = Vec::new();
    let mut key = Vec::new();
    for column in &table.columns {
        let kind = type_of(&column.data_type)?;
        let mut nullable = true;
        for option in &column.options {
            match &option.option {
                ast::ColumnOption::NotNull => nullable = false,
                ast::ColumnOption::Null => {}
                ast::ColumnOption::PrimaryKey(_) => {
                    nullable = false;
                    key.push(column.name.value.clone());
                }
                other => {
                    let hint = "there are NOT NULL and PRIMARY KEY";
                    return Err(wrong("a column", &other.to_string(), hint));
                }
            }
        }
        fields.push(Field::new(&column.name.value, kind, nullable));
    }
    for constraint in &table.constraints {
        let ast::TableConstraint::PrimaryKey(primary) = constraint else {
            return Err(wrong("PRIMARY KEY (…)", &constraint.to_string(), "leave it out"));
        };
        key.extend(primary.columns.iter().map(|column| column.column.expr.to_string()));
    }
    for name in &key {
        if !fields.iter().any(|field| field.name() == name) {
            let hint = nearest(name, fields.iter().map(|field| field.name().as_str()));
            return Err(wrong("a column of the source as its key", name, &hint));
        }
    }
    Ok((Schema::new(fields), key))
}

/// The types that a column may have, as in the configuration.
fn type_of(kind: &ast::DataType) -> Result<DataType, PlanError> {
    match kind {
        ast::DataType::Text | ast::DataType::Varchar(_) | ast::DataType::String(_) => {
            Ok(DataType::Utf8)
        }
        ast::DataType::DoublePrecision
        | ast::DataType::Double(_)
        | ast::DataType::Float8
        | ast::DataType::Float64 => Ok(DataType::Float64),
        ast::DataType::BigInt(_)
        | ast::DataType::Int8(_)
        | ast::DataType::Int(_)
        | ast::DataType::Integer(_) => Ok(DataType::Int64),
        ast::DataType::Boolean | ast::DataType::Bool => Ok(DataType::Boolean),
        ast::DataType::Timestamp(..) => Ok(timestamp_type()),
        other => {
            let hint = "there are TEXT, DOUBLE PRECISION, BIGINT, BOOLEAN and TIMESTAMP";
            Err(wrong("a type of a stream's column", &other.to_string(), hint))
        }
    }
}

/// The options as the doors read them; a dot in a name parts a section from its key.
fn values(options: &[ast::SqlOption]) -> Result<BTreeMap<String, Value>, PlanError> {
    let mut values = BTreeMap::new();
    for given in options {
        let ast::SqlOption::KeyValue { key, value } = given else {
            return Err(wrong("name = value", &given.to_string(), ""));
        };
        let value = match value {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::SingleQuotedString(text) => Value::String(text.clone()),
                ast::Value::Boolean(on) => Value::Bool(*on),
                ast::Value::Number(digits, _) => number(digits),
                other => return Err(option(&key.value, &format!("{other} is no value"), "")),
            },
            other => return Err(option(&key.value, &format!("{other} is no value"), "")),
        };
        match key.value.split_once('.') {
            None => {
                values.insert(key.value.clone(), value);
            }
            Some((section, name)) => {
                let section = values.entry(section.to_owned());
                let section = section.or_insert_with(|| Value::Object(serde_json::Map::new()));
                if let Value::Object(section) = section {
                    section.insert(name.to_owned(), value);
                }
            }
        }
    }
    Ok(values)
}

fn number(digits: &str) -> Value {
    let whole = digits.parse::<i64>().ok().map(Value::from);
    let real = || digits.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    whole.or_else(|| real().map(Value::Number)).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_stream_and_its_door() {
        let sql = "CREATE SOURCE IF NOT EXISTS chargers (charger_id TEXT NOT NULL, at TIMESTAMP \
                   NOT NULL, kw DOUBLE PRECISION, PRIMARY KEY (charger_id)) WITH (kind = 'kafka', \
                   topic = 'c', envelope = 'upsert', event_time = 'at', lateness = '2 hours', \
                   timeout_ms = 500, \"options.sasl.mechanism\" = 'PLAIN')";
        let SourceStatement { plan, if_not_exists } = source(sql).unwrap();
        assert!(if_not_exists);
        let def = &plan.settings.def;
        assert_eq!((def.name.as_str(), def.event_time.as_str()), ("chargers", "at"));
        assert_eq!(
            (def.key.as_slice(), def.envelope),
            (&["charger_id".into()][..], Envelope::Upsert)
        );
        assert_eq!(plan.settings.lateness_ms, 7_200_000);
        assert_eq!(plan.settings.retain_ms, DEFAULT_RETAIN_MS);
        let options = serde_json::to_string(&plan.options).unwrap();
        assert_eq!(
            options,
            r#"{"options":{"sasl.mechanism":"PLAIN"},"timeout_ms":500,"topic":"c"}"#
        );
    }

    #[track_caller]
    fn refused(sql: &str, said: &str) {
        let error = source(sql).unwrap_err();
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn what_there_is_not_is_refused_by_name() {
        refused("CREATE SOURCE s (at TIMESTAMP)", "no options");
        refused("CREATE SOURCE s (at TIMESTAMP) WITH (path = 'x')", "kind: it is missing");
        let with = |rest: &str| format!("CREATE SOURCE s (at TIMESTAMP, k JSON) WITH ({rest})");
        refused(&with("kind = 'file'"), "a type of a stream's column");
        let with = |rest: &str| {
            format!("CREATE SOURCE s (at TIMESTAMP, k TEXT) WITH (kind = 'file', {rest})")
        };
        refused(&with("event_time = 'k'"), "k is no instant");
        refused(&with("event_time = 'at', envelope = 'upsert'"), "an upsert needs a key");
        refused(&with("event_time = 'at', lateness = 'soon'"), "\"soon\" is no length of time");
        refused(&with("event_time = 'at', lateness = '2 h', retain = '1 h'"), "shorter than");
        refused("CREATE TABLE s (at TIMESTAMP)", "another statement");
        refused(&with("event_time = 'at', avro_schema = '/etc/passwd'"), "names no file");
    }

    #[test]
    fn an_avro_schema_stands_in_the_statement() {
        let sql = "CREATE SOURCE s (at TIMESTAMP) WITH (kind = 'kafka', format = 'avro', \
                   event_time = 'at', avro_schema = ' {\"type\": \"record\"}')";
        let plan = source(sql).unwrap().plan;
        assert_eq!(plan.options["avro_schema"], r#" {"type": "record"}"#);
    }

    #[test]
    fn lengths_of_time_have_units() {
        assert_eq!(millis("90 s"), Some(90_000));
        assert_eq!(millis("2days"), Some(172_800_000));
        assert_eq!(millis("5"), None);
    }
}
