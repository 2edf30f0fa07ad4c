//! The log and its archive as one: where the archive lies, who seals it, and whether both hold.
//!
//! The archive of a data folder is its folder `archive`, unless the file `archive.location` says
//! otherwise: whoever seals elsewhere leaves it there, so that a question about the folder needs no
//! configuration.
//!
//! Segments stay after their records are sealed: they hold the input that a restart replays, all of
//! it. So what is sealed stands twice, and [`verify`] compares.

use std::fmt;
use std::fs::File;
use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use archive::Archive;
use archive::Commit;
use archive::Fresh;
use archive::Location;
use archive::Maintained;
use archive::Policy;
use archive::Seal;
use archive::Step;
use archive::error::Outside;
use archive::read::Reader;
use arrow::array::RecordBatch;
use pipeline::log;
use pipeline::log::LogError;
use pipeline::log::SignedHead;
use schemas::audit::Kind;
use schemas::time::Timestamp;

/// Where the archive is, if it is not in the data folder.
const LOCATION: &str = "archive.location";

/// The archive's folder in the data folder.
const FOLDER: &str = "archive";

/// Held by whoever seals.
const LOCK: &str = "archive.lock";

/// The log's part: what is not sealed.
#[derive(Clone, Debug)]
pub struct Segments {
    audit: PathBuf,
}

impl Segments {
    /// The segments of a data folder.
    pub fn of(data_dir: &Path) -> Segments {
        Segments { audit: data_dir.join("audit") }
    }

    /// The newest signed head: what is durable, and may be sealed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn signed(&self) -> Result<Option<SignedHead>, LogError> {
        if self.audit.is_dir() { log::signed_head(&self.audit) } else { Ok(None) }
    }

    /// The records after one tick, up to and with another.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn commits(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<impl Iterator<Item = Result<Commit, Outside>> + use<>, LogError> {
        let commits = log::read_audit(&self.audit, after, until)?;
        Ok(commits.map(|commit| {
            let log::AuditCommit { head, audit } = commit?;
            Ok(Commit { head, audit })
        }))
    }
}

impl Fresh for Segments {
    fn records(&self, kind: Kind, after: Timestamp) -> Result<Vec<RecordBatch>, Outside> {
        let records = log::read_kind_after(&self.audit, kind, after)?;
        Ok(records.collect::<Result<_, _>>()?)
    }
}

