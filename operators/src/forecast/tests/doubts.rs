//! What is not learned from is said; what takes long is not waited for.

use schemas::decision::LOAD_DOUBTFUL;
use schemas::time::HOUR_MS;

use super::model::START;
use super::model::Village;
use super::model::load_kw;
use crate::forecast::series::REVIEW_HOURS;
use crate::forecast::series::Turn;
use crate::kernel::Kernel;

#[test]
fn an_outlier_and_a_frozen_meter_are_told_once_and_not_learned_from() {
    let mut village = Village::new(3, START - 40 * 24);
    let mut usual = Village::new(3, START - 40 * 24);
    let mut told = Vec::new();
    for hour in START..START + 72 {
        // A spike on the first day; a meter that sticks on the second.
        let stuck = (START + 30..START + 60).contains(&hour);
        village.live_at(hour, |bus| match bus {
            0 if hour == START + 5 => 60.0,
            1 if stuck => load_kw(1, START + 30),
            _ => load_kw(bus, hour),
        });
        usual.live_at(hour, |bus| load_kw(bus, hour));
        let alarms = village.alarms.iter().filter(|alarm| alarm.kind == LOAD_DOUBTFUL);
        told.extend(alarms.map(|alarm| (alarm.subject.clone(), alarm.reason.clone())));
        assert!(usual.alarms.iter().all(|alarm| alarm.kind != LOAD_DOUBTFUL));
    }
    let of = |bus: &str| told.iter().filter(|(subject, _)| subject == bus).count();
    assert_eq!((of("b0"), of("b1"), of("b2")), (1, 1, 0), "{told:#?}");
    assert!(told[0].1.starts_with("outlier: 60.000 kW where"), "{told:#?}");
    assert!(told[1].1.starts_with("frozen: "), "{told:#?}");
    let (with, without) = (village.p50("b0"), usual.p50("b0"));
    let moved = with.iter().zip(&without).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(moved < 0.3, "60 kW among 3 would be felt: {moved}");
}

/// Twelve homes, one of which says 60 kW for an hour: on the day that is lived, or in the past that
/// is told at once. Its feeder, and with it all above, is told of the hour what the others drew and
/// it a day before.
#[track_caller]
fn check_above(lived: bool) {
    let first = START - 40 * 24;
    let spike = if lived { START + 5 } else { START - 43 };
    let kw = |bus: u64, hour: u64| {
        if bus == 0 && hour == spike { 60.0 } else { load_kw(bus, hour) }
    };
    let mut village = Village::of(12, first, kw);
    let mut told = village.hours.clone();
    for hour in START..START + 12 {
        village.live_at(hour, |bus| kw(bus, hour));
        told.append(&mut village.hours);
    }
    let of_spike = told.iter().filter(|row| row.hour_at.0 == spike * HOUR_MS);
    let of_spike: Vec<Option<f64>> = of_spike.map(|row| row.net_load_kw).collect();
    let expected = (1..12).map(|bus| load_kw(bus, spike)).sum::<f64>() + load_kw(0, spike - 24);
    let [Some(found)] = of_spike[..] else { panic!("{of_spike:?}") };
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
}

#[test]
fn what_a_home_sets_aside_its_feeder_does_not_learn() {
    check_above(true);
}

#[test]
fn nor_what_it_sets_aside_of_a_past_that_is_told_at_once() {
    check_above(false);
}

/// The hour from which on the model of a series is reviewed, as it is saved.
fn due(village: &Village, series: &str) -> i64 {
    let memory = village.kernel.save();
    let feeder: serde_json::Value = serde_json::from_slice(&memory["f"]).unwrap();
    feeder.pointer(&format!("{series}/model/due")).unwrap().as_i64().unwrap()
}

#[test]
fn series_that_began_together_are_not_reviewed_together() {
    let village = Village::new(2, START - 40 * 24);
    let monthly = (START + REVIEW_HOURS) as i64;
    for (scope, id, series) in [
        ("node", "b0", "/nodes/b0/series"),
        ("node", "b1", "/nodes/b1/series"),
        ("feeder", "f", "/whole"),
    ] {
        let put_off = Turn { place: 0, scope, id }.put_off() as i64;
        assert_eq!(due(&village, series), monthly + put_off, "{series}");
    }
    // The busiest hour of a month, of 200 feeders of 49 nodes: 14 were to be expected in each.
    let mut hours = [0; REVIEW_HOURS as usize];
    for feeder in 0..200 {
        let id = format!("feeder-{feeder}");
        hours[Turn { place: 0, scope: "feeder", id: &id }.put_off() as usize] += 1;
        for node in 0..49 {
            let id = format!("bus-{feeder}-{node}");
            hours[Turn { place: node, scope: "node", id: &id }.put_off() as usize] += 1;
        }
    }
    let most = hours.iter().max().unwrap();
    assert!(*most <= 32, "{most} reviews in one hour");
}

#[test]
fn nodes_that_began_together_do_not_all_have_their_first_model_at_once() {
    let mut village = Village::new(3, START - 9 * 24 + 2);
    let mut began = Vec::new();
    for hour in START..START + 5 {
        village.live_at(hour, |bus| load_kw(bus, hour));
        let promoted = village.versions.iter().filter(|row| row.state == "promoted");
        began.extend(promoted.map(|row| (hour - START, row.subject_id.clone())));
    }
    let expected = [(1, "b0"), (1, "f"), (2, "b1"), (3, "b2")];
    assert_eq!(began, expected.map(|(hour, id)| (hour, id.to_owned())));
}
