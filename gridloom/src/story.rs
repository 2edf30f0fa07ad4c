//! One action's story, from the audit log: what was seen, why it was wished, what became of it.
//!
//! Every step of an action is a record of its own that says what it looked at, as `view@tick
//! column=value …`. Here those records, the readings behind them, the forecast that was read, and
//! the alarm that a refusal raised are put together into text. Nothing is computed again: what is
//! printed stands in the log.

mod readings;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::Float64Type;
use arrow::datatypes::TimestampMillisecondType;
use pipeline::log::LogError;
use pipeline::log::read_kind;
use schemas::audit;
use schemas::audit::Kind;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

/// Identifiers that are offered when one is not found.
const OFFERED: usize = 3;

/// Hours of a forecast that are printed: beyond them no dispatch of this tick looks.
const HOURS: usize = 6;

/// What is known of one action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    steps: Vec<Step>,
    readings: Vec<String>,
    forecast: Vec<Hour>,
    alarms: Vec<String>,
}

/// One state of the action.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    tick: Timestamp,
    asset: String,
    feeder: String,
    actor: String,
    state: String,
    kw: f64,
    valid_until: Timestamp,
    rule: String,
    reason: String,
    saw: String,
    hash: String,
}

/// One hour of the forecast that was read.
#[derive(Clone, Debug, PartialEq)]
struct Hour {
    issued: Timestamp,
    target: Timestamp,
    quantiles_kw: [f64; 3],
    model: String,
}

/// What looking for an action found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Its story.
    Story(Box<Story>),
    /// No such action; some there are.
    Unknown(Vec<String>),
}

/// Looks for an action in the log in `dir`.
///
/// # Errors
/// The log cannot be read.
pub fn find(dir: &Path, action_id: &str) -> Result<Found, LogError> {
    let mut story = Story::default();
    let mut others = BTreeSet::new();
    for batch in read_kind(dir, Kind::Action)? {
        let batch = batch?;
        let ids = Texts::of(&batch, audit::ACTION_ID);
        for row in 0..batch.num_rows() {
            if ids.at(row) == action_id {
                story.steps.push(step(&batch, row));
            } else if others.len() < OFFERED {
                others.insert(ids.at(row).to_owned());
            }
        }
    }
    let Some(first) = story.steps.first() else {
        return Ok(Found::Unknown(others.into_iter().collect()));
    };
    story.readings = readings::find(dir, &story.steps)?;
    if let Some(issued) = issued_at(&first.saw) {
        story.forecast = forecast(dir, &first.feeder, issued)?;
    }
    for batch in read_kind(dir, Kind::Alarm)? {
        let batch = batch?;
        let (subjects, kinds) = (Texts::of(&batch, audit::SUBJECT), Texts::of(&batch, "kind"));
        let (states, reasons) = (Texts::of(&batch, "state"), Texts::of(&batch, audit::REASON));
        for row in (0..batch.num_rows()).filter(|row| subjects.at(*row) == action_id) {
            let (kind, state, reason) = (kinds.at(row), states.at(row), reasons.at(row));
            story.alarms.push(format!("{kind} {state}: {reason}"));
        }
    }
    Ok(Found::Story(Box::new(story)))
}

fn step(batch: &RecordBatch, row: usize) -> Step {
    let text = |name: &str| Texts::of(batch, name).at(row).to_owned();
    Step {
        tick: instant(batch, audit::TICK_AT, row),
        asset: text(audit::SUBJECT),
        feeder: text("feeder_id"),
        actor: text(audit::ACTOR),
        state: text("state"),
        kw: number(batch, "active_power_kw", row),
        valid_until: instant(batch, "valid_until_at", row),
        rule: text("rule"),
        reason: text(audit::REASON),
        saw: text(audit::INPUTS),
        hash: text(audit::HASH),
    }
}

