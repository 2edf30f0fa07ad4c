//! A quantile of a stream in five markers, without keeping the stream.
//!
//! The P² algorithm (Jain and Chlamtac, "The P² algorithm for dynamic calculation of quantiles and
//! histograms without storing observations", CACM 1985): five heights follow the minimum, the
//! quantiles p/2, p and (1+p)/2 and the maximum, and are moved along a parabola when their ranks
//! lag behind. No chance is involved, so a replay gives the same bits.

use serde::Deserialize;
use serde::Serialize;

/// An estimate of one quantile of a stream. Its state is fifteen numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Marker {
    p: f64,

    n: u64,
    heights: [f64; 5],
    ranks: [f64; 5],
}

impl Marker {
    /// Follows the quantile `p` (0 to 1).
    #[must_use]
    pub fn new(p: f64) -> Self {
        Self { p, n: 0, heights: [0.0; 5], ranks: [1.0, 2.0, 3.0, 4.0, 5.0] }
    }

    /// Values seen.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The quantile; absent before the fifth value.
    #[must_use]
    pub fn quantile(&self) -> Option<f64> {
        (self.n >= 5).then_some(self.heights[2])
    }

    /// Takes the next value; what is not finite is ignored.
    pub fn observe(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.n += 1;
        if self.n <= 5 {
            self.heights[self.n as usize - 1] = value;
            self.heights[..self.n as usize].sort_by(f64::total_cmp);
            return;
        }
        self.heights[0] = self.heights[0].min(value);
        self.heights[4] = self.heights[4].max(value);
        for index in 1..5 {
            if index == 4 || value < self.heights[index] {
                self.ranks[index] += 1.0;
            }
        }
        for index in 1..4 {
            self.adjust(index);
        }
    }

    /// Moves an inner marker by one rank towards where it should be.
    fn adjust(&mut self, index: usize) {
        let shares = [0.0, self.p / 2.0, self.p, f64::midpoint(1.0, self.p), 1.0];
        let wanted = 1.0 + (self.n - 1) as f64 * shares[index];
        let lag = wanted - self.ranks[index];
        let below = self.ranks[index] - self.ranks[index - 1];
        let above = self.ranks[index + 1] - self.ranks[index];
        let step = match lag {
            lag if lag >= 1.0 && above > 1.0 => 1.0,
            lag if lag <= -1.0 && below > 1.0 => -1.0,
            _ => return,
        };
        let [low, here, high] = [index - 1, index, index + 1].map(|i| self.heights[i]);
        let up = (below + step) * (high - here) / above;
        let down = (above - step) * (here - low) / below;
        let parabola = here + step / (above + below) * (up + down);
        self.heights[index] = if low < parabola && parabola < high {
            parabola
        } else if step > 0.0 {
            here + (high - here) / above
        } else {
            here - (here - low) / below
        };
        self.ranks[index] += step;
    }
}
