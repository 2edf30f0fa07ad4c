//! Reference tables from Parquet files, with the columns that the catalog says.
//!
//! A file that stands in for a built-in table is matched by column name; its columns may come in
//! any order, and others than the table's are left out. A table of the user's own has the columns
//! of its file. Either way the types become ours: text, double, bigint, boolean, and instants of
//! milliseconds in UTC.
//!
//! A simulator brings the tables of its village. One that is configured goes before it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::RecordBatch;
use arrow::array::new_null_array;
use arrow::compute::CastOptions;
use arrow::compute::cast_with_options;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use connectors::registry::SIMULATOR;
use connectors::simulator::SimulatorConfig;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::catalog::Catalog;
use schemas::catalog::RelationInfo;
use schemas::catalog::RelationKind;
use schemas::relation::timestamp_type;

use crate::config::Config;
use crate::config::Door;
use crate::config::Source;
use crate::problem::Problem;
use crate::problem::nearest;
use crate::wiring::bundled;

/// Reads the configured tables, and the catalog with those of the user's own.
pub fn load(config: &Config) -> (Catalog, Vec<(String, RecordBatch)>, Vec<Problem>) {
    let mut catalog = config.catalog.clone();
    let mut loaded = Vec::new();
    let mut problems = Vec::new();
    for (name, table) in &config.tables {
        let wrong = |mistake: Mistake| {
            Problem::new(&config.file, mistake.message)
                .at(table.line, format!("tables.{name}"))
                .hint(mistake.hint)
        };
        let info = config.catalog.get(name);
        if info.is_some_and(|info| info.kind != RelationKind::Table) {
            let message = format!("{name} is no reference table");
            problems.push(wrong(Mistake::new(message, "its rows come from connectors or agents")));
            continue;
        }
        let read = read(&table.path).and_then(|batch| match info {
            Some(info) => fit(&batch, &info.schema),
            None => fit(&batch, &own_schema(&batch.schema())?),
        });
        match read {
            Err(mistake) => problems.push(wrong(mistake)),
            Ok(batch) => {
                let info = RelationInfo { schema: batch.schema(), kind: RelationKind::Table };
                catalog.add(name, info);
                loaded.push((name.clone(), batch));
            }
        }
    }
    let simulated = config.sources.iter().find(|source| source.door.kind == SIMULATOR);
    let own = simulated.map(village).unwrap_or_default();
    loaded.extend(own.into_iter().filter(|(name, _)| !config.tables.contains_key(name)));
    (catalog, loaded, problems)
}

/// The tables of a simulated village. What is wrong with its options is found where sources are
/// checked.
fn village(source: &Source) -> Vec<(String, RecordBatch)> {
    let Door { name, options, .. } = &source.door;
    let plant = SimulatorConfig::read(name, options).ok().zip(bundled::plant_data().ok());
    let plant = plant.and_then(|(config, data)| config.plant(name, data).ok());
    plant.map(|plant| bundled::tables(&plant)).unwrap_or_default()
}

/// What is wrong with a file, and a way round.
struct Mistake {
    message: String,
    hint: String,
}

impl Mistake {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Mistake {
        Mistake { message: message.into(), hint: hint.into() }
    }
}

fn read(path: &Path) -> Result<RecordBatch, Mistake> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        let hint = "relative paths start at the folder of the configuration file";
        Mistake::new(format!("{shown} cannot be opened: {error}"), hint)
    })?;
    let unreadable = |error: &dyn std::fmt::Display| {
        let message = format!("{shown} cannot be read: {error}");
        Mistake::new(message, "reference tables are Parquet files, uncompressed or Snappy")
    };
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(&error))?;
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(|error| unreadable(&error))?;
    let batches: Result<Vec<_>, _> = reader.collect();
    let batches = batches.map_err(|error| unreadable(&error))?;
    concat_batches(&schema, &batches).map_err(|error| unreadable(&error))
}

/// The columns of `schema` from a file's batch, by name.
fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Mistake> {
    let found = batch.schema();
    let names = || found.fields().iter().map(|field| field.name().as_str());
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let column = |field: &Arc<Field>| -> Result<ArrayRef, Mistake> {
        let name = field.name();
        let Some(values) = batch.column_by_name(name) else {
            // What may be NULL need not be there: a table grows columns, files do not.
            if field.is_nullable() {
                return Ok(new_null_array(field.data_type(), batch.num_rows()));
            }
            let message = format!("column {name} is missing in the file");
            return Err(Mistake::new(message, nearest(name, names())));
        };
        let (from, to) = (values.data_type(), field.data_type());
        let values = cast_with_options(values, to, &options).map_err(|error| {
            let message = format!("column {name} is {from}, not {to}: {error}");
            Mistake::new(message, "write the file with the types of the built-in table")
        })?;
        if values.null_count() > 0 && !field.is_nullable() {
            let message = format!("column {name} has NULLs, and may have none");
            return Err(Mistake::new(message, "give every row a value"));
        }
        Ok(values)
    };
    let columns: Result<Vec<_>, _> = schema.fields().iter().map(column).collect();
    let fitted = RecordBatch::try_new(schema.clone(), columns?);
    fitted.map_err(|error| Mistake::new(error.to_string(), "check the file's columns"))
}

/// The columns of a file with the nearest types of ours.
fn own_schema(found: &SchemaRef) -> Result<SchemaRef, Mistake> {
    let field = |field: &Arc<Field>| {
        let ours = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
            DataType::Boolean => DataType::Boolean,
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => timestamp_type(),
            kind if kind.is_integer() => DataType::Int64,
            kind if kind.is_floating() => DataType::Float64,
            kind => {
                let message = format!("column {} is {kind}, which no view can read", field.name());
                let hint = "write it as text, number, boolean or timestamp, or leave it out";
                return Err(Mistake::new(message, hint));
            }
        };
        Ok(Field::new(field.name(), ours, field.is_nullable()))
    };
    let fields: Result<Vec<_>, _> = found.fields().iter().map(field).collect();
    Ok(Arc::new(Schema::new(fields?)))
}