/// Where the archive of a data folder lies, whether it is there or not.
///
/// # Errors
/// The file that says so cannot be read or names no place.
pub fn location(data_dir: &Path) -> anyhow::Result<Location> {
    let file = data_dir.join(LOCATION);
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Location::parse(text.trim(), data_dir)?),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Location::folder(&data_dir.join(FOLDER))?)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Says where the archive of a data folder lies.
fn set_location(data_dir: &Path, location: &Location) -> anyhow::Result<()> {
    let file = data_dir.join(LOCATION);
    if location.url() == self::location(data_dir)?.url() {
        return Ok(());
    }
    let aside = data_dir.join(format!("{LOCATION}.new"));
    std::fs::write(&aside, format!("{location}\n"))
        .and_then(|()| std::fs::rename(&aside, &file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// A reader of the archive of a data folder; `None` if nothing is signed, and so nothing sealed.
///
/// # Errors
/// The log cannot be read.
pub fn reader(data_dir: &Path) -> anyhow::Result<Option<Reader>> {
    let Some(signed) = Segments::of(data_dir).signed()? else { return Ok(None) };
    Ok(Some(Reader::new(location(data_dir)?, signed.instance.as_str())))
}

/// Up to which tick the archive of a data folder is sealed, `at` or where it was; where nothing is,
/// the first tick of the log.
///
/// # Errors
/// The log or the archive cannot be read.
pub fn sealed_to(data_dir: &Path, at: Option<&Location>) -> anyhow::Result<Timestamp> {
    let segments = Segments::of(data_dir);
    let Some(signed) = segments.signed()? else { return Ok(Timestamp(0)) };
    let at = match at {
        Some(at) => at.clone(),
        None => location(data_dir)?,
    };
    let sealed = Archive::existing(at, signed.instance.as_str())?.map(|a| a.sealed().tick);
    if let Some(tick) = sealed.filter(|tick| *tick > Timestamp(0)) {
        return Ok(tick);
    }
    let first = segments.commits(Timestamp(0), signed.tick)?.next();
    let first = first.transpose().map_err(|error| anyhow::anyhow!(error))?;
    Ok(first.map_or(Timestamp(0), |commit| commit.head.tick))
}

/// Who seals the archive of a data folder: one at a time.
#[derive(Debug)]
pub struct Sealing {
    segments: Segments,
    archive: Archive,
    _lock: File,
}

impl Sealing {
    /// Opens the archive, making it if there is none, `at` or where it was.
    ///
    /// # Errors
    /// Somebody else seals, nothing is signed yet, or the archive cannot be opened.
    pub fn open(data_dir: &Path, at: Option<Location>) -> anyhow::Result<Sealing> {
        let path = data_dir.join(LOCK);
        let lock =
            File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another process seals {}; it will be done", data_dir.display())
            }
            Err(TryLockError::Error(error)) => return Err(error).context("the archive's lock"),
        }
        let segments = Segments::of(data_dir);
        let Some(signed) = segments.signed()? else {
            bail!("{} has no signed head: nothing is recorded yet", data_dir.display())
        };
        let at = match at {
            Some(at) => at,
            None => location(data_dir)?,
        };
        set_location(data_dir, &at)?;
        let archive = Archive::open(at, signed.instance.as_str())?;
        Ok(Sealing { segments, archive, _lock: lock })
    }

    /// The archive.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Seals all that is signed, and keeps the table by `policy`.
    ///
    /// # Errors
    /// The log or the archive cannot be read or written.
    pub fn seal(
        &mut self,
        policy: Policy,
        at: &mut dyn FnMut(Step),
    ) -> anyhow::Result<(Seal, Maintained)> {
        let Some(signed) = self.segments.signed()? else { bail!("the signed head is gone") };
        let commits = self.segments.commits(self.archive.sealed().tick, signed.tick)?;
        let seal = self.archive.seal(commits, at)?;
        let maintained = self.archive.maintain(policy, at)?;
        Ok((seal, maintained))
    }
}

/// What verifying both found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Of the log.
    pub log: log::Report,
    /// Of the archive, if there is one.
    pub archive: Option<archive::Report>,
}

/// Checks the archive from its beginning to its end, and the log from its genesis to its signed
/// head, which must pass where the archive begins and ends.
///
/// # Errors
/// One of them cannot be read at all; what is wrong with them is a finding.
pub fn verify(data_dir: &Path) -> anyhow::Result<Verified> {
    let segments = Segments::of(data_dir);
    let signed = segments.signed().context("the log cannot be verified")?;
    let archive = match &signed {
        Some(signed) => Archive::existing(location(data_dir)?, signed.instance.as_str())?,
        None => None,
    };
    // The archive first: what is sealed meanwhile the log has, not the other way round.
    let archive = archive.map(|mut archive| archive.verify()).transpose()?;
    let marks = archive.as_ref().map(archive::Report::marks).unwrap_or_default();
    let log = log::verify_against(&segments.audit, &marks).context("the log cannot be verified")?;
    Ok(Verified { log, archive })
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn intact(&self) -> bool {
        self.log.intact() && self.archive.as_ref().is_none_or(archive::Report::intact)
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(archive) = &self.archive else { return write!(f, "{}", self.log) };
        let of_log = self.log.findings.iter().map(ToString::to_string);
        let of_archive = archive.findings.iter().map(ToString::to_string);
        let findings: Vec<String> = of_log.chain(of_archive).collect();
        match findings.split_first() {
            None => writeln!(f, "{}", self.log)?,
            Some((first, more)) => {
                writeln!(f, "audit NOT intact: {first}")?;
                more.iter().try_for_each(|finding| writeln!(f, "  also: {finding}"))?;
                let log = self.log.to_string();
                let rest = log.lines().skip(self.log.findings.len().max(1));
                rest.into_iter().try_for_each(|line| writeln!(f, "{line}"))?;
            }
        }
        let (records, files, tick) = (archive.records(), archive.files, archive.head.tick);
        write!(
            f,
            "archive: {records} records to tick {tick}, {files} files, {}",
            archive.location
        )?;
        match archive.start.count {
            0 => Ok(()),
            gone => write!(f, "; {gone} before tick {} left by policy", archive.start.tick),
        }
    }
}
