//! A feeder of two homes: what is said of it, when it is wrong, late, silent, or began again.
//!
//! The values fit together by hand: the drops of 100 m of cable under 5 kW and 3 kW, to within a
//! fifth of what the voltage sensors are good for.

use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::estimate::EstimateCorrection;
use schemas::estimate::EstimateObservability;
use schemas::estimate::EstimatedBus;
use schemas::reference::Asset;
use schemas::reference::Branch;
use schemas::reference::Bus;
use schemas::reference::Feeder;
use schemas::reference::Meter;
use schemas::reference::Point;
use schemas::reference::Transformer;
use schemas::relation::Relation;
use schemas::state::PointValue;
use schemas::state::SwitchState;
use schemas::time::Timestamp;

use super::EstimateKernel;
use crate::kernel::Change;
use crate::kernel::Kernel;
use crate::settings::Settings;

const STEP_MS: u64 = 5_000;
/// The first tick.
const FIRST: u64 = 1_000_000;

/// The outputs, by their places.
const BUSES: usize = 1;
const CORRECTIONS: usize = 2;
const OBSERVABILITY: usize = 3;
const ALARMS: usize = 5;

fn text(text: &str) -> String {
    text.to_owned()
}

fn bus(bus_id: &str, nominal_kv: f64) -> Bus {
    let feeder_id = text("f");
    Bus { bus_id: text(bus_id), feeder_id, nominal_kv, ..Bus::example() }
}

/// 100 m of cable from the head's busbar to a home.
fn cable(branch_id: &str, to: &str) -> Branch {
    Branch {
        branch_id: text(branch_id),
        from_bus_id: text("b1"),
        to_bus_id: text(to),
        feeder_id: text("f"),
        length_km: 0.1,
        ..Branch::example()
    }
}

fn point(id: &str, of: (&str, &str), quantity: &str, (scale, sigma): (f64, f64)) -> Point {
    Point {
        point_id: text(id),
        feeder_id: text("f"),
        element: text(of.0),
        element_id: text(of.1),
        side: Some(text("to")),
        quantity: text(quantity),
        scale,
        sigma,
        drift_per_s: 0.01 * sigma,
        averaged_over_ms: 0,
        stale_after_ms: 30_000,
        sigma_share: None,
        value_min: None,
        value_max: None,
    }
}

fn points() -> Vec<Point> {
    vec![
        point("head-p", ("branch", "t"), "active_power_kw", (-1.0, 0.2)),
        point("head-q", ("branch", "t"), "reactive_power_kvar", (-1.0, 0.2)),
        point("m2", ("meter", "m2"), "active_power_kw", (-1.0, 0.02)),
        point("m3", ("meter", "m3"), "active_power_kw", (-1.0, 0.02)),
        point("v1", ("bus", "b1"), "voltage_pu", (1.0, 0.000_5)),
        point("v2", ("bus", "b2"), "voltage_pu", (1.0, 0.000_5)),
        point("v3", ("bus", "b3"), "voltage_pu", (1.0, 0.000_5)),
    ]
}

/// What fits together: 5 kW and 3 kW with a fifth of it reactive, by the voltage drops of 100 m.
const FITTING: [(&str, f64); 7] = [
    ("head-p", 8.0),
    ("head-q", 1.6),
    ("m2", 5.0),
    ("m3", 3.0),
    ("v1", 1.0),
    ("v2", 0.9993),
    ("v3", 0.9996),
];

/// The same without the home at `b3`.
const WITHOUT_B3: [(&str, f64); 5] =
    [("head-p", 5.0), ("head-q", 1.0), ("m2", 5.0), ("v1", 1.0), ("v2", 0.9993)];

fn values(at: u64, of: &[(&str, f64)]) -> Vec<PointValue> {
    let value = |(id, value): &(&str, f64)| PointValue {
        point_id: text(id),
        feeder_id: text("f"),
        measured_at: Timestamp(at),
        value: *value,
        revision: 0,
        frequency_hz: None,
    };
    of.iter().map(value).collect()
}

fn came<R: Relation>(rows: &[R]) -> Change {
    Change::of(rows, vec![1; rows.len()])
}

fn tables(transformer: Transformer) -> Vec<Change> {
    let feeder = Feeder { feeder_id: text("f"), head_branch_id: text("t"), ..Feeder::example() };
    let meter = |id: &str, bus: &str| Meter {
        meter_id: text(id),
        bus_id: text(bus),
        feeder_id: text("f"),
        ..Meter::example()
    };
    vec![
        came(&[bus("mv", 10.0), bus("b1", 0.4), bus("b2", 0.4), bus("b3", 0.4)]),
        came(&[cable("l2", "b2"), cable("l3", "b3")]),
        came(&[transformer]),
        came(&[feeder]),
        came(&[meter("m2", "b2"), meter("m3", "b3")]),
        Change::none(Asset::schema()),
        came(&points()),
        came(&[stands("closed", None)]),
    ]
}