/// The hours that the forecast of `feeder`, issued then, said.
fn forecast(dir: &Path, feeder: &str, issued: Timestamp) -> Result<Vec<Hour>, LogError> {
    let mut hours = Vec::new();
    for batch in read_kind(dir, Kind::Forecast)?.until(issued) {
        let batch = batch?;
        let (subjects, scopes) = (Texts::of(&batch, audit::SUBJECT), Texts::of(&batch, "scope"));
        for row in 0..batch.num_rows() {
            if subjects.at(row) != feeder
                || scopes.at(row) != "feeder"
                || instant(&batch, "issued_at", row) != issued
            {
                continue;
            }
            hours.push(Hour {
                issued,
                target: instant(&batch, "target_at", row),
                quantiles_kw: ["p10_kw", "p50_kw", "p90_kw"].map(|p| number(&batch, p, row)),
                model: Texts::of(&batch, audit::MODEL_VERSION).at(row).to_owned(),
            });
        }
    }
    hours.sort_by_key(|hour| hour.target);
    Ok(hours)
}

/// The tick in `forecasts@tick` of what was seen.
fn issued_at(saw: &str) -> Option<Timestamp> {
    let (_, rest) = saw.split_once("forecasts@")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Timestamp).filter(|at| at.0 > 0)
}

impl Story {
    /// The story as text.
    pub fn tell(&self, action_id: &str) -> String {
        let mut text = String::new();
        let first = self.steps.first().expect("a story has a step");
        let does = if first.kw > 0.0 {
            format!("discharge {:.3} kW", first.kw)
        } else if first.kw < 0.0 {
            format!("charge {:.3} kW", -first.kw)
        } else {
            "stop".to_owned()
        };
        line(&mut text, 0, &format!("action {action_id}"));
        let Step { actor, asset, feeder, valid_until, .. } = first;
        let feeder = if feeder.is_empty() { "no known feeder" } else { feeder };
        let wish = format!("{actor} asks {asset} on {feeder} to {does}, until {valid_until}");
        line(&mut text, 1, &wish);
        for step in &self.steps {
            let Step { tick, state, rule, reason, .. } = step;
            line(&mut text, 0, "");
            line(&mut text, 1, &format!("{tick}  {state}"));
            line(&mut text, 2, &format!("rule    {rule}"));
            line(&mut text, 2, &format!("reason  {reason}"));
            for (index, part) in seen(&step.saw).iter().enumerate() {
                let label = if index == 0 { "saw   " } else { "      " };
                line(&mut text, 2, &format!("{label}  {part}"));
            }
            line(&mut text, 2, &format!("record  {}", step.hash));
        }
        if !self.readings.is_empty() {
            line(&mut text, 0, "");
            line(&mut text, 1, "readings behind it");
            self.readings.iter().for_each(|reading| line(&mut text, 2, reading));
        }
        self.tell_forecast(&mut text);
        for alarm in &self.alarms {
            line(&mut text, 0, "");
            line(&mut text, 1, &format!("alarm {alarm}"));
        }
        line(&mut text, 0, "");
        line(&mut text, 1, &self.end());
        text
    }

    fn tell_forecast(&self, text: &mut String) {
        let first = self.steps.first().expect("a story has a step");
        let Some(hour) = self.forecast.first() else { return };
        let Hour { issued, model, .. } = hour;
        line(text, 0, "");
        let head = format!("forecast of {} read then, issued {issued} by {model}", first.feeder);
        line(text, 1, &head);
        // The hour the tick lies in and those after it; earlier ones were over.
        let coming = self.forecast.iter().filter(|hour| hour.target.plus(HOUR_MS) > first.tick);
        for Hour { target, quantiles_kw: [p10, p50, p90], .. } in coming.take(HOURS) {
            let hour = format!("from {target}  p10 {p10:.1}  p50 {p50:.1}  p90 {p90:.1} kW");
            line(text, 2, &hour);
        }
    }

