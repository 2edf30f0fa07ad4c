//! What is told step by step: nothing later matters, a restart does not either.

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::feature::Group;
use forecast::model::Model;
use forecast::model::Outlook;
use forecast::model::P10;
use forecast::model::P90;

use crate::series::Chance;
use crate::series::Made;
use crate::series::made;
use crate::series::quarters;

fn run(made: &Made, load: &[f64], trees: bool) -> Adaptive {
    let policy = Policy { trees, ..Policy::default() };
    let mut model = Adaptive::new(made.setup.clone(), made.first, policy);
    for (at, value) in load.iter().enumerate() {
        model.know(&made.said(at));
        model.observe(*value);
    }
    model
}

/// A day's forecast after so many days.
fn outlook(made: &Made, days: usize) -> Outlook {
    run(made, &made.load[..days * 24], false).outlook()
}

#[test]
fn it_learns_what_can_be_known() {
    let made = made(120, 1);
    let mut model = run(&made, &made.load[..100 * 24], false);
    let (mut error, mut naive, mut inside, mut count) = (0.0, 0.0, 0.0, 0.0);
    for at in 100 * 24..119 * 24 {
        if at % 6 == 0 {
            let outlook = model.outlook();
            for (ahead, point) in outlook.points.iter().enumerate() {
                let actual = made.load[at + ahead];
                error += (point.value - actual).abs();
                naive += (made.load[at + ahead - 168] - actual).abs();
                let band = point.quantiles[P10]..=point.quantiles[P90];
                inside += f64::from(u8::from(band.contains(&actual)));
                count += 1.0;
            }
        }
        model.know(&made.said(at));
        model.observe(made.load[at]);
    }
    // The part that cannot be known moves by about 2.5 MW.
    assert!(error / count < 2.9 && error < 0.45 * naive, "{} {}", error / count, naive / count);
    assert!((0.72..0.88).contains(&(inside / count)), "{}", inside / count);
}

#[test]
fn the_newest_reading_does_matter() {
    let mut made = made(70, 2);
    let before = outlook(&made, 60);
    made.load[60 * 24 - 1] += 20.0;
    let after = outlook(&made, 60);
    assert!(after.points[0].value > before.points[0].value + 5.0);
}

/// A model that is saved and read back after `until` steps goes on as the one that was not.
#[track_caller]
fn check_restart(made: &Made, until: usize) {
    let mut whole = run(made, &made.load[..until], false);
    whole.outlook();
    let saved = serde_json::to_vec(&whole).expect("numbers and texts");
    let mut again: Adaptive = serde_json::from_slice(&saved).expect("as it was written");
    for at in until..made.load.len() {
        for model in [&mut whole, &mut again] {
            model.know(&made.said(at));
            model.observe(made.load[at]);
        }
        assert_eq!(again.outlook(), whole.outlook(), "after step {at}");
    }
}

#[test]
fn a_restart_in_the_middle_changes_no_bit() {
    check_restart(&made(75, 3), 60 * 24);
}

#[test]
fn a_restart_changes_no_bit_where_the_weather_was_forecast() {
    // A review is held after it, by what was known before.
    check_restart(&made(75, 3).misforecast(4), 40 * 24 + 7);
}

#[test]
fn a_restart_changes_no_bit_of_quarters_that_share() {
    check_restart(&quarters(16, 3).misforecast(4), 13 * 96 + 50);
}

#[test]
fn before_it_has_seen_enough_it_says_nothing() {
    let made = made(40, 4);
    assert!(outlook(&made, 8).points.is_empty());
    assert_eq!(outlook(&made, 9).points.len(), 24);
}

#[test]
fn missing_readings_are_not_learned_and_do_not_stop_it() {
    let mut made = made(80, 5);
    let whole = outlook(&made, 78);
    for hole in [50 * 24..50 * 24 + 7, 70 * 24..71 * 24, 78 * 24 - 3..78 * 24] {
        made.load[hole].iter_mut().for_each(|value| *value = f64::NAN);
    }
    let holed = outlook(&made, 78);
    assert_eq!(holed.points.len(), 24);
    for (a, b) in holed.points.iter().zip(&whole.points) {
        assert!((a.value - b.value).abs() < 8.0, "{} {}", a.value, b.value);
    }
}

/// What no sum of columns says: two days of the week that are heavier when it is warm.
fn with_a_twist(days: i64, seed: u64) -> Made {
    let mut made = made(days, seed);
    for (at, load) in made.load.iter_mut().enumerate() {
        let weekday = ((made.first + at as i64) / 24 + 3) % 7;
        if matches!(weekday, 1 | 3) && made.temperature_c[at] > 15.0 {
            *load += 18.0;
        }
    }
    made
}

