//! Reading the log, at the speed of one who is slow.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::cursor::Cursor;
use super::entry::{self, Flaw, HEADER_BYTES, Taken, WRONG_CHECKSUM};
use super::error::ReadError;
use super::log::Log;
use super::segment::{self, Segment};
use super::{Entry, Position};

/// Reads the log from a cursor of its own on. All futures may be dropped before they are ready: nothing is lost.
#[derive(Debug)]
pub(crate) struct Reader {
    log: Arc<Log>,
    cursor: Arc<Cursor>,
    tail: watch::Receiver<u64>,
    /// Where what was not yet given begins.
    next: u64,
    /// Where the last entry given ends.
    given: u64,
    /// Whether the cursor's file is known to have the cursor.
    is_written: bool,
    /// The segment read last.
    open: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    start: u64,
    file: File,
}

impl Reader {
    /// A reader that begins at its cursor.
    pub(super) fn new(log: Arc<Log>, cursor: Arc<Cursor>) -> Self {
        let position = cursor.position();
        let first = log.segment_at(position);
        Self {
            tail: log.tail(),
            next: first.map_or(position, |first| position.max(first.start)),
            given: position,
            log,
            cursor,
            is_written: false,
            open: None,
        }
    }

    /// Random at the making of the folder; with a position it names an entry for ever.
    pub(crate) fn log_id(&self) -> u64 {
        self.log.id
    }

    /// Whether all that is flushed was given.
    pub(crate) fn is_at_end(&self) -> bool {
        self.next >= *self.tail.borrow()
    }

    /// Waits until there is something to read: for ever, if the writer is gone and there is not.
    pub(crate) async fn wait(&mut self) {
        let next = self.next;
        // There is a sender as long as there is the log.
        let _ = self.tail.wait_for(|tail| *tail > next).await;
    }

    /// What comes next: entries that take up to `bytes_max` in the log, or one that takes more. None if there is
    /// nothing, or nothing but damage, which is logged and left behind.
    pub(crate) async fn read(&mut self, bytes_max: usize) -> Result<Vec<Entry>, ReadError> {
        if self.is_at_end() {
            return Ok(Vec::new());
        }
        let mut pass = Pass {
            log: Arc::clone(&self.log),
            open: self.open.take(),
            next: self.next,
            room: bytes_max,
            entries: Vec::new(),
        };
        let (pass, result) = spawn_blocking(move || {
            let result = pass.run();
            (pass, result)
        })
        .await?;
        self.open = pass.open;
        self.next = pass.next;
        if let Some(last) = pass.entries.last() {
            self.given = last.end.0;
        } else if self.next > self.given && self.cursor.position() >= self.given {
            // Nobody would be done with what is lost, and it would be kept for ever.
            if let Err(error) = self.done(Position(self.next)).await {
                warn!(%error, "cannot move a cursor past damage of the spool");
            }
        }
        result.map(|()| pass.entries)
    }

    /// Everything before it is dealt with.
    pub(crate) fn cursor(&self) -> Position {
        Position(self.cursor.position())
    }

    /// How many bytes are flushed and not dealt with.
    pub(crate) fn behind(&self) -> u64 {
        self.log.bytes_after(self.cursor.position())
    }

    /// Everything before `until` is dealt with: it is not given again, and deleted when all readers are past it. After
    /// an error it may be given again after a restart; this tries anew to write it down when it is called again.
    pub(crate) async fn done(&mut self, until: Position) -> io::Result<()> {
        // After the last one given there may be a gap, or damage that was left behind.
        let until = if until.0 >= self.given {
            self.next
        } else {
            until.0
        };
        if until > self.cursor.position() {
            self.cursor.advance(until);
            self.is_written = false;
        }
        if self.is_written {
            return Ok(());
        }
        let (log, cursor) = (Arc::clone(&self.log), Arc::clone(&self.cursor));
        spawn_blocking(move || {
            // First, since a full disk may have room for the cursor only then.
            log.free();
            cursor.write()
        })
        .await
        .map_err(io::Error::other)??;
        self.is_written = true;
        Ok(())
    }
}

