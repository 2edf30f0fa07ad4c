//! Where an archive lies: a folder, or a place in an object store.
//!
//! A location is a text that a person wrote. What has a scheme is a URL; anything else is a path,
//! made absolute here, so that the same archive is found from any working directory.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use deltalake_core::DeltaTable;
use deltalake_core::DeltaTableBuilder;
use object_store::DynObjectStore;
use url::Url;

use crate::error::ArchiveError;

/// The schemes that this program opens.
pub const SCHEMES: [&str; 1] = ["file"];

/// Where an archive lies.
#[derive(Clone, Debug)]
pub struct Location {
    url: Url,
    /// The store it is in; without, the URL says which.
    store: Option<Arc<DynObjectStore>>,
}

impl Location {
    /// The location that `text` names; relative paths start at `base`.
    ///
    /// # Errors
    /// A URL that cannot be read, or of a scheme that is not known.
    pub fn parse(text: &str, base: &Path) -> Result<Location, ArchiveError> {
        let wrong = |problem: String| ArchiveError::Location { location: text.to_owned(), problem };
        if !text.contains("://") {
            return Location::folder(&base.join(text));
        }
        let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !SCHEMES.contains(&url.scheme()) {
            let known = SCHEMES.join("://, ");
            let problem = format!("{}:// is not known; there is {known}://", url.scheme());
            return Err(wrong(problem));
        }
        let trimmed = url.path().trim_end_matches('/').to_owned();
        url.set_path(&trimmed);
        Ok(Location { url, store: None })
    }

    /// A folder.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn folder(path: &Path) -> Result<Location, ArchiveError> {
        let wrong = |problem: String| {
            let location = path.display().to_string();
            ArchiveError::Location { location, problem }
        };
        let absolute = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
        // Without `.` and `..`: an object store takes them for names.
        let plain: PathBuf = absolute.components().collect();
        let url = Url::from_file_path(&plain)
            .map_err(|()| wrong("the path cannot be written as a URL".to_owned()))?;
        Ok(Location { url, store: None })
    }

    /// A place in a store that is at hand.
    #[must_use]
    pub fn within(url: Url, store: Arc<DynObjectStore>) -> Location {
        Location { url, store: Some(store) }
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The folder, if it is one.
    pub fn path(&self) -> Option<PathBuf> {
        let folder = self.store.is_none() && self.url.scheme() == "file";
        if folder { self.url.to_file_path().ok() } else { None }
    }

    /// The table there, not loaded. A folder is made if `make` says so.
    pub(crate) fn table(&self, make: bool) -> Result<DeltaTable, ArchiveError> {
        if make && let Some(path) = self.path() {
            std::fs::create_dir_all(&path).map_err(|error| ArchiveError::Location {
                location: self.to_string(),
                problem: error.to_string(),
            })?;
        }
        let opened = || {
            let builder = DeltaTableBuilder::from_url(self.url.clone())?;
            let builder = match &self.store {
                Some(store) => builder.with_storage_backend(store.clone(), self.url.clone()),
                None => builder,
            };
            builder.build()
        };
        opened().map_err(ArchiveError::table(&self.to_string(), "opened"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{}", path.display()),
            None => write!(f, "{}", self.url),
        }
    }
}
