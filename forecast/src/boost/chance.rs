//! Draws that repeat: the same seed gives the same rows and features on every machine.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What SplitMix64 draws first from a state.
fn bits(state: u64) -> u64 {
    let mut z = state.wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The `counter`-th number of [0, 1), without those before it.
pub(crate) fn uniform(counter: u64) -> f64 {
    (bits(counter.wrapping_mul(GAMMA)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// SplitMix64 (Steele, Lea and Flood 2014): one 64-bit state, every seed is good.
pub(super) struct Chance(u64);

impl Chance {
    /// Starts at `seed`.
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// The next 64 bits.
    fn next(&mut self) -> u64 {
        let bits = bits(self.0);
        self.0 = self.0.wrapping_add(GAMMA);
        bits
    }

    /// A number below `n` (above 0): the high half of a product (Lemire 2019), whose bias of
    /// `n / 2^64` no fit can see.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Draws `take` of `0..n` without repetition: those drawn, and the rest, both ascending
    /// (Knuth, TAOCP 2, algorithm S).
    pub(super) fn draw(&mut self, n: usize, take: usize) -> (Vec<u32>, Vec<u32>) {
        let mut taken = Vec::with_capacity(take);
        let mut rest = Vec::with_capacity(n - take);
        for i in 0..n {
            if self.below(n - i) < take - taken.len() {
                taken.push(i as u32);
            } else {
                rest.push(i as u32);
            }
        }
        (taken, rest)
    }
}
