//! Histograms of gradients, in whole numbers.
//!
//! A gradient g is held as the whole number nearest to g / unit, the unit a power of two such that
//! the greatest |g| fits into `bits`. With n rows, a count needs c = ⌈log2(n + 1)⌉ bits and a sum
//! c + `bits` and its sign, so one i64 holds both: `(Σg << c) + count`. That is one addition a
//! value where LightGBM does two, in half of its memory; and the sibling's sums by subtraction
//! are those that would have been counted. Up to 2^16 rows `bits` is at least 29, finer than f32;
//! at a million rows it is 23.
//!
//! With weights there is a second i64, `(Σw << c) + count`, and the first holds Σg alone.

/// Bins a feature has room for: as many as a byte tells apart, so that none is out of bounds.
pub(super) const ROOM: usize = 256;

/// What a bin sums up.
pub(super) trait Cell: Copy + Default {
    /// One row of gradient `g` and weight `w`, in units.
    fn row(g: i64, w: i64, count_bits: u32) -> Self;

    /// Adds rows.
    fn add(&mut self, rows: Self);

    /// Takes rows away that were added before.
    fn take(&mut self, rows: Self);

    /// Whether no row is in it.
    fn is_empty(self) -> bool;

    /// Sum of gradients and of weights in units, and how many rows.
    fn sums(self, count_bits: u32) -> (f64, f64, usize);
}

/// Rows that all weigh 1.
#[derive(Clone, Copy, Default)]
pub(super) struct Plain(i64);

impl Cell for Plain {
    #[inline(always)]
    fn row(g: i64, _: i64, count_bits: u32) -> Plain {
        Plain((g << count_bits) + 1)
    }

    #[inline(always)]
    fn add(&mut self, rows: Plain) {
        self.0 += rows.0;
    }

    #[inline(always)]
    fn take(&mut self, rows: Plain) {
        self.0 -= rows.0;
    }

    #[inline(always)]
    fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    fn sums(self, count_bits: u32) -> (f64, f64, usize) {
        let count = self.0 & ((1 << count_bits) - 1);
        ((self.0 >> count_bits) as f64, count as f64, count as usize)
    }
}

/// Rows that each have a weight.
#[derive(Clone, Copy, Default)]
pub(super) struct Weighted {
    g: i64,
    w: i64,
}

impl Cell for Weighted {
    #[inline(always)]
    fn row(g: i64, w: i64, count_bits: u32) -> Weighted {
        Weighted { g, w: (w << count_bits) + 1 }
    }

    #[inline(always)]
    fn add(&mut self, rows: Weighted) {
        self.g += rows.g;
        self.w += rows.w;
    }

    #[inline(always)]
    fn take(&mut self, rows: Weighted) {
        self.g -= rows.g;
        self.w -= rows.w;
    }

    #[inline(always)]
    fn is_empty(self) -> bool {
        self.w == 0
    }

    #[inline(always)]
    fn sums(self, count_bits: u32) -> (f64, f64, usize) {
        let count = self.w & ((1 << count_bits) - 1);
        (self.g as f64, (self.w >> count_bits) as f64, count as usize)
    }
}

/// How real numbers become whole ones.
#[derive(Clone, Copy)]
pub(super) struct Units {
    /// Bits of a count.
    pub(super) count_bits: u32,
    /// Bits of a gradient or weight without its sign.
    pub(super) bits: u32,
}

impl Units {
    /// Those for at most `rows` rows.
    pub(super) fn new(rows: usize) -> Units {
        let count_bits = usize::BITS - rows.leading_zeros();
        Units { count_bits, bits: (63 - 2 * count_bits).min(31) }
    }

    /// The power of two by which numbers of at most `max` (above 0) are multiplied.
    pub(super) fn scale(self, max: f64) -> f64 {
        // 2^-exponent * max lies in [1, 2), so the whole numbers stay below 2^bits.
        // Below 1e-200 the scale would not be finite; such gradients are no more than rounding.
        let exponent = (max.max(1e-200).to_bits() >> 52) as i32 - 1023;
        f64::exp2(f64::from(self.bits as i32 - 1 - exponent))
    }
}

/// A split of the rows of a leaf.
#[derive(Clone, Copy)]
pub(super) struct Split {
    /// The feature that is asked.
    pub(super) feature: usize,
    /// The last bin that goes left.
    pub(super) bin: u8,
    /// Whether missing values go left.
    pub(super) missing_left: bool,
    /// Loss it takes away, in units; above 0.
    pub(super) gain: f64,
}

/// What a split must keep to.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// See [`Units`].
    pub(super) count_bits: u32,
    /// Rows a child at least.
    pub(super) rows_leaf_min: usize,
    /// Added to sums of weights, in units of weights.
    pub(super) l2: f64,
}

/// Fills the histograms of a leaf, one a feature, from its rows.
pub(super) fn fill<'a, C: Cell>(
    histogram: &mut [[C; ROOM]],
    rows: impl Iterator<Item = (&'a [u8], C)>,
    features: &[u32],
) {
    if features.len() == histogram.len() {
        for (bins, row) in rows {
            for (cells, &bin) in histogram.iter_mut().zip(bins) {
                cells[bin as usize].add(row);
            }
        }
    } else {
        for (bins, row) in rows {
            for &feature in features {
                histogram[feature as usize][bins[feature as usize] as usize].add(row);
            }
        }
    }
}

/// Puts the better of `best` and all splits of one feature into `best`.
///
/// `cells` are the known bins and then the missing one. The gain of a split is
/// GL²/(WL+λ) + GR²/(WR+λ) − G²/(W+λ), with sums of gradients G and of weights W (Ke et al. 2017
/// with second derivatives as weights); candidates are compared by products, without a division.
pub(super) fn scan<C: Cell>(
    feature: usize,
    cells: &[C],
    total: C,
    limits: &Limits,
    best: &mut Option<Split>,
) {
    let (&missing, known) = cells.split_last().expect("there is a bin for missing values");
    if missing.is_empty() {
        one_way(feature, known, C::default(), total, limits, best, None);
    } else {
        one_way(feature, known, C::default(), total, limits, best, Some(false));
        one_way(feature, known, missing, total, limits, best, Some(true));
    }
}

/// [`scan`] with missing values on one side; `None`: there are none, they follow the more rows.
fn one_way<C: Cell>(
    feature: usize,
    known: &[C],
    mut left: C,
    total: C,
    limits: &Limits,
    best: &mut Option<Split>,
    missing_left: Option<bool>,
) {
    let (g, w, rows) = total.sums(limits.count_bits);
    let before = g * g / (w + limits.l2);
    let mut gain_max = best.map_or(before * 1e-12, |best| best.gain) + before;
    let mut found = None;
    for (bin, &cell) in known.iter().enumerate() {
        if cell.is_empty() {
            continue;
        }
        left.add(cell);
        let (g_left, w_left, rows_left) = left.sums(limits.count_bits);
        if rows_left < limits.rows_leaf_min {
            continue;
        }
        if rows - rows_left < limits.rows_leaf_min {
            break;
        }
        let (g_right, w_left, w_right) = (g - g_left, w_left + limits.l2, w - w_left + limits.l2);
        let reduced = g_left * g_left * w_right + g_right * g_right * w_left;
        if reduced > gain_max * (w_left * w_right) {
            gain_max = reduced / (w_left * w_right);
            found = Some((bin as u8, 2 * rows_left >= rows));
        }
    }
    if let Some((bin, more_left)) = found {
        let missing_left = missing_left.unwrap_or(more_left);
        *best = Some(Split { feature, bin, missing_left, gain: gain_max - before });
    }
}
