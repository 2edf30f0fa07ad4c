//! Scores against values worked out by hand or by others.
//!
//! Four pairs are scored by hand; distributions have a closed form; the paired test is compared
//! with a package of another language and its false rejections are counted.

use forecast::score::Board;
use forecast::score::Contest;
use forecast::score::Coverage;
use forecast::score::PointScore;
use forecast::score::QuantileScore;
use forecast::score::Rule;
use forecast::score::ScoreError;
use forecast::score::Standing;
use forecast::score::Sum;
use forecast::score::crps;
use forecast::score::diebold_mariano;
use forecast::score::pinball;
use forecast::score::skill;

use crate::watch_data::Dice;
use crate::watch_data::column;

fn scored(pairs: &[(f64, f64)]) -> PointScore {
    let mut score = PointScore::default();
    for (actual, forecast) in pairs {
        score.observe(*actual, *forecast);
    }
    score
}

#[track_caller]
fn check(value: Option<f64>, expected: Option<f64>) {
    match (value, expected) {
        (Some(value), Some(expected)) => assert!(
            (value - expected).abs() <= 1e-9 * expected.abs().max(1e-6),
            "{value} is not {expected}"
        ),
        (value, expected) => assert_eq!(value, expected),
    }
}

const HAND: [(f64, f64); 4] = [(100.0, 110.0), (200.0, 180.0), (400.0, 400.0), (100.0, 98.0)];

#[test]
fn mae_is_the_mean_absolute_error() {
    check(scored(&HAND).mae(), Some(8.0));
}

#[test]
fn rmse_is_the_root_of_the_mean_square() {
    check(scored(&HAND).rmse(), Some((504.0f64 / 4.0).sqrt()));
}

#[test]
fn mape_is_the_mean_share() {
    check(scored(&HAND).mape(), Some((0.1 + 0.1 + 0.0 + 0.02) / 4.0));
}

#[test]
fn wape_divides_the_sums() {
    check(scored(&HAND).wape(), Some(32.0 / 800.0));
}

#[test]
fn nmae_divides_by_the_largest_value_unless_a_capacity_is_given() {
    check(scored(&HAND).nmae(None), Some(8.0 / 400.0));
    check(scored(&HAND).nmae(Some(1000.0)), Some(8.0 / 1000.0));
}

#[test]
fn bias_is_positive_where_too_much_is_forecast() {
    check(scored(&HAND).bias(), Some(-3.0));
}

#[test]
fn a_series_that_crosses_zero_has_no_mape() {
    check(scored(&[(100.0, 90.0), (-90.0, -80.0)]).mape(), None);
}

#[test]
fn a_series_near_zero_once_has_no_mape() {
    let mut pairs = vec![(100.0, 95.0); 1000];
    pairs.push((0.5, 100.0));
    check(scored(&pairs).mape(), None);
    check(scored(&pairs[..1000]).mape(), Some(0.05));
}

#[test]
fn nothing_scored_is_nothing_said() {
    let empty = PointScore::default();
    check(empty.mae(), None);
    check(empty.mape(), None);
    check(empty.wape(), None);
}

#[test]
fn a_missing_value_is_skipped_and_counted() {
    let score = scored(&[(f64::NAN, 1.0), (1.0, f64::INFINITY), (2.0, 1.0)]);
    assert_eq!((score.n(), score.skipped()), (1, 2));
    check(score.mae(), Some(1.0));
}

#[test]
fn skill_is_what_is_saved_of_the_reference() {
    let naive = scored(&[(10.0, 14.0), (10.0, 6.0)]);
    check(skill(&scored(&[(10.0, 11.0), (10.0, 9.0)]), &naive), Some(0.75));
    check(skill(&scored(&[(10.0, 20.0), (10.0, 0.0)]), &naive), Some(-1.5));
    check(skill(&scored(&[(10.0, 11.0)]), &naive), None);
}

#[test]
fn merging_in_any_order_gives_the_same_bits() {
    let mut dice = Dice::new(7);
    let parts: Vec<PointScore> = (0..16)
        .map(|_| {
            let mut draw = || (1e4 * dice.normal(), 1e4 * dice.normal());
            scored(&[draw(), draw(), draw()])
        })
        .collect();
    let merged = |order: Vec<usize>| {
        let mut whole = PointScore::default();
        order.into_iter().for_each(|index| whole.merge(&parts[index]));
        whole
    };
    assert_eq!(merged((0..16).collect()), merged((0..16).rev().collect()));
}