#[test]
fn trees_answer_where_they_have_earned_it() {
    let made = with_a_twist(240, 6);
    let mut model = run(&made, &made.load[..239 * 24], true);
    let outlook = model.outlook();
    let models: Vec<String> = model.take_versions().into_iter().map(|v| v.model).collect();
    assert_eq!(models, ["ridge", "ridge+trees"]);
    let boosted = outlook.models.iter().find(|(name, _)| name == "boosted").expect("an expert");
    assert!(boosted.1.iter().all(|value| value.is_finite()));
    let twice = run(&made, &made.load[..239 * 24], true).outlook();
    assert_eq!(twice, outlook);
}

#[test]
fn trees_do_not_answer_where_there_is_nothing_for_them() {
    let made = made(240, 6);
    let mut model = run(&made, &made.load[..239 * 24], true);
    model.outlook();
    let models: Vec<String> = model.take_versions().into_iter().map(|v| v.model).collect();
    assert_eq!(models, ["ridge"]);
}

#[test]
fn the_parts_of_a_forecast_add_up_to_it() {
    let made = with_a_twist(240, 6);
    let mut model = run(&made, &made.load[..239 * 24], true);
    let outlook = model.outlook();
    for (at, point) in outlook.points.iter().enumerate() {
        let parts = model.explain(at);
        let sum: f64 = parts.values().sum();
        assert!((sum - point.value).abs() < 1e-4, "{at}: {sum} {}", point.value);
        assert!(parts.contains_key(&Group::Temperature) && parts.contains_key(&Group::Trees));
    }
}

#[test]
fn one_goes_back_to_the_version_before_and_stays_there() {
    let made = with_a_twist(240, 6);
    let mut model = run(&made, &made.load[..239 * 24], true);
    model.outlook();
    let plain = run(&made, &made.load[..239 * 24], false).outlook();
    assert!(model.roll_back());
    assert_eq!(model.outlook(), plain);
    let version = model.version().expect("there is one");
    assert_eq!((version.number, version.model.as_str()), (3, "ridge"));
    let mut fresh = run(&made, &made.load[..239 * 24], false);
    fresh.outlook();
    assert!(!fresh.roll_back());
}

#[test]
fn a_history_tells_what_was_set_aside() {
    let mut made = made(100, 8);
    made.load[80 * 24 + 5] = 900.0;
    let model = run(&made, &made.load, false);
    let aside: Vec<i64> = model.aside().map(|(index, _)| *index).collect();
    assert_eq!(aside, [made.first + 80 * 24 + 5]);
}

#[test]
fn a_review_held_beside_ends_as_one_held_at_once() {
    let mut made = with_a_twist(240, 6);
    // A level that moves, too.
    made.load[200 * 24..].iter_mut().for_each(|load| *load *= 1.6);
    let model = |beside: bool| {
        let policy = Policy { beside, ..Policy::default() };
        Adaptive::new(made.setup.clone(), made.first, policy)
    };
    let (mut at_once, mut beside) = (model(false), model(true));
    let mut versions = [Vec::new(), Vec::new()];
    let (mut chance, mut others, mut restarts) = (Chance(4), 0, 0);
    for at in 0..made.load.len() - 24 {
        for model in [&mut at_once, &mut beside] {
            model.know(&made.said(at));
            model.observe(made.load[at]);
        }
        if at < 60 * 24 {
            continue;
        }
        let same = at_once.outlook() == beside.outlook();
        others += usize::from(!same);
        versions[0].extend(at_once.take_versions());
        versions[1].extend(beside.take_versions());
        if !same || at % 997 == 0 {
            // A restart while it is held, or another time.
            let saved = serde_json::to_vec(&beside).expect("a model can be saved");
            beside = serde_json::from_slice(&saved).expect("and read back");
            restarts += 1;
        }
        let index = made.first + at as i64 - (at % 50) as i64;
        let value = made.load[at - at % 50] + chance.next();
        for model in [&mut at_once, &mut beside] {
            model.correct(index, value);
        }
    }
    assert_eq!(versions[0], versions[1]);
    let models: Vec<&str> = versions[0].iter().map(|version| version.model.as_str()).collect();
    assert!(models.len() >= 3 && models.contains(&"ridge+trees"), "{models:?}");
    // Only the answer of the hour in which a version is found is still that of the one before.
    assert!(others > 0 && others < versions[0].len(), "{others} of {}", versions[0].len());
    assert!(restarts > others);
}
