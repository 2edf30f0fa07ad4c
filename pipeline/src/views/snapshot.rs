//! The views on disk, for readers without the running instance.
//!
//! ```text
//! views/NAME@TICK-N.arrow   a view's rows; N counts snapshots, so no file is ever written twice
//! manifest                  which files are the snapshot, and what may not be read
//! ```
//!
//! A file is written aside, synced and renamed; then the folder is synced; then the manifest takes
//! its place the same way. So the files that a manifest names are whole and durable before it is
//! there, and stay untouched until a newer one stands: whatever a kill leaves half written, it is
//! not the last manifest and its files.
//!
//! A reader believes the manifest alone and needs no lock. Files of older snapshots go once a newer
//! manifest stands; a reader that still looks for one finds it gone and reads the manifest again.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use schemas::contract::Failing;
use schemas::relation::Relation;
use schemas::time::Timestamp;
use schemas::view_error::ViewError;
use serde::Deserialize;
use serde::Serialize;

use super::store::Image;
use super::store::Views;

/// The manifest of one snapshot. It promises to be read by later versions: fields are only ever
/// added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The tick that the files show, in milliseconds since the epoch.
    pub tick: u64,
    /// How many snapshots there were before.
    #[serde(default)]
    pub number: u64,
    /// The files by view.
    pub views: BTreeMap<String, String>,
    /// The file of what could not be computed.
    #[serde(default)]
    pub errors: Option<String>,
    /// The views that may not be read.
    #[serde(default)]
    pub failing: Vec<Failing>,
}

impl Manifest {
    fn files(&self) -> impl Iterator<Item = &String> {
        self.views.values().chain(&self.errors)
    }
}

/// A snapshot as it was read.
#[derive(Clone, Debug)]
pub struct OnDisk {
    /// The tick it shows.
    pub tick: Timestamp,
    /// The views' rows.
    pub views: BTreeMap<String, RecordBatch>,
    /// What could not be computed: rows of [`ViewError`].
    pub errors: RecordBatch,
    /// The views that may not be read, by name.
    pub failing: BTreeMap<String, Failing>,
}

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
/// The file system refused; the snapshot before is as it was.
pub fn write(data_dir: &Path, views: &Views) -> Result<Manifest, SnapshotError> {
    let folder = data_dir.join("views");
    fs::create_dir_all(&folder).map_err(io_at(&folder))?;
    let Image { tick, views, errors, failing } = views.image();
    let number = next_number(data_dir)?;
    let write = |name: &str, batch: &RecordBatch| {
        let file = format!("{name}@{}-{number}.arrow", tick.0);
        write_batch(&folder.join(&file), batch)?;
        Ok(file)
    };
    let mut files = BTreeMap::new();
    for (name, rows) in &views {
        files.insert(name.clone(), write(name, rows)?);
    }
    let errors = Some(write(ViewError::NAME, &ViewError::to_batch(&errors))?);
    sync_folder(&folder)?;
    let manifest = Manifest { tick: tick.0, number, views: files, errors, failing };
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain JSON");
    replace(&data_dir.join(MANIFEST), |file, path| file.write_all(&text).map_err(io_at(path)))?;
    sync_folder(data_dir)?;
    forget_others(&folder, &manifest);
    Ok(manifest)
}

/// The first number that no file of the standing snapshot has.
fn next_number(data_dir: &Path) -> Result<u64, SnapshotError> {
    match manifest(data_dir) {
        Ok(before) => Ok(before.map_or(0, |before| before.number + 1)),
        Err(error @ SnapshotError::Manifest { .. }) => {
            tracing::warn!(%error, "the manifest names nothing and is replaced");
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// Which files are the snapshot.
const MANIFEST: &str = "manifest";

fn write_batch(path: &Path, batch: &RecordBatch) -> Result<(), SnapshotError> {
    replace(path, |file, path| {
        let arrow = |source| SnapshotError::Arrow { path: path.to_owned(), source };
        let mut writer = FileWriter::try_new(file, &batch.schema()).map_err(arrow)?;
        writer.write(batch).map_err(arrow)?;
        writer.finish().map_err(arrow)
    })
}

/// Puts a file in its place as a whole: whoever opens it finds what was there before or all of what
/// `write` wrote. Its name is durable once the folder is synced.
fn replace(
    path: &Path,
    write: impl FnOnce(&mut File, &Path) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    let mut file = File::create(&aside).map_err(io_at(&aside))?;
    write(&mut file, &aside)?;
    file.sync_all().map_err(io_at(&aside))?;
    fs::rename(&aside, path).map_err(io_at(path))
}

fn sync_folder(folder: &Path) -> Result<(), SnapshotError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_at(folder))
}

/// Removes the files of other snapshots; one that cannot be removed is only in the way.
fn forget_others(folder: &Path, manifest: &Manifest) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !manifest.files().any(|file| *file == name)
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
    read_beside(data_dir, || {})
}

/// Reads while others write; `meanwhile` happens between manifest and files.
fn read_beside(
    data_dir: &Path,
    mut meanwhile: impl FnMut(),
) -> Result<Option<OnDisk>, SnapshotError> {
    let mut gone = None;
    loop {
        let Some(manifest) = manifest(data_dir)? else { return Ok(None) };
        meanwhile();
        match files(data_dir, &manifest) {
            // A newer snapshot took its place; each turn needs another one.
            Err(SnapshotError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && gone.as_ref() != Some(&manifest) =>
            {
                gone = Some(manifest);
            }
            read => return read.map(Some),
        }
    }
}

fn manifest(data_dir: &Path) -> Result<Option<Manifest>, SnapshotError> {
    let path = data_dir.join(MANIFEST);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| SnapshotError::Manifest { path, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SnapshotError::Io { path, source }),
    }
}

fn files(data_dir: &Path, manifest: &Manifest) -> Result<OnDisk, SnapshotError> {
    let read = |file: &String| read_batch(&data_dir.join("views").join(file));
    let mut views = BTreeMap::new();
    for (name, file) in &manifest.views {
        views.insert(name.clone(), read(file)?);
    }
    let errors = match &manifest.errors {
        Some(file) => read(file)?,
        None => ViewError::to_batch(&[]),
    };
    let failing = manifest.failing.iter().map(|f| (f.view.clone(), f.clone())).collect();
    Ok(OnDisk { tick: Timestamp(manifest.tick), views, errors, failing })
}

fn read_batch(path: &Path) -> Result<RecordBatch, SnapshotError> {
    let arrow = |source| SnapshotError::Arrow { path: path.to_owned(), source };
    let file = File::open(path).map_err(io_at(path))?;
    let reader = FileReader::try_new(file, None).map_err(arrow)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(arrow)?;
    arrow_select::concat::concat_batches(&schema, &batches).map_err(arrow)
}

#[cfg(test)]
mod tests;
