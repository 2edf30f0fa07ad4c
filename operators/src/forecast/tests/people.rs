//! What people say, annotations of nodes and orders to models; and what is said of new nodes.

use schemas::decision::ModelVersion;
use schemas::event::LoadAnnotation;
use schemas::event::ModelOrder;
use schemas::relation::Relation;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;

use super::model::START;
use super::model::Village;
use super::model::load_kw;
use crate::kernel::Kernel;

fn outage(id: &str, bus: &str, hours: (u64, u64), expected_kw: Option<f64>) -> LoadAnnotation {
    LoadAnnotation {
        annotation_id: id.to_owned(),
        bus_id: bus.to_owned(),
        feeder_id: "f".to_owned(),
        announced_at: Timestamp(START * HOUR_MS),
        from_at: Timestamp(hours.0 * HOUR_MS),
        to_at: Timestamp(hours.1 * HOUR_MS),
        expected_kw,
        reason: "works".to_owned(),
    }
}

const TICK_MS: u64 = START * HOUR_MS + 5_000;

#[test]
fn a_planned_outage_is_forecast_and_its_feeder_moves_by_as_much() {
    let mut village = Village::new(3, 0);
    let (home, feeder) = (village.p50("b1"), village.p50("f"));
    village.hear(TICK_MS, &[outage("w", "b1", (START + 5, START + 8), Some(0.0))], &[]);
    let (off, less) = (village.p50("b1"), village.p50("f"));
    for hour in 0..24 {
        let out = (5..8).contains(&hour);
        assert_eq!(off[hour], if out { 0.0 } else { home[hour] }, "hour {hour}");
        let moved = if out { home[hour] } else { 0.0 };
        assert!((feeder[hour] - less[hour] - moved).abs() < 1e-9, "hour {hour}");
    }
    let saw = |subject: &str| {
        let row = village.forecasts.iter().find(|row| row.subject_id == subject);
        row.unwrap().saw.clone()
    };
    let told = format!("load_annotations@{TICK_MS} annotation_id=w");
    assert!(saw("b1").contains(&told) && saw("f").contains(&told), "{}", saw("f"));
    assert!(!saw("b0").contains("load_annotations"));
    // Withdrawn, all is as it was.
    village.hear(TICK_MS + 5_000, &[outage("w", "b1", (START, START), None)], &[]);
    assert_eq!((village.p50("b1"), village.p50("f")), (home, feeder));
}

/// The hours of a feast.
const FEAST: (u64, u64) = (START + 4, START + 16);

/// What is forecast of home 0 a day after hours in which it drew 1 kW more: not so much that it
/// would be set aside.
fn after_a_feast(notes: &[(u64, LoadAnnotation)]) -> (Vec<f64>, Vec<f64>) {
    let mut village = Village::new(2, 0);
    for hour in START..START + 24 {
        for (at, note) in notes.iter().filter(|(at, _)| *at == hour) {
            village.hear(at * HOUR_MS + 5_000, std::slice::from_ref(note), &[]);
        }
        let feast = (FEAST.0..FEAST.1).contains(&hour);
        village.live_at(hour, |bus| {
            let usual = load_kw(bus, hour);
            if feast && bus == 0 { usual + 1.0 } else { usual }
        });
    }
    (village.p50("b0"), village.p50("f"))
}

#[test]
fn what_was_not_as_usual_is_not_learned_from_told_before_or_after() {
    let note = || outage("feast", "b0", FEAST, None);
    let (before, feeder) = after_a_feast(&[(START + 2, note())]);
    let (after, feeder_after) = after_a_feast(&[(START + 20, note())]);
    let (never, feeder_never) = after_a_feast(&[]);
    let usual = |at: usize| load_kw(0, START + 24 + at as u64);
    let off = |said: &[f64]| (0..24).map(|at| (said[at] - usual(at)).abs()).sum::<f64>() / 24.0;
    // What was missed meanwhile is remembered, what was learned is not.
    let far = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>();
    println!("{} {} {}", off(&before), off(&after), off(&never));
    println!("{} {}", far(&feeder, &feeder_after), far(&feeder, &feeder_never));
    assert!(off(&before) < 0.5 * off(&never), "{} {}", off(&before), off(&never));
    assert!(off(&after) < 0.7 * off(&never), "{} {}", off(&after), off(&never));
    assert!(far(&feeder, &feeder_after) < 0.5 * far(&feeder, &feeder_never));
    // Withdrawn, it is learned from after all.
    let gone = outage("feast", "b0", (START, START), None);
    let (gone, _) = after_a_feast(&[(START + 2, note()), (START + 20, gone)]);
    assert!(off(&gone) > 1.3 * off(&before), "{} {}", off(&gone), off(&before));
}

