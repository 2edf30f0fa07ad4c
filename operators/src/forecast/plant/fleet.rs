//! The plants of a feeder, and the weather over them.
//!
//! # Bounds
//!
//! As many plants as the table of assets lists, and those that were heard in the last days; see
//! [`unit`](super::unit) for one.

use std::collections::BTreeMap;

use forecast::model::Kind;
use schemas::decision::Alarm;
use schemas::decision::Forecast;
use schemas::decision::ModelVersion;
use schemas::event::ModelOrder;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::review::Version;
use super::review::Why;
use super::tape::Tape;
use super::unit::Answer;
use super::unit::Plant;
use crate::adapt;
use crate::adapt::Governed;
use crate::adapt::Subject;
use crate::forecast::because;
use crate::forecast::because::Parts;
use crate::forecast::prior::PRIOR_VERSION;
use crate::forecast::rule::HORIZON_HOURS;
use crate::forecast::rule::Point;
use crate::forecast::series::Turn;
use crate::forecast::weather::Weather;

/// Steps of models that a tick may cost a feeder, beside the three of each plant when an hour ends.
///
/// A step takes some tens of microseconds. More, and a tick waits longer for plants that learn a
/// past; fewer, and the rule answers for longer: a hundred roofs with a month of history are 72,000
/// steps, 50 minutes of ticks.
pub const STEPS_A_TICK: usize = 120;

/// The scope of plants.
pub const SCOPE: &str = "plant";

/// Plants that make a class.
const CLASS_MIN: usize = 3;

/// See [`self`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fleet {
    weather: Weather,
    tape: Tape,
    plants: BTreeMap<String, Plant>,
    /// The hour up to which all was taken in.
    present: u64,
}

impl Fleet {
    /// The weather over it.
    pub fn weather_mut(&mut self) -> &mut Weather {
        &mut self.weather
    }

    /// A plant, made where it is new.
    pub fn plant_mut(&mut self, asset_id: &str) -> &mut Plant {
        if !self.plants.contains_key(asset_id) {
            self.plants.insert(asset_id.to_owned(), Plant::default());
        }
        self.plants.get_mut(asset_id).expect("it was just made")
    }

    /// A plant that is no asset any more.
    pub fn unlist(&mut self, asset_id: &str) {
        if let Some(plant) = self.plants.get_mut(asset_id) {
            plant.list(None);
        }
    }

    /// Forgets what is no asset and was not heard of late. `true` where nothing is left.
    pub fn forget(&mut self, present: u64) -> bool {
        self.plants.retain(|_, plant| plant.asset().is_some() || !plant.is_silent(present));
        self.plants.is_empty() && self.weather.is_empty()
    }

    /// A person's word on the model of a plant: what is told of it.
    pub fn order(&mut self, at: Timestamp, order: &ModelOrder) -> Vec<ModelVersion> {
        let plant = self.plants.get_mut(&order.subject_id);
        let plant = plant.filter(|plant| plant.asset().is_some());
        let mut ordered = plant.map(|plant| Ordered { plant, weather: &self.weather });
        adapt::obey(at, order, ordered.as_mut().map(|ordered| ordered as &mut dyn Governed))
    }

    /// Takes in the hours before `present`, and asks which models are right today.
    pub fn advance(&mut self, present: u64) {
        if present <= self.present {
            return;
        }
        self.present = present;
        // What models of net load are told is of no use here: the tape has words of its own.
        self.weather.advance(present);
        self.tape.advance(present, &self.weather);
        for (place, (id, plant)) in self.plants.iter_mut().enumerate() {
            plant.advance(present, &self.tape, &self.weather);
            let put_off = Turn { place, scope: SCOPE, id }.put_off();
            plant.review(present, place as u64, put_off, &self.weather);
        }
    }

