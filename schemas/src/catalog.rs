//! What relations there are: the one list that planning, ingest and reading share.

use std::collections::BTreeMap;

use arrow_schema::SchemaRef;

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

// What may still be corrected must still be there.
const _: () = assert!(DEFAULT_RETAIN_MS >= DEFAULT_LATENESS_MS);

impl Catalog {
    /// The built-in streams, reference tables and decisions.
    pub fn built_in() -> Catalog {
        let mut catalog = Catalog::default();
        for def in streams() {
            // A switch stands where it was put until it moves again, be it for years.
            let stands = def.name == SwitchPosition::NAME;
            catalog.add_stream(StreamSettings {
                def,
                lateness_ms: DEFAULT_LATENESS_MS,
                retain_ms: if stands { 0 } else { DEFAULT_RETAIN_MS },
            });
        }
        for table in tables() {
            let info = RelationInfo { schema: table.schema, kind: RelationKind::Table };
            catalog.add(&table.name, info);
        }
        catalog.add_decision::<crate::decision::Forecast>("issued_at");
        catalog.add_decision::<crate::decision::Alarm>("tick_at");
        catalog.add_decision::<crate::decision::Action>("tick_at");
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