fn order(id: &str, scope: &str, subject: &str, word: &str) -> ModelOrder {
    ModelOrder {
        order_id: id.to_owned(),
        scope: scope.to_owned(),
        subject_id: subject.to_owned(),
        feeder_id: "f".to_owned(),
        word: word.to_owned(),
        ..ModelOrder::example()
    }
}

/// The state and reason of the answer to an order.
#[track_caller]
fn check(village: &mut Village, order: ModelOrder, state: &str, reason: &str) {
    village.hear(TICK_MS, &[], &[order]);
    let told: Vec<&ModelVersion> = village.versions.iter().collect();
    let (found, why) = (told[0].state.as_str(), told[0].reason.as_str());
    assert_eq!(told.len(), 1);
    assert_eq!(found, state);
    assert!(why.starts_with(reason), "{why}");
    assert!(why.ends_with("a trial is under way"), "{why}");
}

#[test]
fn what_comes_of_an_order_is_a_row_and_what_cannot_be_done_is_one_with_the_reason() {
    let mut village = Village::new(2, 0);
    let says = "operator-1 says hold in o";
    check(&mut village, order("o", "feeder", "f", "hold"), "held", says);
    check(&mut village, order("o", "node", "b1", "hold"), "held", says);
    check(&mut village, order("o", "node", "b1", "release"), "released", "operator-1 says release");
    let none = "there is no version before";
    check(&mut village, order("o", "node", "b1", "roll-back"), "refused", none);
    let word = "the word is none of hold, release, roll-back";
    check(&mut village, order("o", "node", "b1", "stop"), "refused", word);
    check(&mut village, order("o", "node", "b9", "hold"), "refused", "there is no node b9 in f");
    check(&mut village, order("o", "feeder", "g", "hold"), "refused", "there is no feeder g in f");
    village.hear(TICK_MS, &[], &[order("o", "plant", "p", "hold")]);
    assert_eq!(village.versions, [], "plants are the business of others");
    let mut young = Village::new(1, START - 100);
    check(&mut young, order("o", "feeder", "f", "hold"), "refused", "it has no model yet");
}

#[test]
fn a_version_that_is_left_is_told_as_it_was_by_review_and_by_a_person() {
    let mut village = Village::new(1, START - 40 * 24);
    let first = village.versions.iter().find(|row| row.subject_id == "b0").unwrap().clone();
    let of_home = |village: &Village| -> Vec<ModelVersion> {
        let rows = village.versions.iter().filter(|row| row.subject_id == "b0");
        rows.cloned().collect()
    };
    // Its level is eight times what it was: after a day another version answers.
    let mut told = Vec::new();
    for hour in START..START + 60 {
        village.live_at(hour, |bus| 8.0 * load_kw(bus, hour));
        told.extend(of_home(&village));
    }
    let states: Vec<(&str, i64)> =
        told.iter().map(|row| (row.state.as_str(), row.version)).collect();
    assert_eq!(states, [("retired", 1), ("promoted", 2)], "{:?}", village.alarms);
    let window = |row: &ModelVersion| (row.window_from_at, row.window_to_at);
    assert_eq!(window(&told[0]), window(&first));
    assert!(window(&told[1]).1 > window(&first).1);
    let at_ms = (START + 60) * HOUR_MS + 5_000;
    village.hear(at_ms, &[], &[order("o", "node", "b0", "roll-back")]);
    let answer = of_home(&village);
    assert_eq!((answer[0].state.as_str(), answer[0].version), ("rolled-back", 2));
    assert_eq!(window(&answer[0]), window(&told[1]));
    village.live_at(START + 60, |bus| 8.0 * load_kw(bus, START + 60));
    let told = of_home(&village);
    let states: Vec<(&str, i64)> =
        told.iter().map(|row| (row.state.as_str(), row.version)).collect();
    assert_eq!(states, [("promoted", 3)]);
    assert_eq!(told[0].reason, "rolled back to version 1");
}