    /// Lets models learn for one tick. Gives the versions that began to answer, and alarms.
    pub fn work(&mut self, at: Timestamp, feeder_id: &str) -> (Vec<ModelVersion>, Vec<Alarm>) {
        let mut budget = STEPS_A_TICK;
        let (mut told, mut alarms) = (Vec::new(), Vec::new());
        // What answers goes before what is to answer.
        for plant in self.plants.values_mut() {
            plant.amend(&self.tape, &self.weather, &mut budget);
        }
        for (asset_id, plant) in &mut self.plants {
            let subject = Subject { at, scope: SCOPE, id: asset_id, feeder_id };
            alarms.extend(adapt::alarms(subject, &plant.take_alerts()));
            alarms.extend(adapt::doubts(subject, &plant.take_doubts()));
            if plant.take_let_go() {
                told.extend(plant.version().map(|held| let_go(subject, held, &self.weather)));
            }
            if let Some((before, version)) = plant.learn(&self.tape, &self.weather, &mut budget) {
                told.extend(rows(subject, before.as_ref(), &version, &self.weather));
            }
        }
        for plant in self.plants.values_mut() {
            plant.contend(&self.tape, &self.weather, &mut budget);
        }
        (told, alarms)
    }

    /// The forecasts that are to be issued at this tick, in the order of the plants.
    pub fn issue(
        &mut self,
        at: Timestamp,
        due: bool,
        restate_kw: f64,
        feeder_id: &str,
    ) -> Vec<Forecast> {
        let present = at.0 / HOUR_MS;
        let mut issues = Vec::new();
        for (asset_id, plant) in &mut self.plants {
            if !plant.wants(present, due, restate_kw) {
                continue;
            }
            let Some(((kind, rated_kw), answer)) = plant.asset().zip(plant.answer(present)) else {
                continue;
            };
            issues.push(Issue { asset_id, kind, rated_kw, last_kw: plant.last_kw(), answer });
        }
        guess(&mut issues);
        let ahead = self.weather.hours_ahead(present);
        issues.iter().flat_map(|issue| issue.rows(at, feeder_id, ahead)).collect()
    }
}

/// What is said of one plant.
struct Issue<'a> {
    asset_id: &'a str,
    kind: Kind,
    rated_kw: f64,
    /// The newest hour that is over, NaN where it is missing.
    last_kw: f32,
    answer: Answer,
}

impl Issue<'_> {
    fn is_whole(&self) -> bool {
        self.answer.points.len() == HORIZON_HOURS
    }

    fn rows(&self, at: Timestamp, feeder_id: &str, ahead: u64) -> Vec<Forecast> {
        let Answer { points, parts, model_version, hours, weather } = &self.answer;
        let last = Some(self.last_kw).filter(|kw| !kw.is_nan());
        let last = last.map_or("NULL".to_owned(), |kw| format!("{kw:.3}"));
        let mut saw = format!("plant_hour@{} hours={hours} last_hour_kw={last}", at.0);
        if *weather {
            saw += &format!("; weather_hour@{0}; weather_ahead@{0} hours={ahead}", at.0);
        }
        let row = |(point, parts): (&Point, &Parts)| Forecast {
            scope: SCOPE.to_owned(),
            subject_id: self.asset_id.to_owned(),
            feeder_id: feeder_id.to_owned(),
            issued_at: at,
            target_at: Timestamp((at.0 / HOUR_MS + point.hour as u64) * HOUR_MS),
            p10_kw: point.p10_kw,
            p50_kw: point.p50_kw,
            p90_kw: point.p90_kw,
            model_version: model_version.clone(),
            because: because::words(parts),
            saw: saw.clone(),
        };
        points.iter().zip(parts).map(row).collect()
    }
}

