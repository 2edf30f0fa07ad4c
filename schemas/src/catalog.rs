//! What relations there are: the one list that planning, ingest and reading share.

use std::collections::BTreeMap;

use arrow_schema::SchemaRef;

use crate::audit;
use crate::audit::Kind;
use crate::estimate;
use crate::event::Price;
use crate::event::StreamDef;
use crate::event::SwitchPosition;
use crate::event::streams;
use crate::reference::tables;
use crate::relation::Relation;
use crate::time::DAY_MS;

/// Everything a view may read.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    relations: BTreeMap<String, RelationInfo>,
}

/// One relation.
#[derive(Clone, Debug, PartialEq)]
pub struct RelationInfo {
    /// Its columns.
    pub schema: SchemaRef,
    /// Where its rows come from.
    pub kind: RelationKind,
}

/// Where the rows of a relation come from.
#[derive(Clone, Debug, PartialEq)]
pub enum RelationKind {
    /// From connectors.
    Stream(StreamSettings),
    /// Loaded before the first tick and changed by tick; small against the streams.
    Table,
    /// Maintained from other relations.
    View,
    /// From an agent: forecasts, alarms, actions.
    Decision {
        /// The timestamp column its retention goes by.
        event_time: usize,
    },
    /// From an agent that keeps it current: the estimated state. Rows come and go as a view's do.
    State,
    /// The audit records of a kind, linked. They stand for ever.
    Audit(Kind),
}

/// A stream and how long its rows matter.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSettings {
    /// What it is.
    pub def: StreamDef,
    /// Rows older than this against the open tick go to quarantine, in milliseconds.
    pub lateness_ms: u64,
    /// Rows older than this are retracted (whole hours at once), in milliseconds; 0 for never.
    pub retain_ms: u64,
}

/// How late a reading may be and still correct the past.
pub const DEFAULT_LATENESS_MS: u64 = DAY_MS;

/// How long rows are kept.
pub const DEFAULT_RETAIN_MS: u64 = 2 * DAY_MS;

/// How late a row may be that counts until another takes its place: a year, because a tariff that
/// was published in January is the price of December, whenever a source comes to tell it.
pub const STANDING_LATENESS_MS: u64 = 366 * DAY_MS;

/// Streams whose rows count until another row takes their place, be it for years: a switch stands
/// where it was put until it moves again, and a price holds for its delivery period, whenever it
/// was published. The views over them bound what they keep.
const STANDING: [&str; 2] = [Price::NAME, SwitchPosition::NAME];

// What may still be corrected must still be there.
const _: () = assert!(DEFAULT_RETAIN_MS >= DEFAULT_LATENESS_MS);

impl Catalog {
    /// The built-in streams, reference tables, decisions and states, and the audit log.
    pub fn built_in() -> Catalog {
        let mut catalog = Catalog::default();
        for def in streams() {
            let (lateness_ms, retain_ms) = if STANDING.contains(&def.name.as_str()) {
                (STANDING_LATENESS_MS, 0)
            } else {
                (DEFAULT_LATENESS_MS, DEFAULT_RETAIN_MS)
            };
            catalog.add_stream(StreamSettings { def, lateness_ms, retain_ms });
        }
        for table in tables() {
            let info = RelationInfo { schema: table.schema, kind: RelationKind::Table };
            catalog.add(&table.name, info);
        }
        catalog.add_decision::<crate::decision::Forecast>("issued_at");
        catalog.add_decision::<crate::decision::Alarm>("tick_at");
        catalog.add_decision::<crate::decision::Action>("tick_at");
        catalog.add_decision::<crate::decision::ModelVersion>("tick_at");
        catalog.add_decision::<crate::decision::ShortForecast>("issued_at");
        for (name, schema) in estimate::tables() {
            catalog.add(&name, RelationInfo { schema, kind: RelationKind::State });
        }
        for kind in Kind::ALL {
            let info = RelationInfo {
                schema: audit::table::columns(kind),
                kind: RelationKind::Audit(kind),
            };
            catalog.add(&audit::table::name(kind), info);
        }
        catalog
    }

    /// Adds or replaces a stream.
    pub fn add_stream(&mut self, settings: StreamSettings) {
        let name = settings.def.name.clone();
        let schema = settings.def.schema.clone();
        self.add(&name, RelationInfo { schema, kind: RelationKind::Stream(settings) });
    }

    fn add_decision<R: Relation>(&mut self, event_time: &str) {
        let schema = R::schema();
        let event_time = schema.index_of(event_time).expect("decisions name their own columns");
        let kind = RelationKind::Decision { event_time };
        self.add(R::NAME, RelationInfo { schema, kind });
    }

    /// Adds or replaces a relation.
    pub fn add(&mut self, name: &str, info: RelationInfo) {
        self.relations.insert(name.to_owned(), info);
    }

    /// Takes a relation away, if it is there.
    pub fn remove(&mut self, name: &str) {
        self.relations.remove(name);
    }

    /// A relation by name.
    pub fn get(&self, name: &str) -> Option<&RelationInfo> {
        self.relations.get(name)
    }

    /// All relations, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RelationInfo)> {
        self.relations.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// The streams, in name order.
    pub fn streams(&self) -> impl Iterator<Item = &StreamSettings> {
        self.relations.values().filter_map(|info| match &info.kind {
            RelationKind::Stream(settings) => Some(settings),
            _ => None,
        })
    }
}