#[test]
fn a_sum_gives_back_what_was_added() {
    let mut sum = Sum::default();
    let before = sum;
    sum.add(0.1);
    sum.add(-1e12);
    assert_ne!(sum, before);
    sum.subtract(-1e12);
    sum.subtract(0.1);
    assert_eq!(sum, before);
}

#[test]
fn a_sum_is_saved_with_its_sign() {
    for term in [-1.5e9, 0.0, 3.25, -1e-9] {
        let mut sum = Sum::default();
        sum.add(term);
        let text = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_str::<Sum>(&text).unwrap(), sum);
    }
}

#[test]
fn pinball_charges_each_side_by_its_level() {
    check(Some(pinball(10.0, 0.9, 8.0)), Some(1.8));
    check(Some(pinball(10.0, 0.9, 12.0)), Some(0.2));
}

#[test]
fn crps_of_one_number_is_its_absolute_error() {
    check(Some(crps(10.0, &[0.5], &[7.0])), Some(3.0));
}

#[test]
fn crps_of_an_even_distribution_is_the_closed_form() {
    // U(0, 1) at y: y² - y + 1/3. The outer levels leave 1e-9 of it unsaid.
    let ends = [1e-9, 1.0 - 1e-9];
    for y in [0.0, 0.3, 0.5, 0.9, 1.0] {
        let value = crps(y, &ends, &ends);
        assert!((value - (y * y - y + 1.0 / 3.0)).abs() < 1e-6, "{value} at {y}");
    }
}

fn quantile_scored(pairs: &[(f64, [f64; 3])]) -> QuantileScore {
    let mut score = QuantileScore::new(&[0.1, 0.5, 0.9]).expect("levels ascend");
    for (actual, quantiles) in pairs {
        score.observe(*actual, quantiles).expect("three quantiles");
    }
    score
}

#[test]
fn coverage_counts_the_ends_as_inside() {
    let band = [10.0, 15.0, 20.0];
    let score = quantile_scored(&[(10.0, band), (20.0, band), (9.0, band), (21.0, band)]);
    assert_eq!(score.coverage_80(), Coverage { below: 1, inside: 2, above: 1 });
    assert_eq!(score.reliability(), [0.5, 0.5, 0.75]);
}

#[test]
fn crossed_quantiles_are_put_into_order() {
    let crossed = quantile_scored(&[(12.0, [20.0, 15.0, 10.0])]);
    assert_eq!(crossed, quantile_scored(&[(12.0, [10.0, 15.0, 20.0])]));
}

#[test]
fn levels_must_ascend_and_match() {
    assert_eq!(QuantileScore::new(&[0.5, 0.5]), Err(ScoreError::LevelOrder));
    assert_eq!(QuantileScore::new(&[0.0]), Err(ScoreError::LevelOrder));
    let mut score = QuantileScore::new(&[0.5]).unwrap();
    assert_eq!(score.observe(1.0, &[]), Err(ScoreError::Levels { expected: 1, given: 0 }));
}

#[test]
fn bounds_of_a_share_are_those_of_clopper_and_pearson() {
    // scipy.stats.beta.ppf(.025, 80, 21) and (.975, 81, 20)
    let (low, high) = Coverage { below: 10, inside: 80, above: 10 }.bounds(0.95, 1.0).unwrap();
    assert!((low - 0.708_157_3).abs() < 1e-6, "{low}");
    assert!((high - 0.873_344_4).abs() < 1e-6, "{high}");
}

#[test]
fn a_board_scores_by_lead_and_by_month() {
    let mut board = Board::new(&[0.1, 0.5, 0.9]).unwrap();
    let (hour, january) = (3_600_000, 1_485_000_000_000);
    board.observe(january, hour, 100.0, 101.0, &[90.0, 101.0, 110.0]).unwrap();
    board.observe(january, 2 * hour, 100.0, 120.0, &[110.0, 120.0, 130.0]).unwrap();
    let february = january + 31 * 24 * hour;
    board.observe(february, hour, 100.0, 103.0, &[90.0, 103.0, 110.0]).unwrap();
    check(board.at_lead(hour).and_then(|(point, _)| point.mae()), Some(2.0));
    check(board.in_month(2017, 1).and_then(|(_, q)| q.coverage_80().share()), Some(0.5));
    let summary = board.summary("gridloom", None);
    check(summary.mape, Some(8.0));
    assert_eq!(summary.by_horizon.len(), 2);
    assert_eq!(summary.coverage_by_month["2017-02"], Some(1.0));
    let text = serde_json::to_string(&board).unwrap();
    assert_eq!(serde_json::from_str::<Board>(&text).unwrap(), board);
}

