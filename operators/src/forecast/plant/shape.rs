//! What the model of a plant is made for: its kind, its rated power, the weather it is told, its
//! experts.
//!
//! Of all stations the one answers whose radiation (PV) or wind goes with the plant's power the
//! most, among those of which the coming hours are expected: a model that is told no forecast would
//! wait for it. What goes together is asked of what changed since the day before (the correlation
//! over [`LOOKED_DAYS`]), for any light rises and falls with the hour. The station stays as long as
//! it is forecast. With none, a model goes by the hour of the day and what was seen.
//!
//! No table says where a plant stands, and the model needs no place. That which its light and
//! darkness suggest ([`forecast::solar::locate`]) was measured on seven roofs and refused: with
//! hours of a month it lies 8 to 24 degrees off, no error is less after two months, and a step
//! costs twice as much (`forecast/examples/roofs.rs`, `lean+place`).

use forecast::model::Kind;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Setup;
use forecast::plant::Breadth;
use forecast::series::Track;
use schemas::time::HOUR_MS;
use serde::Deserialize;
use serde::Serialize;

use crate::forecast::rule::HORIZON_HOURS;
use crate::forecast::weather::Weather;

/// Days of known hours from which on a plant has a model.
///
/// Its ridge speaks after fourteen. Fewer, and roofs under a clear sky are forecast worse than by
/// yesterday (1.2 to 1.4 times its error on seven roofs, 0.80 to 0.89 later).
pub const START_DAYS: usize = 15;

/// Days of which it is asked which station goes with the power.
const LOOKED_DAYS: u64 = 60;

/// Hours that both must be known for the question to have an answer.
const PAIRS_MIN: usize = 48;

/// How far a station must go with the power at least.
const CORRELATION_MIN: f64 = 0.3;

/// Rated power in kW from which on a plant has cosines: 1 to 2 % less error for half as many steps
/// again, which a thousand roofs are not worth.
pub const BROAD_KW: f64 = 1_000.0;

/// See [`self`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Wind or PV.
    pub kind: Kind,
    /// Rated power.
    pub rated_kw: f64,
    /// Experts.
    pub breadth: Breadth,
    /// Quantities of the feeder's weather, in the model's order.
    pub quantities: Vec<usize>,
}

impl Shape {
    /// The shape that is right as of the hour `present`, for a plant of this past, whose model has
    /// the shape `before`.
    pub fn today(
        (kind, rated_kw): (Kind, f64),
        past: &Track<f32>,
        weather: &Weather,
        present: u64,
        before: Option<&Shape>,
    ) -> Shape {
        let kept = before.filter(|before| {
            !before.quantities.is_empty()
                && before.quantities.iter().all(|quantity| is_expected(weather, *quantity, present))
        });
        let quantities = match kept {
            Some(before) => before.quantities.clone(),
            None => chosen(kind, past, weather, present),
        };
        Shape {
            kind,
            rated_kw,
            breadth: if rated_kw >= BROAD_KW { Breadth::Broad } else { Breadth::Lean },
            quantities,
        }
    }

    /// What the crate is told of it.
    pub fn setup(&self, weather: &Weather) -> Setup {
        let all = weather.quantities();
        Setup {
            kind: self.kind,
            step_ms: HOUR_MS as i64,
            horizon: HORIZON_HOURS,
            quantities: self.quantities.iter().map(|quantity| all[*quantity].clone()).collect(),
            holidays: Default::default(),
            clock_ahead: 0,
            capacity: Some(self.rated_kw),
            place: None,
        }
    }

    /// The kind of model, in a word.
    pub fn word(&self) -> &'static str {
        match (self.kind == Kind::Wind, self.breadth) {
            (true, Breadth::Lean) => "wind-ridge",
            (true, Breadth::Broad) => "wind-cosines",
            (true, Breadth::Full) => "wind-trees",
            (false, Breadth::Lean) => "pv-ridge",
            (false, Breadth::Broad) => "pv-cosines",
            (false, Breadth::Full) => "pv-trees",
        }
    }
}

/// Whether the coming hours of a quantity are expected.
pub fn is_expected(weather: &Weather, quantity: usize, present: u64) -> bool {
    let hours = weather.window(present + 1, present + 7);
    hours.get(quantity).is_some_and(|hours| hours.iter().all(|value| value.is_finite()))
}

/// The quantities of the station that goes with the power the most.
fn chosen(kind: Kind, past: &Track<f32>, weather: &Weather, present: u64) -> Vec<usize> {
    let all = weather.quantities();
    let main = if kind == Kind::Wind { Role::WindSpeed } else { Role::Radiation };
    let from = present.saturating_sub(24 * LOOKED_DAYS);
    let seen = weather.window(from, present);
    let kw = |at: usize| past.get((from + at as u64) as i64).map_or(f64::NAN, f64::from);
    let goes = |quantity: usize| {
        let value = |at: usize| f64::from(seen[quantity][at]);
        let changed = |at: usize| (value(at) - value(at - 24), kw(at) - kw(at - 24));
        let pairs = (24..seen[quantity].len()).map(changed);
        correlation(&pairs.filter(|(x, y)| (x + y).is_finite()).collect::<Vec<_>>())
    };
    let able = (0..all.len())
        .filter(|quantity| all[*quantity].role == main && is_expected(weather, *quantity, present));
    let by_word = able.map(|quantity| (goes(quantity), quantity));
    let best = by_word.filter(|(goes, _)| *goes >= CORRELATION_MIN);
    // The first of equals.
    let best = best.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    let Some((_, best)) = best else { return Vec::new() };
    let same = |quantity: &Quantity| station(&quantity.name) == station(&all[best].name);
    let temperature = all.iter().position(|q| same(q) && q.role == Role::Temperature);
    let temperature =
        temperature.filter(|quantity| kind == Kind::Pv && is_expected(weather, *quantity, present));
    std::iter::once(best).chain(temperature).collect()
}

/// The station of a quantity: what stands before the last word of its name.
fn station(name: &str) -> &str {
    name.rsplit_once(' ').map_or(name, |(station, _)| station)
}

/// Pearson's; 0 of too few or of what never changes.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    if pairs.len() < PAIRS_MIN {
        return 0.0;
    }
    let n = pairs.len() as f64;
    let (sum_x, sum_y) = pairs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xx += (x - mean_x) * (x - mean_x);
        yy += (y - mean_y) * (y - mean_y);
        xy += (x - mean_x) * (y - mean_y);
    }
    let size = (xx * yy).sqrt();
    if size > 0.0 { xy / size } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_together_is_one_and_what_does_not_is_none() {
        let pairs = |of: fn(usize) -> f64| (0..99).map(|n| (n as f64, of(n))).collect::<Vec<_>>();
        assert!((correlation(&pairs(|n| 3.0 * n as f64 + 7.0)) - 1.0).abs() < 1e-12);
        assert!(correlation(&pairs(|n| (n % 2) as f64)).abs() < 0.1);
        assert_eq!(correlation(&pairs(|_| 4.0)), 0.0);
        assert_eq!(correlation(&[(1.0, 1.0), (2.0, 2.0)]), 0.0);
    }

    #[test]
    fn a_station_may_have_blanks_in_its_name() {
        assert_eq!(station("hill station 4 radiation"), "hill station 4");
        assert_eq!(station("s wind"), "s");
    }
}
