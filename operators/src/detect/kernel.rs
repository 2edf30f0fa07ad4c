//! The judgement of [`detect`](super): which conditions hold, and which alarms that opens and
//! closes.

use std::collections::BTreeMap;
use std::fmt;

use arrow_array::RecordBatch;
use schemas::decision::Alarm;
use schemas::relation::Relation;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
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
    sensors: Table<InFeeder, StaleSensor>,
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
    why: Why,
}

/// What a reading rests on; it becomes a sentence only where an alarm changes.
#[derive(Clone, Copy)]
enum Why {
    Voltage { voltage_pu: Option<f64>, limit: f64 },
    Head { head_kw: Option<f64>, limit_kw: f64 },
    Silent { since: Option<Timestamp> },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Voltage { voltage_pu: Some(v), limit } => write!(f, "{v:.4} pu, limit {limit} pu"),
            Why::Voltage { .. } => write!(f, "its voltage is no longer measured"),
            Why::Head { head_kw: Some(kw), limit_kw } => {
                write!(f, "{kw:.2} kW at the head, limit {limit_kw} kW")
            }
            Why::Head { .. } => write!(f, "its head is no longer measured"),
            Why::Silent { since: Some(at) } => write!(f, "silent since {at}"),
            Why::Silent { .. } => write!(f, "it speaks again"),
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
            sensors: Table::new(|row: &StaleSensor| (row.feeder_id.clone(), row.sensor_id.clone())),
            open: BTreeMap::new(),
        }
    }

    fn voltage<'a>(&self, key: &'a InFeeder) -> [Reading<'a>; 2] {
        let row = self.voltages.get(key);
        let inside = self.settings.voltage_hysteresis_pu;
        let voltage_pu = row.map(|row| row.voltage_pu);
        let reading = |kind, limit: f64, below: f64, back: f64| Reading {
            feeder_id: &key.0,
            kind,
            subject: &key.1,
            value: voltage_pu.unwrap_or(f64::NAN),
            limit,
            crossed: below > 0.0,
            back: row.is_none() || back <= 0.0,
            why: Why::Voltage { voltage_pu, limit },
        };
        let (v, min, max) = row
            .map_or((f64::NAN, 0.0, 0.0), |r| (r.voltage_pu, r.voltage_pu_min, r.voltage_pu_max));
        [
            reading("voltage-low", min, min - v, min + inside - v),
            reading("voltage-high", max, v - max, v - (max - inside)),
        ]
    }

    fn overload<'a>(&self, feeder_id: &'a String) -> Reading<'a> {
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
            why: Why::Head { head_kw: row.map(|row| row.head_kw), limit_kw },
        }
    }

    fn silence<'a>(&self, at: Timestamp, key: &'a InFeeder) -> Reading<'a> {
        let row = self.sensors.get(key);
        let silent_ms = row.map_or(0, |row| at.0.saturating_sub(row.last_seen_at.0));
        Reading {
            feeder_id: &key.0,
            kind: "stale-sensor",
            subject: &key.1,
            value: silent_ms as f64 / 1_000.0,
            limit: row.map_or(0.0, |row| row.stale_after_ms as f64 / 1_000.0),
            crossed: row.is_some(),
            back: row.is_none(),
            why: Why::Silent { since: row.map(|row| row.last_seen_at) },
        }
    }

    /// Opens or closes the alarm of a reading, if that changes anything.
    fn judge(&mut self, at: Timestamp, reading: &Reading<'_>) -> Option<Alarm> {
        let same = |o: &Open| o.kind == reading.kind && o.subject == reading.subject;
        let place = self.open.get(reading.feeder_id).and_then(|open| open.iter().position(same));
        if !reading.crossed && place.is_none() {
            return None;
        }
        let open = self.open.entry(reading.feeder_id.to_owned()).or_default();
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
    }
}

impl Kernel for DetectKernel {
    fn inputs(&self) -> Vec<InputSpec> {
        vec![
            InputSpec::by_feeder::<BusVoltage>(),
            InputSpec::by_feeder::<FeederNow>(),
            InputSpec::by_feeder::<StaleSensor>(),
        ]
    }

    fn outputs(&self) -> Vec<OutputSpec> {
        vec![OutputSpec::of::<Alarm>()]
    }

    fn step(&mut self, at: Timestamp, changes: &[Change]) -> Vec<RecordBatch> {
        let buses = self.voltages.apply_touched(&changes[0]);
        let feeders = self.feeders.apply_touched(&changes[1]);
        let sensors = self.sensors.apply_touched(&changes[2]);
        let mut readings: Vec<Reading<'_>> =
            buses.iter().flat_map(|key| self.voltage(key)).collect();
        readings.extend(feeders.iter().map(|feeder_id| self.overload(feeder_id)));
        readings.extend(sensors.iter().map(|key| self.silence(at, key)));
        let alarms: Vec<Alarm> =
            readings.iter().filter_map(|reading| self.judge(at, reading)).collect();
        self.open.retain(|_, open| !open.is_empty());
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
