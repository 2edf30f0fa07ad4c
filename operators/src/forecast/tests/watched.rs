//! Models that are watched: alarms where they fail, and versions that a person holds on to.

use schemas::decision::FORECAST_DRIFT;
use schemas::decision::ModelVersion;
use schemas::event::ModelOrder;
use schemas::relation::Relation;
use schemas::time::HOUR_MS;

use super::model::START;
use super::model::Village;
use super::model::load_kw;

/// Hours that a village lives through after its first model.
const DAYS: u64 = 75;

/// Subjects and reasons of alarms of drift while homes drew this.
fn drift(drew: impl Fn(u64, u64) -> f64) -> Vec<(u64, String, String)> {
    let mut village = Village::new(3, 0);
    let mut told = Vec::new();
    for hour in START..START + DAYS * 24 {
        village.live_at(hour, |bus| drew(bus, hour));
        let alarms = village.alarms.iter().filter(|alarm| alarm.kind == FORECAST_DRIFT);
        for alarm in alarms {
            assert_eq!(alarm.tick_at.0, (hour + 1) * HOUR_MS);
            assert_eq!((alarm.feeder_id.as_str(), alarm.state.as_str()), ("f", "raised"));
            assert!(alarm.value.is_finite() && alarm.limit_value.is_finite(), "{alarm:?}");
            told.push((hour, alarm.subject.clone(), alarm.reason.clone()));
        }
    }
    told
}

#[test]
fn a_home_that_turns_day_and_night_round_is_alarmed_and_nobody_beside_it() {
    let changed = START + 40 * 24;
    let told =
        drift(|bus, hour| load_kw(bus, if bus == 1 && hour >= changed { hour + 12 } else { hour }));
    let of_home: Vec<&(u64, String, String)> =
        told.iter().filter(|(_, subject, _)| subject == "b1").collect();
    assert!(!of_home.is_empty(), "{told:?}");
    let (hour, _, reason) = of_home[0];
    println!("{} hours after: {reason}", hour - changed);
    assert!((changed..changed + 5 * 24).contains(hour), "{told:?}");
    // The feeder holds the home: it may be told, too; no other home is.
    assert!(told.iter().all(|(_, subject, _)| ["b1", "f"].contains(&subject.as_str())), "{told:?}");
}

#[test]
fn homes_that_go_on_as_they_did_are_not_alarmed() {
    assert_eq!(drift(load_kw), []);
}

fn order(word: &str, subject: (&str, &str)) -> ModelOrder {
    ModelOrder {
        order_id: word.to_owned(),
        scope: subject.0.to_owned(),
        subject_id: subject.1.to_owned(),
        feeder_id: "f".to_owned(),
        word: word.to_owned(),
        ..ModelOrder::example()
    }
}

/// When which version of a home began to answer, and why, while the weather was seen from an hour
/// on and orders were given.
fn versions(
    mut village: Village,
    home: &str,
    (hours, seen): (u64, u64),
    orders: &[(u64, &str)],
) -> Vec<(u64, i64, String)> {
    let mut told = Vec::new();
    for hour in START..START + hours {
        if hour == seen {
            village.look_up();
        }
        for (_, word) in orders.iter().filter(|(at, _)| *at == hour) {
            village.hear(hour * HOUR_MS + 5_000, &[], &[order(word, ("node", home))]);
            let state = if *word == "hold" { "held" } else { "released" };
            assert_eq!(village.versions[0].state, state);
        }
        village.live_at(hour, |bus| load_kw(bus, hour));
        let began = |row: &&ModelVersion| row.subject_id == home && row.state == "promoted";
        let rows = village.versions.iter().filter(began);
        told.extend(rows.map(|row| (hour, row.version, row.reason.clone())));
    }
    told
}

#[test]
fn a_version_that_is_held_survives_its_monthly_review_and_the_next_after_release_takes_over() {
    // Known for 40 days: its first model is of the shape for young series.
    let live = |hours: u64, orders: &[(u64, &str)]| {
        versions(Village::new(1, START - 40 * 24), "b0", (hours, START), orders)
    };
    let free = live(62 * 24, &[]);
    let (first, _, reason) = free.first().expect("its grown shape is better");
    assert!(reason.starts_with("a monthly review: "), "{reason}");
    assert_eq!(live(62 * 24, &[(START + 5, "hold")]), []);
    // A month after the review that was not held there is another.
    let orders = [(START + 5, "hold"), (first + 24, "release")];
    let released = live(first + 32 * 24 - START, &orders);
    let (then, number, reason) = released.first().expect("it is released");
    assert_eq!((*then, *number), (first + 30 * 24 + 1, 2));
    assert!(reason.starts_with("a monthly review: "), "{reason}");
}

#[test]
fn a_version_that_is_held_survives_a_review_that_drift_asked_for() {
    // It is told nothing of the weather, so that its errors grow when that changes.
    let live = |hours: u64, orders: &[(u64, &str)]| {
        versions(Village::blind(2), "b1", (hours, START + 10 * 24 + 3), orders)
    };
    let free = live(45 * 24, &[]);
    let (first, _, reason) = free.first().expect("the station that comes is worth it");
    assert!(reason.starts_with("errors have grown: "), "{reason}");
    assert_eq!(live(first + 24 - START, &[(START + 5, "hold")]), []);
    let orders = [(START + 5, "hold"), (first + 24, "release")];
    let released = live(first + 32 * 24 - START, &orders);
    assert_eq!(released.first().expect("the next review takes over").1, 2);
}
