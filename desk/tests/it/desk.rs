//! A desk over the small engine, with its doors open, for one test.

use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::datatypes::Field;
use arrow::datatypes::Schema;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use desk::Desk;
use desk::Doors;
use desk::Limits;
use desk::Opening;
use desk::Openings;
use desk::Role;
use desk::Tables;
use desk::Users;
use desk::tables::TableProvider;
use schemas::time::Timestamp;

use crate::engine::Small;

/// An audit table with many rows.
pub(crate) struct Audit {
    rows: i64,
}

impl Audit {
    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("sequence", DataType::Int64, false)]))
    }
}

impl Tables for Audit {
    fn list(&self) -> Vec<(String, SchemaRef)> {
        vec![("audit.actions".to_owned(), Audit::schema())]
    }

    fn open(&self, _: &str, _: Timestamp) -> datafusion::common::Result<Arc<dyn TableProvider>> {
        let column = Arc::new(Int64Array::from_iter_values(0..self.rows));
        let rows = RecordBatch::try_new(Audit::schema(), vec![column])?;
        Ok(Arc::new(MemTable::try_new(Audit::schema(), vec![vec![rows]])?))
    }
}

/// An open desk.
pub(crate) struct Open {
    pub(crate) engine: Arc<Small>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) doors: Doors,
    /// The admin's token.
    pub(crate) admin: String,
    /// A viewer's token.
    pub(crate) viewer: String,
    _dir: tempfile::TempDir,
}

impl Open {
    /// Opens a desk with the usual limits.
    pub(crate) fn new() -> Open {
        Open::with(
            Limits::default(),
            &Openings {
                postgres: Some(Opening::loopback(0)),
                flight: Some(Opening::loopback(0)),
                http: Some(Opening::loopback(0)),
            },
        )
    }

    /// Opens a desk.
    pub(crate) fn with(limits: Limits, openings: &Openings) -> Open {
        let dir = tempfile::tempdir().unwrap();
        let (users, admin) = Users::open(dir.path()).unwrap();
        let viewer = users.add("vera", Role::Viewer).unwrap();
        let engine = Small::new();
        let audit = Arc::new(Audit { rows: 200_000 });
        let desk = Desk::new(engine.clone(), audit, Arc::new(users), limits).unwrap();
        let doors = Doors::open(&desk, openings).unwrap();
        Open { engine, desk, doors, admin: admin.unwrap(), viewer, _dir: dir }
    }
}
