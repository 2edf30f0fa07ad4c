//! Models that are watched, and replaced by better ones: what of that is told.
//!
//! A model is watched, reviewed and replaced where it lives, inside
//! [`forecast`](mod@crate::forecast): nothing goes round in the dataflow, so who judges a model
//! must be who owns it. What is told of it is here: a row of `model_versions` whenever a version
//! begins to answer or ceases to, and an alarm of kind `forecast-drift` where the errors of a
//! series say that its model no longer describes it.
//!
//! A version names its structure and the window that it has learned from, from which `Forecaster`
//! learns it again ([`Record`]). To the bit it says the same where nothing was restated meanwhile
//! (correctors keep what they learned) and no level moved; in any case the replay of the log does.
//!
//! A person may hold on to a version, let others take over again, or go back to the one before
//! (`model_orders`). What came of it is a row too: `held`, `released`, `rolled-back`, which tells
//! of the version that is left, or `refused` with the reason.

use std::collections::BTreeSet;

use forecast::adaptive::Adaptive;
use forecast::adaptive::Policy;
use forecast::adaptive::Version;
use forecast::drift::Alert;
use forecast::drift::AlertKind;
use forecast::model::Model;
use forecast::model::Quantity;
use forecast::model::Role;
use forecast::model::Said;
use forecast::quality::Verdict;
use forecast::structure::Structure;
use schemas::decision::Alarm;
use schemas::decision::FORECAST_DRIFT;
use schemas::decision::LOAD_DOUBTFUL;
use schemas::decision::ModelVersion;
use schemas::event::ModelOrder;
use schemas::time::HOUR_MS;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::forecast::feeder::OF_FEEDER;
use crate::forecast::feeder::OF_NODE;
use crate::forecast::series;
use crate::forecast::series::Series;
use crate::forecast::weather;

/// What a version or an alert is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The tick at which it is told.
    pub at: Timestamp,
    /// `meter`, `node`, `feeder`, `zone`, `system` or `plant`.
    pub scope: &'a str,
    /// The bus, feeder, zone or asset.
    pub id: &'a str,
    /// The feeder; empty for what is above feeders.
    pub feeder_id: &'a str,
}

impl Subject<'_> {
    /// The view that its hours are read from.
    fn hours(&self) -> &'static str {
        if self.scope == "plant" { "plant_hour" } else { "node_hour" }
    }
}

/// The name that forecasts of a version carry.
pub fn name(version: &Version) -> String {
    format!("{}-{}", version.model, version.number)
}

/// What is remembered of a version until it ceases to answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Former {
    number: u32,
    model: String,
    from: i64,
    origin: i64,
    loss: Option<f64>,
    loss_before: Option<f64>,
    p: Option<f64>,
}

impl Former {
    /// Of a version that begins to answer.
    pub fn of(version: &Version) -> Former {
        let Version { number, origin, from, loss, loss_before, p, .. } = *version;
        Former { number, model: version.model.clone(), from, origin, loss, loss_before, p }
    }
}

/// The rows of versions that began to answer, in their order, and of those that ceased to. Of one
/// that a person went back from, the answer to the order has told.
pub fn versions(
    subject: Subject<'_>,
    news: &[(Option<Former>, Version)],
    quantities: &[Quantity],
) -> Vec<ModelVersion> {
    let mut rows = Vec::with_capacity(2 * news.len());
    for (former, version) in news {
        let back = version.reason.starts_with("rolled back");
        let begins = row(subject, version, quantities);
        rows.extend(former.iter().filter(|_| !back).map(|former| ModelVersion {
            version: i64::from(former.number),
            model: former.model.clone(),
            state: "retired".to_owned(),
            window_from_at: hour_at(former.from),
            window_to_at: hour_at(former.origin + 1),
            features: String::new(),
            parameters: String::new(),
            champion_mae_kw: former.loss_before,
            challenger_mae_kw: former.loss,
            p_luck: former.p,
            reason: format!("{} answers now", name(version)),
            ..begins.clone()
        }));
        rows.push(begins);
    }
    rows
}

