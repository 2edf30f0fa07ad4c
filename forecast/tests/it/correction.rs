//! Corrections: the sums are those of the corrected history, to the bit.

use forecast::forecaster::Forecaster;
use forecast::structure::History;
use forecast::structure::Structure;

use crate::series::Chance;
use crate::series::Made;
use crate::series::made;
use crate::series::quarters;

/// A model of fixed structure, so that only what is learned can differ.
fn fresh(made: &Made) -> Forecaster {
    shaped(made, 60)
}

/// One whose structure was chosen from so many days: a young series has one of its own.
fn shaped(made: &Made, days: usize) -> Forecaster {
    let day = made.setup.horizon;
    let upto = days * day;
    let seen = made.load[..upto].iter().map(|y| *y as f32).collect();
    let weather = vec![made.temperature_c[..upto + day].to_vec()];
    let history = History { first: made.first, seen, weather };
    let structure = Structure::choose(&made.setup, &history).expect("enough days");
    Forecaster::new(made.setup.clone(), structure, made.first)
}

fn tell(forecaster: &mut Forecaster, made: &Made, load: &[f64], from: usize) {
    for (at, value) in load.iter().enumerate().skip(from) {
        made.said(at).iter().for_each(|said| forecaster.know(said));
        forecaster.observe(*value, &mut |_| {});
    }
}

/// Tells `wrong`, corrects it to `right`, and compares with a model that was told `right`.
#[track_caller]
fn check(made: &Made, wrong: &[f64], right: &[f64], order: impl Fn(&mut Vec<usize>)) {
    [60, 20].into_iter().for_each(|days| check_shape(days, made, wrong, right, &order));
}

#[track_caller]
fn check_shape(
    days: usize,
    made: &Made,
    wrong: &[f64],
    right: &[f64],
    order: &impl Fn(&mut Vec<usize>),
) {
    let mut corrected = shaped(made, days);
    tell(&mut corrected, made, wrong, 0);
    let differ = |at: &usize| wrong[*at].to_bits() != right[*at].to_bits();
    let mut places: Vec<usize> = (0..wrong.len()).filter(differ).collect();
    order(&mut places);
    for at in places {
        assert!(corrected.correct(made.first + at as i64, right[at]), "step {at}");
    }
    let mut told = shaped(made, days);
    tell(&mut told, made, right, 0);
    // Plain comparisons: printed, they would fill a book.
    assert!(corrected.sums() == told.sums(), "other sums");
    if days == 60 {
        assert!(corrected.coefficients() == told.coefficients(), "other coefficients");
        assert!(corrected.base() == told.base(), "other bases");
    }
}

#[test]
fn the_next_word_is_near_that_of_who_was_told_right() {
    let made = made(70, 19);
    let mut wrong = made.load.clone();
    wrong[69 * 24..69 * 24 + 6].iter_mut().for_each(|load| *load *= 10.0);
    let said = |load: &[f64], corrected: bool| -> Vec<f64> {
        let mut forecaster = fresh(&made);
        tell(&mut forecaster, &made, load, 0);
        for at in (69 * 24..69 * 24 + 6).filter(|_| corrected) {
            assert!(forecaster.correct(made.first + at as i64, made.load[at]));
        }
        forecaster.outlook().points.iter().map(|point| point.value).collect()
    };
    let (right, left) = (said(&made.load, false), said(&wrong, false));
    let corrected = said(&wrong, true);
    let far = |a: &[f64]| a.iter().zip(&right).map(|(a, b)| (a - b).abs()).sum::<f64>();
    assert!(far(&corrected) < 0.2 * far(&left), "{} {}", far(&corrected), far(&left));
}

#[test]
fn one_corrected_hour() {
    let made = made(70, 11);
    let mut wrong = made.load.clone();
    wrong[65 * 24 + 7] += 30.0;
    check(&made, &wrong, &made.load, |_| {});
}

#[test]
fn the_newest_and_the_oldest_that_may_be() {
    let made = made(70, 12);
    let mut wrong = made.load.clone();
    wrong[70 * 24 - 1] -= 12.0;
    wrong[55 * 24] += 12.0;
    check(&made, &wrong, &made.load, |_| {});
}

