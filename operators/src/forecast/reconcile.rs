//! Nodes and their feeder, made to add up.
//!
//! Each is forecast by itself; the nearest forecasts that add up are then those that move each by
//! as much as it is unsure ([`forecast::hierarchy`]). How unsure an hour is, its band says: a
//! tenth to nine tenths of a normal distribution span 2.563 standard deviations. Bands keep their
//! width.
//!
//! Where a node says nothing of an hour, what the feeder says beyond the others is taken to be its:
//! the others do not move for it. It is not issued, for nobody knows how unsure it is.

use forecast::hierarchy::Hierarchy;

use super::rule::Point;

/// Standard deviations between the tenth and the ninetieth percentile.
const BAND_DEVIATIONS: f64 = 2.563;

/// Least share of the greatest variance that any has: what is never wrong still moves a little,
/// and nothing is divided by 0.
const VARIANCE_SHARE_MIN: f64 = 1e-6;

/// The variance of an hour in kW², as its band says.
pub(super) fn variance(point: &Point) -> f64 {
    ((point.p90_kw - point.p10_kw) / BAND_DEVIATIONS).powi(2)
}

/// Raises variances to the least share of the greatest; `false` where all are 0.
pub(super) fn floor(variances: &mut [f64]) -> bool {
    let most = variances.iter().copied().fold(0.0, f64::max);
    variances.iter_mut().for_each(|v| *v = v.max(most * VARIANCE_SHARE_MIN));
    most > 0.0
}

/// Moves the points of `nodes` and of their `feeder` so that the medians of each hour add up.
///
/// A node's variance in kW² is what `known` says by its place and hour, as of what it agreed on
/// with its meters; else its band's.
pub fn reconcile(
    nodes: &mut [Vec<Point>],
    feeder: &mut [Point],
    known: impl Fn(usize, usize) -> Option<f64>,
) {
    let root = nodes.len();
    let parents = (0..=root).map(|node| (node < root).then_some(root)).collect();
    let tree = Hierarchy::new(parents).expect("nodes have one feeder, and it has no parent");
    let all = nodes.iter().map(Vec::as_slice).chain([&*feeder]).flatten();
    let hours = all.map(|point| point.hour + 1).max().unwrap_or(0);
    for hour in 0..hours {
        let at = |points: &[Point]| points.iter().position(|point| point.hour == hour);
        let places: Vec<Option<usize>> =
            nodes.iter().map(Vec::as_slice).chain([&*feeder]).map(at).collect();
        let of = |node: usize| -> Option<&Point> {
            let points = if node < root { &nodes[node][..] } else { &*feeder };
            places[node].map(|place| &points[place])
        };
        let base: Vec<Option<f64>> = (0..=root).map(|n| of(n).map(|p| p.p50_kw)).collect();
        let unsure = |node: usize| {
            let known = known(node, hour).filter(|_| node < root);
            of(node).map_or(0.0, |point| known.unwrap_or_else(|| variance(point)))
        };
        let mut variances: Vec<f64> = (0..=root).map(unsure).collect();
        if !floor(&mut variances) {
            variances = tree.structural();
        }
        let Ok(values) = tree.reconcile(&base, &variances) else { continue };
        for (node, (place, value)) in places.into_iter().zip(values).enumerate() {
            let points = if node < root { &mut nodes[node][..] } else { &mut *feeder };
            let (Some(place), Some(value)) = (place, value) else { continue };
            let point = &mut points[place];
            let moved = value - point.p50_kw;
            point.p10_kw += moved;
            point.p50_kw = value;
            point.p90_kw += moved;
        }
    }
}