fn hour_at(index: i64) -> Timestamp {
    Timestamp(index.max(0) as u64 * HOUR_MS)
}

fn row(subject: Subject<'_>, version: &Version, quantities: &[Quantity]) -> ModelVersion {
    let structure = &version.structure;
    let chosen = structure.stations.iter().chain(&structure.others);
    let weather = chosen.filter_map(|q| quantities.get(*q)).map(|q| q.name.as_str());
    let weather: Vec<&str> = weather.collect();
    let columns = structure.design.columns.len();
    ModelVersion {
        subject_id: subject.id.to_owned(),
        scope: subject.scope.to_owned(),
        feeder_id: subject.feeder_id.to_owned(),
        tick_at: subject.at,
        version: i64::from(version.number),
        model: version.model.clone(),
        state: "promoted".to_owned(),
        window_from_at: hour_at(version.from),
        window_to_at: hour_at(version.origin + 1),
        features: match weather.as_slice() {
            [] => format!("{columns} columns: calendar, past load"),
            some => format!("{columns} columns: calendar, past load, {}", some.join(", ")),
        },
        parameters: serde_json::to_string(structure).expect("a structure is numbers and lists"),
        champion_mae_kw: version.loss_before,
        challenger_mae_kw: version.loss,
        p_luck: version.p,
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        reason: version.reason.clone(),
        saw: format!("load_history@{0}; node_hour@{0}; weather_hour@{0}", subject.at.0),
    }
}

/// What the row of a version says of it: with the history, enough to have the version again.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its shape.
    pub structure: Structure,
    /// The hour, counted from the epoch, of the first reading that it has learned from.
    pub first: i64,
    /// The hour after that of the newest reading when it began to answer.
    pub end: i64,
    /// The weather that it rests on, by the numbers that its structure has for it. What lies
    /// between, and no structure rests on, has no name.
    pub quantities: Vec<Quantity>,
    policy: Policy,
}

impl Record {
    /// Reads a row that tells of a version as it begins to answer; `None` of any other.
    pub fn read(row: &ModelVersion) -> Option<Record> {
        let structure: Structure = serde_json::from_str(&row.parameters).ok()?;
        let chosen: Vec<usize> =
            structure.stations.iter().chain(&structure.others).copied().collect();
        let names: Vec<&str> = row.features.split(", ").skip(2).collect();
        if names.len() != chosen.len() {
            return None;
        }
        let unnamed = Quantity { name: String::new(), role: Role::Other };
        let count = chosen.iter().max().map_or(0, |last| last + 1);
        let mut quantities = vec![unnamed; count];
        for (quantity, name) in chosen.into_iter().zip(names) {
            let role = weather::role(name)?;
            quantities[quantity] = Quantity { name: name.to_owned(), role };
        }
        Some(Record {
            structure,
            first: (row.window_from_at.0 / HOUR_MS) as i64,
            end: (row.window_to_at.0 / HOUR_MS) as i64,
            quantities,
            policy: if ["meter", "node"].contains(&row.scope.as_str()) {
                OF_NODE
            } else {
                OF_FEEDER
            },
        })
    }

    /// The version as it began to answer, held on to. `days` are the days off and by how many hours
    /// their clock is ahead of UTC; `past` is what was said of the weather before each reading, by
    /// the numbers of [`Record::quantities`], and the reading in kW, from `first` on. Readings
    /// after its window are not taken.
    pub fn again(
        &self,
        days: (BTreeSet<i64>, i64),
        past: impl IntoIterator<Item = (Vec<Said>, f64)>,
    ) -> Adaptive {
        let setup = series::setup(self.quantities.clone(), days);
        let mut model = Adaptive::new(setup, self.first, self.policy);
        for (said, kw) in past.into_iter().take((self.end - self.first) as usize) {
            model.know(&said);
            model.observe(kw);
        }
        model.take_up(self.structure.clone());
        model
    }
}

