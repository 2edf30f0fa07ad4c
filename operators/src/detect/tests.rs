//! Each alarm is raised once and cleared once.

use schemas::decision::Alarm;
use schemas::relation::Relation;
use schemas::state::BusVoltage;
use schemas::state::FeederNow;
use schemas::state::SensorListed;
use schemas::state::StaleSensor;
use schemas::time::Timestamp;

use super::DetectKernel;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

fn change<R: Relation>(row: Option<R>, diff: i64) -> Change {
    match row {
        Some(row) => Change::of(&[row], vec![diff]),
        None => Change::none(R::schema()),
    }
}

/// Steps through the readings; gives what was said at each, as `kind state` with the tick.
fn told<T>(readings: &[T], changes: impl Fn(&T) -> [Change; 4]) -> Vec<Alarm> {
    let mut kernel = DetectKernel::new(Settings::default());
    let step = |(n, reading): (usize, &T)| {
        let at = Timestamp((n as u64 + 1) * 5_000);
        Alarm::from_batch(&kernel.step(at, &changes(reading))[0]).unwrap()
    };
    readings.iter().enumerate().flat_map(step).collect()
}

#[track_caller]
fn check(alarms: &[Alarm], expected: &[(u64, &str, &str)]) {
    let told: Vec<(u64, &str, &str)> =
        alarms.iter().map(|a| (a.tick_at.0 / 5_000, a.kind.as_str(), a.state.as_str())).collect();
    assert_eq!(told, expected);
    for pair in alarms.chunks(2).filter(|pair| pair.len() == 2) {
        assert_eq!(pair[0].alarm_id, pair[1].alarm_id);
    }
}

fn voltages(pu: &[f64]) -> Vec<Alarm> {
    told(pu, |pu| {
        let row = BusVoltage {
            bus_id: "bus-7".to_owned(),
            feeder_id: "f".to_owned(),
            measured_at: Timestamp(4_000),
            voltage_pu: *pu,
            voltage_pu_min: 0.9,
            voltage_pu_max: 1.1,
        };
        [
            change(Some(row), 1),
            change::<FeederNow>(None, 1),
            change::<StaleSensor>(None, 1),
            change::<SensorListed>(None, 1),
        ]
    })
}

#[test]
fn a_low_voltage_clears_only_half_a_percent_inside() {
    let alarms = voltages(&[0.91, 0.899, 0.9, 0.898, 0.904, 0.906, 0.9]);
    check(&alarms, &[(2, "voltage-low", "raised"), (6, "voltage-low", "cleared")]);
    assert_eq!(alarms[0].alarm_id, "voltage-low:bus-7:10000");
    assert_eq!((alarms[0].value, alarms[0].limit_value), (0.899, 0.9));
    assert_eq!(
        alarms[0].saw,
        "bus_voltage@10000 voltage_pu=0.8990 voltage_pu_min=0.9 voltage_pu_max=1.1 \
         measured_at=1970-01-01T00:00:04Z"
    );
    assert_eq!(alarms[1].value, 0.906);
}

#[test]
fn a_high_voltage_likewise() {
    let alarms = voltages(&[1.0, 1.101, 1.098, 1.094, 1.2]);
    check(
        &alarms,
        &[
            (2, "voltage-high", "raised"),
            (4, "voltage-high", "cleared"),
            (5, "voltage-high", "raised"),
        ],
    );
    assert_ne!(alarms[2].alarm_id, alarms[0].alarm_id);
}

#[test]
fn a_voltage_that_is_no_number_says_nothing() {
    check(
        &voltages(&[0.8, f64::NAN, 1.0]),
        &[(1, "voltage-low", "raised"), (3, "voltage-low", "cleared")],
    );
    check(&voltages(&[f64::NAN]), &[]);
}

fn heads(readings: &[Option<f64>]) -> Vec<Alarm> {
    told(readings, |head_kw| {
        let row = FeederNow {
            feeder_id: "f".to_owned(),
            measured_at: Timestamp(4_000),
            head_kw: head_kw.unwrap_or(0.0),
            limit_kw: 100.0,
        };
        let diff = if head_kw.is_some() { 1 } else { -1 };
        [
            change::<BusVoltage>(None, 1),
            change(Some(row), diff),
            change::<StaleSensor>(None, 1),
            change::<SensorListed>(None, 1),
        ]
    })
}

#[test]
fn an_overload_clears_two_percent_below() {
    let alarms = heads(&[Some(100.0), Some(100.1), Some(99.0), Some(101.0), Some(98.0)]);
    check(&alarms, &[(2, "feeder-overload", "raised"), (5, "feeder-overload", "cleared")]);
}

#[test]
fn an_alarm_whose_row_is_gone_is_cleared_and_says_so() {
    let alarms = heads(&[Some(120.0), None]);
    check(&alarms, &[(1, "feeder-overload", "raised"), (2, "feeder-overload", "cleared")]);
    assert_eq!(alarms[1].reason, "its head is no longer measured");
    assert_eq!(alarms[1].value, 120.0);
    assert_eq!(
        alarms[0].saw,
        "feeder_now@5000 head_kw=120.000 limit_kw=100 measured_at=1970-01-01T00:00:04Z"
    );
    assert_eq!(alarms[1].saw, "feeder_now@10000 no row");
}

