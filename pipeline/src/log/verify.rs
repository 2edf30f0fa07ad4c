//! Whether the log says what was written: every checksum, every link, the signed head.
//!
//! The first finding names the first bad record. After an edit the stored link is believed, so that
//! later tampering is found too; after bytes that cannot be read at all, checking stops.
//!
//! **Invariant:** a log that [`Log`](super::Log) wrote and nobody touched has no findings, also
//! while it is being written and after any crash.
//!
//! What it cannot find: a tail cut together with an old copy of the signed head put back, a history
//! rewritten by someone who holds the key, or a folder emptied altogether, key and `instance.json`
//! among it. Keep heads elsewhere to find those. Inputs and offsets are guarded by checksums alone,
//! which find accidents, not intent.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use schemas::audit::BreakKind;
use schemas::audit::Hash;
use schemas::audit::Head;
use schemas::audit::Kind;
use schemas::audit::RecordId;
use schemas::audit::check;
use schemas::audit::record_ids;
use schemas::time::Timestamp;

use super::InstanceId;
use super::error::LogError;
use super::folder;
use super::folder::SignedHead;
use super::frame::Frame;
use super::frame::Role;
use super::ipc::Decoders;
use super::segment;
use super::segment::NextCommit;
use super::segment::RawCommit;
use super::segment::SegmentReader;

/// Findings kept: beyond these a log is beyond naming.
const FINDINGS_MAX: usize = 32;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The record's columns were changed after it was linked.
    Edited,
    /// Records before this one are missing, or more are here than were committed.
    Missing,
    /// The record is not where it was.
    Moved,
    /// A whole segment is missing or belongs elsewhere.
    Segment(String),
    /// Bytes that are no frame, or frames that are no commit.
    Frame(String),
    /// The log ends before the signed head.
    Cut {
        /// What was signed.
        signed: Head,
        /// Where the log ends.
        found: Head,
    },
    /// The chain at the signed head's tick is another.
    Rewritten {
        /// What was signed.
        signed: Head,
        /// The chain there.
        found: Head,
    },
    /// No signed head holds.
    Signature(String),
    /// The chain does not pass where a copy of its records says it stood.
    Elsewhere {
        /// Where the copy says it stood.
        copy: Head,
        /// The chain there, or where it ends before.
        found: Head,
    },
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, within the folder.
    pub file: String,
    /// The frame's place in it, in bytes.
    pub offset: u64,
    /// The tick whose commit it is in, if it is in one.
    pub tick: Option<Timestamp>,
    /// The first bad record, if it is about records.
    pub record: Option<RecordId>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Edited => write!(f, "edited")?,
            Problem::Missing => write!(f, "records deleted or added before")?,
            Problem::Moved => write!(f, "moved")?,
            Problem::Segment(what) | Problem::Frame(what) | Problem::Signature(what) => {
                write!(f, "{what}")?;
            }
            Problem::Elsewhere { .. } => {}
            Problem::Cut { signed, found } => {
                write!(f, "the tail is cut: signed are {signed}; there are {found}")?;
            }
            Problem::Rewritten { signed, found } => {
                write!(
                    f,
                    "the chain is not the signed one: signed are {signed}; there are {found}"
                )?;
            }
        }
        if let Problem::Elsewhere { copy, found } = &self.problem {
            write!(f, "the chain is not that of the archive: there, {copy}; here, {found}")?;
        }
        if let Some(record) = &self.record {
            write!(f, ": {record}")?;
        } else if let Some(tick) = self.tick {
            write!(f, ", tick {tick}")?;
        }
        write!(f, " ({}, byte {})", self.file, self.offset)
    }
}

