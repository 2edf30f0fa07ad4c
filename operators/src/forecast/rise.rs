//! What a feeder says upwards: its sum, how sure it is of it, and who moves with it.
//!
//! In a tree whose errors are taken to be independent, the projection to what adds up
//! ([`forecast::hierarchy`]) is a sweep up and a sweep down. A feeder's part of it is the same
//! whatever lies above: upwards goes what its subtree knows of its sum, a value and a variance;
//! when the sum is then moved from above, each node moves by a share of that. So a feeder is
//! judged where its nodes are, and only these two numbers an hour go elsewhere.
//!
//! With the variances `v` of the feeder and `v_c` of its nodes, which their bands say:
//!
//! ```text
//! t = Σ v_c,   u = t v / (t + v)     the variance of the sum that both agreed on
//! share of a node = v_c / t
//! ```
//!
//! Where a node says nothing of an hour, the feeder's own forecast stands and the silent node is
//! what moves: `u = v`, and the others have no share.

use super::feeder::Answer;
use super::reconcile::floor;
use super::reconcile::variance;
use super::rule::HORIZON_HOURS;
use super::rule::Point;

/// What is known of a feeder's sum in an hour, before anybody expects something else of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// Mean kW.
    pub base_kw: f64,
    /// Its variance in kW²; 0 where no band says anything.
    pub variance_kw2: f64,
}

/// By the hour ahead what the feeder, the last of `answers`, says upwards; `None` where it says
/// nothing. The answers' points add up; their shares are set. As in
/// [`reconcile`](super::reconcile::reconcile), what is `known` of a node's variance goes before its
/// band. A node and its meters are such a tree, too.
pub fn rise(
    answers: &mut [Answer],
    known: impl Fn(usize, usize) -> Option<f64>,
) -> [Option<Rise>; HORIZON_HOURS] {
    let (feeder, nodes) = answers.split_last_mut().expect("the feeder is always there");
    feeder.shares = [1.0; HORIZON_HOURS];
    std::array::from_fn(|hour| {
        let own = at(&feeder.points, hour)?;
        let unsure = |(place, node): (usize, &Answer)| {
            let point = at(&node.points, hour)?;
            Some(known(place, hour).unwrap_or_else(|| variance(point)))
        };
        let mut variances: Vec<f64> = nodes.iter().enumerate().filter_map(unsure).collect();
        let whole = !variances.is_empty() && variances.len() == nodes.len();
        variances.push(variance(own));
        let told = floor(&mut variances);
        if !told {
            // As structural scaling has it: each node as one, the feeder as all.
            variances.fill(1.0);
        }
        let (v, of_nodes) = variances.split_last().expect("the feeder's was just added");
        let sum: f64 = of_nodes.iter().sum();
        let mut variance_kw2 = *v;
        if whole {
            variance_kw2 *= sum / (sum + v);
            for (node, of_node) in nodes.iter_mut().zip(of_nodes) {
                node.shares[hour] = of_node / sum;
            }
        }
        let variance_kw2 = if told { variance_kw2 } else { 0.0 };
        Some(Rise { base_kw: own.p50_kw, variance_kw2 })
    })
}

fn at(points: &[Point], hour: usize) -> Option<&Point> {
    points.iter().find(|point| point.hour == hour)
}