/// A model that a person may give orders.
pub trait Governed {
    /// The version that answers, as it was told; `None` where there is none yet.
    fn told(&self, subject: Subject<'_>) -> Option<ModelVersion>;

    /// Holds on to the version that answers, or lets others take over again.
    fn hold(&mut self, held: bool);

    /// Goes back to the version before and holds on to it; `false` where there is none.
    fn roll_back(&mut self) -> bool;
}

/// A series, with the names of the weather that it may be told.
struct Ordered<'a> {
    series: &'a mut Series,
    quantities: &'a [Quantity],
}

impl Governed for Ordered<'_> {
    fn told(&self, subject: Subject<'_>) -> Option<ModelVersion> {
        let version = self.series.version_in_force()?;
        Some(row(subject, version, self.quantities))
    }

    fn hold(&mut self, held: bool) {
        self.series.hold(held);
    }

    fn roll_back(&mut self) -> bool {
        self.series.roll_back()
    }
}

/// Does what a person says of the model of `series`; see [`obey`].
pub fn obey_series(
    at: Timestamp,
    order: &ModelOrder,
    series: Option<&mut Series>,
    quantities: &[Quantity],
) -> Vec<ModelVersion> {
    let mut ordered = series.map(|series| Ordered { series, quantities });
    obey(at, order, ordered.as_mut().map(|ordered| ordered as &mut dyn Governed))
}

/// Does what a person says of a model, which is `None` where there is no such subject. Gives what
/// is told of it.
pub fn obey(
    at: Timestamp,
    order: &ModelOrder,
    governed: Option<&mut dyn Governed>,
) -> Vec<ModelVersion> {
    let (scope, id, feeder_id) = (&order.scope, &order.subject_id, &order.feeder_id);
    let subject = Subject { at, scope, id, feeder_id };
    let Some(governed) = governed else {
        let place = if feeder_id.is_empty() { String::new() } else { format!(" in {feeder_id}") };
        let why = format!("there is no {scope} {id}{place}");
        return vec![ModelVersion::blank(subject).answering(order, "refused", Some(&why))];
    };
    // One that a person goes back from is told as it was; the one that answers follows.
    let told = governed.told(subject);
    let (state, why) = match order.word.as_str() {
        _ if told.is_none() => ("refused", Some("it has no model yet")),
        word @ ("hold" | "release") => {
            governed.hold(word == "hold");
            (if word == "hold" { "held" } else { "released" }, None)
        }
        "roll-back" if governed.roll_back() => ("rolled-back", None),
        "roll-back" => ("refused", Some("there is no version before")),
        _ => ("refused", Some("the word is none of hold, release, roll-back")),
    };
    vec![told.unwrap_or_else(|| ModelVersion::blank(subject)).answering(order, state, why)]
}

/// Rows that answer an order.
trait Answering {
    /// Of a subject without a model.
    fn blank(subject: Subject<'_>) -> Self;

    /// The same row, as the answer to an order.
    fn answering(self, order: &ModelOrder, state: &str, why: Option<&str>) -> Self;
}

impl Answering for ModelVersion {
    fn blank(subject: Subject<'_>) -> ModelVersion {
        ModelVersion {
            subject_id: subject.id.to_owned(),
            scope: subject.scope.to_owned(),
            feeder_id: subject.feeder_id.to_owned(),
            tick_at: subject.at,
            version: 0,
            model: String::new(),
            state: String::new(),
            window_from_at: subject.at,
            window_to_at: subject.at,
            features: String::new(),
            parameters: String::new(),
            champion_mae_kw: None,
            challenger_mae_kw: None,
            p_luck: None,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            reason: String::new(),
            saw: String::new(),
        }
    }