/// What [`verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose log it is.
    pub instance: InstanceId,
    /// The key its heads are signed with: compare it with the one you noted.
    pub public_key: Hash,
    /// Where the chain ends.
    pub head: Head,
    /// Ticks committed.
    pub commits: u64,
    /// The newest signed head that holds.
    pub signed: Option<Head>,
    /// Bytes at the end that belong to no commit: a crash, or a writer at work.
    pub uncommitted_bytes: u64,
    /// What is wrong, in the order of the log.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn intact(&self) -> bool {
        self.findings.is_empty()
    }

    /// Records beyond the signed head: chained, not signed.
    pub fn unsigned(&self) -> u64 {
        self.head.count.saturating_sub(self.signed.map_or(0, |signed| signed.count))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { count, hash, tick } = self.head;
        match self.findings.first() {
            None => writeln!(f, "audit intact: {count} records")?,
            Some(first) => {
                writeln!(f, "audit NOT intact: {first}")?;
                for finding in &self.findings[1..] {
                    writeln!(f, "  also: {finding}")?;
                }
            }
        }
        writeln!(f, "head: count {count}, hash {hash}, tick {tick}")?;
        writeln!(f, "instance {}, {} ticks, key {}", self.instance, self.commits, self.public_key)?;
        write!(f, "beyond the signed head: {} records", self.unsigned())?;
        match self.uncommitted_bytes {
            0 => Ok(()),
            bytes => write!(f, "; uncommitted at the end: {bytes} bytes"),
        }
    }
}

/// Checks the log in `dir`. Needs no lock: a writer at work is no finding.
///
/// # Errors
/// The folder cannot be read or is nobody's; what is wrong with the log itself is a finding.
pub fn verify(dir: &Path) -> Result<Report, LogError> {
    verify_against(dir, &[])
}

/// As [`verify()`], and the chain must pass through `marks`: heads that a copy of its records leads
/// to, in the order of ticks.
///
/// # Errors
/// As [`verify()`].
pub fn verify_against(dir: &Path, marks: &[Head]) -> Result<Report, LogError> {
    let Some(owner) = folder::read_owner(dir)? else {
        return Err(LogError::Folder {
            path: dir.to_owned(),
            problem: "this is no audit folder: instance.json is missing".to_owned(),
            remedy: "name the folder `audit` of an instance's data_dir",
        });
    };
    // Read first, so that a writer at work cannot sign beyond what is walked.
    let heads = folder::read_heads(dir, &owner)?;
    let signed = heads.newest.as_ref().map(SignedHead::head);
    let mut walk = Walk::new(Head::genesis(owner.instance.as_str()), signed, Timestamp(0));
    walk.marks = marks.iter().rev().copied().collect();
    let tail = walk.segments(&owner.instance, 0, &segment::list(dir)?)?;
    walk.end();
    if let Some(problem) = heads.problem() {
        walk.found(Place::file(folder::HEAD), None, Problem::Signature(problem));
    }
    Ok(Report {
        instance: owner.instance,
        public_key: owner.public_key,
        head: walk.head,
        commits: walk.commits,
        signed,
        uncommitted_bytes: tail.map_or(0, |tail| tail.len - tail.keep),
        findings: walk.findings,
    })
}

/// The end of the last segment, where it belongs to no commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The segment.
    pub(super) path: PathBuf,
    /// Its bytes that are commits; 0 if not even its header is whole.
    pub(super) keep: u64,
    /// Its bytes.
    pub(super) len: u64,
}

/// How the walk of a segment ended.
enum SegmentEnd {
    Whole,
    Torn(Tail),
    Unreadable,
}

/// Where the walk is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    file: String,
    offset: u64,
    tick: Option<Timestamp>,
}

impl Place {
    pub(super) fn file(name: &str) -> Place {
        Place { file: name.to_owned(), offset: 0, tick: None }
    }
}

/// Walks commits in order and checks that each follows from the one before.
#[derive(Debug)]
pub(super) struct Walk {
    signed: Option<Head>,
    /// Links of commits up to this tick are believed, not recomputed.
    believed: Timestamp,

    pub(super) head: Head,
    last: Option<RecordId>,
    commits: u64,
    met_signed: bool,
    /// Heads that the chain must still pass through, the next one last.
    marks: Vec<Head>,
    cut: bool,
    pub(super) findings: Vec<Finding>,
}