/// What the model of home 0 holds of its past, as it is saved.
fn learned(village: &Village) -> serde_json::Value {
    fn history(of: &serde_json::Value) -> Option<&serde_json::Value> {
        match of {
            serde_json::Value::Object(all) => {
                let here = all.get("history").and_then(|history| history.get("seen"));
                here.or_else(|| all.values().find_map(history))
            }
            _ => None,
        }
    }
    let memory = village.kernel.save();
    let feeder: serde_json::Value = serde_json::from_slice(&memory["f"]).unwrap();
    history(&feeder["nodes"]["b0"]).expect("a model has a history").clone()
}

#[test]
fn an_outage_that_is_told_weeks_late_is_not_in_what_reviews_look_at() {
    let hours = (START - 30 * 24, START - 30 * 24 + 6);
    let missing = |bus: u64, hour: u64| {
        if bus == 0 && (hours.0..hours.1).contains(&hour) { f64::NAN } else { load_kw(bus, hour) }
    };
    let mut late = Village::new(2, START - 40 * 24);
    let never = Village::of(2, START - 40 * 24, missing);
    assert_ne!(learned(&late), learned(&never));
    late.hear(TICK_MS, &[outage("w", "b0", hours, None)], &[]);
    assert_eq!(learned(&late), learned(&never));
}

#[test]
fn a_home_that_was_heard_for_an_hour_is_as_the_others_times_what_it_drew() {
    let mut village = Village::new(4, 0);
    (START..START + 3).for_each(|hour| village.live_at(hour, |bus| load_kw(bus, hour)));
    let feeder = village.p50("f").len();
    // The fifth is three times as large as the mean of the four.
    let all = |hour: u64| (0..4).map(|bus| load_kw(bus, hour)).sum::<f64>();
    village.settle_in();
    village.live_at(START + 3, |bus| match bus {
        4 => 0.75 * all(START + 3),
        bus => load_kw(bus, START + 3),
    });
    let (new, known) = (village.p50("b4"), (0..4).map(|bus| village.p50(&format!("b{bus}"))));
    let known: Vec<Vec<f64>> = known.collect();
    assert_eq!((new.len(), feeder), (24, 24));
    for hour in 0..24 {
        let mean = known.iter().map(|kw| kw[hour]).sum::<f64>() / 4.0;
        assert!((new[hour] - 3.0 * mean).abs() < 1e-6, "{} {mean}", new[hour]);
    }
    let row = village.forecasts.iter().find(|row| row.subject_id == "b4").unwrap();
    assert_eq!(row.model_version, "class-prior-1");
    assert!(row.p10_kw < row.p50_kw && row.p50_kw < row.p90_kw);
}

#[test]
fn an_annotation_of_a_feeder_that_nobody_hears_is_no_work_at_each_tick() {
    let mut village = Village::new(1, 0);
    let mut note = outage("w", "b9", (START, START + 9_000), None);
    note.feeder_id = "g".to_owned();
    village.hear(TICK_MS, &[note], &[]);
    assert!(village.forecasts.is_empty());
    village.hear(TICK_MS + 5_000, &[], &[]);
    assert!(village.forecasts.is_empty());
    assert_eq!(village.moved_kw("g"), 0.0);
}

#[test]
fn a_hole_in_a_young_past_is_not_filled_by_the_others() {
    let mut village = Village::new(4, START - 100);
    (START..START + 30).for_each(|hour| {
        village.live_at(hour, |bus| if bus == 0 && hour == START + 12 { f64::NAN } else { 2.0 });
    });
    assert_eq!(village.p50("b0").len(), 23);
    assert_eq!(village.who()["b0"], "seasonal-naive-1");
}
