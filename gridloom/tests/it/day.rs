//! The demo's day, through the real loop: the plant, the shipped views, the agents, the log.
//!
//! A whole day takes minutes, so what must hold of it is shown on the hours in which it is decided;
//! `the_whole_day` is there to be asked for by name. The log goes to memory where the machine has a
//! file system there: what a disk costs is not the question here.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use connectors::simulator::plant::DEMO_START_AT;
use gridloom::audit_tables;
use gridloom::wiring::bundled;
use gridloom::wiring::day::DAY_TICKS;
use gridloom::wiring::day::Day;
use gridloom::wiring::day::LIMIT_KW;
use gridloom::wiring::day::Minutes;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::time::DEFAULT_STEP;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use tempfile::TempDir;

use crate::cli::good;

/// Ticks in an hour.
const HOUR_TICKS: u64 = HOUR_MS / DEFAULT_STEP.millis();
/// Ticks in a minute.
const MINUTE_TICKS: u64 = HOUR_TICKS / 60;

fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        return tempfile::tempdir_in(memory).unwrap();
    }
    tempfile::tempdir().unwrap()
}

/// What a stretch of a day came to.
struct Outcome {
    minutes: Minutes,
    /// Energy above the limit in kWh.
    over_kwh: f64,
    /// What the batteries held at each full hour, in kWh.
    stored_kwh: Vec<f64>,
    /// Steps of actions by state, refusals by rule, alarms by kind and state.
    counts: BTreeMap<String, u64>,
    head: Head,
    folder: TempDir,
}

impl Outcome {
    fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The answer of `gridloom sql`, a line a row.
    fn ask(&self, sql: &str) -> Vec<String> {
        let answer = good(self.folder.path(), &["sql", sql, "-o", "csv", "--data-dir", "data"]);
        answer.lines().skip(1).map(str::to_owned).collect()
    }

    #[expect(clippy::print_stdout, reason = "the figures of a run are asked for with --nocapture")]
    fn tell(&self, what: &str) {
        let Outcome { minutes, over_kwh, counts, head, stored_kwh, .. } = self;
        println!(
            "{what}: {} minutes over, peak {:.1} kW, {over_kwh:.2} kWh over\n  stored by hour \
             {stored_kwh:.0?}\n  {counts:?}\n  head {head}",
            minutes.over, minutes.peak_kw
        );
    }
}

/// Lives through so many ticks of a day that is as `so` makes the demo's.
fn live(ticks: u64, so: impl FnOnce(Day) -> Day) -> Outcome {
    let folder = folder();
    let day = so(Day::new(folder.path().join("data")));
    let mut lockstep = day.open(bundled::plant_data().unwrap()).unwrap();
    let (mut minutes, mut over_kwh) = (Minutes::default(), 0.0);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut stored_kwh = Vec::new();
    for tick in 0..ticks {
        let stepped = lockstep.step().unwrap();
        assert!(stepped.truth.solved);
        minutes.add(stepped.truth.head_kw);
        over_kwh += (stepped.truth.head_kw - LIMIT_KW).max(0.0) / HOUR_TICKS as f64;
        if tick % HOUR_TICKS == 0 {
            stored_kwh.push(stepped.truth.stored_kwh);
        }
        let mut count = |what: String| *counts.entry(what).or_default() += 1;
        for action in stepped.done.said.actions {
            if action.state == "refused" {
                count(format!("refused {}", action.rule));
            } else {
                count(action.state);
            }
        }
        for alarm in stepped.done.said.alarms {
            count(format!("{} {}", alarm.kind, alarm.state));
        }
    }
    let head = lockstep.stop().unwrap();
    Outcome { minutes, over_kwh, stored_kwh, counts, head, folder }
}

/// The same with nobody at the controls: the plant alone, as the demo compares.
fn alone(ticks: u64, so: impl FnOnce(Day) -> Day) -> Minutes {
    let day = so(Day::new(PathBuf::new()));
    let mut plant = day.plant(bundled::plant_data().unwrap()).unwrap();
    let mut minutes = Minutes::default();
    for _ in 0..ticks {
        minutes.add(plant.step(plant.next_at(), &[]).truth.head_kw);
    }
    minutes
}

