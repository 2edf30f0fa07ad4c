//! Many nodes that tick together: what one step of one costs, and what one weighs.
//!
//! Two sizes of node are measured: the two ridges with quantiles that the targets are
//! set for, and the whole model that an instance keeps (all experts, the screen, the watch, the
//! history that reviews look at). Loads are made, a seed a node, so that the figures can be had
//! anywhere; what a whole past costs to tell again is measured on half hours.

use std::f64::consts::TAU;

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::forecaster::Forecaster;
use forecast::model::Kind;
use forecast::model::Model;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::model::Setup;
use forecast::structure::Expert;
use forecast::structure::History;
use forecast::structure::Structure;

use crate::meter::cpu_seconds;
use crate::meter::live_bytes;

/// Days that each node has learned from before it is measured.
pub const WARM_DAYS: i64 = 50;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Columns of the ridge.
    pub columns: usize,
    /// Processor time of a reading, its learning, the solution, and a forecast of 24 h with
    /// quantiles, in microseconds a node.
    pub step_us: f64,
    /// Live heap a node, in kilobytes.
    pub kilobytes: f64,
    /// A number that the work comes to.
    pub digest: f64,
}

/// A made load in kW with a temperature in °C, by index.
struct Made {
    day: i64,
    first: i64,
}

impl Made {
    fn turn(&self, index: i64) -> f64 {
        TAU * (index.rem_euclid(self.day)) as f64 / self.day as f64
    }

    fn temperature_c(&self, index: i64) -> f32 {
        let spell = (index as f64 / self.day as f64 / 9.0).sin();
        (14.0 + 6.0 * self.turn(index).sin() + 5.0 * spell) as f32
    }

    fn load_kw(&self, node: u64, index: i64) -> f64 {
        let mut z = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ node;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let noise = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
        let heat = 0.1 * f64::from(self.temperature_c(index));
        2.0 + (self.turn(index) - 1.0).sin() + heat + noise
    }

    /// What becomes known of the weather with a reading: a day ahead, as it will be measured.
    fn said(&self, at: i64) -> impl Iterator<Item = Said> {
        let known = if at == 0 { 0..self.day + 1 } else { at + self.day..at + self.day + 1 };
        known.map(move |ahead| {
            let index = self.first + ahead;
            let value = self.temperature_c(index);
            Said { issued: self.first + at, quantity: 0, index, value }
        })
    }

    fn tell(&self, forecaster: &mut Forecaster, node: u64, at: i64) {
        self.said(at).for_each(|said| forecaster.know(&said));
        forecaster.observe(self.load_kw(node, self.first + at), &mut |_| {});
    }

    fn tell_whole(&self, model: &mut Adaptive, node: u64, at: i64) {
        model.know(&self.said(at).collect::<Vec<Said>>());
        model.observe(self.load_kw(node, self.first + at));
    }
}

fn setup(step_ms: i64, day: i64) -> Setup {
    Setup {
        kind: Kind::Load,
        step_ms,
        horizon: day as usize,
        quantities: vec![Quantity { name: "air".to_owned(), role: Role::Temperature }],
        holidays: Default::default(),
        clock_ahead: 0,
        capacity: None,
        place: None,
    }
}

/// `nodes` of steps of `minutes`, each with two experts (with the load's own past and without),
/// whose structure was chosen from `days` of history. They have run for [`WARM_DAYS`], and are then
/// measured over a day (at most 24 steps).
pub fn measure(minutes: i64, nodes: usize, days: i64) -> Cost {
    let step_ms = minutes * 60_000;
    let day = 86_400_000 / step_ms;
    let made = Made { day, first: 16_000 * day };
    let setup = setup(step_ms, day);
    let (first, end) = (made.first, made.first + days * day);
    let history = History {
        first,
        seen: (first..end).map(|index| made.load_kw(0, index) as f32).collect(),
        weather: vec![(first..end + day).map(|index| made.temperature_c(index)).collect()],
    };
    let mut structure = Structure::choose(&setup, &history).expect("enough days");
    structure.experts.retain(|expert| matches!(expert, Expert::Ridge(_)));
    drop(history);
    let before = live_bytes();
    let new = |_| Forecaster::new(setup.clone(), structure.clone(), first);
    let mut all: Vec<Forecaster> = (0..nodes).map(new).collect();
    let warm = WARM_DAYS * day;
    for (node, forecaster) in all.iter_mut().enumerate() {
        (0..warm).for_each(|at| made.tell(forecaster, node as u64, at));
    }
    let kilobytes = (live_bytes() - before) as f64 / nodes as f64 / 1e3;
    let steps = day.min(24);
    let begin = cpu_seconds();
    let mut digest = 0.0;
    for at in warm..warm + steps {
        for (node, forecaster) in all.iter_mut().enumerate() {
            made.tell(forecaster, node as u64, at);
            digest += forecaster.outlook().points[5].value;
        }
    }
    let step_us = (cpu_seconds() - begin) / steps as f64 / nodes as f64 * 1e6;
    Cost { columns: structure.design.columns.len(), step_us, kilobytes, digest }
}

/// `nodes` of hourly steps as an instance has them: whole models with all their experts, the
/// screen, the watch, and their history of `days`, from which they were made and which reviews look
/// at. A day is measured, in which none is reviewed.
pub fn measure_whole(nodes: usize, days: i64) -> Cost {
    let made = Made { day: 24, first: 16_000 * 24 };
    let policy = Policy { trees: false, ..Policy::default() };
    let before = live_bytes();
    let new = |_| Adaptive::new(setup(3_600_000, made.day), made.first, policy);
    let mut all: Vec<Adaptive> = (0..nodes).map(new).collect();
    let warm = days * made.day;
    for (node, model) in all.iter_mut().enumerate() {
        (0..warm).for_each(|at| made.tell_whole(model, node as u64, at));
        model.outlook();
    }
    let kilobytes = (live_bytes() - before) as f64 / nodes as f64 / 1e3;
    let begin = cpu_seconds();
    let mut digest = 0.0;
    for at in warm..warm + made.day {
        for (node, model) in all.iter_mut().enumerate() {
            made.tell_whole(model, node as u64, at);
            digest += model.outlook().points[5].value;
        }
    }
    let step_us = (cpu_seconds() - begin) / made.day as f64 / nodes as f64 * 1e6;
    let columns = all.iter().filter_map(|model| model.forecaster());
    let columns = columns.map(|of| of.structure().design.columns.len()).max().unwrap_or(0);
    Cost { columns, step_us, kilobytes, digest }
}

/// A backtest of half-hourly steps over so many days: everything is told in order, with reviews and
/// trees, and in the last third each six hours are an origin. Processor seconds, origins, and the
/// mean absolute error over the mean load in percent.
pub fn backtest(days: i64) -> (f64, usize, f64) {
    let made = Made { day: 48, first: 16_000 * 48 };
    let begin = cpu_seconds();
    let mut model = Adaptive::new(setup(1_800_000, made.day), made.first, Policy::default());
    let (mut origins, mut error, mut load) = (0, 0.0, 0.0);
    for at in 0..days * made.day {
        made.tell_whole(&mut model, 0, at);
        if at >= 2 * days * made.day / 3 && (at + 1) % 12 == 0 {
            origins += 1;
            for (ahead, point) in model.outlook().points.iter().enumerate() {
                let actual = made.load_kw(0, made.first + at + 1 + ahead as i64);
                error += (point.value - actual).abs();
                load += actual.abs();
            }
        }
    }
    (cpu_seconds() - begin, origins, 100.0 * error / load)
}
