//! Values as bins: one byte each, found once a fit.
//!
//! A feature with few distinct values has a bin for each; otherwise bins hold about equally many
//! rows, and a value that fills a bin by itself has it for itself (LightGBM's `GreedyFindBin`).
//! The bin after the last known one is for missing values, whether there are any or not: a later
//! row may lack what no learned row lacked.

/// Rows that bins are found from at most; beyond, every k-th row is taken. 200,000 as in LightGBM.
const SAMPLE_MAX: usize = 200_000;

/// All values as bins.
pub(super) struct Bins {
    /// Features.
    pub(super) features: usize,
    /// Greatest value of each bin but the last known, ascending, a feature.
    edges: Vec<Vec<f32>>,
    /// Bins row by row: where histograms read.
    by_row: Vec<u8>,
    /// Bins column by column: where a split reads.
    by_column: Vec<u8>,
    /// Rows.
    rows: usize,
}

impl Bins {
    /// Finds bins from the first `learned` rows and puts all rows into them.
    pub(super) fn new(columns: &[&[f32]], learned: usize, bins_max: usize) -> Bins {
        let (features, rows) = (columns.len(), columns[0].len());
        let edges: Vec<Vec<f32>> =
            columns.iter().map(|column| edges(&column[..learned], bins_max - 1)).collect();
        let mut by_row = vec![0; rows * features];
        let mut by_column = Vec::with_capacity(rows * features);
        for (feature, (column, edges)) in columns.iter().zip(&edges).enumerate() {
            for (row, &x) in column.iter().enumerate() {
                let bin = match x.is_finite() {
                    true => edges.partition_point(|&edge| edge < x),
                    false => edges.len() + 1,
                } as u8;
                by_row[row * features + feature] = bin;
                by_column.push(bin);
            }
        }
        Bins { features, edges, by_row, by_column, rows }
    }

    /// The bin of the missing values of a feature, which is how many known bins it has.
    pub(super) fn missing(&self, feature: usize) -> usize {
        self.edges[feature].len() + 1
    }

    /// The greatest value that goes left when bins up to `bin` do.
    pub(super) fn threshold(&self, feature: usize, bin: u8) -> f32 {
        // Only missing values go right: no finite value may follow them.
        self.edges[feature].get(bin as usize).copied().unwrap_or(f32::MAX)
    }

    /// The bins of one row, one a feature.
    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.by_row[row * self.features..][..self.features]
    }

    /// The bins of one feature, one a row.
    pub(super) fn column(&self, feature: usize) -> &[u8] {
        &self.by_column[feature * self.rows..][..self.rows]
    }
}

/// The greatest value of each bin but the last, for at most `bins_max` bins.
fn edges(column: &[f32], bins_max: usize) -> Vec<f32> {
    let step = column.len().div_ceil(SAMPLE_MAX).max(1);
    let mut known: Vec<f32> =
        column.iter().copied().step_by(step).filter(|x| x.is_finite()).collect();
    known.sort_unstable_by(f32::total_cmp);
    let mut values: Vec<(f32, usize)> = Vec::new();
    for x in known {
        match values.last_mut() {
            Some((last, rows)) if *last == x => *rows += 1,
            _ => values.push((x, 1)),
        }
    }
    if values.len() <= bins_max {
        return values.windows(2).map(|pair| between(pair[0].0, pair[1].0)).collect();
    }
    even(&values, bins_max)
}

/// Edges of about equally filled bins, for more distinct values than bins.
fn even(values: &[(f32, usize)], bins_max: usize) -> Vec<f32> {
    let rows: usize = values.iter().map(|(_, rows)| rows).sum();
    let mean = rows as f64 / bins_max as f64;
    let big = |i: usize| values[i].1 as f64 >= mean;
    let alone: Vec<usize> = (0..values.len()).filter(|&i| big(i)).collect();
    let mut rows_left = rows - alone.iter().map(|&i| values[i].1).sum::<usize>();
    let mut bins_left = bins_max.saturating_sub(alone.len());
    let mut fill = rows_left as f64 / bins_left.max(1) as f64;
    let mut edges = Vec::with_capacity(bins_max - 1);
    let mut held = 0;
    for i in 0..values.len() - 1 {
        if edges.len() + 1 == bins_max {
            break;
        }
        held += values[i].1;
        if !big(i) {
            rows_left -= values[i].1;
        }
        let full = held as f64 >= fill;
        let makes_way = big(i + 1) && held as f64 >= (fill * 0.5).max(1.0);
        if big(i) || full || makes_way {
            edges.push(between(values[i].0, values[i + 1].0));
            held = 0;
            if !big(i) {
                bins_left = bins_left.saturating_sub(1);
                fill = rows_left as f64 / bins_left.max(1) as f64;
            }
        }
    }
    edges
}

/// A value with `low` at or below it and `high` above.
fn between(low: f32, high: f32) -> f32 {
    let middle = f64::midpoint(f64::from(low), f64::from(high)) as f32;
    if middle < high { middle } else { low }
}
