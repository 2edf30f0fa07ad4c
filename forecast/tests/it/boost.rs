//! Boosted trees: what they learn, that they repeat to the bit, and what they refuse.

use forecast::boost::BoostError;
use forecast::boost::Booster;
use forecast::boost::EarlyStop;
use forecast::boost::Objective;
use forecast::boost::Params;

/// Numbers in [0, 1) that are the same each time.
fn draws(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..n).map(|_| draw()).collect()
}

/// Three features; the first two make the target, with noise between -0.5 and 0.5.
fn sample(seed: u64, n: usize) -> (Vec<Vec<f32>>, Vec<f32>) {
    let columns: Vec<Vec<f32>> = (0..3).map(|i| draws(seed + i, n)).collect();
    let noise = draws(seed + 3, n);
    let target = |i: usize| {
        let (a, b) = (columns[0][i], columns[1][i]);
        (6.0 * a).sin() * 3.0 + if b > 0.6 { 2.0 } else { 0.0 } + noise[i] - 0.5
    };
    let targets = (0..n).map(target).collect();
    (columns, targets)
}

fn few(objective: Objective) -> Params {
    Params { objective, trees: 60, leaves: 12, ..Params::default() }
}

fn row(columns: &[Vec<f32>], i: usize) -> Vec<f32> {
    columns.iter().map(|column| column[i]).collect()
}

fn flat(columns: &[Vec<f32>]) -> Vec<f32> {
    (0..columns[0].len()).flat_map(|i| row(columns, i)).collect()
}

fn predicted(booster: &Booster, columns: &[Vec<f32>]) -> Vec<f64> {
    let mut out = vec![0.0; columns[0].len()];
    booster.predict_into(&flat(columns), &mut out);
    out
}

/// Fits on 4,000 rows and returns the mean absolute error and the share of targets below the
/// prediction, on 1,000 rows not seen.
#[track_caller]
fn check(params: &Params, error_max: f64, below: std::ops::Range<f64>) {
    let (columns, targets) = sample(1, 4_000);
    let (unseen, truth) = sample(101, 1_000);
    let booster = Booster::fit(&columns, &targets, None, params).expect("it can be learned");
    let out = predicted(&booster, &unseen);
    let pairs = || out.iter().zip(&truth).map(|(p, y)| p - f64::from(*y));
    let error = pairs().map(f64::abs).sum::<f64>() / 1_000.0;
    let share = pairs().filter(|over| *over > 0.0).count() as f64 / 1_000.0;
    assert!(error < error_max, "mean absolute error {error}");
    assert!(below.contains(&share), "share below {share}");
}

// The noise alone has a mean absolute error of 0.25.

#[test]
fn the_squared_error_finds_the_mean() {
    check(&few(Objective::Squared), 0.29, 0.45..0.55);
}

#[test]
fn the_absolute_error_finds_the_median() {
    check(&few(Objective::Absolute), 0.30, 0.45..0.55);
}

#[test]
fn huber_lies_between() {
    check(&few(Objective::Huber { delta: 1.0 }), 0.30, 0.45..0.55);
}

#[test]
fn the_ninth_decile_has_nine_tenths_below_it() {
    check(&few(Objective::Quantile { level: 0.9 }), 0.60, 0.86..0.94);
}

#[test]
fn drawn_rows_and_features_still_learn() {
    let drawn = Params { row_fraction: 0.5, feature_fraction: 0.7, ..few(Objective::Absolute) };
    check(&drawn, 0.32, 0.45..0.55);
}

#[test]
fn the_first_tree_is_the_best_split_by_hand() {
    // Means 1 and 5 after the split at 2.5; the base is 3.
    let columns = [vec![1.0, 2.0, 3.0, 4.0], vec![0.0; 4]];
    let params =
        Params { trees: 1, leaves: 2, learning_rate: 1.0, rows_leaf_min: 1, ..Params::default() };
    let booster = Booster::fit(&columns, &[0.0, 2.0, 4.0, 6.0], None, &params).unwrap();
    assert_eq!(predicted(&booster, &columns), [1.0, 1.0, 5.0, 5.0]);
    assert_eq!(booster.predict(&[2.5, 0.0]), 1.0);
    assert_eq!(booster.predict(&[2.51, 0.0]), 5.0);
    assert_eq!(booster.contributions(&[9.0, 0.0]), [2.0, 0.0, 3.0]);
    // 4 rows, each 2 from the mean before; afterwards each 1: in all 16 less. Gain by G²/W.
    assert_eq!(booster.importance(), [16.0, 0.0]);
}