/// Minutes after the day's midnight.
fn at(hour: u64, minute: u64) -> Timestamp {
    DEMO_START_AT.plus((60 * hour + minute) * 60_000)
}

#[test]
fn a_foreign_command_of_9_kw_is_refused_and_alarmed_and_one_query_tells_every_action() {
    let morning = |day| Day { start_at: at(9, 59), ..day };
    let seen = live(2 * MINUTE_TICKS, morning);
    let refusals: Vec<_> = seen.counts.iter().filter(|(k, _)| k.starts_with("refused")).collect();
    assert_eq!(refusals, [(&"refused box".to_owned(), &1)]);
    assert_eq!(seen.count("command-refused raised"), 1);
    let alarm = "SELECT a.subject, a.actor, a.value, a.limit_value, c.actor, c.rule, \
                 c.inputs = a.inputs FROM audit.alarms a \
                 JOIN audit.actions c ON c.action_id = a.action_id \
                 WHERE a.kind = 'command-refused' AND c.state = 'refused'";
    assert_eq!(
        seen.ask(alarm),
        ["1472637605000:battery-07:1,guard,9.0,5.0,flexibility-market,box,true"]
    );

    // What README asks: asset, proposed, reason, sent, confirmed.
    let told = seen.ask(
        "SELECT subject AS asset, active_power_kw AS proposed, \
           max(CASE WHEN state = 'proposed' THEN reason END) AS reason, \
           max(CASE WHEN state = 'sent' THEN tick_at END) AS sent, \
           max(CASE WHEN state = 'confirmed' THEN tick_at END) AS confirmed \
         FROM audit.actions GROUP BY action_id, subject, active_power_kw ORDER BY action_id",
    );
    assert_eq!(told.len() as u64, seen.count("proposed"));
    let whole = |line: &&String| {
        let columns: Vec<&str> = line.split(',').collect();
        let &[asset, proposed, reason, sent, confirmed] = &columns[..] else { return false };
        asset.starts_with("battery-")
            && proposed.parse::<f64>().is_ok()
            && !reason.is_empty()
            && sent.starts_with("2016-08-31T")
            && sent < confirmed
    };
    assert_eq!(told.iter().filter(whole).count() as u64, seen.count("confirmed"));
    assert!(seen.count("confirmed") > 100, "{:?}", seen.counts);

    // Whoever said something says what he looked at.
    for kind in [Kind::Action, Kind::Alarm, Kind::Forecast] {
        let table = audit_tables::name(kind);
        let silent = format!("SELECT count(*) FROM {table} WHERE inputs NOT LIKE '%@1472637%'");
        assert_eq!(seen.ask(&silent), ["0"], "{table}");
        let rows = audit_tables::rows(&seen.data_dir(), kind).unwrap();
        assert!(rows.batches.iter().any(|batch| batch.num_rows() > 0), "{table}");
        let names = |schema: SchemaRef| -> Vec<String> {
            schema.fields().iter().map(|field| field.name().clone()).collect()
        };
        assert_eq!(names(rows.schema), names(audit_tables::columns(kind)), "{table}");
    }

    // The same with two threads has the same head, and replaying the log says what the log says.
    let again = live(2 * MINUTE_TICKS, |day| Day { workers: 2, ..morning(day) });
    assert_eq!(again.head, seen.head);
    let day = morning(Day::new(seen.data_dir()));
    let replayed = day.open(bundled::plant_data().unwrap()).unwrap();
    assert_eq!(replayed.instance().tick(), seen.head.tick);
}