/// The switch of the home at `b3`.
fn stands(position: &str, changed_at: Option<Timestamp>) -> SwitchState {
    SwitchState {
        switch_id: text("s3"),
        branch_id: text("l3"),
        feeder_id: text("f"),
        position: text(position),
        changed_at,
    }
}

fn transformer() -> Transformer {
    Transformer {
        transformer_id: text("t"),
        hv_bus_id: text("mv"),
        lv_bus_id: text("b1"),
        feeder_id: text("f"),
        ..Transformer::example()
    }
}

fn quiet() -> Vec<Change> {
    vec![
        Change::none(Bus::schema()),
        Change::none(Branch::schema()),
        Change::none(Transformer::schema()),
        Change::none(Feeder::schema()),
        Change::none(Meter::schema()),
        Change::none(Asset::schema()),
        Change::none(Point::schema()),
        Change::none(SwitchState::schema()),
    ]
}

/// A kernel, and the rows of its outputs as they stand.
struct Told {
    kernel: EstimateKernel,
    at: u64,
    buses: Vec<EstimatedBus>,
    corrections: Vec<EstimateCorrection>,
    observability: Vec<EstimateObservability>,
    alarms: Vec<Alarm>,
    /// Bus rows that came or went at the last tick.
    moved: usize,
}

fn apply<R: Relation + PartialEq>(rows: &mut Vec<R>, change: &Change) {
    for row in change.gone::<R>() {
        let at = rows.iter().position(|known| *known == row);
        rows.remove(at.expect("what goes was there"));
    }
    rows.extend(change.events::<R>());
}

impl Told {
    fn new(kernel: EstimateKernel) -> Told {
        Told {
            kernel,
            at: FIRST - STEP_MS,
            buses: Vec::new(),
            corrections: Vec::new(),
            observability: Vec::new(),
            alarms: Vec::new(),
            moved: 0,
        }
    }

    /// The next tick with these tables and values.
    fn tick(&mut self, tables: Vec<Change>, values: &[PointValue]) {
        self.at += STEP_MS;
        let mut changes = tables;
        changes.extend([came(values), Change::none(Forecast::schema())]);
        let out = self.kernel.step_changing(Timestamp(self.at), &changes);
        self.moved = out[BUSES].diffs.len();
        apply(&mut self.buses, &out[BUSES]);
        apply(&mut self.corrections, &out[CORRECTIONS]);
        apply(&mut self.observability, &out[OBSERVABILITY]);
        self.alarms.extend(out[ALARMS].events::<Alarm>());
    }

    /// The next tick with all values as they fit, but for these.
    fn fitting_but(&mut self, other: &[(&str, f64)]) {
        let mut of: Vec<(&str, f64)> = FITTING.to_vec();
        for (id, value) in other {
            of.iter_mut().filter(|(known, _)| known == id).for_each(|(_, v)| *v = *value);
        }
        of.retain(|(_, value)| value.is_finite());
        let tables = if self.at < FIRST { tables(transformer()) } else { quiet() };
        let measured_at = self.at;
        self.tick(tables, &values(measured_at, &of));
    }

    #[track_caller]
    fn bus(&self, bus_id: &str) -> &EstimatedBus {
        self.buses.iter().find(|row| row.bus_id == bus_id).expect("each bus has a row")
    }

