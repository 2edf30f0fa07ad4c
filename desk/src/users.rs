//! Who may come in: the file `users.json` of the data folder.
//!
//! For each user it holds the name, the role, what SCRAM needs to check a password
//! ([`crate::scram`]), and the SHA-256 of the token; password and token are the same random text,
//! shown once and kept nowhere. The file is readable by its owner alone, and is replaced by rename,
//! so that a crash leaves the old one or the new one.
//!
//! It does not log anybody out: who is connected stays so until they leave.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::RwLock;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::role::Principal;
use crate::role::Role;
use crate::scram::Exchange;
use crate::scram::ScramError;
use crate::scram::Verifier;
use crate::scram::random;
use crate::scram::same;

/// The file's name.
pub const FILE: &str = "users.json";

/// Who is made on the first start.
pub const ADMIN: &str = "admin";

/// Letters of a user's name.
const NAME_MAX: usize = 63;

/// Why users cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read or written.
    #[error("{path} cannot be {what}")]
    File {
        /// The file.
        path: String,
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not what we wrote.
    #[error("{path} does not hold users")]
    Content {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The name is taken.
    #[error("there is a user {name} already")]
    Exists {
        /// The name.
        name: String,
    },
    /// The name cannot be one.
    #[error("{name:?} is no user's name: use a-z, 0-9, '_', '-' and '.', at most 63 of them")]
    Name {
        /// The name.
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    role: Role,
    scram: Verifier,
    token_sha256: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Content {
    users: BTreeMap<String, User>,
}

/// The users, as the file has them.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    secret: [u8; 32],

    content: RwLock<(Option<Version>, Content)>,
}

impl Users {
    /// Reads the users of a data folder. On the first start there is none, and `admin` is made;
    /// then the token to be shown once is given as well.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(data_dir: &Path) -> Result<(Users, Option<String>), UsersError> {
        let path = data_dir.join(FILE);
        let exists = path.exists();
        let users = Users { path, secret: random(), content: RwLock::default() };
        if exists {
            users.refresh()?;
            return Ok((users, None));
        }
        let token = users.add(ADMIN, Role::Admin)?;
        Ok((users, Some(token)))
    }

    /// Adds a user and gives the token, which is also the password; it is kept nowhere.
    ///
    /// # Errors
    /// The name is taken or cannot be one, or the file cannot be written.
    pub fn add(&self, name: &str, role: Role) -> Result<String, UsersError> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(good) {
            return Err(UsersError::Name { name: name.to_owned() });
        }
        if self.path.exists() {
            self.refresh()?;
        }
        let mut guard = self.content.write().expect("no holder panics");
        if guard.1.users.contains_key(name) {
            return Err(UsersError::Exists { name: name.to_owned() });
        }
        let token = URL_SAFE_NO_PAD.encode(random::<32>());
        let user = User { role, scram: Verifier::of(&token), token_sha256: hashed(&token) };
        let mut content = guard.1.clone();
        content.users.insert(name.to_owned(), user);
        write(&self.path, &content)?;
        *guard = (version(&self.path), content);
        Ok(token)
    }

    /// Everybody, in name order.
    pub fn list(&self) -> Vec<Principal> {
        let content = self.content();
        content.users.iter().map(|(name, user)| Principal::new(name.clone(), user.role)).collect()
    }

    /// Somebody by name.
    pub fn find(&self, name: &str) -> Option<Principal> {
        self.content().users.get(name).map(|user| Principal::new(name, user.role))
    }

    /// Who holds this token.
    pub fn by_token(&self, token: &str) -> Option<Principal> {
        let given = hashed(token);
        let content = self.content();
        let mut found = None;
        // All are compared, so that the time does not tell which one came near.
        for (name, user) in &content.users {
            if same(user.token_sha256.as_bytes(), given.as_bytes()) {
                found = Some(Principal::new(name.clone(), user.role));
            }
        }
        found
    }

    /// Begins a SCRAM exchange with somebody, known or not.
    ///
    /// # Errors
    /// The message is malformed.
    pub fn begin(&self, name: &str, first: &[u8]) -> Result<(Exchange, String), ScramError> {
        let content = self.content();
        let verifier = content.users.get(name).map(|user| &user.scram);
        Exchange::begin(verifier, name, &self.secret, first)
    }

    /// The users; read again if another process changed the file.
    fn content(&self) -> Content {
        let seen = self.content.read().expect("no holder panics").0;
        if version(&self.path) != seen
            && let Err(error) = self.refresh()
        {
            tracing::error!(%error, "the users stay as they were");
        }
        self.content.read().expect("no holder panics").1.clone()
    }

    fn refresh(&self) -> Result<(), UsersError> {
        let path = self.path.display().to_string();
        let at = version(&self.path);
        let text = fs::read_to_string(&self.path).map_err(|source| UsersError::File {
            path: path.clone(),
            what: "read",
            source,
        })?;
        let content =
            serde_json::from_str(&text).map_err(|source| UsersError::Content { path, source })?;
        *self.content.write().expect("no holder panics") = (at, content);
        Ok(())
    }
}

/// What tells one content of the file from the next. Two changes may fall into one tick of the file
/// system's clock, but each is a file of its own.
type Version = (SystemTime, u64, u64);

fn version(path: &Path) -> Option<Version> {
    let data = fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.ino(), data.len()))
}

fn hashed(token: &str) -> String {
    let hash = Sha256::digest(token.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(path: &Path, content: &Content) -> Result<(), UsersError> {
    let failed =
        |source| UsersError::File { path: path.display().to_string(), what: "written", source };
    let beside = path.with_extension(format!("json.{}", std::process::id()));
    let mut text = serde_json::to_string_pretty(content).expect("users are plain data");
    text.push('\n');
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_start_makes_an_admin_and_no_later_one_does() {
        let dir = tempfile::tempdir().unwrap();
        let (users, token) = Users::open(dir.path()).unwrap();
        let token = token.unwrap();
        assert_eq!(users.by_token(&token), Some(Principal::new("admin", Role::Admin)));
        let (again, none) = Users::open(dir.path()).unwrap();
        assert_eq!(none, None);
        assert_eq!(again.by_token(&token), Some(Principal::new("admin", Role::Admin)));
        assert_eq!(again.by_token("admin"), None);
    }

    #[test]
    fn the_file_is_its_owners_and_holds_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let (_, token) = Users::open(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!fs::read_to_string(&path).unwrap().contains(&token.unwrap()));
    }

    #[test]
    fn users_added_by_another_process_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, _) = Users::open(dir.path()).unwrap();
        let (theirs, _) = Users::open(dir.path()).unwrap();
        let token = theirs.add("ada", Role::Engineer).unwrap();
        assert_eq!(ours.by_token(&token), Some(Principal::new("ada", Role::Engineer)));
        assert!(matches!(ours.add("ada", Role::Viewer), Err(UsersError::Exists { .. })));
        assert!(matches!(ours.add("Ada B", Role::Viewer), Err(UsersError::Name { .. })));
    }
}
