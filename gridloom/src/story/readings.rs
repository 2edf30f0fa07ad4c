//! The readings behind what an action saw: rows of the tick log, and how far the sources were.
//!
//! A step says which values it looked at and when they were measured. The tick log holds the rows
//! themselves, so what is printed is the input and not a memory of it.
//!
//! # Bounds
//!
//! [`BEFORE_MS`] of ticks before the action are read; nothing older is decided on.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use pipeline::ingest::Progress;
use pipeline::log::LogError;
use pipeline::log::read_commits;
use schemas::event::AssetTelemetry;
use schemas::event::Command;
use schemas::event::ScadaMeasurement;
use schemas::relation::Relation;
use schemas::time::Timestamp;

use super::Step;
use super::Texts;
use super::instant;
use super::number;

/// How long before an action what it saw may have come in: far more than is still decided on.
const BEFORE_MS: u64 = 300_000;

/// Source positions that are printed of one tick.
const POSITIONS: usize = 8;

/// What the steps of an action cite.
#[derive(Debug, Default)]
struct Cited {
    asset: String,
    /// When the device's telemetry was measured.
    asset_at: BTreeSet<String>,
    /// When the feeder's head was measured, with its power in kW.
    head: BTreeSet<(String, String)>,
    command_ids: BTreeSet<String>,
}

impl Cited {
    fn of(steps: &[Step]) -> Cited {
        let asset = steps.first().map_or(String::new(), |step| step.asset.clone());
        let mut cited = Cited { asset, ..Cited::default() };
        for part in steps.iter().flat_map(|step| step.saw.split("; ")) {
            let value = |name: &str| {
                let mut pairs = part.split(' ').filter_map(|pair| pair.split_once('='));
                pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
            };
            let measured_at = value("measured_at");
            match part.trim().split('@').next().unwrap_or_default() {
                "asset_state" => cited.asset_at.extend(measured_at),
                "feeder_now" => cited.head.extend(measured_at.zip(value("head_kw"))),
                "commands" => cited.command_ids.extend(value("command_id")),
                _ => {}
            }
        }
        cited
    }

    /// Whether a row of a stream is one that was seen.
    fn holds(&self, stream: &str, batch: &RecordBatch, row: usize) -> bool {
        let text = |name: &str| Texts::of(batch, name).at(row);
        let measured_at = || instant(batch, "measured_at", row).to_string();
        match stream {
            AssetTelemetry::NAME => {
                text("asset_id") == self.asset && self.asset_at.contains(&measured_at())
            }
            ScadaMeasurement::NAME => {
                let value = format!("{:.3}", number(batch, "value", row));
                self.head.contains(&(measured_at(), value))
            }
            Command::NAME => self.command_ids.contains(text("command_id")),
            _ => false,
        }
    }
}

/// The rows that the steps of an action looked at, a line each, and where the sources were.
pub(super) fn find(dir: &Path, steps: &[Step]) -> Result<Vec<String>, LogError> {
    let cited = Cited::of(steps);
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    for commit in read_commits(dir, first.tick.minus(BEFORE_MS), last.tick) {
        let commit = commit?.commit;
        let known = lines.len();
        for (stream, batch) in &commit.inputs {
            let rows = (0..batch.num_rows()).filter(|row| cited.holds(stream, batch, *row));
            lines.extend(rows.map(|row| format!("{stream}: {}", describe(batch, row))));
        }
        if lines.len() > known {
            let progress: Option<Vec<Progress>> = commit.offsets_as().unwrap_or_default();
            lines.push(came_in(commit.tick, &progress.unwrap_or_default()));
        }
    }
    Ok(lines)
}

fn describe(batch: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let fields = batch.schema();
    let columns = fields.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let shown = ArrayFormatter::try_new(column.as_ref(), &options);
        let value = shown.map_or_else(|_| "?".to_owned(), |shown| shown.value(row).to_string());
        format!("{} {value}", field.name())
    });
    columns.collect::<Vec<_>>().join(", ")
}

fn came_in(tick: Timestamp, progress: &[Progress]) -> String {
    let shown = progress.iter().take(POSITIONS);
    let mut at: Vec<String> = shown.map(|p| format!("{} at {}", p.partition, p.resume)).collect();
    if progress.len() > POSITIONS {
        at.push(format!("and {} more", progress.len() - POSITIONS));
    }
    format!("  came in with tick {tick}; sources then: {}", at.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_cited_by_its_time_and_value() {
        let step = |saw: &str| Step {
            tick: Timestamp(10_000),
            asset: "b1".to_owned(),
            feeder: "f".to_owned(),
            actor: "dispatch".to_owned(),
            state: "proposed".to_owned(),
            kw: 1.0,
            valid_until: Timestamp(25_000),
            rule: "shave".to_owned(),
            reason: "why".to_owned(),
            saw: saw.to_owned(),
            hash: String::new(),
        };
        let cited = Cited::of(&[
            step("feeder_now@10000 head_kw=112.100 measured_at=1970-01-01T00:00:05Z"),
            step("asset_state@10000 soc_kwh=1.000 measured_at=1970-01-01T00:00:05Z"),
        ]);
        let said = |asset_id: &str, at: u64| AssetTelemetry {
            asset_id: asset_id.to_owned(),
            measured_at: Timestamp(at),
            active_power_kw: 0.0,
            state_of_charge_kwh: Some(1.0),
        };
        let batch =
            AssetTelemetry::to_batch(&[said("b1", 5_000), said("b2", 5_000), said("b1", 0)]);
        let held = |row| cited.holds(AssetTelemetry::NAME, &batch, row);
        assert_eq!([held(0), held(1), held(2)], [true, false, false]);
        let measured = |value: f64| ScadaMeasurement {
            sensor_id: "s".to_owned(),
            measured_at: Timestamp(5_000),
            value,
            quality_bits: 0,
        };
        let batch = ScadaMeasurement::to_batch(&[measured(112.0999), measured(113.0)]);
        let held = |row| cited.holds(ScadaMeasurement::NAME, &batch, row);
        assert_eq!([held(0), held(1)], [true, false]);
    }
}
