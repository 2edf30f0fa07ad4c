//! The folder: whose it is, the signing key, the lock, the signed head.
//!
//! ```text
//! audit/
//! ├── instance.json       whose folder, and the public key
//! ├── key                 the secret key, hexadecimal, mode 0600; made at first start
//! ├── lock                held by the process that writes
//! ├── head.json           the signed head, replaced after a sync
//! ├── head-synced.json    the same, as of its last own sync: the one to believe after a power cut
//! └── 00000000.segment …  commits
//! ```
//!
//! A replaced file that was not synced may come back empty after a power cut, so the head is kept
//! twice; the newer valid one counts.
//!
//! **Invariant:** no signed head speaks of a record that was not durable before.
//!
//! **Invariant:** a folder that is somebody's has a signed head, be it of no records: the head is
//! written before `instance.json`. So a log whose files are all gone is not taken for a new one.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use ed25519_dalek::Signature;
use ed25519_dalek::Signer;
use ed25519_dalek::SigningKey;
use ed25519_dalek::VerifyingKey;
use schemas::audit::Hash;
use schemas::audit::Head;
use schemas::time::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use super::InstanceId;
use super::error::LogError;
use super::segment;

const INSTANCE: &str = "instance.json";
const KEY: &str = "key";
const LOCK: &str = "lock";
pub(super) const HEAD: &str = "head.json";
pub(super) const HEAD_SYNCED: &str = "head-synced.json";

/// `instance.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// Layout version of the folder.
    pub(super) version: u32,
    /// Whose folder.
    pub(super) instance: InstanceId,
    /// The key that signs its heads.
    pub(super) public_key: Hash,
}

/// `head.json`: where the chain stood after a sync, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    /// Whose chain.
    pub instance: InstanceId,
    /// Records in the chain.
    pub count: u64,
    /// The last link.
    pub hash: Hash,
    /// The last tick committed.
    pub tick: Timestamp,
    /// The ed25519 key it is signed with.
    pub public_key: Hash,
    /// The signature, in hexadecimal: two halves.
    pub signature: [Hash; 2],
}

impl SignedHead {
    /// The head that is signed.
    pub fn head(&self) -> Head {
        Head { count: self.count, hash: self.hash, tick: self.tick }
    }

    fn sign(instance: &InstanceId, head: &Head, key: &SigningKey) -> SignedHead {
        let signature = key.sign(&signed_text(instance, head)).to_bytes();
        let (mut first, mut second) = ([0; 32], [0; 32]);
        first.copy_from_slice(&signature[..32]);
        second.copy_from_slice(&signature[32..]);
        SignedHead {
            instance: instance.clone(),
            count: head.count,
            hash: head.hash,
            tick: head.tick,
            public_key: Hash(key.verifying_key().to_bytes()),
            signature: [Hash(first), Hash(second)],
        }
    }

    /// Whether the signature is `owner`'s and fits.
    pub(super) fn holds(&self, owner: &Owner) -> bool {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.signature[0].0);
        bytes[32..].copy_from_slice(&self.signature[1].0);
        let text = signed_text(&self.instance, &self.head());
        self.instance == owner.instance
            && self.public_key == owner.public_key
            && VerifyingKey::from_bytes(&self.public_key.0)
                .and_then(|key| key.verify_strict(&text, &Signature::from_bytes(&bytes)))
                .is_ok()
    }
}

/// The bytes that are signed.
fn signed_text(instance: &InstanceId, head: &Head) -> Vec<u8> {
    let Head { count, hash, tick } = head;
    format!("gridloom audit head 1\n{instance}\n{count}\n{hash}\n{}\n", tick.0).into_bytes()
}

/// The folder of a writer: it holds the lock as long as it lives.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) dir: PathBuf,
    pub(super) owner: Owner,
    key: SigningKey,
    _lock: File,
}

