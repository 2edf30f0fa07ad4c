//! What is not learned from is said; what takes long is not waited for.

use schemas::decision::LOAD_DOUBTFUL;

use super::model::START;
use super::model::Village;
use super::model::load_kw;

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