/// Two fixed series of losses.
fn losses() -> (Vec<f64>, Vec<f64>) {
    let first = (0..40).map(|i| f64::from((i * 37) % 11) / 3.0 + 1.0).collect();
    let second = (0..40).map(|i| f64::from((i * 23) % 13) / 4.0 + 0.9).collect();
    (first, second)
}

#[test]
fn diebold_mariano_agrees_with_the_python_package() {
    // dieboldmariano 1.x on PyPI, loss |a - b|, variance_estimator="bartlett".
    let expected = [
        (1, 1.099_826_042_693_424_5, 0.278_150_681_8),
        (4, 1.666_096_668_262_934_8, 0.103_707_548_6),
        (6, 1.714_497_143_886_119, 0.094_375_213_1),
    ];
    for (horizon, statistic, p_value) in expected {
        let (first, second) = losses();
        let test = diebold_mariano(&first, &second, horizon).unwrap();
        assert!((test.statistic - statistic).abs() < 1e-9, "{}", test.statistic);
        assert!((test.p_value - p_value).abs() < 1e-7, "{}", test.p_value);
    }
}

#[test]
fn diebold_mariano_says_nothing_of_equal_losses() {
    assert_eq!(diebold_mariano(&[1.0; 30], &[1.0; 30], 1), None);
    assert_eq!(diebold_mariano(&[1.0, 2.0], &[1.0], 1), None);
}

/// Share of `rounds` in which equals differ at one in twenty.
fn false_rejections(rounds: u64) -> f64 {
    let mut rejected = 0.0;
    for seed in 0..rounds {
        let mut dice = Dice::new(seed);
        let mut contest = Contest::new(200, 1);
        (0..200).for_each(|_| contest.observe(dice.normal().abs(), dice.normal().abs()));
        rejected += f64::from(u8::from(contest.test().expect("losses differ").p_value < 0.05));
    }
    rejected / rounds as f64
}

#[test]
fn equals_are_told_apart_as_often_as_the_level_says() {
    let share = false_rejections(2000);
    assert!((0.035..0.065).contains(&share), "{share}");
}

#[track_caller]
fn check_contest(challenger: f64, expected: fn(Standing) -> bool) {
    let mut dice = Dice::new(3);
    let mut contest = Contest::new(672, 24);
    for _ in 0..2000 {
        let shared = dice.normal().abs();
        contest.observe(shared, challenger * shared + 0.05 * dice.normal());
    }
    let standing = contest.standing(&Rule::default());
    assert!(expected(standing), "{standing:?}");
}

#[test]
fn a_better_challenger_is_promoted() {
    check_contest(0.9, |standing| matches!(standing, Standing::Promote { .. }));
}

#[test]
fn a_challenger_that_is_hardly_better_is_not() {
    check_contest(0.99, |standing| matches!(standing, Standing::Keep { .. }));
}

#[test]
fn a_contest_needs_its_pairs() {
    let mut contest = Contest::new(672, 1);
    (0..100).for_each(|step| contest.observe(2.0, f64::from(step % 2)));
    assert_eq!(contest.standing(&Rule::default()), Standing::Undecided);
}

#[test]
fn the_outage_of_zone_4_takes_its_mape_and_leaves_that_of_zone_2() {
    let file = "load_gefcom2012_us_zones01-10_hourly_2004_2008.csv";
    for (zone, expected) in [("z04_kw", false), ("z02_kw", true), ("z10_kw", true)] {
        let Some(column) = column(file, zone) else { return };
        let mut naive = PointScore::default();
        for pair in column.windows(169) {
            let missing = f64::NAN;
            naive.observe(pair[168].1.unwrap_or(missing), pair[0].1.unwrap_or(missing));
        }
        assert_eq!(naive.mape().is_some(), expected, "{zone}");
        assert!(naive.wape().is_some_and(|wape| wape < 0.3), "{zone}: {:?}", naive.wape());
    }
}