impl Folder {
    /// Opens or makes the folder of `instance`, and takes its lock.
    pub(super) fn open(dir: &Path, instance: &InstanceId) -> Result<Folder, LogError> {
        std::fs::create_dir_all(dir).map_err(LogError::io("create", dir))?;
        // Whose it is comes first: another instance's running process is not what is wrong.
        let owner = read_owner(dir)?;
        if let Some(owner) = owner.as_ref().filter(|owner| owner.instance != *instance) {
            return Err(LogError::Foreign {
                path: dir.to_owned(),
                found: owner.instance.to_string(),
                wanted: instance.to_string(),
            });
        }
        let lock = lock(dir)?;
        let (owner, key) = match owner {
            Some(owner) => {
                let key = read_key(dir)?.ok_or_else(|| LogError::Folder {
                    path: dir.join(KEY),
                    problem: "the signing key is missing".to_owned(),
                    remedy: "restore it from a copy, or start with an empty folder",
                })?;
                (owner, key)
            }
            None => create(dir, instance)?,
        };
        if owner.public_key.0 != key.verifying_key().to_bytes() {
            return Err(LogError::Folder {
                path: dir.join(KEY),
                problem: "the signing key is not the one that instance.json names".to_owned(),
                remedy: "restore both files from one copy",
            });
        }
        Ok(Folder { dir: dir.to_owned(), owner, key, _lock: lock })
    }

    /// Replaces the signed head; with `sync` so that it survives a power cut.
    pub(super) fn write_head(&self, head: &Head, sync: bool) -> Result<(), LogError> {
        write_head(&self.dir, &SignedHead::sign(&self.owner.instance, head, &self.key), sync)
    }
}