#[test]
fn an_outlier_moves_the_mean_of_its_leaf_but_not_the_median() {
    let column = [vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]];
    let targets = [0.0, 1.0, 2.0, 3.0, 1e6, 10.0, 11.0, 12.0, 13.0, 14.0];
    let params = Params {
        objective: Objective::Absolute,
        trees: 1,
        leaves: 2,
        learning_rate: 1.0,
        rows_leaf_min: 1,
        ..Params::default()
    };
    let booster = Booster::fit(&column, &targets, None, &params).unwrap();
    assert_eq!((booster.predict(&[0.0]), booster.predict(&[1.0])), (2.0, 12.0));
}

#[test]
fn splits_agree_with_a_search_over_all_of_them() {
    // Few distinct values, so that bins lose nothing; whole-numbered targets, so that sums do not.
    for seed in 0..20 {
        let raise = |x: &f32| (x * 9.0).floor();
        let columns: Vec<Vec<f32>> =
            (0..3).map(|i| draws(900 + 7 * seed + i, 60).iter().map(raise).collect()).collect();
        let targets: Vec<f32> =
            draws(500 + seed, 60).iter().map(|y| (y * 16.0).floor() - 8.0).collect();
        let params = Params { trees: 1, leaves: 2, rows_leaf_min: 5, ..Params::default() };
        let booster = Booster::fit(&columns, &targets, None, &params).unwrap();
        let gain: f64 = booster.importance().iter().sum();
        let best = exhaustive(&columns, &targets, 5);
        assert!((gain - best).abs() < 1e-6 * best, "seed {seed}: {gain} where {best} can be had");
    }
}

/// The greatest reduction of the sum of squares by one split.
fn exhaustive(columns: &[Vec<f32>], targets: &[f32], rows_min: usize) -> f64 {
    let mean = targets.iter().map(|y| f64::from(*y)).sum::<f64>() / targets.len() as f64;
    let mut best = 0.0_f64;
    for column in columns {
        for cut in column {
            let left: Vec<f64> = (column.iter().zip(targets))
                .filter(|(x, _)| *x <= cut)
                .map(|(_, y)| f64::from(*y) - mean)
                .collect();
            let right = targets.len() - left.len();
            if left.len() >= rows_min && right >= rows_min {
                let sum: f64 = left.iter().sum();
                best = best.max(sum * sum / left.len() as f64 + sum * sum / right as f64);
            }
        }
    }
    best
}

#[test]
fn missing_values_go_where_they_belong() {
    // What is missing behaves like the high values in the first target, like the low in the other.
    // In hundredths: each value has its own bin.
    let mut column: Vec<f32> =
        draws(5, 1_000).iter().map(|x| (x * 100.0).floor() / 100.0).collect();
    (0..1_000).step_by(4).for_each(|i| column[i] = f32::NAN);
    for (missing, low, high) in [(4.0, 0.0, 4.0), (0.0, 0.0, 4.0), (9.0, 1.0, 1.0)] {
        let target = |x: &f32| match x {
            x if x.is_nan() => missing,
            x if *x < 0.5 => low,
            _ => high,
        };
        let targets: Vec<f32> = column.iter().map(target).collect();
        let params = Params { trees: 1, leaves: 2, learning_rate: 1.0, ..Params::default() };
        let booster = Booster::fit(&[&column[..]], &targets, None, &params).unwrap();
        for (x, expected) in [(f32::NAN, missing), (0.1, low), (0.9, high), (f32::MAX, high)] {
            let error = (booster.predict(&[x]) - f64::from(expected)).abs();
            assert!(error < 1e-5, "{x}: {} for {expected}", booster.predict(&[x]));
        }
        assert_eq!(booster.predict(&[f32::INFINITY]), booster.predict(&[f32::NAN]));
    }
}

#[test]
fn many_rows_predict_the_bits_of_each() {
    let (columns, targets) = sample(11, 601);
    let booster = Booster::fit(&columns, &targets, None, &few(Objective::Absolute)).unwrap();
    for (i, out) in predicted(&booster, &columns).into_iter().enumerate() {
        assert_eq!(out.to_bits(), booster.predict(&row(&columns, i)).to_bits(), "row {i}");
    }
}

#[test]
fn contributions_sum_to_the_prediction() {
    let (columns, targets) = sample(12, 1_000);
    let booster = Booster::fit(&columns, &targets, None, &few(Objective::Squared)).unwrap();
    for i in 0..1_000 {
        let row = row(&columns, i);
        let sum: f64 = booster.contributions(&row).iter().sum();
        assert!((sum - booster.predict(&row)).abs() < 1e-10, "row {i}");
    }
}

