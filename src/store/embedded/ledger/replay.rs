//! Reading the journal when a store is opened.

use std::fs::{self, File};
use std::path::PathBuf;

use bytes::Bytes;
use memchr::memmem;
use tracing::{info, warn};

use super::batch::{self, Batch, HEADER_BYTES, Magic};
use super::directory::Directory;
use super::error::OpenError;
use super::journal::Resumption;
use super::overlay::Overlay;

/// Reads the batches after `checkpointed` and leaves the journal with just these, all on the disk.
pub(super) fn replay(
    directory: &Directory,
    magic: Magic,
    checkpointed: u64,
) -> Result<(Overlay, Resumption), OpenError> {
    let mut segments = directory.segments()?;
    let first = checkpointed + 1;
    let kept = segments.split_off(segments.partition_point(|&start| start < first));
    // A checkpoint begins a segment, which is on the disk before the tables are.
    if kept.first() != Some(&first) {
        let reason = format!("the segment with batch {first} is missing");
        return Err(OpenError::damaged(directory.segment(first), reason));
    }
    let mut walk = Walk {
        directory,
        magic,
        segments: kept,
        overlay: Overlay::default(),
        next: first,
    };
    let end = walk.run()?;
    walk.cut(end)?;
    // A crash may have come between a checkpoint and the deletion of what it made superfluous.
    for start in segments {
        let path = directory.segment(start);
        fs::remove_file(&path).map_err(OpenError::unusable(path))?;
    }
    walk.sync()?;
    let (&start, older) = walk.segments.split_last().unwrap_or((&first, &[]));
    let resumption = Resumption {
        start,
        length: end.offset as u64,
        next: walk.next,
        older: older.to_vec(),
    };
    if walk.next > first {
        let batches = walk.next - first;
        info!(batches, path = %directory.path().display(), "has replayed the journal");
    }
    Ok((walk.overlay, resumption))
}

struct Walk<'a> {
    directory: &'a Directory,
    magic: Magic,
    /// First batches of the segments that the tables do not have.
    segments: Vec<u64>,
    overlay: Overlay,
    /// The number of the next batch.
    next: u64,
}

/// The end of what is good: a place in `segments`, and one in that segment.
#[derive(Clone, Copy, Debug)]
struct End {
    index: usize,
    offset: usize,
}

impl Walk<'_> {
    /// Takes the batches into the overlay, as far as they go on.
    fn run(&mut self) -> Result<End, OpenError> {
        let mut end = End {
            index: 0,
            offset: 0,
        };
        for (index, start) in self.segments.clone().into_iter().enumerate() {
            let contents = Bytes::from(self.read(start)?);
            if start != self.next {
                self.accept_end(index, 0, &contents, "batches before it are missing")?;
                return Ok(end);
            }
            end = End { index, offset: 0 };
            while end.offset < contents.len() {
                let rest = contents.slice(end.offset..);
                match self.take(&rest) {
                    Ok(length) => end.offset += length,
                    Err(reason) => {
                        self.accept_end(index, end.offset, &rest, reason)?;
                        return Ok(end);
                    }
                }
            }
        }
        Ok(end)
    }

    /// Takes the batch that `rest` begins with; gives its length.
    fn take(&mut self, rest: &Bytes) -> Result<usize, &'static str> {
        let batch = batch::parse(rest, self.magic)?;
        if batch.number != self.next {
            return Err("a batch has not the number that is its turn");
        }
        let length = HEADER_BYTES + batch.body.len();
        let mut body = rest.slice(HEADER_BYTES..length);
        while !body.is_empty() {
            let write = batch::take_write(&mut body).ok_or("a batch holds something unknown")?;
            self.overlay.insert(write);
        }
        self.next += 1;
        Ok(length)
    }

    /// Agrees that the journal ends where batch `next` should be but is not, unless a batch found behind proves
    /// that it, or one after it, was once on the disk.
    fn accept_end(
        &self,
        index: usize,
        offset: usize,
        rest: &[u8],
        reason: &str,
    ) -> Result<(), OpenError> {
        let path = self.path(index);
        let mut proof = self.proof(rest);
        for &later in self.segments.iter().skip(index + 1) {
            if proof.is_none() {
                proof = self.proof(&self.read(later)?);
            }
        }
        if let Some(later) = proof {
            let reason = format!(
                "at byte {offset}: {reason}; batch {} should be here and was on the disk, says batch {later}",
                self.next
            );
            return Err(OpenError::damaged(path, reason));
        }
        warn!(
            file = %path.display(),
            offset,
            bytes = rest.len(),
            reason,
            "cuts off the end of the journal, which was being written when the server or the machine stopped"
        );
        Ok(())
    }

    /// The number of a batch in `contents` that was written when batch `next` was already on the disk.
    fn proof(&self, contents: &[u8]) -> Option<u64> {
        memmem::find_iter(contents, &self.magic)
            .filter_map(|place| batch::parse(contents.get(place..)?, self.magic).ok())
            .find(|batch| batch.synced >= self.next)
            .map(|Batch { number, .. }| number)
    }

    /// Removes all behind the end. The last segment goes first: at no moment may a gap come about.
    fn cut(&mut self, end: End) -> Result<(), OpenError> {
        while self.segments.len() > end.index + 1 {
            let path = self.path(self.segments.len() - 1);
            fs::remove_file(&path).map_err(OpenError::unusable(path))?;
            self.directory
                .sync()
                .map_err(OpenError::unusable(self.directory.path()))?;
            self.segments.pop();
        }
        let path = self.path(end.index);
        let cut = || {
            let file = File::options().write(true).open(&path)?;
            if file.metadata()?.len() != end.offset as u64 {
                file.set_len(end.offset as u64)?;
            }
            Ok(())
        };
        cut().map_err(OpenError::unusable(&path))
    }

    /// Brings to the disk what is taken for granted from now on: a killed process may have left it in memory.
    fn sync(&self) -> Result<(), OpenError> {
        for index in 0..self.segments.len() {
            let path = self.path(index);
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(OpenError::unusable(path))?;
        }
        let path = self.directory.path();
        self.directory.sync().map_err(OpenError::unusable(path))
    }

    fn path(&self, index: usize) -> PathBuf {
        let start = self.segments.get(index).copied();
        self.directory.segment(start.unwrap_or(self.next))
    }

    fn read(&self, start: u64) -> Result<Vec<u8>, OpenError> {
        let path = self.directory.segment(start);
        fs::read(&path).map_err(OpenError::unusable(path))
    }
}
