//! Seeded chance: every random number is a function of what it is for.
//!
//! A generator is made for one purpose, one subject and one step, used for a few draws, and
//! dropped. Nothing carries over, so adding a draw in one place moves no number in another, and a
//! plant that is told to do something else still draws the same noise.
//!
//! The generator is SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, *Fast splittable pseudorandom
//! number generators*, OOPSLA 2014). Normal draws are sums of twelve uniform ones (Irwin-Hall):
//! bounded at six standard deviations, a little light in the tails, and made of exact operations
//! only, so that the same seed gives the same bits on every machine.

/// What a random number is for; each has numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// How a copy differs from the home it is copied from.
    Copy = 1,
    /// Which homes have a battery, and how full it starts.
    Battery = 2,
    /// Load below the hour.
    Load = 3,
    /// What a sensor adds to the truth.
    Sensor = 4,
    /// What becomes of a reading on its way.
    Link = 5,
    /// What a device does with a setpoint.
    Setpoint = 6,
    /// Which instruments say what is not, and how.
    Gross = 7,
    /// How far a forecast of the weather is off.
    Sky = 8,
}

/// A few random numbers for one purpose, subject and step.
#[derive(Clone, Debug)]
pub struct Draws {
    state: u64,
}

/// 2^64 divided by the golden ratio, odd: SplitMix64's increment.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draws {
    /// The numbers of this purpose for a subject at a step.
    pub fn new(seed: u64, purpose: Purpose, subject: u64, step: u64) -> Draws {
        let keyed = mix(seed.wrapping_add(GOLDEN.wrapping_mul(purpose as u64)));
        let keyed = mix(keyed ^ subject.wrapping_mul(GOLDEN));
        Draws { state: mix(keyed ^ step.wrapping_mul(GOLDEN)) }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Uniform in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in [`low`, `high`).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    /// Uniform among 1, 2, …, `most`.
    pub fn count(&mut self, most: u64) -> u64 {
        1 + self.bits() % most.max(1)
    }

    /// About normal, mean 0, standard deviation 1, within six of them.
    pub fn normal(&mut self) -> f64 {
        let mut sum = 0_u64;
        for _ in 0..3 {
            let mut bits = self.bits();
            for _ in 0..4 {
                sum += bits & 0xffff;
                bits >>= 16;
            }
        }
        // Twelve times the mean of 0..=65535 is 12 · 32767.5.
        (sum as f64 - 12.0 * 32_767.5) / 65_536.0
    }
}

/// SplitMix64's output function.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A number for a text, to name a subject by: FNV-1a, 64 bits.
pub fn subject_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The nearest value that a sensor of this resolution can say; `steps_per_unit` is a power of two,
/// so that sums of readings are exact.
pub fn quantised(value: f64, steps_per_unit: f64) -> f64 {
    // Adding zero turns -0.0 into 0.0.
    (value * steps_per_unit).round() / steps_per_unit + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_draws_have_mean_0_and_deviation_1_over_100000() {
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|i| Draws::new(7, Purpose::Load, 3, i).normal()).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn purposes_subjects_and_steps_have_numbers_of_their_own() {
        let first = |purpose, subject, step| Draws::new(1, purpose, subject, step).bits();
        let base = first(Purpose::Load, 1, 1);
        assert_eq!(base, first(Purpose::Load, 1, 1));
        assert_ne!(base, first(Purpose::Sensor, 1, 1));
        assert_ne!(base, first(Purpose::Load, 2, 1));
        assert_ne!(base, first(Purpose::Load, 1, 2));
    }
}