    fn bus_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.buses.iter().map(|row| row.bus_id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    fn told(&self) -> Vec<(u64, &str, &str)> {
        let told = |alarm: &'_ Alarm| (alarm.tick_at.0 - FIRST) / STEP_MS;
        let of = |alarm| (told(alarm), alarm.subject.as_str(), alarm.state.as_str());
        self.alarms.iter().map(of).collect()
    }
}

/// Late values reach back two minutes here, so that what is forgotten is soon seen.
fn settings() -> Settings {
    Settings { estimate_reach_ms: 120_000, ..Settings::default() }
}

fn begun() -> Told {
    let mut told = Told::new(EstimateKernel::new(settings()));
    told.fitting_but(&[]);
    told
}

#[track_caller]
fn check(told: &Told, bus_id: &str, vm_pu: f64) {
    let vm = told.bus(bus_id).vm_pu.expect("it is observable");
    assert!((vm - vm_pu).abs() < 5e-4, "{bus_id}: {vm} and not {vm_pu}");
}

#[test]
fn what_fits_together_is_estimated_and_a_tick_that_says_the_same_moves_nothing() {
    let mut told = begun();
    assert_eq!(told.observability[0].status, "estimated");
    assert_eq!(told.observability[0].problems, "");
    assert_eq!((told.buses.len(), told.observability[0].fresh_points), (4, 7));
    check(&told, "b1", 1.0);
    check(&told, "b2", 0.9993);
    assert!(told.bus("b2").sigma_vm_pu.is_some_and(|sigma| sigma < 0.000_5));
    // What the ticks before know of the source makes each a little surer, up to what it may walk.
    (0..30).for_each(|_| told.fitting_but(&[]));
    assert_eq!(told.moved, 0);
    assert_eq!(told.told(), []);
}

#[test]
fn a_voltage_that_fits_nothing_is_left_out_and_alarmed_until_it_fits() {
    let mut told = begun();
    told.fitting_but(&[("v2", 1.05)]);
    check(&told, "b2", 0.9993);
    // It must agree for three ticks before it is believed again.
    (0..4).for_each(|_| told.fitting_but(&[]));
    assert_eq!(told.told(), [(1, "v2", "raised"), (5, "v2", "cleared")]);
    assert_eq!(told.alarms[0].kind, "bad-data");
    assert_eq!(told.alarms[0].alarm_id, told.alarms[1].alarm_id);
}

#[test]
fn a_home_whose_meter_is_silent_is_known_from_the_head() {
    let mut told = begun();
    (0..8).for_each(|_| told.fitting_but(&[("m3", f64::NAN), ("v3", f64::NAN)]));
    assert!(told.bus("b3").pseudo && told.bus("b3").observable);
    assert!(!told.bus("b2").pseudo);
    check(&told, "b3", 0.9996);
    assert_eq!(told.observability[0].stale_points, 2);
}

#[test]
fn behind_an_open_switch_a_bus_is_dead() {
    let mut told = begun();
    let mut tables = quiet();
    let rows = [stands("closed", None), stands("open", Some(Timestamp(told.at)))];
    tables[7] = Change::of(&rows, vec![-1, 1]);
    let measured_at = told.at;
    told.tick(tables, &values(measured_at, &WITHOUT_B3));
    let dead = told.bus("b3");
    assert_eq!((dead.vm_pu, dead.va_deg, dead.energised), (Some(0.0), None, false));
    assert_eq!(told.observability[0].dead_buses, 1);
    check(&told, "b2", 0.9993);
}

#[test]
fn a_late_value_corrects_the_tick_of_its_event_time() {
    let mut told = begun();
    // A load of 15 kW that only the late voltage and the late meter know of.
    told.fitting_but(&[("m2", f64::NAN), ("v2", f64::NAN), ("head-p", f64::NAN)]);
    let missed = told.at;
    told.fitting_but(&[]);
    assert_eq!(told.corrections, []);
    let late = [("m2", 15.0), ("v2", 0.9978), ("head-p", 18.0)];
    told.tick(quiet(), &values(missed - STEP_MS, &late));
    let of: Vec<(&str, u64)> =
        told.corrections.iter().map(|row| (row.bus_id.as_str(), row.of_tick_at.0)).collect();
    assert!(of.contains(&("b2", missed)), "{of:?}");
    assert!(of.iter().all(|(_, tick)| *tick == missed), "{of:?}");
    // The present is as it was, and the correction goes with its tick.
    check(&told, "b2", 0.9993);
    (0..30).for_each(|_| told.fitting_but(&[]));
    assert_eq!(told.corrections, []);
}

#[test]
fn a_transformer_without_a_name_plate_is_said() {
    let mut told = Told::new(EstimateKernel::new(settings()));
    let plate = Transformer { vk_percent: None, ..transformer() };
    told.tick(tables(plate), &values(FIRST - STEP_MS, &FITTING));
    assert_eq!(told.observability[0].status, "no-model");
    let problems = &told.observability[0].problems;
    assert!(problems.starts_with("t has no whole name plate in transformers"), "{problems}");
    assert_eq!(told.buses, []);
}

#[test]
fn what_was_saved_goes_on_as_if_nothing_had_been() {
    let mut straight = begun();
    straight.fitting_but(&[("v2", 1.05)]);
    let mut again = EstimateKernel::new(settings());
    again.restore(&straight.kernel.save()).unwrap();
    let mut told = Told::new(again);
    told.at = straight.at;
    told.buses.clone_from(&straight.buses);
    told.observability.clone_from(&straight.observability);
    told.alarms.clone_from(&straight.alarms);
    // After a restart the tables come again, and the values of the last minutes.
    let measured_at = straight.at;
    let mut replayed = values(FIRST - STEP_MS, &FITTING);
    replayed.extend(values(measured_at, &FITTING));
    told.tick(tables(transformer()), &replayed);
    straight.fitting_but(&[]);
    for _ in 0..4 {
        for one in [&mut told, &mut straight] {
            one.fitting_but(&[]);
        }
        assert_eq!(told.told(), straight.told());
        for bus_id in ["b1", "b2", "b3"] {
            check(&told, bus_id, straight.bus(bus_id).vm_pu.unwrap());
        }
    }
}

#[test]
fn a_bus_of_another_feeder_that_feeds_this_one_has_no_row_of_it() {
    let mut told = Told::new(EstimateKernel::new(settings()));
    let mut tables = tables(transformer());
    let above = Bus { feeder_id: text("g"), ..bus("mv", 10.0) };
    tables[0] = came(&[above, bus("b1", 0.4), bus("b2", 0.4), bus("b3", 0.4)]);
    told.tick(tables, &values(FIRST - STEP_MS, &FITTING));
    assert_eq!(told.observability[0].status, "estimated");
    assert_eq!(told.bus_ids(), ["b1", "b2", "b3"]);
    let row = &told.observability[0];
    assert_eq!(row.observable_buses + row.unobservable_buses + row.dead_buses, 3);
}

#[test]
fn what_is_no_longer_in_the_network_has_no_row_and_is_not_counted() {
    let mut told = begun();
    assert_eq!(told.bus_ids(), ["b1", "b2", "b3", "mv"]);
    let mut tables = quiet();
    tables[0] = Change::of(&[bus("b3", 0.4)], vec![-1]);
    let measured_at = told.at;
    told.tick(tables, &values(measured_at, &WITHOUT_B3));
    let row = &told.observability[0];
    assert_eq!(row.status, "estimated");
    assert_eq!(told.bus_ids(), ["b1", "b2", "mv"]);
    assert_eq!(row.observable_buses + row.unobservable_buses + row.dead_buses, 3);
    assert_eq!(row.dead_buses, 0);
}

#[test]
fn an_alarm_is_cleared_when_there_are_no_points_any_more_and_when_there_is_no_plan() {
    let no_points = (6, Change::of(&points(), vec![-1; 7]));
    let no_plan = (2, Change::of(&[transformer()], vec![-1]));
    for (table, goes) in [no_points, no_plan] {
        let mut told = begun();
        told.fitting_but(&[("v2", 1.05)]);
        let mut tables = quiet();
        tables[table] = goes;
        told.tick(tables, &[]);
        assert_eq!(told.told(), [(1, "v2", "raised"), (2, "v2", "cleared")]);
        assert_eq!(told.alarms[0].alarm_id, told.alarms[1].alarm_id);
        assert_eq!(told.buses, []);
    }
}

#[test]
fn without_a_plan_what_is_old_is_forgotten() {
    let mut told = Told::new(EstimateKernel::new(settings()));
    let mut tables = tables(transformer());
    tables[2] = Change::none(Transformer::schema());
    told.tick(tables, &values(FIRST - STEP_MS, &FITTING));
    let mut ticks = |number: usize| {
        for _ in 0..number {
            let measured_at = told.at;
            told.tick(quiet(), &values(measured_at, &FITTING));
        }
        assert_eq!(told.observability[0].status, "no-model");
        let (_, states) = told.kernel.save().into_iter().next().expect("a feeder is saved");
        states.len()
    };
    // Longer than what can be corrected, and twice as long.
    let kept = ticks(40);
    assert_eq!(ticks(40), kept);
}

#[test]
fn a_switch_that_moved_while_there_was_no_plan_after_a_restart_stands_as_it_stands() {
    let straight = begun();
    let mut again = EstimateKernel::new(settings());
    again.restore(&straight.kernel.save()).unwrap();
    let mut told = Told::new(again);
    told.at = straight.at;
    told.buses.clone_from(&straight.buses);
    told.observability.clone_from(&straight.observability);
    // The transformer comes a tick after the other tables.
    let mut tables = tables(transformer());
    let transformers = std::mem::replace(&mut tables[2], Change::none(Transformer::schema()));
    tables[7] = came(&[stands("open", Some(Timestamp(told.at)))]);
    let measured_at = told.at;
    told.tick(tables, &values(measured_at, &WITHOUT_B3));
    assert_eq!(told.observability[0].status, "no-model");
    let mut tables = quiet();
    tables[2] = transformers;
    let measured_at = told.at;
    told.tick(tables, &values(measured_at, &WITHOUT_B3));
    assert!(!told.bus("b3").energised && told.bus("b2").energised);
}
