//! A node without a past: what the others of its feeder are is what is known of it.
//!
//! Until a node has a yesterday, neither rule nor model can speak of its hours. Its class, the
//! nodes of its feeder, does: the mean of their medians, times what the node drew so far over what
//! they drew in the same hours. Between the tenth and the ninetieth in a hundred of them is the
//! band: so different are they from each other.
//!
//! What is said so is not added to the feeder, whose own series knows the node from its first
//! reading on.

use super::rule::HORIZON_HOURS;
use super::rule::Point;

/// The name that these forecasts carry.
pub const PRIOR_VERSION: &str = "class-prior-1";

/// Nodes that make a class.
const CLASS_MIN: usize = 3;

/// How far a node may be scaled: a first hour is chance.
const SCALE: (f64, f64) = (0.2, 5.0);

/// The 24 hours of a node of this class.
///
/// `class` are the points of its other nodes, 24 each; `past` are pairs of what it drew and what
/// they drew in the mean, in kW, by hour. `None` of too small a class.
pub fn of_class(class: &[&[Point]], past: &[(f64, f64)]) -> Option<Vec<Point>> {
    if class.len() < CLASS_MIN {
        return None;
    }
    let scale = scale(past);
    let hour = |hour: usize| {
        let mut medians: Vec<f64> = class.iter().map(|points| points[hour].p50_kw).collect();
        medians.sort_by(f64::total_cmp);
        let last = (medians.len() - 1) as f64;
        let at = |share: f64| medians[(share * last).round() as usize];
        let mean = medians.iter().sum::<f64>() / medians.len() as f64;
        let (low, high) = (at(0.1).min(mean), at(0.9).max(mean));
        Point { hour, p10_kw: low * scale, p50_kw: mean * scale, p90_kw: high * scale }
    };
    Some((0..HORIZON_HOURS).map(hour).collect())
}

/// What it drew over what the class drew; 1 where that says nothing.
fn scale(past: &[(f64, f64)]) -> f64 {
    let size = |of: fn(&(f64, f64)) -> f64| past.iter().map(|pair| of(pair).abs()).sum::<f64>();
    let (own, class) = (size(|pair| pair.0), size(|pair| pair.1));
    let scale = own / class;
    if scale.is_finite() && own > 0.0 { scale.clamp(SCALE.0, SCALE.1) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(kw: f64) -> Vec<Point> {
        let point = |hour| Point { hour, p10_kw: kw - 0.5, p50_kw: kw, p90_kw: kw + 0.5 };
        (0..HORIZON_HOURS).map(point).collect()
    }

    #[track_caller]
    fn check(class_kw: &[f64], past: &[(f64, f64)], expected: Option<(f64, f64, f64)>) {
        let class: Vec<Vec<Point>> = class_kw.iter().map(|kw| flat(*kw)).collect();
        let class: Vec<&[Point]> = class.iter().map(Vec::as_slice).collect();
        let points = of_class(&class, past);
        assert_eq!(points.as_ref().map(|p| (p[5].p10_kw, p[5].p50_kw, p[5].p90_kw)), expected);
        assert!(points.is_none_or(|points| points.len() == HORIZON_HOURS));
    }

    #[test]
    fn a_node_is_as_its_class_and_as_unsure_as_that_differs() {
        check(&[1.0, 2.0, 6.0], &[], Some((1.0, 3.0, 6.0)));
        check(&[1.0, 2.0], &[], None);
    }

    #[test]
    fn what_it_drew_so_far_says_how_large_it_is() {
        check(&[1.0, 2.0, 6.0], &[(4.0, 2.0), (2.0, 1.0)], Some((2.0, 6.0, 12.0)));
        check(&[1.0, 2.0, 6.0], &[(400.0, 2.0)], Some((5.0, 15.0, 30.0)));
        check(&[1.0, 2.0, 6.0], &[(0.0, 2.0)], Some((1.0, 3.0, 6.0)));
    }
}