impl Walk {
    pub(super) fn new(start: Head, signed: Option<Head>, believed: Timestamp) -> Walk {
        let met_signed = signed == Some(start);
        Walk {
            signed,
            believed,
            head: start,
            last: None,
            commits: 0,
            met_signed,
            marks: Vec::new(),
            cut: false,
            findings: Vec::new(),
        }
    }

    pub(super) fn found(&mut self, place: Place, record: Option<RecordId>, problem: Problem) {
        let Place { file, offset, tick } = place;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { file, offset, tick, record, problem });
        }
    }

    /// Walks segments to the end; `first` is the number of the first. Gives the torn tail, if any.
    pub(super) fn segments(
        &mut self,
        instance: &InstanceId,
        first: u64,
        segments: &[(u64, PathBuf)],
    ) -> Result<Option<Tail>, LogError> {
        let last = segments.last().map(|(index, _)| *index);
        for ((index, path), expected) in segments.iter().zip(first..) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let place = Place::file(&name);
            let (mut reader, header) = SegmentReader::open(path)?;
            let header = match header {
                Ok(header) => header,
                // A crash, or a writer, between making the file and its first commit.
                Err(_) if Some(*index) == last && !self.signed_ahead() => {
                    return Ok(Some(Tail { path: path.clone(), keep: 0, len: reader.len }));
                }
                Err(problem) => {
                    self.found(place, None, Problem::Frame(problem));
                    self.cut = true;
                    return Ok(None);
                }
            };
            if header.instance != *instance {
                let what =
                    format!("the segment belongs to instance {:?}", header.instance.as_str());
                self.found(place.clone(), None, Problem::Segment(what));
            }
            if *index != expected || header.index != *index {
                let what = format!("this is segment {} where {expected} is due", header.index);
                self.found(place.clone(), None, Problem::Segment(what));
            }
            if header.start != self.head {
                let what = format!("the segment follows {}, not {}", header.start, self.head);
                self.found(place, None, Problem::Segment(what));
                self.head = header.start;
            }
            match self.segment(&name, &mut reader, Some(*index) == last)? {
                SegmentEnd::Whole => {}
                SegmentEnd::Torn(tail) => return Ok(Some(tail)),
                SegmentEnd::Unreadable => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether the signed head is still to come.
    fn signed_ahead(&self) -> bool {
        self.signed.is_some_and(|signed| signed.tick > self.head.tick)
    }

    /// Walks one segment.
    fn segment(
        &mut self,
        name: &str,
        reader: &mut SegmentReader,
        last: bool,
    ) -> Result<SegmentEnd, LogError> {
        let mut decoders = Decoders::default();
        loop {
            match reader.commit()? {
                NextCommit::Commit(commit) => self.commit(name, *commit, &mut decoders),
                NextCommit::End => return Ok(SegmentEnd::Whole),
                NextCommit::Broken { offset, at, problem } => {
                    // Torn is what nobody was told is durable: no signed head, no later mark.
                    if last && !self.signed_ahead() && reader.durable_by_later_marks(at)? <= offset
                    {
                        let (path, len) = (reader.path.clone(), reader.len);
                        return Ok(SegmentEnd::Torn(Tail { path, keep: offset, len }));
                    }
                    let place = Place { file: name.to_owned(), offset: at, tick: None };
                    self.found(place, None, Problem::Frame(problem));
                    self.cut = true;
                    return Ok(SegmentEnd::Unreadable);
                }
            }
        }
    }

    /// Checks one commit and stands after it.
    pub(super) fn commit(&mut self, file: &str, commit: RawCommit, decoders: &mut Decoders) {
        let place = Place { file: file.to_owned(), offset: commit.offset, tick: Some(commit.tick) };
        let expected = commit.mark.count.checked_sub(self.head.count);
        let (after, tick, previous) = (commit.head(), commit.tick, commit.mark.previous);
        let findings_before = self.findings.len();
        if tick <= self.head.tick || previous != self.head.tick {
            let what = format!("the commit follows tick {previous}, not {}", self.head.tick);
            self.found(place.clone(), None, Problem::Frame(what));
        }
        if let Some(mismatch) = commit.mismatch {
            self.found(place.clone(), None, Problem::Frame(mismatch));
        }
        let frames = commit.frames.into_iter().filter(|frame| frame.role == Role::Audit);
        let mut records = Vec::new();
        for frame in frames {
            let at = Place { offset: frame.offset, ..place.clone() };
            match decode(frame, decoders) {
                Ok((kind, previous, batch)) => records.push((at, kind, previous, batch)),
                Err(problem) => self.found(at, None, Problem::Frame(problem)),
            }
        }
        if tick > self.believed {
            let rows: usize = records.iter().map(|(_, _, _, batch)| batch.num_rows()).sum();
            self.records(tick, records, expected != Some(rows as u64));
        }
        let untouched = self.findings.len() == findings_before;
        if tick > self.believed && untouched && self.head.hash != after.hash {
            // The last records of the commit are gone, or its mark was changed.
            self.found(place.clone(), None, Problem::Missing);
        }
        self.pass_marks(&place, after);
        self.head = after;
        self.commits += 1;
        if let Some(signed) = self.signed.filter(|signed| signed.tick == tick) {
            self.met_signed = true;
            if signed != after {
                self.found(place, None, Problem::Rewritten { signed, found: after });
            }
        }
    }

    /// Checks the marks up to a commit that leads to `after`.
    fn pass_marks(&mut self, place: &Place, after: Head) {
        while let Some(copy) = self.marks.pop_if(|mark| mark.tick <= after.tick) {
            if copy != after {
                self.found(place.clone(), None, Problem::Elsewhere { copy, found: after });
            }
        }
    }

    /// Checks the records of a commit; `other_count` if the mark speaks of another number of them.
    fn records(
        &mut self,
        tick: Timestamp,
        records: Vec<(Place, Kind, Hash, RecordBatch)>,
        other_count: bool,
    ) {
        for (place, kind, previous, batch) in records {
            let checked = match check(&self.head.hash, self.last.as_ref(), kind, &batch) {
                Ok(checked) => checked,
                Err(error) => {
                    self.found(place, None, Problem::Frame(error.to_string()));
                    continue;
                }
            };
            let moved = checked.breaks.iter().any(|b| matches!(b.kind, BreakKind::Order { .. }));
            let follows = previous == self.head.hash;
            let mut named = None;
            for broken in checked.breaks {
                let problem = match broken.kind {
                    _ if moved => Problem::Moved,
                    _ if other_count || (broken.row == 0 && !follows) => Problem::Missing,
                    BreakKind::Hash { .. } | BreakKind::Previous { .. } => Problem::Edited,
                    BreakKind::Order { .. } => Problem::Moved,
                };
                // One record, one finding.
                if named != Some(broken.row) {
                    self.found(place.clone(), Some(broken.record), problem);
                    named = Some(broken.row);
                }
            }
            let ids = record_ids(kind, &batch).unwrap_or_default();
            if let Some(other) = ids.into_iter().find(|id| id.tick != tick) {
                self.found(place, Some(other), Problem::Moved);
            }
            self.head.hash = checked.hash;
            self.last = checked.last;
        }
    }

    /// Checks what can only be known at the end.
    pub(super) fn end(&mut self) {
        while let Some(copy) = self.marks.pop() {
            let problem = Problem::Elsewhere { copy, found: self.head };
            self.found(Place::file(folder::HEAD), None, problem);
        }
        let Some(signed) = self.signed.filter(|_| !self.met_signed) else { return };
        let found = self.head;
        let problem = if self.cut || signed.tick > found.tick {
            Problem::Cut { signed, found }
        } else {
            Problem::Rewritten { signed, found }
        };
        self.found(Place::file(folder::HEAD), None, problem);
    }
}

/// An audit frame's records. Arrow checks what it reads, but a body made to mislead may still make
/// it panic; that is a finding as well.
fn decode(frame: Frame, decoders: &mut Decoders) -> Result<(Kind, Hash, RecordBatch), String> {
    let read = std::panic::AssertUnwindSafe(|| segment::audit(frame, decoders));
    std::panic::catch_unwind(read)
        .unwrap_or_else(|_| Err("an Arrow message cannot be read".to_owned()))
}