fn write_head(dir: &Path, signed: &SignedHead, sync: bool) -> Result<(), LogError> {
    let json = serde_json::to_vec_pretty(signed).expect("a head has no unserialisable part");
    replace(dir, HEAD, &json, sync)?;
    if sync {
        replace(dir, HEAD_SYNCED, &json, true)?;
        sync_dir(dir)?;
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(LogError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(LogError::InUse { path: dir.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(LogError::io("lock", path)(error)),
    }
}

/// Makes key, the head of no records, and owner, in this order: a crash in between leaves a folder
/// that is nobody's, whose key is used.
fn create(dir: &Path, instance: &InstanceId) -> Result<(Owner, SigningKey), LogError> {
    let segment = segment::list(dir)?.into_iter().next().map(|(_, path)| path);
    if let Some(left) = segment.or(signs_of_records(dir)?) {
        return Err(LogError::Folder {
            path: dir.join(INSTANCE),
            problem: format!("the file is missing, but {} is there", left.display()),
            remedy: "restore it from a copy, or start with an empty folder",
        });
    }
    let key = match read_key(dir)? {
        Some(key) => key,
        None => create_key(dir)?,
    };
    let owner = Owner {
        version: segment::VERSION,
        instance: instance.clone(),
        public_key: Hash(key.verifying_key().to_bytes()),
    };
    let genesis = Head::genesis(instance.as_str());
    write_head(dir, &SignedHead::sign(instance, &genesis, &key), true)?;
    let json = serde_json::to_vec_pretty(&owner).expect("an owner has no unserialisable part");
    replace(dir, INSTANCE, &json, true)?;
    sync_dir(dir)?;
    // The folder's own name must be durable too.
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_dir(parent)?;
    }
    Ok((owner, key))
}

/// A head that speaks of records, whoever signed it.
fn signs_of_records(dir: &Path) -> Result<Option<PathBuf>, LogError> {
    for path in [HEAD, HEAD_SYNCED].map(|name| dir.join(name)) {
        let bytes = read_if_there(&path)?.unwrap_or_default();
        let head = serde_json::from_slice::<SignedHead>(&bytes);
        if head.is_ok_and(|head| head.tick > Timestamp(0)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn create_key(dir: &Path) -> Result<SigningKey, LogError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| LogError::Folder {
        path: dir.to_owned(),
        problem: format!("no key can be made: {error}"),
        remedy: "give the process access to the system's random numbers",
    })?;
    // Written aside and renamed, so that a crash leaves no half a key.
    let (path, aside) = (dir.join(KEY), dir.join("key.new"));
    let write = || -> std::io::Result<()> {
        if aside.exists() {
            std::fs::remove_file(&aside)?;
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&aside)?;
        file.write_all(Hash(secret).to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&aside, &path)
    };
    write().map_err(LogError::io("create", &path))?;
    Ok(SigningKey::from_bytes(&secret))
}

fn read_key(dir: &Path) -> Result<Option<SigningKey>, LogError> {
    let path = dir.join(KEY);
    let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim().parse::<Hash>() {
        Ok(secret) => Ok(Some(SigningKey::from_bytes(&secret.0))),
        Err(_) => Err(LogError::Folder {
            path,
            problem: "this is not a key of 64 hexadecimal digits".to_owned(),
            remedy: "restore it from a copy, or start with an empty folder",
        }),
    }
}

/// Whose folder it is, if it is anybody's.
pub(super) fn read_owner(dir: &Path) -> Result<Option<Owner>, LogError> {
    let path = dir.join(INSTANCE);
    let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
    let owner: Owner = serde_json::from_slice(&bytes).map_err(|error| LogError::Folder {
        path: path.clone(),
        problem: format!("this cannot be read: {error}"),
        remedy: "restore it from a copy, or start with an empty folder",
    })?;
    if owner.version != segment::VERSION {
        return Err(LogError::Folder {
            path,
            problem: format!("the folder has layout version {}", owner.version),
            remedy: "start it with the version of gridloom that wrote it",
        });
    }
    Ok(Some(owner))
}

/// The newest signed head in `dir` that holds: what is durable and acknowledged. Needs no lock.
///
/// # Errors
/// The folder cannot be read.
pub fn signed_head(dir: &Path) -> Result<Option<SignedHead>, LogError> {
    match read_owner(dir)? {
        Some(owner) => Ok(read_heads(dir, &owner)?.newest),
        None => Ok(None),
    }
}

/// The signed heads of a folder.
#[derive(Debug)]
pub(super) struct Heads {
    /// The newest that holds.
    pub(super) newest: Option<SignedHead>,
    /// What is wrong with one of them that no crash explains.
    problem: Option<String>,
}

impl Heads {
    /// What no crash explains: a head that does not hold, or none at all.
    pub(super) fn problem(self) -> Option<String> {
        let none = || self.newest.is_none().then(|| "the signed head is missing".to_owned());
        self.problem.or_else(none)
    }
}

/// Reads both heads.
pub(super) fn read_heads(dir: &Path, owner: &Owner) -> Result<Heads, LogError> {
    let mut heads = Heads { newest: None, problem: None };
    for name in [HEAD, HEAD_SYNCED] {
        let Some(bytes) = read_if_there(&dir.join(name))? else { continue };
        // What a power cut leaves of a file that was replaced and not synced.
        if bytes.iter().all(|byte| *byte == 0) {
            continue;
        }
        match serde_json::from_slice::<SignedHead>(&bytes) {
            Err(error) => heads.problem = Some(format!("{name} cannot be read: {error}")),
            Ok(head) if !head.holds(owner) => {
                heads.problem = Some(format!("the signature of {name} does not hold"));
            }
            Ok(head) => {
                if heads.newest.as_ref().is_none_or(|other| other.tick < head.tick) {
                    heads.newest = Some(head);
                }
            }
        }
    }
    Ok(heads)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::io("read", path)(error)),
    }
}

/// Replaces a file at once: readers see the old or the new one.
fn replace(dir: &Path, name: &str, bytes: &[u8], sync: bool) -> Result<(), LogError> {
    let (path, aside) = (dir.join(name), dir.join(format!("{name}.new")));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        if sync {
            file.sync_all()?;
        }
        std::fs::rename(&aside, &path)
    };
    write().map_err(LogError::io("replace", &path))
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LogError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(LogError::io("sync", dir))
}
