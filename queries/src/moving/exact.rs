//! Sums of doubles without rounding: a fixed-point number that is as wide as doubles are.
//!
//! U. Kulisch, *Computer Arithmetic and Validity* (2nd ed., 2013), chapter 8: the long accumulator.
//! A double is 53 bits somewhere between 2⁻¹⁰⁷⁴ and 2¹⁰²⁴. Each is added at its place; only the
//! value that is read off is rounded, once, to the nearest double, ties to even.

/// Bits of a digit.
const BITS: usize = 32;

/// Digits from 2⁻¹⁰⁷⁴ to beyond the greatest double.
const DIGITS: usize = 70;

/// The exponent of the lowest bit.
const LOWEST: i32 = -1074;

/// A sum of finite doubles. It takes 2³⁰ of them.
#[derive(Clone, Debug)]
pub(super) struct Exact {
    /// Digits of base 2³², each of either sign and with what it has not carried yet.
    digits: [i64; DIGITS],
}

impl Default for Exact {
    fn default() -> Exact {
        Exact { digits: [0; DIGITS] }
    }
}

impl Exact {
    /// Adds a finite double.
    pub(super) fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 52 & 0x7ff) as usize, bits & ((1 << 52) - 1));
        // Subnormals have the exponent of the least normal double, and no hidden bit.
        let (place, mantissa) = match exponent {
            0 => (0, fraction),
            exponent => (exponent - 1, fraction | 1 << 52),
        };
        let mut parts = u128::from(mantissa) << (place % BITS);
        let sign = if bits >> 63 == 0 { 1 } else { -1 };
        for digit in &mut self.digits[place / BITS..place / BITS + 3] {
            *digit += sign * (parts & 0xffff_ffff) as i64;
            parts >>= BITS;
        }
    }

    /// The nearest double; infinite beyond the greatest.
    pub(super) fn value(&self) -> f64 {
        let mut digits = carried(self.digits);
        let negative = digits[DIGITS - 1] < 0;
        if negative {
            digits = carried(digits.map(|digit| -digit));
        }
        let Some(top) = digits.iter().rposition(|digit| *digit != 0) else { return 0.0 };
        // Four digits hold more bits than a double; of those below, only whether there are any
        // matters.
        let low = top.saturating_sub(3);
        let window = digits[low..=top].iter().rev();
        let mut number = window.fold(0u128, |number, digit| number << BITS | *digit as u128);
        if digits[..low].iter().any(|digit| *digit != 0) {
            number |= 1;
        }
        let exponent = LOWEST + (BITS * low) as i32;
        let half = exponent / 2;
        let value = number as f64 * power(half) * power(exponent - half);
        if negative { -value } else { value }
    }
}

/// The digits with carries done: all but the last from 0 to 2³², the last with the sign.
fn carried(mut digits: [i64; DIGITS]) -> [i64; DIGITS] {
    for at in 0..DIGITS - 1 {
        digits[at + 1] += digits[at] >> BITS;
        digits[at] &= 0xffff_ffff;
    }
    digits
}

/// A power of two within the normal doubles.
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::Exact;

    fn sum(values: &[f64]) -> f64 {
        let mut exact = Exact::default();
        values.iter().for_each(|value| exact.add(*value));
        exact.value()
    }

    #[test]
    fn one_double_is_itself() {
        let odd = [0.0, 5e-324, 2.2250738585072014e-308, 1.0, 0.1, 1e-300, 123456.789, f64::MAX];
        for value in odd {
            assert_eq!(sum(&[value]).to_bits(), value.to_bits(), "{value:e}");
            assert_eq!(sum(&[-value]), -value, "{value:e}");
            assert_eq!(sum(&[value, -value]).to_bits(), 0, "{value:e}");
        }
    }

    #[test]
    fn sums_are_rounded_once() {
        assert_eq!(sum(&[1e300, 1.0, -1e300]), 1.0);
        assert_eq!(sum(&[1.0, f64::EPSILON / 2.0]), 1.0);
        assert_eq!(sum(&[1.0, f64::EPSILON / 2.0, 5e-324]), 1.0 + f64::EPSILON);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[5e-324, 5e-324, -1.0, 1.0]), 1e-323);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
    }

    #[test]
    fn small_integers_in_any_order() {
        let mut exact = Exact::default();
        let mut seed = 88172645463325252u64;
        let mut plain = 0i64;
        let mut there = Vec::new();
        for _ in 0..10_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let value = (seed >> 40) as i64 - (1 << 23);
            if seed.is_multiple_of(3)
                && let Some(gone) = there.pop()
            {
                plain -= gone;
                exact.add(-(gone as f64) / 1024.0);
            }
            plain += value;
            exact.add(value as f64 / 1024.0);
            there.push(value);
            assert_eq!(exact.value(), plain as f64 / 1024.0);
        }
    }
}
