//! How an answer is written: for people, for spreadsheets, for programs.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches_with_schema;
use queries::table::Answer;

use super::Output;

/// Writes an answer.
///
/// # Errors
/// Nobody reads it.
pub(super) fn answer(answer: &Answer, output: Output, out: &mut dyn Write) -> anyhow::Result<()> {
    match output {
        Output::Table => {
            let Answer { schema, batches } = answer;
            let table = pretty_format_batches_with_schema(schema.clone(), batches)?;
            writeln!(out, "{table}")?;
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            writeln!(out, "{rows} {}", if rows == 1 { "row" } else { "rows" })?;
        }
        Output::Csv => {
            let builder = arrow::csv::WriterBuilder::new().with_header(true);
            let mut writer = builder.build(&mut *out);
            // An answer without rows has a header too.
            writer.write(&RecordBatch::new_empty(answer.schema.clone()))?;
            answer.batches.iter().try_for_each(|batch| writer.write(batch))?;
        }
        Output::Json => {
            let builder = arrow::json::writer::WriterBuilder::new().with_explicit_nulls(true);
            let mut writer = builder.build::<_, arrow::json::writer::JsonArray>(&mut *out);
            answer.batches.iter().try_for_each(|batch| writer.write(batch))?;
            writer.finish()?;
            writeln!(out)?;
        }
    }
    Ok(())
}
