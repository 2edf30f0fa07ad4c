//! The judgement of [`detect`](super): which conditions hold, and which alarms that opens and
//! closes.

use std::collections::BTreeMap;

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
struct Reading {
    feeder_id: String,
    kind: &'static str,
    subject: String,
    value: f64,
    limit: f64,
    crossed: bool,
    back: bool,
    reason: String,
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

    fn voltage(&self, key: &InFeeder) -> [Reading; 2] {
        let row = self.voltages.get(key);
        let inside = self.settings.voltage_hysteresis_pu;
        let reading = |kind, limit: f64, below: f64, back: f64| Reading {
            feeder_id: key.0.clone(),
            kind,
            subject: key.1.clone(),
            value: row.map_or(f64::NAN, |row| row.voltage_pu),
            limit,
            crossed: below > 0.0,
            back: row.is_none() || back <= 0.0,
            reason: match row {
                Some(row) => format!("{:.4} pu, limit {limit} pu", row.voltage_pu),
                None => "its voltage is no longer measured".to_owned(),
            },
        };
        let (v, min, max) = row
            .map_or((f64::NAN, 0.0, 0.0), |r| (r.voltage_pu, r.voltage_pu_min, r.voltage_pu_max));
        [
            reading("voltage-low", min, min - v, min + inside - v),
            reading("voltage-high", max, v - max, v - (max - inside)),
        ]
    }

    fn overload(&self, feeder_id: &String) -> Reading {
        let row = self.feeders.get(feeder_id);
        let (head_kw, limit_kw) = row.map_or((f64::NAN, 0.0), |row| (row.head_kw, row.limit_kw));
        let clear_kw = limit_kw * (1.0 - self.settings.overload_hysteresis_share);
        Reading {
            feeder_id: feeder_id.clone(),
            kind: "feeder-overload",
            subject: feeder_id.clone(),
            value: head_kw,
            limit: limit_kw,
            crossed: head_kw > limit_kw,
            back: row.is_none() || head_kw <= clear_kw,
            reason: match row {
                Some(_) => format!("{head_kw:.2} kW at the head, limit {limit_kw} kW"),
                None => "its head is no longer measured".to_owned(),
            },
        }
    }

    fn silence(&self, at: Timestamp, key: &InFeeder) -> Reading {
        let row = self.sensors.get(key);
        let silent_ms = row.map_or(0, |row| at.0.saturating_sub(row.last_seen_at.0));
        Reading {
            feeder_id: key.0.clone(),
            kind: "stale-sensor",
            subject: key.1.clone(),
            value: silent_ms as f64 / 1_000.0,
            limit: row.map_or(0.0, |row| row.stale_after_ms as f64 / 1_000.0),
            crossed: row.is_some(),
            back: row.is_none(),
            reason: match row {
                Some(row) => format!("silent since {}", row.last_seen_at),
                None => "it speaks again".to_owned(),
            },
        }
    }

    /// Opens or closes the alarm of a reading, if that changes anything.
    fn judge(&mut self, at: Timestamp, reading: &Reading) -> Option<Alarm> {
        let open = self.open.entry(reading.feeder_id.clone()).or_default();
        let same = |o: &Open| o.kind == reading.kind && o.subject == reading.subject;
        match open.iter().position(same) {
            None if reading.crossed && reading.value.is_finite() => {
                let Reading { value, limit, .. } = *reading;
                let (kind, subject) = (reading.kind.to_owned(), reading.subject.clone());
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

fn row(at: Timestamp, state: &str, alarm: &Open, reading: &Reading) -> Alarm {
    Alarm {
        alarm_id: format!("{}:{}:{}", alarm.kind, alarm.subject, alarm.raised_at.0),
        tick_at: at,
        kind: alarm.kind.clone(),
        subject: alarm.subject.clone(),
        feeder_id: reading.feeder_id.clone(),
        state: state.to_owned(),
        value: alarm.value,
        limit_value: alarm.limit,
        reason: reading.reason.clone(),
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
        let buses = self.voltages.apply(&changes[0]);
        let feeders = self.feeders.apply(&changes[1]);
        let sensors = self.sensors.apply(&changes[2]);
        let mut readings: Vec<Reading> = buses.iter().flat_map(|key| self.voltage(key)).collect();
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