/// One read, on a thread that may be blocked.
struct Pass {
    log: Arc<Log>,
    open: Option<OpenSegment>,
    next: u64,
    /// How many bytes more are wanted.
    room: usize,
    entries: Vec<Entry>,
}

/// Why a segment cannot be read on.
enum Obstacle {
    Damage(Flaw),
    Io(io::Error),
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Damage("the file is gone"),
            _ => Self::Io(error),
        }
    }
}

impl Pass {
    fn run(&mut self) -> Result<(), ReadError> {
        let mut wants_more = true;
        while let Some(segment) = self.log.segment_at(self.next) {
            self.next = self.next.max(segment.start);
            if !wants_more || self.next >= segment.end {
                break;
            }
            match self.read_segment(segment) {
                Ok(more) => wants_more = more,
                Err(Obstacle::Damage(reason)) => {
                    self.log.pass_over(segment, self.next, segment.end, reason);
                    self.open = None;
                    self.next = segment.end;
                }
                // The entries first; who comes again meets the same.
                Err(Obstacle::Io(_)) if !self.entries.is_empty() => break,
                Err(Obstacle::Io(source)) => {
                    self.open = None;
                    return Err(ReadError::Io {
                        path: self.log.folder.segment(segment.start),
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// Reads at least an entry, if that is wanted; tells whether more is.
    fn read_segment(&mut self, segment: Segment) -> Result<bool, Obstacle> {
        let mut wanted = self.room.max(HEADER_BYTES);
        let pass_start = self.next;
        loop {
            let mut chunk = self.chunk(segment, wanted)?;
            while self.next < segment.end {
                let position = self.next;
                match entry::take(&mut chunk, segment.end - position) {
                    Ok(Taken::Entry(bytes)) => {
                        let size = entry::size(&bytes);
                        if size > self.room && !self.entries.is_empty() {
                            return Ok(false);
                        }
                        self.next += size as u64;
                        self.room = self.room.saturating_sub(size);
                        self.entries.push(Entry {
                            position: Position(position),
                            end: Position(self.next),
                            bytes,
                        });
                    }
                    Ok(Taken::Corrupt(size)) => {
                        let end = position + size as u64;
                        if !self.has_entry_at(segment, end)? {
                            return Err(Obstacle::Damage(WRONG_CHECKSUM));
                        }
                        self.log.pass_over(segment, position, end, WRONG_CHECKSUM);
                        self.next = end;
                    }
                    Ok(Taken::Short(_)) if position > pass_start => return Ok(true),
                    Ok(Taken::Short(size)) if size <= wanted => {
                        return Err(Obstacle::Damage(segment::FILE_IS_SHORT));
                    }
                    Ok(Taken::Short(_)) if !self.entries.is_empty() => return Ok(false),
                    Ok(Taken::Short(size)) => {
                        wanted = size;
                        break;
                    }
                    Err(flaw) => return Err(Obstacle::Damage(flaw)),
                }
            }
            if self.next > pass_start {
                return Ok(self.room > 0);
            }
        }
    }

    fn chunk(&mut self, segment: Segment, wanted: usize) -> Result<bytes::Bytes, Obstacle> {
        let offset = self.next - segment.start;
        let count = segment::clamp(segment.end - self.next, wanted);
        Ok(segment::read(self.file(segment)?, offset, count)?)
    }

    fn has_entry_at(&mut self, segment: Segment, position: u64) -> Result<bool, Obstacle> {
        let length = segment.end - segment.start;
        let file = self.file(segment)?;
        Ok(segment::has_entry_at(
            file,
            position - segment.start,
            length,
        )?)
    }

    fn file(&mut self, segment: Segment) -> Result<&File, Obstacle> {
        let open = match self.open.take() {
            Some(open) if open.start == segment.start => open,
            _ => OpenSegment {
                start: segment.start,
                file: File::open(self.log.folder.segment(segment.start))?,
            },
        };
        Ok(&self.open.insert(open).file)
    }
}