    fn answering(self, order: &ModelOrder, state: &str, why: Option<&str>) -> ModelVersion {
        let ModelOrder { order_id, actor, word, reason, .. } = order;
        let why = why.map_or(String::new(), |why| format!("{why}; "));
        ModelVersion {
            state: state.to_owned(),
            features: String::new(),
            parameters: String::new(),
            reason: format!("{why}{actor} says {word} in {order_id}: {reason}"),
            saw: format!("model_orders@{} order_id={order_id}", self.tick_at.0),
            ..self
        }
    }
}

/// The identifier of an alarm about an hour. A node and its feeder may share a name, and hours may
/// be taken in together.
fn alarm_id(of: &str, subject: Subject<'_>, kind: &str, hour_at_ms: i64) -> String {
    let Subject { at, scope, id, .. } = subject;
    format!("{of}:{scope}:{id}:{kind}:{hour_at_ms}:{}", at.0)
}

/// The alarms of these alerts. They are told once and not cleared: what follows is a review.
pub fn alarms(subject: Subject<'_>, alerts: &[Alert]) -> Vec<Alarm> {
    let hours = subject.hours();
    let alarm = |alert: &Alert| {
        let kind = match alert.kind {
            AlertKind::Bias => "bias",
            AlertKind::Error => "error",
            AlertKind::Skill => "skill",
            AlertKind::Coverage => "coverage",
            AlertKind::Extrapolation => "extrapolation",
            AlertKind::Still => "still",
        };
        Alarm {
            alarm_id: alarm_id(FORECAST_DRIFT, subject, kind, alert.at_ms),
            tick_at: subject.at,
            kind: FORECAST_DRIFT.to_owned(),
            subject: subject.id.to_owned(),
            feeder_id: subject.feeder_id.to_owned(),
            state: "raised".to_owned(),
            value: alert.value,
            limit_value: alert.threshold,
            reason: format!("{kind}: {}", alert.words),
            saw: format!("{hours}@{} hour_at={}", subject.at.0, alert.at_ms),
        }
    };
    alerts.iter().map(alarm).collect()
}

/// The alarms about readings that are in doubt. Told once a run, and not cleared.
pub fn doubts(subject: Subject<'_>, doubts: &[(i64, Verdict)]) -> Vec<Alarm> {
    let alarm = |(hour, verdict): &(i64, Verdict)| {
        let (kind, value, limit_value, reason) = match *verdict {
            Verdict::Frozen { value, run } => {
                let reason = format!("{value:.3} kW for {run} hours, where repeating is rare");
                ("frozen", value, run as f64, reason)
            }
            Verdict::Outlier { value, due, limit } => {
                let crossed = if value > due { due + limit } else { due - limit };
                let reason =
                    format!("{value:.3} kW where {due:.3} were due, give or take {limit:.3}");
                ("outlier", value, crossed, reason)
            }
            Verdict::LevelShift { size, .. } => {
                ("shift", size, 0.0, format!("for a day {size:+.3} kW from the level before"))
            }
            Verdict::Good | Verdict::Missing => return None,
        };
        let learns = if verdict.learns() { "carried over" } else { "not learned from" };
        Some(Alarm {
            alarm_id: alarm_id(LOAD_DOUBTFUL, subject, kind, *hour * HOUR_MS as i64),
            tick_at: subject.at,
            kind: LOAD_DOUBTFUL.to_owned(),
            subject: subject.id.to_owned(),
            feeder_id: subject.feeder_id.to_owned(),
            state: "raised".to_owned(),
            value,
            limit_value,
            reason: format!("{kind}: {reason}; {learns}"),
            saw: format!("{}@{} hour_at={}", subject.hours(), subject.at.0, *hour as u64 * HOUR_MS),
        })
    };
    doubts.iter().filter_map(alarm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_of_two_hours_and_of_two_of_one_name_are_told_apart() {
        let doubt = Verdict::Outlier { value: 9.0, due: 1.0, limit: 2.0 };
        let of = |scope: &str| {
            let subject = Subject { at: Timestamp(50_000), scope, id: "x", feeder_id: "x" };
            doubts(subject, &[(5, doubt), (9, doubt)])
        };
        let all = [of("node"), of("feeder")].concat();
        let ids: std::collections::BTreeSet<&str> =
            all.iter().map(|alarm| alarm.alarm_id.as_str()).collect();
        assert_eq!(ids.len(), 4, "{ids:?}");
        assert_eq!(all[0].alarm_id, "load-doubtful:node:x:outlier:18000000:50000");
    }
}
