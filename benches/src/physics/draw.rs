//! Draws as functions of their place: `benches/peers/grid/case.py` makes the same ones.

/// A draw from [0, 1) by splitmix64 (Steele, Lea, Flood, *Fast splittable pseudorandom number
/// generators*, 2014), the `at`-th of a stream.
pub fn uniform(seed: u64, stream: u64, at: u64) -> f64 {
    let base = seed.wrapping_add(stream.wrapping_mul(0xD134_2543_DE82_EF95));
    let mut z = base.wrapping_add((at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 * (-53.0_f64).exp2()
}

/// A draw with mean 0 and variance 1, the `at`-th of a stream: twelve uniform ones, less six.
pub fn deviate(seed: u64, stream: u64, at: u64) -> f64 {
    (0..12).map(|k| uniform(seed, stream, 12 * at + k)).sum::<f64>() - 6.0
}