#[test]
fn models_answer_from_the_first_quarter_on_and_each_is_a_record() {
    let seen = live(2 * MINUTE_TICKS, |day| Day { start_at: at(9, 14), ..day });
    let who = "SELECT scope, model_version, count(*) FROM audit.forecasts GROUP BY 1, 2 ORDER BY 1";
    // Plants learn their past in the minutes that follow; until then the rule answers for them.
    let lines = [
        "feeder,ridge-1,24",
        "node,ridge-1,1368",
        "plant,yesterday-1,1368",
        "system,ridge-1,24",
        "zone,ridge-1,24",
    ];
    assert_eq!(seen.ask(who), lines);
    let quarters = "SELECT scope, model_version, count(*) FROM audit.short_forecasts GROUP BY 1, 2 \
                    ORDER BY 1";
    let lines = ["feeder,short-1,4", "node,short-1,228", "plant,short-1,228", "system,short-1,4"];
    assert_eq!(seen.ask(quarters), [&lines[..], &["zone,short-1,4"]].concat());
    let told = "SELECT scope, state, model, min(window_from_at), count(*) FROM audit.models \
                WHERE features LIKE '%station-1 temperature%' GROUP BY 1, 2, 3 ORDER BY 1";
    let since = "2016-08-01T00:00:00";
    let told = seen.ask(told);
    assert!(told[0].starts_with(&format!("feeder,promoted,ridge,{since}")), "{told:?}");
    assert!(told[1].ends_with(",57") && told[1].starts_with("node,promoted,ridge"), "{told:?}");
    // The weather that is expected reaches to the end of what was issued.
    let ahead = "SELECT count(*) > 0, max(hour_at) > min(issued_at) + INTERVAL '24 hours' \
                 FROM weather_ahead";
    assert_eq!(seen.ask(ahead), ["true,true"]);
    let apart = "SELECT sum(p50_kw) FROM audit.forecasts WHERE scope = 'node'";
    let whole = "SELECT sum(p50_kw) FROM audit.forecasts WHERE scope = 'feeder'";
    let kw = |sql| seen.ask(sql)[0].parse::<f64>().unwrap();
    assert!((kw(apart) - kw(whole)).abs() < 1e-6, "nodes add up to their feeder");
    // The village is all that its zone and the system hold.
    let of = |scope: &str| {
        let rows = "SELECT target_at, p10_kw, p50_kw, p90_kw FROM audit.forecasts WHERE scope";
        seen.ask(&format!("{rows} = '{scope}' ORDER BY 1"))
    };
    assert_eq!((of("zone"), of("system")), (of("feeder"), of("feeder")));
}

#[test]
fn a_home_that_is_cut_off_shows_in_the_grids_state() {
    // Home 23 is cut off at 9:15; a minute and a half later everything at its bus is silent.
    let seen = live(3 * MINUTE_TICKS, |day| Day { start_at: at(9, 14), ..day });
    let plant = Day::new(seen.data_dir()).plant(bundled::plant_data().unwrap()).unwrap();
    let data = plant.data();
    let bus = data.home_buses()[22];
    let branch = data.network().branches.iter().find(|branch| branch.to == bus).unwrap();
    let mut cut: Vec<String> =
        [branch.from, bus].map(|bus| format!("{},1", data.buses()[bus.0].bus_id)).into();
    cut.sort();
    let open = "SELECT bus_id, open_switches FROM grid_state WHERE open_switches > 0 ORDER BY 1";
    assert_eq!(seen.ask(open), cut);
    let silent = "SELECT bus_id, stale_sensors FROM grid_state WHERE stale_sensors > 0";
    // Its meter, its battery, its PV inverter and its voltage sensor.
    assert_eq!(seen.ask(silent), [format!("{},4", data.buses()[bus.0].bus_id)]);
    let cost = "SELECT count(*), count(DISTINCT feeder_cost_per_hour), \
                max(abs(feeder_cost_per_hour - feeder_head_kw * price_per_mwh / 1000.0)) < 1e-9 \
                FROM grid_state WHERE feeder_cost_per_hour <> 0";
    assert_eq!(seen.ask(cost), ["116,1,true"]);
}

/// How full the sun leaves all batteries in the afternoon, whatever they held at midnight: see
/// `the_whole_day`.
const FULL: Option<f64> = Some(0.99);

fn evening(battery_share: f64, day: Day) -> Day {
    Day { start_at: at(16, 30), start_soc: FULL, battery_share, ..day }
}

