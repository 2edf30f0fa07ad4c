//! The rows of every view at the last complete tick.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use schemas::contract::Fault;
use schemas::contract::Snapshot;
use schemas::contract::ViewReader;
use schemas::row::Row;
use schemas::row::RowCodec;
use schemas::time::Timestamp;

use super::publish::Published;
use crate::delta::Diff;
use crate::delta::add_to;
use crate::render::RenderError;
use crate::render::codec;
use crate::render::nullable;

/// The views of an instance.
pub struct Views {
    names: Vec<String>,
    shared: Mutex<Shared>,
}

struct Shared {
    tick: Timestamp,
    views: Vec<View>,
}

struct View {
    codec: RowCodec,
    rows: HashMap<Row, Diff, FixedState>,
    faults: BTreeMap<Fault, Diff>,
}

impl Views {
    /// Empty views of these names and columns.
    ///
    /// # Errors
    /// A column has no row encoding.
    pub fn new(views: &[(String, SchemaRef)]) -> Result<Views, RenderError> {
        let names = views.iter().map(|(name, _)| name.clone()).collect();
        let views = (views.iter())
            .map(|(_, schema)| {
                let codec = codec(&nullable(schema), "view")?;
                Ok(View { codec, rows: HashMap::default(), faults: BTreeMap::new() })
            })
            .collect::<Result<_, RenderError>>()?;
        Ok(Views { names, shared: Mutex::new(Shared { tick: Timestamp(0), views }) })
    }

    /// Applies everything that was published of a tick.
    pub fn apply(&self, tick: Timestamp, published: Vec<Published>) {
        let mut shared = self.lock();
        shared.tick = tick;
        for change in published {
            let Some(view) = shared.views.get_mut(change.relation) else { continue };
            for (row, diff) in change.rows {
                match view.rows.entry(row) {
                    Entry::Vacant(entry) => {
                        entry.insert(diff);
                    }
                    Entry::Occupied(mut entry) => {
                        *entry.get_mut() += diff;
                        if *entry.get() == 0 {
                            entry.remove();
                        }
                    }
                }
            }
            for (fault, diff) in change.faults {
                add_to(&mut view.faults, fault, diff);
            }
        }
    }

    /// The last tick that was applied.
    pub fn tick(&self) -> Timestamp {
        self.lock().tick
    }

    /// How many rows each view has, in the views' order.
    pub fn counts(&self) -> Vec<(String, usize)> {
        let shared = self.lock();
        let counts = shared.views.iter().map(|view| view.rows.len());
        self.names.iter().cloned().zip(counts).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    fn batch(&self) -> RecordBatch {
        let mut rows: Vec<(&Row, &Diff)> = self.rows.iter().collect();
        rows.sort_unstable();
        let repeated: Vec<&[u8]> = (rows.into_iter())
            .flat_map(|(row, n)| std::iter::repeat_n(row.as_bytes(), (*n).max(0) as usize))
            .collect();
        self.codec.decode(repeated.into_iter()).expect("the view's own rows")
    }
}

impl ViewReader for Views {
    fn views(&self) -> Vec<(String, SchemaRef)> {
        let shared = self.lock();
        let schemas = shared.views.iter().map(|view| view.codec.schema().clone());
        let mut views: Vec<_> = self.names.iter().cloned().zip(schemas).collect();
        views.sort_by(|a, b| a.0.cmp(&b.0));
        views
    }

    fn snapshot(&self, view: &str) -> Option<Snapshot> {
        let index = self.names.iter().position(|name| name == view)?;
        let shared = self.lock();
        let view = &shared.views[index];
        let faults = view.faults.keys().cloned().collect();
        Some(Snapshot { tick: shared.tick, rows: view.batch(), faults })
    }
}
