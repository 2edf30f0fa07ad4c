//! The judgement of [`detect`](super): which conditions hold, and which alarms that opens and
//! closes.

use std::collections::BTreeMap;
use std::fmt;

use arrow_array::RecordBatch;
use schemas::decision::Alarm;
use schemas::relation::Relation;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
use schemas::state::SensorListed;
use schemas::state::StaleSensor;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::error::RestoreError;
use crate::kernel::Change;
use crate::kernel::InputSpec;
use crate::kernel::Kernel;
use crate::kernel::Memory;
use crate::kernel::OutputSpec;
use crate::kernel::restore_by_key;
use crate::kernel::save_by_key;
use crate::settings::Settings;
use crate::table::InFeeder;
use crate::table::Table;

/// Raises and clears; see [`super`].
pub struct DetectKernel {
    settings: Settings,

    voltages: Table<InFeeder, BusVoltage>,
    feeders: Table<String, FeederNow>,
    silent: Table<InFeeder, StaleSensor>,
    listed: Table<InFeeder, SensorListed>,
    /// The open alarms of each feeder.
    open: BTreeMap<String, Vec<Open>>,
}

/// An alarm that has been raised and not cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    kind: String,
    subject: String,
    raised_at: Timestamp,
    value: f64,
    limit: f64,
}

/// A condition as measured: whether its limit is crossed, and whether it is far enough back.
struct Reading<'a> {
    feeder_id: &'a str,
    kind: &'static str,
    subject: &'a str,
    value: f64,
    limit: f64,
    crossed: bool,
    back: bool,
    why: Why<'a>,
}

/// What a reading rests on; it becomes sentences only where an alarm changes.
#[derive(Clone, Copy)]
enum Why<'a> {
    Voltage {
        row: Option<&'a BusVoltage>,
        limit: f64,
    },
    Head(Option<&'a FeederNow>),
    Silent(&'a StaleSensor),
    /// Not among the silent: because it speaks, if it still stands in the tables.
    Heard {
        listed: bool,
    },
}

impl fmt::Display for Why<'_> {
    /// The reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Voltage { row: Some(row), limit } => {
                write!(f, "{:.4} pu, limit {limit} pu", row.voltage_pu)
            }
            Why::Voltage { row: None, .. } => write!(f, "its voltage is no longer measured"),
            Why::Head(Some(FeederNow { head_kw, limit_kw, .. })) => {
                write!(f, "{head_kw:.2} kW at the head, limit {limit_kw} kW")
            }
            Why::Head(None) => write!(f, "its head is no longer measured"),
            Why::Silent(StaleSensor { last_seen_at: Some(at), .. }) => {
                write!(f, "silent since {at}")
            }
            Why::Silent(_) => write!(f, "silent for longer than is retained"),
            Why::Heard { listed: true } => write!(f, "it speaks again"),
            Why::Heard { listed: false } => write!(f, "it is no longer listed on this feeder"),
        }
    }
}

impl Why<'_> {
    /// The views that were looked at, and what stood there.
    fn saw(&self, at: Timestamp) -> String {
        let at = at.0;
        match self {
            Why::Voltage { row: Some(row), .. } => {
                let BusVoltage { voltage_pu, voltage_pu_min, voltage_pu_max, .. } = row;
                format!(
                    "bus_voltage@{at} voltage_pu={voltage_pu:.4} voltage_pu_min={voltage_pu_min} \
                     voltage_pu_max={voltage_pu_max} measured_at={}",
                    row.measured_at
                )
            }
            Why::Voltage { row: None, .. } => format!("bus_voltage@{at} no row"),
            Why::Head(Some(FeederNow { head_kw, limit_kw, measured_at, .. })) => format!(
                "feeder_now@{at} head_kw={head_kw:.3} limit_kw={limit_kw} measured_at={measured_at}"
            ),
            Why::Head(None) => format!("feeder_now@{at} no row"),
            Why::Silent(row) => {
                let last = row.last_seen_at.map_or("NULL".to_owned(), |at| at.to_string());
                let after_ms = row.stale_after_ms;
                format!("stale_sensors@{at} last_seen_at={last} stale_after_ms={after_ms}")
            }
            Why::Heard { listed } => {
                let row = if *listed { "a row" } else { "no row" };
                format!("stale_sensors@{at} no row; sensor_listed@{at} {row}")
            }
        }
    }
}

impl DetectKernel {
    /// One that has raised nothing.
    pub fn new(settings: Settings) -> DetectKernel {
        DetectKernel {
            settings,
            voltages: Table::new(|row: &BusVoltage| (row.feeder_id.clone(), row.bus_id.clone())),
            feeders: Table::new(|row: &FeederNow| row.feeder_id.clone()),
            silent: Table::new(|row: &StaleSensor| (row.feeder_id.clone(), row.sensor_id.clone())),
            listed: Table::new(|row: &SensorListed| (row.feeder_id.clone(), row.sensor_id.clone())),
            open: BTreeMap::new(),
        }
    }

