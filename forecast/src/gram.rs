//! A Gram matrix in three bytes an entry.
//!
//! ```text
//! G_ij = r_ij √(G_ii G_jj)      |r_ij| ≤ 1      (Cauchy and Schwarz)
//! ```
//!
//! The diagonal is kept as floats, and of each other entry `r`, in fixed point of 24 bits. So an
//! entry is wrong by 2⁻²⁴ of what its features weigh together, which is what a float would lose of
//! the greatest entries, and what is next to singular stays as near to it. (Floats of 24 bits were
//! tried: 2⁻¹⁷ of great entries is more than a weak ridge, and factors break down.)
//!
//! The two upper bytes lie apart from the lowest, so that a processor reads several at a time.

use serde::Deserialize;
use serde::Serialize;

use crate::ridge::packed_len;

/// One, in fixed point.
const ONE: f64 = 8_388_607.0;

/// See [`self`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gram {
    #[serde(with = "crate::bits")]
    diagonal: Vec<f32>,
    /// Of entry (i, j), j < i, at i(i-1)/2 + j: the bits above the lowest eight, signed.
    #[serde(with = "crate::bits")]
    upper: Vec<i16>,
    #[serde(with = "crate::bits")]
    lowest: Vec<u8>,
}

impl Gram {
    /// That of no row of `p` features.
    pub fn new(p: usize) -> Gram {
        let below = packed_len(p) - p;
        Gram { diagonal: vec![0.0; p], upper: vec![0; below], lowest: vec![0; below] }
    }

    /// The weights of the features: roots of the diagonal.
    fn roots(&self) -> Vec<f64> {
        self.diagonal.iter().map(|entry| f64::from(*entry).sqrt()).collect()
    }

    /// Adds it, weighted, to a packed lower triangle.
    pub fn add_to(&self, packed: &mut [f64], weight: f64) {
        let (roots, mut start) = (self.roots(), 0);
        for (i, diagonal) in self.diagonal.iter().enumerate() {
            let row = &mut packed[packed_len(i)..packed_len(i) + i + 1];
            let scale = weight * roots[i] / ONE;
            let (upper, lowest) = (&self.upper[start..start + i], &self.lowest[start..start + i]);
            for (((sum, upper), lowest), root) in row.iter_mut().zip(upper).zip(lowest).zip(&roots)
            {
                let fixed = (i32::from(*upper) << 8) | i32::from(*lowest);
                *sum += f64::from(fixed) * (scale * root);
            }
            row[i] += weight * f64::from(*diagonal);
            start += i;
        }
    }

    /// Multiplies it by `decay` and adds a row, `x xᵀ`; each entry is rounded once.
    pub fn settle(&mut self, decay: f64, x: &[f32]) {
        let p = self.diagonal.len();
        let mut packed = vec![0.0; packed_len(p)];
        self.add_to(&mut packed, decay);
        for (i, x_i) in x.iter().enumerate() {
            let row = &mut packed[packed_len(i)..packed_len(i) + i + 1];
            row.iter_mut().zip(x).for_each(|(sum, x_j)| *sum += f64::from(*x_i) * f64::from(*x_j));
            self.diagonal[i] = row[i] as f32;
        }
        let inverse =
            self.roots().into_iter().map(|root| if root > 0.0 { 1.0 / root } else { 0.0 });
        let inverse: Vec<f64> = inverse.collect();
        let mut start = 0;
        for i in 0..p {
            let row = &packed[packed_len(i)..packed_len(i) + i];
            let scale = ONE * inverse[i];
            let kept = self.upper[start..].iter_mut().zip(&mut self.lowest[start..]);
            for ((sum, inverse), (upper, lowest)) in row.iter().zip(&inverse).zip(kept) {
                let fixed = (sum * (scale * inverse)).clamp(-ONE, ONE).round() as i32;
                (*upper, *lowest) = ((fixed >> 8) as i16, fixed as u8);
            }
            start += i;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ridge::add_row;

    /// A number in -1..1 by its counter.
    fn noise(counter: u64) -> f32 {
        let mixed = (counter + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed >> 40) as f32 / (1_u64 << 23) as f32) - 1.0
    }

    /// Features of which one is 0 for long, two are next to the same, and one is small.
    fn row(at: u64) -> Vec<f32> {
        let x = noise(7 * at);
        let seldom = if at.is_multiple_of(90) { 1.0 } else { 0.0 };
        vec![1.0, x, 8.0 * noise(7 * at + 1), x + 1e-3 * noise(7 * at + 2), 0.0, 1e-3 * x, seldom]
    }

    #[test]
    fn an_entry_is_wrong_by_what_a_float_would_lose_of_the_greatest_ones_1000_rows() {
        let p = row(0).len();
        let (mut gram, mut exact) = (Gram::new(p), vec![0.0; packed_len(p)]);
        for at in 0..1_000 {
            let x = row(at);
            gram.settle(0.99, &x);
            exact.iter_mut().for_each(|entry| *entry *= 0.99);
            let x: Vec<f64> = x.into_iter().map(f64::from).collect();
            add_row(&mut exact, &mut vec![0.0; p], &x, 0.0, 1.0);
        }
        let mut found = vec![0.0; packed_len(p)];
        gram.add_to(&mut found, 0.5);
        for i in 0..p {
            for j in 0..=i {
                let at = packed_len(i) + j;
                let together = (exact[packed_len(i) + i] * exact[packed_len(j) + j]).sqrt();
                let far = (2.0 * found[at] - exact[at]).abs();
                assert!(far <= 2e-6 * together, "{i} {j}: {} {}", 2.0 * found[at], exact[at]);
            }
        }
    }

    #[test]
    fn what_is_read_back_is_what_was_written() {
        let mut gram = Gram::new(7);
        (0..40).for_each(|at| gram.settle(0.98, &row(at)));
        let text = serde_json::to_string(&gram).expect("numbers can be written");
        assert_eq!(serde_json::from_str::<Gram>(&text).expect("and read"), gram);
    }
}
