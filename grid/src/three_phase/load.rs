//! Loads: what current they draw at what voltage.
//!
//! Every law draws `i = v (p g_p(|v|) - j q g_q(|v|))` over each leg, so that a law is two real
//! functions. Outside its limits a load is a constant impedance; between the lowest voltage and the
//! lower limit its current goes in a straight line from one impedance to the other, because a
//! constant power at a collapsing voltage has no solution (OpenDSS, *Load* object, `vminpu`,
//! `vmaxpu`, `vlowpu`).

/// How a load follows the voltage `u` across a leg, per unit of the rated one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Law {
    /// Constant power.
    Power,
    /// Constant impedance, `u²`.
    Impedance,
    /// Constant current magnitude at constant power factor, `u`.
    Current,
    /// `u` to the power of one exponent for active and another for reactive power.
    Exponents {
        /// Exponent of active power.
        p: f64,
        /// Exponent of reactive power.
        q: f64,
    },
    /// Shares of constant impedance, current and power.
    Zip {
        /// Of active power.
        p: [f64; 3],
        /// Of reactive power.
        q: [f64; 3],
    },
}

/// Where a law holds, per unit of the rated voltage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Below it a load is the impedance it has at rated voltage.
    pub low: f64,
    /// From it on the law holds.
    pub min: f64,
    /// Above it a load is the impedance it would have there at rated power.
    pub max: f64,
}

impl Limits {
    /// The law holds at every voltage.
    pub const NONE: Limits = Limits { low: 0.0, min: 0.0, max: f64::INFINITY };
}

/// A load.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Its name, as in `load.671`.
    pub name: String,
    /// The two nodes of each leg, nothing is ground: to the neutral in star, in a ring in delta.
    pub legs: Vec<[Option<usize>; 2]>,
    /// Rated voltage across a leg in volts.
    pub rated_volt: f64,
    /// Active power it consumes at rated voltage, all legs together, in watts.
    pub p_w: f64,
    /// Reactive power it consumes at rated voltage, all legs together, in var.
    pub q_var: f64,
    /// How it follows the voltage.
    pub law: Law,
    /// Where its law holds.
    pub limits: Limits,
    /// False if it is switched off.
    pub in_service: bool,
}

impl Load {
    /// The factors `g_p` and `g_q` in 1/V² at the square of the voltage across a leg.
    pub fn factors(&self, volt_squared: f64) -> (f64, f64) {
        Curve::new(self).factors(volt_squared)
    }
}

/// A load's law made ready for many evaluations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve {
    law: Law,
    /// Squares of the limits in V².
    low: f64,
    min: f64,
    max: f64,
    rated: f64,
    /// One over the square of the rated voltage.
    nominal: f64,
    /// Of a constant power outside its limits.
    power: Outside,
    /// Of a constant current outside its limits.
    current: Outside,
}

/// `g` outside the limits of a law.
#[derive(Clone, Copy, Debug)]
struct Outside {
    /// Above the upper limit.
    above: f64,
    /// Between the lowest voltage and the lower limit: `(start + slope |v|)/|v|`.
    start: f64,
    slope: f64,
}

impl Outside {
    /// The line between the currents of one watt at both ends, `at_low` and `at_min`.
    fn new(load: &Load, above: f64, at_min: f64) -> Outside {
        let (low, min) = (load.limits.low * load.rated_volt, load.limits.min * load.rated_volt);
        let at_low = load.limits.low / load.rated_volt;
        let slope = if min > low { (at_min - at_low) / (min - low) } else { 0.0 };
        Outside { above, start: at_low - slope * low, slope }
    }
}

impl Curve {
    pub(crate) fn new(load: &Load) -> Curve {
        let Limits { low, min, max } = load.limits;
        let rated = load.rated_volt;
        let nominal = 1.0 / (rated * rated);
        let square = |limit: f64| (limit * rated) * (limit * rated);
        Curve {
            law: load.law,
            low: square(low),
            min: square(min),
            max: square(max),
            rated,
            nominal,
            power: Outside::new(load, nominal / (max * max), 1.0 / (min * rated)),
            current: Outside::new(load, nominal / max, 1.0 / rated),
        }
    }

    /// How much of the load's admittance at rated voltage belongs into the matrix, so that what is
    /// left over reacts least to a change of the voltage whatever its angle: half the exponent.
    pub(crate) fn weight(&self) -> f64 {
        match self.law {
            Law::Power => 0.0,
            Law::Impedance => 1.0,
            Law::Current => 0.5,
            Law::Exponents { p, q } => (p + q) / 4.0,
            Law::Zip { p, .. } => p[0] + p[1] / 2.0,
        }
    }

    /// One over the square of the rated voltage.
    pub(crate) fn nominal(&self) -> f64 {
        self.nominal
    }

    /// The factors `g_p` and `g_q` in 1/V².
    #[inline]
    pub(crate) fn factors(&self, square: f64) -> (f64, f64) {
        let same = |g: f64| (g, g);
        match self.law {
            Law::Power => same(self.power(square)),
            Law::Impedance => same(self.nominal),
            Law::Current => same(self.current(square)),
            Law::Exponents { p, q } if self.holds(square) => {
                let u = square.sqrt() / self.rated;
                let factor = |exponent: f64| match exponent {
                    0.0 => 1.0,
                    1.0 => u,
                    2.0 => u * u,
                    other => u.powf(other),
                };
                (factor(p) / square, factor(q) / square)
            }
            Law::Exponents { .. } => same(self.power(square)),
            Law::Zip { p, q } => {
                let (power, current) = (self.power(square), self.current(square));
                let sum = |of: [f64; 3]| of[0] * self.nominal + of[1] * current + of[2] * power;
                (sum(p), sum(q))
            }
        }
    }

    #[inline]
    fn holds(&self, square: f64) -> bool {
        square > self.min && square <= self.max
    }

    #[inline]
    fn power(&self, square: f64) -> f64 {
        if self.holds(square) { 1.0 / square } else { self.outside(&self.power, square) }
    }

    #[inline]
    fn current(&self, square: f64) -> f64 {
        if self.holds(square) {
            1.0 / (square.sqrt() * self.rated)
        } else {
            self.outside(&self.current, square)
        }
    }

    fn outside(&self, of: &Outside, square: f64) -> f64 {
        if square > self.max {
            of.above
        } else if square <= self.low {
            self.nominal
        } else {
            of.start / square.sqrt() + of.slope
        }
    }
}
