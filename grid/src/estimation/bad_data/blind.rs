//! What no residual can show: critical rows, and rows that cannot be told apart.

use crate::estimation::estimator::Estimator;
use crate::estimation::influence::Influence;

/// How many invented errors rows are compared under: rows that agree under all by chance are
/// those of one in `1 / ALIKE` to this power.
const TRIALS: usize = 3;
/// Normalised residuals this close are equal.
const ALIKE: f64 = 1e-5;

/// Rows about which residuals say nothing, or not which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlindSpots {
    /// Rows without which something is not observable: whatever they say is believed.
    pub critical: Vec<usize>,
    /// Groups of rows whose normalised residuals are always the same size: that one of them is bad
    /// is seen, but not which; without one of them the others are critical.
    pub groups: Vec<Vec<usize>>,
}

/// Finds them among the active rows, at the state and with a fresh factor.
///
/// Rows that cannot be told apart have residuals of correlation one, so they are equal under every
/// error; a few invented errors, one solution each, find all groups at once.
pub fn blind_spots(estimator: &mut Estimator) -> BlindSpots {
    let mut influence = Influence::new(estimator);
    let critical = estimator.critical();
    let rows = estimator.rows();
    let judged: Vec<usize> = (0..rows.len()).filter(|&r| rows[r].active && !critical[r]).collect();
    let mut seen: Vec<[f64; TRIALS]> = vec![[0.0; TRIALS]; rows.len()];
    let mut invented = 0_u64;
    let trials: [Vec<f64>; TRIALS] = std::array::from_fn(|_| {
        let mut errors = vec![0.0; rows.len()];
        for &row in &judged {
            errors[row] = rows[row].sigma * sign_and_size(&mut invented);
        }
        influence.response(estimator, &errors)
    });
    for &row in &judged {
        let deviation = influence.variance[row].sqrt();
        seen[row] = std::array::from_fn(|trial| trials[trial][row].abs() / deviation);
    }
    let mut order = judged;
    order.sort_by(|&a, &b| seen[a][0].total_cmp(&seen[b][0]).then(a.cmp(&b)));
    let alike = |a: usize, b: usize| {
        let pairs = seen[a].iter().zip(&seen[b]);
        pairs.into_iter().all(|(x, y)| (x - y).abs() < ALIKE * (1.0 + x.abs()))
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut open: Vec<Vec<usize>> = Vec::new();
    for row in order {
        let near = |group: &Vec<usize>| {
            seen[row][0] - seen[group[0]][0] < 2.0 * ALIKE * (1.0 + seen[row][0])
        };
        let (still, done): (Vec<_>, Vec<_>) = open.into_iter().partition(near);
        groups.extend(done);
        open = still;
        match open.iter_mut().find(|group| alike(group[0], row)) {
            Some(group) => group.push(row),
            None => open.push(vec![row]),
        }
    }
    groups.extend(open);
    groups.retain(|group| group.len() > 1);
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort();
    let critical = (0..rows.len()).filter(|&row| critical[row]).collect();
    BlindSpots { critical, groups }
}

/// A number between one and two or between minus two and minus one (SplitMix64).
fn sign_and_size(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    let size = 1.0 + (z >> 12) as f64 / (1_u64 << 52) as f64;
    if z & 1 == 0 { size } else { -size }
}
