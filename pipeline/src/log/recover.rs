//! What a writer does before it writes: find the end, drop what no commit closed, refuse the rest.
//!
//! A crash leaves a torn tail, which is dropped: nobody was told it is durable. Anything else that
//! is wrong from the signed head on is refused, since writing after it would bury it; what lies
//! before the signed head was checked when it was signed, and is left to
//! [`verify`](super::verify()).
//!
//! **Invariant:** no commit that was synced is dropped.

use std::fs::OpenOptions;

use schemas::audit::Head;
use schemas::time::Timestamp;

use super::error::LogError;
use super::folder;
use super::folder::Folder;
use super::folder::SignedHead;
use super::segment;
use super::segment::SegmentReader;
use super::verify::Place;
use super::verify::Problem;
use super::verify::Tail;
use super::verify::Walk;

/// Where writing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// The chain at the last commit.
    pub(super) head: Head,
    /// The number of the next segment.
    pub(super) next_index: u64,
    /// Bytes that no commit closed, dropped.
    pub(super) dropped_bytes: u64,
}

/// Finds the end of the log and drops the torn tail.
pub(super) fn recover(folder: &Folder) -> Result<Resume, LogError> {
    let dir = folder.dir.as_path();
    let heads = folder::read_heads(dir, &folder.owner)?;
    let signed = heads.newest.as_ref().map(SignedHead::head);
    let mut segments = segment::list(dir)?;
    let genesis = Head::genesis(folder.owner.instance.as_str());

    // From the last segment that begins at or before the signed head.
    let (mut first, mut start) = (0, genesis);
    let known = signed.map_or(Timestamp(0), |signed| signed.tick);
    for (position, (_, path)) in segments.iter().enumerate().rev() {
        let (_, header) = SegmentReader::open(path)?;
        if let Ok(header) = header
            && header.start.tick <= known
        {
            (first, start) = (position, header.start);
            break;
        }
    }
    let index = first as u64;
    let mut walk = Walk::new(start, signed, known);
    let tail = walk.segments(&folder.owner.instance, index, &segments[first..])?;
    walk.end();
    if let Some(problem) = heads.problem() {
        walk.found(Place::file(folder::HEAD), None, Problem::Signature(problem));
    }
    if let Some(finding) = walk.findings.into_iter().next() {
        return Err(LogError::Broken { path: dir.to_owned(), finding: Box::new(finding) });
    }
    let dropped_bytes = tail.as_ref().map_or(0, |tail| tail.len - tail.keep);
    if let Some(tail) = tail {
        cut(folder, &tail)?;
        if tail.keep == 0 {
            segments.pop();
        }
    }
    Ok(Resume { head: walk.head, next_index: segments.len() as u64, dropped_bytes })
}

fn cut(folder: &Folder, tail: &Tail) -> Result<(), LogError> {
    let path = tail.path.as_path();
    if tail.keep == 0 {
        std::fs::remove_file(path).map_err(LogError::io("remove", path))?;
    } else {
        OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(tail.keep).and_then(|()| file.sync_all()))
            .map_err(LogError::io("cut", path))?;
    }
    folder::sync_dir(&folder.dir)
}
