//! Water filling: a total split over devices so that they run dry, or full, together.
//!
//! Each device `i` gets `p_i = clamp(λ·w_i, lo_i, hi_i)`, one level `λ` for all. The weight `w_i`
//! is the energy it can give (for `λ > 0`) or take (for `λ < 0`), so that `1/λ` is the time until
//! all run out at once: the whole fleet's power stays at hand for as long as there is energy. `Σ
//! p_i(λ)` grows with `λ` and is straight between the levels at which a device meets a bound, so
//! the level is found by bisecting those and interpolating: exact, without a tolerance.

/// What one device may be given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Least power in kW; above 0 only where its ramp forces it on.
    pub kw_min: f64,
    /// Greatest power in kW; not below `kw_min`.
    pub kw_max: f64,
    /// Its weight: energy to give for a positive total, to take for a negative one. 0 leaves it
    /// out.
    pub weight: f64,
}

/// Power of each device in kW, in the order given. Sums to `total_kw` as nearly as the bounds
/// allow; no device is driven against the sign of the total to make up for another.
pub fn fill(total_kw: f64, shares: &[Share]) -> Vec<f64> {
    if total_kw < 0.0 {
        let mirrored: Vec<Share> = shares.iter().map(mirror).collect();
        return fill(-total_kw, &mirrored).into_iter().map(|p| 0.0 - p).collect();
    }
    let level = level(total_kw, shares);
    shares.iter().map(|share| at_level(share, level)).collect()
}

fn mirror(share: &Share) -> Share {
    Share { kw_min: -share.kw_max, kw_max: -share.kw_min, weight: share.weight }
}

fn at_level(share: &Share, level: f64) -> f64 {
    let kw = if share.weight > 0.0 { level * share.weight } else { 0.0 };
    kw.max(share.kw_min).min(share.kw_max)
}

fn sum_at(shares: &[Share], level: f64) -> f64 {
    shares.iter().map(|share| at_level(share, level)).sum()
}

/// The level whose sum is `total_kw`, at least 0; the highest that matters if there is none.
fn level(total_kw: f64, shares: &[Share]) -> f64 {
    let bends = shares.iter().filter(|share| share.weight > 0.0);
    let mut levels: Vec<f64> = bends
        .flat_map(|share| [share.kw_min / share.weight, share.kw_max / share.weight])
        .filter(|level| *level > 0.0)
        .collect();
    levels.push(0.0);
    levels.sort_by(f64::total_cmp);
    let above = levels.partition_point(|level| sum_at(shares, *level) < total_kw);
    if above == 0 {
        return 0.0;
    }
    let Some(high) = levels.get(above) else {
        return levels[above - 1];
    };
    let low = levels[above - 1];
    let (sum_low, sum_high) = (sum_at(shares, low), sum_at(shares, *high));
    low + (high - low) * (total_kw - sum_low) / (sum_high - sum_low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(total_kw: f64, shares: &[(f64, f64, f64)], expected: &[f64]) {
        let shares: Vec<Share> = shares
            .iter()
            .map(|&(kw_min, kw_max, weight)| Share { kw_min, kw_max, weight })
            .collect();
        let filled = fill(total_kw, &shares);
        for (got, want) in filled.iter().zip(expected) {
            assert!((got - want).abs() < 1e-9, "{filled:?}, expected {expected:?}");
        }
    }

    #[test]
    fn equal_devices_share_alike() {
        check(6.0, &[(-5.0, 5.0, 3.0); 3], &[2.0, 2.0, 2.0]);
    }

    #[test]
    fn the_fuller_gives_more() {
        check(6.0, &[(-5.0, 5.0, 4.0), (-5.0, 5.0, 2.0)], &[4.0, 2.0]);
    }

    #[test]
    fn what_one_cannot_give_the_others_do() {
        check(
            9.0,
            &[(0.0, 2.0, 4.0), (0.0, 5.0, 4.0), (0.0, 5.0, 2.0)],
            &[2.0, 14.0 / 3.0, 7.0 / 3.0],
        );
    }

    #[test]
    fn more_than_all_can_give_takes_all() {
        check(99.0, &[(0.0, 2.0, 4.0), (0.0, 5.0, 1.0)], &[2.0, 5.0]);
    }

    #[test]
    fn charging_is_the_mirror() {
        check(-6.0, &[(-5.0, 5.0, 4.0), (-5.0, 5.0, 2.0)], &[-4.0, -2.0]);
    }

    #[test]
    fn a_device_its_ramp_holds_on_counts() {
        check(4.0, &[(3.0, 5.0, 1.0), (-5.0, 5.0, 1.0)], &[3.0, 1.0]);
    }

    #[test]
    fn nobody_charges_to_make_up_for_another() {
        check(1.0, &[(3.0, 5.0, 1.0), (-5.0, 5.0, 1.0)], &[3.0, 0.0]);
    }

    #[test]
    fn the_empty_is_left_out() {
        check(4.0, &[(0.0, 0.0, 0.0), (0.0, 5.0, 1.0)], &[0.0, 4.0]);
        check(0.0, &[], &[]);
    }
}