/// Says of plants without a yesterday what share of their rated power the others of their kind are
/// to give; between the tenth and the ninetieth in a hundred of those is the band.
fn guess(issues: &mut [Issue<'_>]) {
    for kind in [Kind::Pv, Kind::Wind] {
        let able = |issue: &&Issue<'_>| issue.kind == kind;
        if issues.iter().filter(able).all(Issue::is_whole) {
            continue;
        }
        let whole = issues.iter().filter(able).filter(|issue| issue.is_whole());
        let class: Vec<Vec<f64>> = whole
            .map(|issue| issue.answer.points.iter().map(|p| p.p50_kw / issue.rated_kw).collect())
            .collect();
        if class.len() < CLASS_MIN {
            continue;
        }
        let shares: Vec<[f64; 3]> = (0..HORIZON_HOURS).map(|hour| shares(&class, hour)).collect();
        for issue in issues.iter_mut().filter(|issue| issue.kind == kind && !issue.is_whole()) {
            let point = |(hour, shares): (usize, &[f64; 3])| {
                let [p10_kw, p50_kw, p90_kw] = shares.map(|share| share * issue.rated_kw);
                Point { hour, p10_kw, p50_kw, p90_kw }
            };
            issue.answer.points = shares.iter().enumerate().map(point).collect();
            let others = |point: &Point| vec![("others of its kind", point.p50_kw)];
            issue.answer.parts = issue.answer.points.iter().map(others).collect();
            issue.answer.model_version = PRIOR_VERSION.to_owned();
        }
    }
}

/// The low, the middle and the high share of a class at an hour.
fn shares(class: &[Vec<f64>], hour: usize) -> [f64; 3] {
    let mut shares: Vec<f64> = class.iter().map(|shares| shares[hour]).collect();
    shares.sort_by(f64::total_cmp);
    let at = |share: f64| shares[(share * (shares.len() - 1) as f64).round() as usize];
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    [at(0.1).min(mean), mean, at(0.9).max(mean)]
}

/// A plant that a person gives an order.
struct Ordered<'a> {
    plant: &'a mut Plant,
    weather: &'a Weather,
}

impl Governed for Ordered<'_> {
    fn told(&self, subject: Subject<'_>) -> Option<ModelVersion> {
        self.plant.version().map(|version| row(subject, version, self.weather))
    }

    fn hold(&mut self, held: bool) {
        self.plant.hold(held);
    }

    fn roll_back(&mut self) -> bool {
        self.plant.roll_back(self.weather)
    }
}

/// What is told of a version that began to answer, after the one that ceased to. Of one that a
/// person went back from, the answer to the order has told.
fn rows(
    subject: Subject<'_>,
    before: Option<&Version>,
    version: &Version,
    weather: &Weather,
) -> Vec<ModelVersion> {
    let begins = row(subject, version, weather);
    let before = before.filter(|_| !matches!(version.why, Why::Back(_)));
    let ceased = before.map(|before| ModelVersion {
        state: "retired".to_owned(),
        reason: format!("{}-{} answers now", begins.model, begins.version),
        features: String::new(),
        parameters: String::new(),
        ..row(subject, before, weather)
    });
    ceased.into_iter().chain([begins]).collect()
}

/// What is told of a version that a person held, when its plant is another.
fn let_go(subject: Subject<'_>, version: &Version, weather: &Weather) -> ModelVersion {
    ModelVersion {
        state: "released".to_owned(),
        reason: format!("{}: who held it held another plant's", Why::Plant.words()),
        features: String::new(),
        parameters: String::new(),
        saw: format!("assets@{}", subject.at.0),
        ..row(subject, version, weather)
    }
}

/// What is told of a version when it begins to answer.
fn row(subject: Subject<'_>, version: &Version, weather: &Weather) -> ModelVersion {
    let Subject { at, scope, id, feeder_id } = subject;
    let shape = &version.shape;
    let quantities = weather.quantities();
    let weather = shape.quantities.iter().filter_map(|quantity| quantities.get(*quantity));
    let mut features = vec!["hour of the day".to_owned(), "past power".to_owned()];
    features.extend(weather.map(|quantity| quantity.name.clone()));
    let hour_at = |index: i64| Timestamp(index.max(0) as u64 * HOUR_MS);
    let verdict = version.why.verdict();
    ModelVersion {
        subject_id: id.to_owned(),
        scope: scope.to_owned(),
        feeder_id: feeder_id.to_owned(),
        tick_at: at,
        version: i64::from(version.number),
        model: shape.word().to_owned(),
        state: "promoted".to_owned(),
        window_from_at: hour_at(version.window.0),
        window_to_at: hour_at(version.window.1),
        features: features.join(", "),
        parameters: serde_json::to_string(shape).expect("a shape is numbers and lists"),
        champion_mae_kw: verdict.map(|verdict| verdict.loss_before),
        challenger_mae_kw: verdict.map(|verdict| verdict.loss),
        p_luck: verdict.map(|verdict| verdict.p),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        reason: version.why.words(),
        saw: format!("plant_hour@{0}; weather_hour@{0}; weather_ahead@{0}", at.0),
    }
}
