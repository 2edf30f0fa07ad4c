//! The views on disk, for readers without the running instance.
//!
//! `views/<name>@<tick>.arrow`, one file a view, each an Arrow IPC file; then `manifest`, written
//! last and by rename, which names the tick. A reader believes the manifest alone, needs no lock,
//! and never sees half a snapshot; files of older ticks go once a newer manifest stands.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use schemas::contract::ViewReader;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::store::Views;

/// The manifest of one snapshot. It promises to be read by later versions: fields are only ever
/// added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The tick that the files show, in milliseconds since the epoch.
    pub tick: u64,
    /// The files by view.
    pub views: BTreeMap<String, String>,
}

/// The tick of a snapshot, and its views' rows.
pub type OnDisk = (Timestamp, BTreeMap<String, RecordBatch>);

/// Why a snapshot cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system refused.
    #[error("{path}: the file system refused")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no Arrow file.
    #[error("{path}: not a readable Arrow file")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: arrow_schema::ArrowError,
    },
    /// The manifest is no manifest.
    #[error("{path}: not a manifest of this version")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> SnapshotError + '_ {
    move |source| SnapshotError::Io { path: path.to_owned(), source }
}

/// Writes the views as they stand.
///
/// # Errors
/// The file system refused.
pub fn write(data_dir: &Path, views: &Views) -> Result<Manifest, SnapshotError> {
    let folder = data_dir.join("views");
    fs::create_dir_all(&folder).map_err(io_at(&folder))?;
    let tick = views.tick();
    let mut manifest = Manifest { tick: tick.0, views: BTreeMap::new() };
    for (name, _) in views.views() {
        let Some(snapshot) = views.snapshot(&name) else { continue };
        let file = format!("{name}@{}.arrow", tick.0);
        write_batch(&folder.join(&file), &snapshot.rows)?;
        manifest.views.insert(name, file);
    }
    let path = data_dir.join("manifest");
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain JSON");
    replace(&path, &text).map_err(io_at(&path))?;
    forget_others(&folder, &manifest);
    Ok(manifest)
}

fn write_batch(path: &Path, batch: &RecordBatch) -> Result<(), SnapshotError> {
    let arrow = |source| SnapshotError::Arrow { path: path.to_owned(), source };
    let file = fs::File::create(path).map_err(io_at(path))?;
    let mut writer = FileWriter::try_new(file, &batch.schema()).map_err(arrow)?;
    writer.write(batch).map_err(arrow)?;
    writer.finish().map_err(arrow)?;
    writer.get_ref().sync_data().map_err(io_at(path))
}

/// Replaces a file as a whole: a reader sees the old text or the new one.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = fs::File::create(&aside)?;
    file.write_all(text)?;
    file.sync_data()?;
    fs::rename(&aside, path)
}

/// Removes the files of other snapshots; one that cannot be removed is only in the way.
fn forget_others(folder: &Path, manifest: &Manifest) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !manifest.views.values().any(|file| *file == name)
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!(file = %name, %error, "an old snapshot file stays");
        }
    }
}

/// The newest snapshot under a data folder, or `None` if there is none yet.
///
/// # Errors
/// The manifest or a file it names cannot be read.
pub fn read(data_dir: &Path) -> Result<Option<OnDisk>, SnapshotError> {
    let path = data_dir.join("manifest");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SnapshotError::Io { path, source }),
    };
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|source| SnapshotError::Manifest { path, source })?;
    let mut views = BTreeMap::new();
    for (name, file) in &manifest.views {
        let path = data_dir.join("views").join(file);
        views.insert(name.clone(), read_batch(&path)?);
    }
    Ok(Some((Timestamp(manifest.tick), views)))
}

fn read_batch(path: &Path) -> Result<RecordBatch, SnapshotError> {
    let arrow = |source| SnapshotError::Arrow { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(io_at(path))?;
    let reader = FileReader::try_new(file, None).map_err(arrow)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(arrow)?;
    arrow_select::concat::concat_batches(&schema, &batches).map_err(arrow)
}