    /// What came of it, in one sentence.
    fn end(&self) -> String {
        let last = self.steps.last().expect("a story has a step");
        match last.state.as_str() {
            "refused" => format!("It was refused by rule {} and never left.", last.rule),
            "confirmed" => format!("The device did it: {}.", last.reason),
            "superseded" => format!("A newer action took its place: {}.", last.reason),
            "failed" => format!("It did not come about: {}.", last.reason),
            "sent" => "It was sent; the log ends before its outcome.".to_owned(),
            state => format!("It is {state}; the log ends there."),
        }
    }
}

/// What was seen, a view a line, ticks as instants.
fn seen(saw: &str) -> Vec<String> {
    saw.split("; ").filter(|part| !part.trim().is_empty()).map(view).collect()
}

fn view(part: &str) -> String {
    let (head, values) = part.trim().split_once(' ').unwrap_or((part.trim(), ""));
    let head = match head.split_once('@') {
        // Before the first, there is nothing to have been seen.
        Some((name, "0")) => format!("{name}, of which there was none"),
        Some((name, tick)) => format!("{name} at {}", readable("", tick)),
        None => head.to_owned(),
    };
    let values: Vec<String> = values
        .split(' ')
        .map(|value| match value.split_once('=') {
            Some((name, value)) => format!("{name} {}", readable(name, value)),
            None => value.to_owned(),
        })
        .collect();
    format!("{head}: {}", values.join(", "))
}

/// A value as it is read: milliseconds of an instant become the instant.
fn readable(name: &str, value: &str) -> String {
    let instant = name.is_empty() || name.ends_with("_at");
    match value.parse::<u64>() {
        Ok(ms) if instant => Timestamp(ms).to_string(),
        _ => value.to_owned(),
    }
}

fn line(text: &mut String, depth: usize, line: &str) {
    let pad = if line.is_empty() { "" } else { &"        "[..2 * depth] };
    writeln!(text, "{pad}{line}").expect("a String takes all text");
}

/// A text column; a missing one reads as empty, since logs outlive columns.
struct Texts<'a>(Option<&'a arrow::array::StringArray>);

impl<'a> Texts<'a> {
    fn of(batch: &'a RecordBatch, name: &str) -> Texts<'a> {
        Texts(batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()))
    }

    fn at(&self, row: usize) -> &'a str {
        self.0.filter(|column| column.is_valid(row)).map_or("", |column| column.value(row))
    }
}

fn instant(batch: &RecordBatch, name: &str, row: usize) -> Timestamp {
    let column = batch.column_by_name(name);
    let column = column.and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
    Timestamp(column.map_or(0, |column| column.value(row).max(0) as u64))
}

fn number(batch: &RecordBatch, name: &str, row: usize) -> f64 {
    let column = batch.column_by_name(name);
    column.and_then(|c| c.as_primitive_opt::<Float64Type>()).map_or(f64::NAN, |c| c.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_a_view_a_line_with_instants() {
        let saw = "feeder_now@1472654400000 head_kw=112.100 measured_at=2016-08-31T14:39:55Z; \
                   forecasts@1472653800000 reserve_kwh=0.00; asset_state@1472654400000 \
                   soc_kwh=3.200 heard_at=1472654400000";
        assert_eq!(
            seen(saw),
            [
                "feeder_now at 2016-08-31T14:40:00Z: head_kw 112.100, measured_at \
                 2016-08-31T14:39:55Z",
                "forecasts at 2016-08-31T14:30:00Z: reserve_kwh 0.00",
                "asset_state at 2016-08-31T14:40:00Z: soc_kwh 3.200, heard_at \
                 2016-08-31T14:40:00Z",
            ]
        );
        assert_eq!(issued_at(saw), Some(Timestamp(1_472_653_800_000)));
        assert_eq!(issued_at("asset_state@5 no row"), None);
        assert_eq!(
            seen("forecasts@0 reserve_kwh=0.00"),
            ["forecasts, of which there was none: reserve_kwh 0.00"]
        );
        assert_eq!(issued_at("forecasts@0 reserve_kwh=0.00"), None);
    }
}
