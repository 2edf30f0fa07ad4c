//! The columns of a load, with weather or without.

use super::Chooser;
use super::YEAR_DAYS;
use crate::feature::Column;
use crate::feature::Reading;
use crate::model::Kind;
use crate::model::Role;
use crate::past::Past;

/// Columns in the making, each with whether it rests on the series' own readings.
#[derive(Default)]
struct List {
    columns: Vec<Column>,
    lags: Vec<bool>,
}

impl List {
    fn add(&mut self, column: Column, lag: bool) {
        self.columns.push(column);
        self.lags.push(lag);
    }

    /// A reading, and what exceeds each of the limits.
    fn bend(&mut self, reading: Reading, limits: &[f32], lag: bool) {
        self.add(Column::Weather(reading), lag);
        for above in limits {
            self.add(Column::Weather(Reading { above: Some(*above), ..reading }), lag);
        }
    }
}

/// Values at these shares of the sorted values.
fn quantiles(mut values: Vec<f32>, shares: &[f64]) -> Vec<f32> {
    values.sort_by(f32::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    shares.iter().map(|share| values.get((last * share) as usize).copied().unwrap_or(0.0)).collect()
}

impl Chooser<'_> {
    /// The columns with whether each rests on the series' own readings.
    pub(super) fn columns(&self, past: &Past, stations: &[usize]) -> (Vec<Column>, Vec<bool>) {
        let mut list = List::default();
        let rich = self.days > YEAR_DAYS;
        list.add(Column::One, false);
        (1..7).for_each(|k| list.add(Column::Weekday(k), false));
        [0, -1, 1].into_iter().for_each(|days| list.add(Column::Holiday(days), false));
        if rich {
            for k in 1..=2 {
                list.add(Column::Sine(k), false);
                list.add(Column::Cosine(k), false);
            }
        }
        let temperature = usize::from(!stations.is_empty());
        if temperature == 1 {
            self.temperature(past, rich, &mut list);
        }
        for (k, q) in self.others.iter().enumerate() {
            self.other((temperature, k), self.setup.quantities[*q].role, &mut list);
        }
        for column in [Column::LagSame, Column::LagOther, Column::Other] {
            list.add(column, true);
        }
        let back: &[i64] = if self.young() { &[2, 7] } else { &[2, 7, 14] };
        back.iter().copied().for_each(|days| list.add(Column::Lag(days), true));
        [1, 7].into_iter().for_each(|days| list.add(Column::Mean(days), true));
        list.add(Column::Holiday(-7), true);
        list.add(Column::LagHoliday, true);
        if rich {
            list.add(Column::SameKindMean(5), true);
        }
        (list.columns, list.lags)
    }

    fn temperature(&self, past: &Past, rich: bool, list: &mut List) {
        let (day, hour) = (self.day, (self.day / 24).max(1));
        let span = past.weather[0].begin()..past.end();
        let now: Vec<f32> = span.clone().map(|index| past.weather[0].at(index, day)).collect();
        let smooth = |which: usize| -> Vec<f32> {
            span.clone().map(|index| past.weather[0].smooth(which, index)).collect()
        };
        let base = Reading { quantity: 0, smooth: None, lag: 0, above: None };
        let over = |which: usize| Reading { smooth: Some(which), ..base };
        if self.young() {
            list.bend(base, &quantiles(now.clone(), &[0.25, 0.5, 0.75]), false);
            list.bend(over(1), &[], false);
            list.bend(over(2), &[], false);
            list.add(Column::Weather(Reading { lag: day, ..base }), true);
            return;
        }
        list.bend(base, &quantiles(now.clone(), &[0.15, 0.35, 0.55, 0.75, 0.9]), false);
        list.bend(over(1), &quantiles(smooth(1), &[0.3, 0.6, 0.85]), false);
        list.bend(over(2), &quantiles(smooth(2), &[0.4, 0.75]), false);
        list.bend(over(0), &quantiles(smooth(0), &[0.3, 0.7]), false);
        list.add(Column::Weather(Reading { lag: 2 * hour, ..base }), false);
        if rich {
            let limits = quantiles(now.clone(), &[0.4, 0.75]);
            list.bend(Reading { lag: -hour, ..base }, &limits, false);
            list.bend(Reading { lag: -3 * hour, ..base }, &limits, false);
            list.add(Column::RestWeather(base), false);
            for above in quantiles(now.clone(), &[0.15, 0.5, 0.85]) {
                list.add(Column::RestWeather(Reading { above: Some(above), ..base }), false);
            }
        }
        let limits = quantiles(now, &[0.25, 0.55, 0.8]);
        list.bend(Reading { lag: day, ..base }, &limits, true);
        list.bend(Reading { lag: day, ..over(1) }, &quantiles(smooth(1), &[0.5]), true);
        list.bend(Reading { lag: 7 * day, ..base }, &limits, true);
    }

    /// The columns of the `k`-th of the others, which follow so many temperatures.
    fn other(&self, (temperature, k): (usize, usize), role: Role, list: &mut List) {
        let quantity = temperature + k;
        let (day, hour) = (self.day, (self.day / 24).max(1));
        let base = Reading { quantity, smooth: None, lag: 0, above: None };
        list.add(Column::Weather(base), false);
        if self.setup.kind != Kind::NetLoad {
            return;
        }
        match role {
            Role::Radiation => {
                list.add(Column::Weather(Reading { lag: day, ..base }), true);
                let cloud = |q: &usize| self.setup.quantities[*q].role == Role::Cloud;
                if let Some(cloud) = self.others.iter().position(cloud) {
                    list.add(Column::Clear(quantity, temperature + cloud), false);
                }
            }
            Role::WindSpeed => {
                list.add(Column::PowerCurve(quantity, 0, 0), false);
                list.add(Column::PowerCurve(quantity, 0, hour / 2), false);
                for above in [4.0, 6.0, 8.0, 10.0, 12.0] {
                    list.add(Column::Weather(Reading { above: Some(above), ..base }), false);
                }
                list.add(Column::PowerCurve(quantity, day, hour / 2), true);
            }
            _ => {}
        }
    }
}