#[test]
fn a_feature_that_says_nothing_is_credited_little() {
    let (columns, targets) = sample(13, 4_000);
    let booster = Booster::fit(&columns, &targets, None, &few(Objective::Squared)).unwrap();
    let [first, second, nothing] = booster.importance() else { panic!("three features") };
    assert!(first > second && nothing * 20.0 < *second, "{:?}", booster.importance());
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let (columns, targets) = sample(14, 2_000);
    let params = Params { row_fraction: 0.6, feature_fraction: 0.7, ..few(Objective::Squared) };
    let fit = |params: &Params| {
        let booster = Booster::fit(&columns, &targets, None, params).unwrap();
        serde_json::to_string(&booster).unwrap()
    };
    assert_eq!(fit(&params), fit(&params));
    assert_ne!(fit(&params), fit(&Params { seed: 2, ..params.clone() }));
}

#[test]
fn a_booster_read_back_is_the_same() {
    let (columns, targets) = sample(15, 1_000);
    let booster = Booster::fit(&columns, &targets, None, &few(Objective::Absolute)).unwrap();
    let text = serde_json::to_string(&booster).unwrap();
    let back: Booster = serde_json::from_str(&text).unwrap();
    assert_eq!(back, booster);
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}

#[track_caller]
fn check_broken(tree: &str) {
    let text = format!(r#"{{"base":0.0,"gains":[0.0,0.0],"trees":[{tree}]}}"#);
    let error = serde_json::from_str::<Booster>(&text).expect_err("no tree").to_string();
    assert!(error.contains("record of tree 0 is broken"), "{error}");
}

#[test]
fn a_tree_that_lacks_its_right_side_is_refused() {
    check_broken(r#"{"codes":[1,0],"values":[0.5,1.0],"rows":[3]}"#);
}

#[test]
fn a_tree_that_goes_on_after_its_end_is_refused() {
    check_broken(r#"{"codes":[0,0],"values":[0.5,1.0],"rows":[3,4]}"#);
}

#[test]
fn a_tree_that_asks_an_unknown_feature_is_refused() {
    check_broken(r#"{"codes":[5,0,0],"values":[0.5,1.0,2.0],"rows":[3,4]}"#);
}

#[test]
fn an_empty_tree_is_refused() {
    check_broken(r#"{"codes":[],"values":[],"rows":[]}"#);
}

#[test]
fn weights_of_one_change_no_bit() {
    let (columns, targets) = sample(16, 2_000);
    let params = few(Objective::Squared);
    let plain = Booster::fit(&columns, &targets, None, &params).unwrap();
    let weighted = Booster::fit(&columns, &targets, Some(&[1.0; 2_000]), &params).unwrap();
    assert_eq!(plain, weighted);
}

#[test]
fn a_row_of_weight_two_is_a_row_twice() {
    let (columns, targets) = sample(17, 500);
    let weights: Vec<f32> = (0..500).map(|i| 1.0 + (i % 3) as f32).collect();
    let times = |values: &[f32]| -> Vec<f32> {
        (0..500).flat_map(|i| vec![values[i]; 1 + i % 3]).collect()
    };
    let often: Vec<Vec<f32>> = columns.iter().map(|column| times(column)).collect();
    // Bins follow rows, so there must be fewer distinct values than bins for the two to be alike.
    let coarse = |columns: &[Vec<f32>]| -> Vec<Vec<f32>> {
        let coarse = |x: &f32| (x * 100.0).floor();
        columns.iter().map(|column| column.iter().map(coarse).collect()).collect()
    };
    let params = Params { rows_leaf_min: 1, trees: 5, l2: 40.0, ..few(Objective::Squared) };
    let weighted = Booster::fit(&coarse(&columns), &targets, Some(&weights), &params).unwrap();
    let twice = Booster::fit(&coarse(&often), &times(&targets), None, &params).unwrap();
    let columns = coarse(&columns);
    for (a, b) in predicted(&weighted, &columns).iter().zip(predicted(&twice, &columns)) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
}

#[test]
fn a_weighted_median_follows_the_weights() {
    let params = Params { trees: 0, ..few(Objective::Absolute) };
    let start = |weights: &[f32]| {
        let targets = [1.0, 2.0, 3.0, 10.0];
        let columns = [vec![0.0; 4]];
        Booster::fit(&columns, &targets, Some(weights), &params).unwrap().predict(&[0.0])
    };
    assert_eq!(start(&[1.0, 1.0, 1.0, 1.0]), 2.5);
    assert_eq!(start(&[1.0, 1.0, 1.0, 4.0]), 10.0);
}

#[test]
fn a_fit_stops_where_the_tail_gets_worse() {
    let (columns, _) = sample(18, 600);
    let noise = draws(77, 600);
    let stop = EarlyStop { rows_tail: 200, patience: 5 };
    let params = Params { early_stop: Some(stop), ..few(Objective::Squared) };
    // Nothing can be learned from noise, so few trees survive; but from a signal all 60 do.
    let of_noise = Booster::fit(&columns, &noise, None, &params).unwrap();
    assert!(of_noise.trees() < 10, "{} trees", of_noise.trees());
    let clear: Vec<f32> = columns[0].iter().map(|x| 10.0 * x).collect();
    let of_signal = Booster::fit(&columns, &clear, None, &params).unwrap();
    assert!(of_signal.trees() > 40, "{} trees", of_signal.trees());
}

#[test]
fn the_tail_is_judged_by_and_not_learned_from() {
    let (columns, targets) = sample(19, 600);
    let learned: Vec<Vec<f32>> = columns.iter().map(|column| column[..400].to_vec()).collect();
    let stop = EarlyStop { rows_tail: 200, patience: 1_000 };
    let stopping = Params { early_stop: Some(stop), ..few(Objective::Absolute) };
    let kept = Booster::fit(&columns, &targets, None, &stopping).unwrap();
    let params = Params { trees: kept.trees(), ..few(Objective::Absolute) };
    assert_eq!(kept, Booster::fit(&learned, &targets[..400], None, &params).unwrap());
}

#[test]
fn a_constant_target_needs_no_tree() {
    let (columns, _) = sample(20, 100);
    let booster = Booster::fit(&columns, &[7.0; 100], None, &few(Objective::Squared)).unwrap();
    assert_eq!((booster.trees(), booster.predict(&[0.5, 0.5, 0.5])), (0, 7.0));
}

#[test]
fn two_hundred_thousand_rows_fit() {
    // More rows than bins are found from.
    let (columns, targets) = sample(21, 200_003);
    let params = Params { trees: 20, ..few(Objective::Squared) };
    let booster = Booster::fit(&columns, &targets, None, &params).unwrap();
    let out = predicted(&booster, &columns);
    let error: f64 = out.iter().zip(&targets).map(|(p, y)| (p - f64::from(*y)).abs()).sum();
    assert!(error / 200_003.0 < 0.4, "{}", error / 200_003.0);
}

#[track_caller]
fn check_refused(change: impl Fn(&mut Params), name: &'static str) {
    let mut params = Params::default();
    change(&mut params);
    let refused = Booster::fit(&[vec![0.0; 9]], &[0.0; 9], None, &params);
    assert_eq!(refused, Err(BoostError::Parameter { name }));
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    check_refused(|params| params.leaves = 1, "leaves");
    check_refused(|params| params.learning_rate = 0.0, "learning_rate");
    check_refused(|params| params.learning_rate = f64::NAN, "learning_rate");
    check_refused(|params| params.rows_leaf_min = 0, "rows_leaf_min");
    check_refused(|params| params.l2 = -1.0, "l2");
    check_refused(|params| params.bins_max = 256, "bins_max");
    check_refused(|params| params.row_fraction = 1.5, "row_fraction");
    check_refused(|params| params.objective = Objective::Quantile { level: 1.0 }, "objective");
}

#[test]
fn data_that_cannot_be_learned_is_refused() {
    let params = Params::default();
    let fit = |columns: &[Vec<f32>], targets: &[f32], weights: Option<&[f32]>| {
        Booster::fit(columns, targets, weights, &params).unwrap_err()
    };
    let none = fit(&[], &[], None);
    assert_eq!(none, BoostError::Size { rows: 0, features: 0 });
    let short = fit(&[vec![0.0; 3], vec![0.0; 2]], &[0.0; 3], None);
    assert_eq!(short, BoostError::Shape { what: "column 1".into(), rows: 2, expected: 3 });
    let target = fit(&[vec![0.0; 2]], &[0.0, f32::INFINITY], None);
    assert_eq!(target, BoostError::Value { what: "target", row: 1, value: f32::INFINITY });
    let weight = fit(&[vec![0.0; 2]], &[0.0; 2], Some(&[1.0, 0.0]));
    assert_eq!(weight, BoostError::Value { what: "weight", row: 1, value: 0.0 });
}
