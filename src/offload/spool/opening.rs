//! Finding out what a folder holds.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use super::cursor::{Cursor, Kept};
use super::error::OpenError;
use super::folder::{Folder, remove_if_there};
use super::log::Log;
use super::reader::Reader;
use super::writer::Writer;
use super::{Limits, REOPENING_GAP, segment};

/// Opens (creates) the folder, locks it, cuts a torn tail, and gives the writer with a reader for each name in
/// `readers`.
///
/// Cursors of readers not named are forgotten: they would hold the log for ever. A new reader begins at the oldest
/// entry if the log is new, else at its end. One whose cursor is damaged begins at the oldest entry.
///
/// The lock is held until the writer and all readers are dropped.
pub(crate) fn open(
    folder: &Path,
    limits: Limits,
    readers: &[&str],
) -> Result<(Writer, Vec<Reader>), OpenError> {
    let folder = Folder::open(folder)?;
    let path = folder.path().to_owned();
    let mut segments = folder.segments().map_err(OpenError::unusable(&path))?;
    let identity = folder.identity(!segments.is_empty())?;
    folder
        .forget_cursors_but(readers)
        .map_err(OpenError::unusable(&path))?;
    let mut kept = Vec::new();
    for reader in readers {
        let path = folder.cursor(reader);
        let cursor = Kept::read(&path, identity.id).map_err(OpenError::unusable(&path))?;
        kept.push((*reader, path, cursor));
    }

    let last = segments.iter().flat_map(|(&start, &end)| [start, end]);
    let last = last.max().unwrap_or(0);
    let past = kept.iter().filter_map(|(_, _, cursor)| match cursor {
        Kept::At(position) => Some(*position),
        Kept::Missing | Kept::Damaged => None,
    });
    let past = past.max().unwrap_or(0);
    if past > last {
        warn!(path = %path.display(), past, last, "the spool lacks entries that were told: the machine died, or a file was removed");
    }
    settle_segments(&folder, &mut segments)?;
    let start = if identity.is_new {
        0
    } else {
        last.max(past)
            .checked_add(REOPENING_GAP)
            .ok_or_else(|| OpenError::Unknown {
                path: path.clone(),
                reason: "its positions are used up".into(),
            })?
    };
    let file = folder
        .create_segment(start)
        .map_err(OpenError::unusable(folder.segment(start)))?;
    segments.insert(start, start);
    let oldest = segments.keys().next().copied().unwrap_or(start);

    let mut cursors = Vec::new();
    for (reader, path, cursor) in kept {
        let (position, written) = match cursor {
            Kept::At(position) => (position, Some(position)),
            Kept::Missing => (start, None),
            Kept::Damaged => {
                warn!(path = %path.display(), "the cursor is damaged: {reader} begins anew with what is in the spool");
                (oldest, None)
            }
        };
        let cursor = Cursor::new(path.clone(), identity.id, position, written);
        // A reader without one would be taken for a new one.
        if let Err(error) = cursor.write() {
            // A full disk is no reason not to start; it is tried again with each sync.
            warn!(path = %path.display(), %error, "cannot write the cursor of a reader yet");
        }
        cursors.push(Arc::new(cursor));
    }
    folder.sync().map_err(OpenError::unusable(&path))?;
    let log = Arc::new(Log::new(folder, identity.id, segments, cursors.clone()));
    log.free();
    let readers = cursors.into_iter();
    let readers = readers.map(|cursor| Reader::new(Arc::clone(&log), cursor));
    let readers = readers.collect();
    Ok((Writer::new(log, limits, file, start), readers))
}

/// Cuts off what is no entry at the end of the last segment, and removes segments without entries.
fn settle_segments(folder: &Folder, segments: &mut BTreeMap<u64, u64>) -> Result<(), OpenError> {
    if let Some((&start, end)) = segments.iter_mut().next_back() {
        let path = folder.segment(start);
        *end = cut_tail(&path, start, *end).map_err(OpenError::unusable(path))?;
    }
    let mut next_start = u64::MAX;
    for (&start, end) in segments.iter_mut().rev() {
        *end = next_start.min(*end); // No two of ours overlap.
        next_start = start;
        if *end == start {
            let path = folder.segment(start);
            remove_if_there(&path).map_err(OpenError::unusable(path))?;
        }
    }
    segments.retain(|start, end| start != end);
    Ok(())
}

/// Gives the new end of the segment.
fn cut_tail(path: &Path, start: u64, end: u64) -> io::Result<u64> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let (sound, flaw) = segment::scan(&file, end - start)?;
    if let Some(reason) = flaw {
        let lost = end - start - sound;
        warn!(path = %path.display(), lost_bytes = lost, reason, "the end of the spool is cut off");
        file.set_len(sound)?;
    }
    Ok(start + sound)
}