#[test]
fn the_evenings_first_peak_stays_under_the_limit() {
    let ticks = 2 * HOUR_TICKS;
    let idle = alone(ticks, |day| evening(1.0, day));
    assert!(idle.over > 90, "{} of 120 minutes", idle.over);
    let held = live(ticks, |day| evening(1.0, day));
    held.tell("two hours of the evening");
    assert_eq!(held.minutes.over, 0);
    assert!(held.over_kwh < 0.05, "{} kWh", held.over_kwh);
    // Every action comes to one end, but for those of the last ticks.
    let ends = ["confirmed", "superseded", "failed"].map(|state| held.count(state));
    assert!(held.count("sent") - ends.iter().sum::<u64>() <= 2 * 57, "{:?}", held.counts);
    let judged = held.count("cleared") + held.count("refused unknown-asset");
    assert_eq!(held.count("proposed"), judged, "{:?}", held.counts);
    what_the_devices_taught(&held);
}

/// What telemetry says of the batteries, without their name plates: the plant keeps 0.95.
fn what_the_devices_taught(held: &Outcome) {
    let kept = "SELECT count(*) > 30, round(min(kept), 2), round(max(kept), 2) FROM (
           SELECT (efficiency * (energy_kwh_max + measured_kwh)
             - nameplate * energy_kwh_max) / measured_kwh AS kept
           FROM asset_efficiency WHERE measured_kwh > 0.5
         ) v";
    assert_eq!(held.ask(kept), ["true,0.95,0.95"]);
    let answered = "SELECT sum(confirmed) > 100, max(mean_delay_s) <= 10.0 FROM response_delay";
    assert_eq!(held.ask(answered), ["true,true"]);
}

#[test]
fn batteries_in_40_percent_of_the_homes_hold_the_whole_evening() {
    let ticks = 13 * HOUR_TICKS / 2;
    let idle = alone(ticks, |day| evening(0.4, day));
    assert!(idle.over > 250, "{} minutes", idle.over);
    let held = live(ticks, |day| evening(0.4, day));
    held.tell("the evening with batteries in 40 % of the homes");
    assert_eq!(held.minutes.over, 0);
}

#[test]
fn where_energy_is_scarce_the_reserve_does_better_than_reaction_alone() {
    let run = |reserve| {
        let scarce = live(11 * HOUR_TICKS / 2, |day| Day { reserve, ..evening(0.3, day) });
        scarce.tell(if reserve { "with the reserve" } else { "reaction alone" });
        scarce
    };
    let (with, without) = (run(true), run(false));
    assert!(with.minutes.over * 10 < without.minutes.over * 8);
    assert!(with.over_kwh < 0.7 * without.over_kwh);
}

#[test]
fn without_control_the_day_is_above_the_limit_for_more_than_300_minutes() {
    let idle = alone(DAY_TICKS, |day| day);
    assert!(idle.over > 300, "{} minutes", idle.over);
    // Deciding without handing over leaves the plant as it is: `demo --no-control`.
    let decided = live(HOUR_TICKS, |day| Day { control: false, ..evening(1.0, day) });
    let undisturbed = alone(HOUR_TICKS, |day| evening(1.0, day));
    assert_eq!(decided.minutes.peak_kw, undisturbed.peak_kw);
    assert!(decided.count("sent") > 0);
}

/// The day as it was promised, each case whole: `cargo test -p gridloom --test it -- --ignored
/// --nocapture the_whole_day`.
#[test]
#[ignore = "each case takes minutes"]
fn the_whole_day() {
    let idle = alone(DAY_TICKS, |day| day);
    println!("alone: {} minutes over, peak {:.1} kW", idle.over, idle.peak_kw);
    let held = live(DAY_TICKS, |day| day);
    held.tell("with control");
    let few = live(DAY_TICKS, |day| Day { battery_share: 0.4, ..day });
    few.tell("batteries in 40 % of the homes");
    let scarce =
        |reserve| move |day| Day { battery_share: 0.3, start_soc: Some(0.0), reserve, ..day };
    let with = live(DAY_TICKS, scarce(true));
    with.tell("30 %, empty at midnight, with the reserve");
    let without = live(DAY_TICKS, scarce(false));
    without.tell("30 %, empty at midnight, reaction alone");
    assert!(idle.over > 300);
    assert_eq!((held.minutes.over, few.minutes.over), (0, 0));
    assert!(with.minutes.over < without.minutes.over && with.over_kwh < without.over_kwh);
    let again = live(DAY_TICKS, |day| Day { workers: 2, ..day });
    assert_eq!(held.head, again.head, "the day replayed has the same head");
}