/// A sensor at one tick: whether it is listed, and since when it is silent, if it is.
type Heard = (bool, Option<Option<u64>>);

/// What is said as a sensor goes through these states.
fn silences(states: &[Heard]) -> Vec<Alarm> {
    let rows = |(listed, silent): &Heard| {
        let stale = silent.map(|since| StaleSensor {
            sensor_id: "s-1".to_owned(),
            feeder_id: "f".to_owned(),
            last_seen_at: since.map(Timestamp),
            stale_after_ms: 3_000,
        });
        let (sensor_id, feeder_id) = ("s-1".to_owned(), "f".to_owned());
        (stale, listed.then_some(SensorListed { sensor_id, feeder_id }))
    };
    let mut before = (None, None);
    let mut changes = Vec::new();
    for state in states {
        let now = rows(state);
        changes.push([
            change::<BusVoltage>(None, 1),
            change::<FeederNow>(None, 1),
            between(&before.0, &now.0),
            between(&before.1, &now.1),
        ]);
        before = now;
    }
    told(&changes, Clone::clone)
}

fn between<R: Relation + Clone + PartialEq>(before: &Option<R>, now: &Option<R>) -> Change {
    if before == now {
        return Change::none(R::schema());
    }
    let rows: Vec<(R, i64)> =
        before.iter().map(|r| (r.clone(), -1)).chain(now.iter().map(|r| (r.clone(), 1))).collect();
    let (rows, diffs): (Vec<R>, Vec<i64>) = rows.into_iter().unzip();
    Change::of(&rows, diffs)
}

const SPEAKS: Heard = (true, None);
const SILENT: Heard = (true, Some(Some(1_000)));
/// Silent for so long that nothing of it is retained.
const FORGOTTEN: Heard = (true, Some(None));
const UNLISTED: Heard = (false, None);

#[test]
fn a_stale_sensor_is_raised_when_it_falls_silent_and_cleared_when_it_speaks() {
    let alarms = silences(&[SPEAKS, SILENT, SILENT, SPEAKS]);
    check(&alarms, &[(2, "stale-sensor", "raised"), (4, "stale-sensor", "cleared")]);
    assert_eq!((alarms[0].value, alarms[0].limit_value), (9.0, 3.0));
    assert_eq!(alarms[0].reason, "silent since 1970-01-01T00:00:01Z");
    assert_eq!(
        alarms[0].saw,
        "stale_sensors@10000 last_seen_at=1970-01-01T00:00:01Z stale_after_ms=3000"
    );
    assert_eq!((alarms[1].value, alarms[1].reason.as_str()), (0.0, "it speaks again"));
    assert_eq!(alarms[1].saw, "stale_sensors@20000 no row; sensor_listed@20000 a row");
}

#[test]
fn silence_is_not_over_because_its_beginning_is_forgotten() {
    let alarms = silences(&[SILENT, FORGOTTEN, FORGOTTEN]);
    check(&alarms, &[(1, "stale-sensor", "raised")]);
    let alarms = silences(&[SILENT, FORGOTTEN, SPEAKS, SILENT]);
    let raised_again = (4, "stale-sensor", "raised");
    check(&alarms, &[(1, "stale-sensor", "raised"), (3, "stale-sensor", "cleared"), raised_again]);
    assert_eq!(alarms[1].reason, "it speaks again");
}

#[test]
fn a_sensor_that_is_taken_out_of_the_tables_does_not_speak_again() {
    for last in [SILENT, FORGOTTEN] {
        let alarms = silences(&[SILENT, last, UNLISTED]);
        check(&alarms, &[(1, "stale-sensor", "raised"), (3, "stale-sensor", "cleared")]);
        assert_eq!(alarms[1].reason, "it is no longer listed on this feeder");
        assert_eq!(alarms[1].value, 4.0, "how long it was silent when the alarm was raised");
        assert_eq!(alarms[1].saw, "stale_sensors@15000 no row; sensor_listed@15000 no row");
    }
}

#[test]
fn who_never_spoke_raises_nothing() {
    check(&silences(&[FORGOTTEN, SPEAKS, UNLISTED]), &[]);
}

#[test]
fn open_alarms_survive_a_restart_and_are_not_raised_again() {
    let row = |head_kw| FeederNow {
        feeder_id: "f".to_owned(),
        measured_at: Timestamp(4_000),
        head_kw,
        limit_kw: 100.0,
    };
    let step = |kernel: &mut DetectKernel, at: u64, head_kw: f64| {
        let changes = [
            change::<BusVoltage>(None, 1),
            change(Some(row(head_kw)), 1),
            change::<StaleSensor>(None, 1),
            change::<SensorListed>(None, 1),
        ];
        Alarm::from_batch(&kernel.step(Timestamp(at), &changes)[0]).unwrap()
    };
    let mut kernel = DetectKernel::new(Settings::default());
    let raised = step(&mut kernel, 5_000, 110.0);
    let mut other = DetectKernel::new(Settings::default());
    other.restore(&kernel.save()).unwrap();
    assert!(step(&mut other, 10_000, 111.0).is_empty());
    let cleared = step(&mut other, 15_000, 90.0);
    assert_eq!(cleared[0].alarm_id, raised[0].alarm_id);
    assert!(other.save().is_empty());
}