    fn voltage<'a>(&'a self, key: &'a InFeeder) -> [Reading<'a>; 2] {
        let row = self.voltages.get(key);
        let inside = self.settings.voltage_hysteresis_pu;
        let reading = |kind, limit: f64, below: f64, back: f64| Reading {
            feeder_id: &key.0,
            kind,
            subject: &key.1,
            value: row.map_or(f64::NAN, |row| row.voltage_pu),
            limit,
            crossed: below > 0.0,
            back: row.is_none() || back <= 0.0,
            why: Why::Voltage { row, limit },
        };
        let (v, min, max) = row
            .map_or((f64::NAN, 0.0, 0.0), |r| (r.voltage_pu, r.voltage_pu_min, r.voltage_pu_max));
        [
            reading("voltage-low", min, min - v, min + inside - v),
            reading("voltage-high", max, v - max, v - (max - inside)),
        ]
    }

    fn overload<'a>(&'a self, feeder_id: &'a String) -> Reading<'a> {
        let row = self.feeders.get(feeder_id);
        let (head_kw, limit_kw) = row.map_or((f64::NAN, 0.0), |row| (row.head_kw, row.limit_kw));
        let clear_kw = limit_kw * (1.0 - self.settings.overload_hysteresis_share);
        Reading {
            feeder_id,
            kind: "feeder-overload",
            subject: feeder_id,
            value: head_kw,
            limit: limit_kw,
            crossed: head_kw > limit_kw,
            back: row.is_none() || head_kw <= clear_kw,
            why: Why::Head(row),
        }
    }

    /// Who never spoke has no time since when, and raises nothing; an alarm that is open stays so
    /// though its last word is forgotten.
    fn silence<'a>(&'a self, at: Timestamp, key: &'a InFeeder) -> Reading<'a> {
        let row = self.silent.get(key);
        let since = row.and_then(|row| row.last_seen_at);
        let listed = self.listed.get(key).is_some();
        let silent_ms = since.map_or(0, |since| at.0.saturating_sub(since.0));
        Reading {
            feeder_id: &key.0,
            kind: "stale-sensor",
            subject: &key.1,
            value: if row.is_some() || listed { silent_ms as f64 / 1_000.0 } else { f64::NAN },
            limit: row.map_or(0.0, |row| row.stale_after_ms as f64 / 1_000.0),
            crossed: since.is_some(),
            back: row.is_none(),
            why: row.map_or(Why::Heard { listed }, Why::Silent),
        }
    }
}

/// Opens or closes the alarm of a reading, if that changes anything.
fn judge(
    at: Timestamp,
    open: &mut BTreeMap<String, Vec<Open>>,
    reading: &Reading<'_>,
) -> Option<Alarm> {
    let same = |o: &Open| o.kind == reading.kind && o.subject == reading.subject;
    let place = open.get(reading.feeder_id).and_then(|open| open.iter().position(same));
    if !reading.crossed && place.is_none() {
        return None;
    }
    let open = open.entry(reading.feeder_id.to_owned()).or_default();
    match place {
        None if reading.crossed && reading.value.is_finite() => {
            let Reading { value, limit, .. } = *reading;
            let (kind, subject) = (reading.kind.to_owned(), reading.subject.to_owned());
            let alarm = Open { kind, subject, raised_at: at, value, limit };
            let row = row(at, "raised", &alarm, reading);
            open.push(alarm);
            Some(row)
        }
        Some(place) if reading.back => {
            let mut alarm = open.remove(place);
            if reading.value.is_finite() {
                alarm.value = reading.value;
            }
            Some(row(at, "cleared", &alarm, reading))
        }
        _ => None,
    }
}

fn row(at: Timestamp, state: &str, alarm: &Open, reading: &Reading<'_>) -> Alarm {
    Alarm {
        alarm_id: format!("{}:{}:{}", alarm.kind, alarm.subject, alarm.raised_at.0),
        tick_at: at,
        kind: alarm.kind.clone(),
        subject: alarm.subject.clone(),
        feeder_id: reading.feeder_id.to_owned(),
        state: state.to_owned(),
        value: alarm.value,
        limit_value: alarm.limit,
        reason: reading.why.to_string(),
        saw: reading.why.saw(at),
    }
}

impl Kernel for DetectKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::by_feeder::<BusVoltage>(),
            InputSpec::by_feeder::<FeederNow>(),
            InputSpec::by_feeder::<StaleSensor>(),
            InputSpec::by_feeder::<SensorListed>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<Alarm>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        let buses = self.voltages.apply_touched(&changes[0]);
        let feeders = self.feeders.apply_touched(&changes[1]);
        let sensors = self.silent.apply_touched(&changes[2]);
        self.listed.apply(&changes[3]);
        let mut open = std::mem::take(&mut self.open);
        let mut readings: Vec<Reading<'_>> =
            buses.iter().flat_map(|key| self.voltage(key)).collect();
        readings.extend(feeders.iter().map(|feeder_id| self.overload(feeder_id)));
        readings.extend(sensors.iter().map(|key| self.silence(at, key)));
        let alarms: Vec<Alarm> =
            readings.iter().filter_map(|reading| judge(at, &mut open, reading)).collect();
        open.retain(|_, open| !open.is_empty());
        self.open = open;
        vec![Alarm::to_batch(&alarms)]
    }

    fn needs_every_tick(&self) -> bool {
        false
    }

    fn save(&self) -> Memory {
        save_by_key(&self.open)
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), RestoreError> {
        restore_by_key(&mut self.open, memory)
    }
}