#[test]
fn readings_that_come_late() {
    let made = made(70, 13);
    let mut wrong = made.load.clone();
    wrong[60 * 24..60 * 24 + 30].iter_mut().for_each(|value| *value = f64::NAN);
    check(&made, &wrong, &made.load, |_| {});
    check(&made, &wrong, &made.load, |places| places.reverse());
}

/// Columns of a grown series look hours ahead of their target: at weather that was still a forecast
/// when the reading was missed, and is measured when it comes.
#[test]
fn readings_that_come_after_the_weather_was_restated() {
    let made = made(320, 18).misforecast(1);
    let mut wrong = made.load.clone();
    wrong[310 * 24..310 * 24 + 30].iter_mut().for_each(|value| *value = f64::NAN);
    check_shape(310, &made, &wrong, &made.load, &|_| {});
}

#[test]
fn a_reading_that_is_taken_back() {
    let made = made(70, 14);
    let mut right = made.load.clone();
    right[66 * 24 + 3] = f64::NAN;
    check(&made, &made.load, &right, |_| {});
}

#[test]
fn many_in_any_order_20_seeds() {
    for seed in 0..20 {
        let made = made(66, 100 + seed);
        let mut chance = Chance(seed);
        let mut wrong = made.load.clone();
        for _ in 0..25 {
            let at = 66 * 24 - 1 - (chance.next() * 15.0 * 24.0) as usize;
            wrong[at] = if chance.next() < 0.4 { f64::NAN } else { 300.0 * chance.next() };
        }
        check(&made, &wrong, &made.load, |places| {
            places.sort_by_key(|at| (*at as u64).wrapping_mul(2_654_435_761 + seed) % 1009);
        });
    }
}

/// Of quarters that share what they learn only the sums are those of the corrected history: a slot
/// was solved with what its neighbours knew then.
#[test]
fn quarters_that_share_in_any_order_4_seeds() {
    for seed in 0..4 {
        let made = quarters(22, 200 + seed).misforecast(seed);
        let mut chance = Chance(seed);
        let mut wrong = made.load.clone();
        for _ in 0..12 {
            let at = 22 * 96 - 1 - (chance.next() * 15.0 * 96.0) as usize;
            wrong[at] = if chance.next() < 0.4 { f64::NAN } else { 300.0 * chance.next() };
        }
        check_shape(20, &made, &wrong, &made.load, &|places| {
            places.sort_by_key(|at| (*at as u64).wrapping_mul(2_654_435_761 + seed) % 1009);
        });
    }
}

#[test]
fn corrections_between_readings() {
    let made = made(70, 15);
    let mut wrong = made.load[..62 * 24].to_vec();
    wrong[61 * 24 + 5] += 25.0;
    wrong[50 * 24 + 1] = f64::NAN;
    let mut corrected = fresh(&made);
    tell(&mut corrected, &made, &wrong, 0);
    assert!(corrected.correct(made.first + 61 * 24 + 5, made.load[61 * 24 + 5]));
    assert!(corrected.correct(made.first + 50 * 24 + 1, made.load[50 * 24 + 1]));
    tell(&mut corrected, &made, &made.load, 62 * 24);
    let mut told = fresh(&made);
    tell(&mut told, &made, &made.load, 0);
    assert!(corrected.sums() == told.sums(), "other sums");
    assert!(corrected.coefficients() == told.coefficients(), "other coefficients");
}

#[test]
fn what_is_too_old_or_not_there_yet_is_refused() {
    let made = made(70, 16);
    let mut forecaster = fresh(&made);
    tell(&mut forecaster, &made, &made.load, 0);
    assert!(!forecaster.correct(made.first + 54 * 24, 1.0));
    assert!(!forecaster.correct(made.first + 70 * 24, 1.0));
}

#[test]
fn what_was_said_stays_said_and_the_next_word_is_another() {
    let made = made(70, 17);
    let mut forecaster = fresh(&made);
    tell(&mut forecaster, &made, &made.load, 0);
    let before = forecaster.outlook();
    assert!(forecaster.correct(made.first + 70 * 24 - 20, made.load[70 * 24 - 20] + 40.0));
    let after = forecaster.outlook();
    assert_eq!(before.origin, after.origin);
    assert_ne!(before.points, after.points);
}
