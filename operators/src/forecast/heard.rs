//! The sum over those below, which stands where enough of them were heard.
//!
//! A node, a feeder that is silent leaves a hole in the sum above it. Something stands in for it,
//! as long as [`KNOWN_OF`] say what they drew; beyond that the sum would be made of what is not
//! known, and is missing.

/// Of how many that have begun so many must be known for the sum to be.
const KNOWN_OF: (usize, usize) = (4, 5);

/// See [`self`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    sum: f64,
    begun: usize,
    known: usize,
}

impl Heard {
    /// One that has begun: what it drew or what stands in for that, and whether it was heard.
    pub fn add(&mut self, kw: f64, known: bool) {
        self.sum += kw;
        self.begun += 1;
        self.known += usize::from(known);
    }

    /// One that is not waited for, and counts with so much.
    pub fn add_unasked(&mut self, kw: f64) {
        self.sum += kw;
    }

    /// The sum, NaN where too few were heard.
    pub fn kw(self) -> f64 {
        let enough = self.known * KNOWN_OF.1 >= self.begun * KNOWN_OF.0;
        if enough { self.filled_kw() } else { f64::NAN }
    }

    /// The sum, however many were heard; NaN where none has begun.
    pub fn filled_kw(self) -> f64 {
        if self.begun == 0 { f64::NAN } else { self.sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_of_five_make_a_sum_and_three_of_four_do_not() {
        let of = |begun: usize, known: usize| {
            let mut heard = Heard::default();
            (0..begun).for_each(|at| heard.add(2.0, at < known));
            heard.add_unasked(0.5);
            (heard.kw(), heard.filled_kw())
        };
        assert_eq!(of(5, 4), (10.5, 10.5));
        assert!(of(4, 3).0.is_nan() && of(4, 3).1 == 8.5);
        assert!(of(0, 0).0.is_nan() && of(0, 0).1.is_nan());
    }
}
