//! Readings that are corrected in the whole model: screened as new ones are, and at the level that
//! the series had.

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::model::Model;
use forecast::quality::Verdict;

use crate::series::Made;
use crate::series::made;

const POLICY: Policy = Policy { trees: false, reviews: true, screen: true, beside: false };

/// A model that is asked after 60 days, and told so many hours.
fn told(made: &Made, load: &[f64], pinned: bool) -> Adaptive {
    let mut model = Adaptive::new(made.setup.clone(), made.first, POLICY);
    for (at, value) in load.iter().enumerate() {
        model.know(&made.said(at));
        model.observe(*value);
        if at == 60 * 24 {
            model.outlook();
            model.pin(pinned);
        }
    }
    model
}

fn aside(made: &Made, model: &Adaptive) -> Vec<usize> {
    model.aside().map(|(index, _)| (index - made.first) as usize).collect()
}

/// The sums of the one that answers.
fn sums(model: &Adaptive) -> Vec<Vec<f64>> {
    model.forecaster().expect("it answers").sums()
}

/// An hour comes as `came` and is corrected to `corrected`, which is absurd: it is as missing.
#[track_caller]
fn check_absurd(came: f64, corrected: f64) {
    let made = made(80, 31);
    let hour = 75 * 24 + 5;
    let mut load = made.load.clone();
    load[hour] = came;
    let mut model = told(&made, &load, false);
    load[hour] = f64::NAN;
    let missing = told(&made, &load, false);
    model.take_doubts();
    assert!(model.correct(made.first + hour as i64, corrected));
    assert_eq!(aside(&made, &model), [hour]);
    assert!(sums(&model) == sums(&missing), "it is learned");
    // One that is known to be in doubt is not told again.
    assert_eq!(model.take_doubts().len(), usize::from(came < 300.0 || came.is_nan()));
    // Put right in the end, it is learned as if it had never been absurd.
    assert!(model.correct(made.first + hour as i64, made.load[hour]));
    assert!(aside(&made, &model).is_empty());
    assert!(sums(&model) == sums(&told(&made, &made.load, false)), "it is not learned");
}

#[test]
fn an_outlier_whose_mean_moves_stays_aside() {
    check_absurd(900.0, 890.0);
}

#[test]
fn a_good_reading_that_is_corrected_to_an_absurd_one_is_set_aside() {
    check_absurd(101.0, 900.0);
}

#[test]
fn a_reading_that_comes_late_and_absurd_is_set_aside() {
    check_absurd(f64::NAN, 900.0);
}

#[test]
fn a_frozen_reading_is_so_until_it_is_another() {
    let made = made(80, 32);
    let mut load = made.load.clone();
    load[75 * 24..75 * 24 + 20].fill(made.load[75 * 24]);
    let mut model = told(&made, &load, false);
    let frozen = aside(&made, &model);
    let hour = *frozen.last().expect("some are frozen");
    let index = made.first + hour as i64;
    assert!(model.correct(index, load[hour]));
    assert_eq!(aside(&made, &model), frozen);
    assert!(model.aside().all(|(_, verdict)| matches!(verdict, Verdict::Frozen { .. })));
    assert!(model.correct(index, made.load[hour]));
    assert_eq!(aside(&made, &model), frozen[..frozen.len() - 1]);
}

#[test]
fn corrections_of_a_usual_size_are_learned_at_any_hour() {
    let made = made(80, 33);
    let mut model = told(&made, &made.load, false);
    for hour in 66 * 24..80 * 24 {
        let value = made.load[hour] + if hour % 2 == 0 { 4.0 } else { -4.0 };
        assert!(model.correct(made.first + hour as i64, value));
    }
    assert!(aside(&made, &model).is_empty());
}

/// A series whose level moves at the beginning of day 75, and an hour two days before.
fn moved(seed: u64, to: impl Fn(f64) -> f64, base: f64) -> (Made, usize) {
    let mut made = made(81, seed);
    made.load.iter_mut().for_each(|load| *load += base);
    made.load[75 * 24..].iter_mut().for_each(|load| *load = to(*load));
    (made, 73 * 24 + 9)
}

#[test]
fn an_hour_before_the_level_moved_is_corrected_at_the_level_of_today() {
    let (made, hour) = moved(34, |load| 3.0 * load, 0.0);
    // Its newest target is a week after the hour that is corrected.
    let load = &made.load[..hour + 7 * 24];
    let mut model = told(&made, load, false);
    let before = model.outlook();
    let versions = model.take_versions();
    assert!(versions.last().is_some_and(|v| v.reason.contains("the level moved to")));
    assert!(model.correct(made.first + hour as i64, 1.01 * load[hour]));
    let after = model.outlook();
    for (a, b) in after.points.iter().zip(&before.points) {
        let far = (a.value / b.value - 1.0).abs();
        assert!(far < 0.005, "{}: {} after {}", a.index, a.value, b.value);
    }
    assert!(after.points != before.points);
}

#[test]
fn who_learned_before_it_moved_is_corrected_at_the_level_of_then() {
    let (made, hour) = moved(35, |load| 3.0 * load, 0.0);
    let mut right = made.load.clone();
    right[hour] *= 1.01;
    let mut model = told(&made, &made.load, true);
    assert!(model.correct(made.first + hour as i64, right[hour]));
    assert!(sums(&model) == sums(&told(&made, &right, true)));
    assert!(sums(&model) != sums(&told(&made, &made.load, true)));
}

#[test]
fn an_hour_before_a_move_that_is_no_ratio_is_no_outlier() {
    let (made, hour) = moved(36, |load| load + 300.0, -400.0);
    let mut model = told(&made, &made.load, false);
    let shifted = model.take_doubts();
    let shift = |v: &Verdict| matches!(v, Verdict::LevelShift { ratio: None, .. });
    assert!(shifted.iter().any(|(_, verdict)| shift(verdict)), "{shifted:?}");
    let before = aside(&made, &model);
    assert!(model.correct(made.first + hour as i64, made.load[hour] + 2.0));
    assert_eq!(aside(&made, &model), before);
    assert!(model.correct(made.first + hour as i64, made.load[hour] + 300.0));
    assert!(aside(&made, &model).contains(&hour));
}
