//! Everything that can be done with a log, at random, beside a model of it.

use super::*;

const NAMES: [&str; 2] = ["fast", "slow"];

const LIMITS: Limits = Limits {
    bytes_max: 3000,
    segment_bytes: 400,
};

/// What a log should hold.
#[derive(Default)]
struct Model {
    /// All that was ever flushed.
    flushed: Vec<Vec<u8>>,
    buffered: Vec<Vec<u8>>,
    /// Where entries were seen.
    positions: Vec<Option<Position>>,
    /// For each reader the entry it gets next, and the one it is done before.
    next: [usize; 2],
    done: [usize; 2],
}

impl Model {
    fn flush(&mut self) {
        self.flushed.append(&mut self.buffered);
        self.positions.resize(self.flushed.len(), None);
    }

    /// Checks what a reader was given.
    fn read(&mut self, number: usize, entries: &[Entry], bytes_max: usize) {
        let next = self.next[number];
        assert_eq!(entries.is_empty(), next == self.flushed.len());
        let size: usize = entries.iter().map(|entry| 8 + entry.bytes.len()).sum();
        assert!(entries.len() == 1 || size <= bytes_max, "{size}");
        for (index, entry) in (next..).zip(entries) {
            assert_eq!(entry.bytes, self.flushed[index]);
            assert_eq!(entry.end.0 - entry.position.0, 8 + entry.bytes.len() as u64);
            let position = *self.positions[index].get_or_insert(entry.position);
            assert_eq!(entry.position, position, "an entry keeps its position");
        }
        self.next[number] += entries.len();
    }

    fn assert_positions_grow(&self) {
        let positions: Vec<_> = self.positions.iter().flatten().collect();
        assert!(positions.is_sorted_by(|one, next| one < next));
    }
}

fn play(seed: u64) {
    let mut random = Random::of(seed);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (mut writer, mut readers) = open(folder, LIMITS, NAMES);
    let log_id = readers[0].log_id();
    let mut model = Model::default();
    for step in 0..300 {
        let number = random.below(2);
        let reader = &mut readers[number];
        match random.below(12) {
            0..=4 => {
                let entry = vec![u8::try_from(step % 251).unwrap(); random.below(150)];
                let buffered: usize = model.buffered.iter().map(|it| 8 + it.len()).sum();
                let total = writer.size() + (buffered + 8 + entry.len()) as u64;
                match writer.append(&entry) {
                    Ok(()) => model.buffered.push(entry),
                    Err(AppendError::Full) => {
                        assert!(total > LIMITS.bytes_max, "{total}");
                        writer.flush().unwrap();
                        model.flush();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            5 | 6 => {
                writer.flush().unwrap();
                model.flush();
            }
            7 | 8 => {
                // A new segment may have been begun, and the one before it been flushed for that.
                if reader.is_at_end() != (model.next[number] == model.flushed.len()) {
                    writer.flush().unwrap();
                    model.flush();
                }
                let bytes_max = random.below(500);
                let before = model.flushed.len();
                let entries = read(reader, bytes_max);
                if model.next[number] + entries.len() > before {
                    writer.flush().unwrap();
                    model.flush();
                }
                model.read(number, &entries, bytes_max);
            }
            9 | 10 => {
                let (from, to) = (model.done[number], model.next[number]);
                let index = from + random.below(to - from + 1);
                if index > from {
                    let last = index - 1;
                    let size = 8 + model.flushed[last].len() as u64;
                    let end = model.positions[last].unwrap().0 + size;
                    done(reader, Position(end));
                    assert!(reader.cursor().0 >= end);
                    model.done[number] = index;
                }
            }
            _ => {
                if random.below(2) == 0 {
                    writer.sync().unwrap();
                    continue;
                }
                // What a segment's end has flushed cannot be told from outside.
                writer.flush().unwrap();
                model.flush();
                drop((writer, readers));
                (writer, readers) = open(folder, LIMITS, NAMES);
                model.next = model.done;
            }
        }
        assert!(writer.size() <= LIMITS.bytes_max);
        assert_eq!(writer.size(), bytes_of_segments(folder));
        assert!(readers.iter().all(|reader| reader.log_id() == log_id));
    }
    writer.flush().unwrap();
    model.flush();
    for (number, reader) in readers.iter_mut().enumerate() {
        while !reader.is_at_end() {
            let entries = read(reader, 1000);
            model.read(number, &entries, 1000);
        }
        assert_eq!(model.next[number], model.flushed.len());
        done_all(reader);
    }
    model.assert_positions_grow();
    assert_eq!(segments(folder).len(), 1, "what all are done with is gone");
}

#[test]
fn a_log_gives_each_reader_what_was_flushed_in_order() {
    for seed in 1..=25 {
        println!("seed {seed}");
        play(seed);
    }
}

#[test]
fn readers_at_different_speeds_get_all_while_it_is_written() {
    const COUNT: u32 = 5000;
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        bytes_max: 20_000,
        segment_bytes: 2000,
    };
    let (mut writer, readers) = open(folder.path(), limits, NAMES);
    let tasks = [2000, 300].into_iter().zip(readers);
    let tasks = tasks.map(|(bytes_max, mut reader)| {
        RUNTIME.spawn(async move {
            let mut expected = 0;
            while expected < COUNT {
                reader.wait().await;
                let entries = reader.read(bytes_max).await.unwrap();
                for entry in &entries {
                    assert_eq!(entry.bytes, expected.to_be_bytes()[..]);
                    expected += 1;
                }
                reader.done(entries.last().unwrap().end).await.unwrap();
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for number in 0..COUNT {
        while let Err(error) = writer.append(&number.to_be_bytes()) {
            assert!(matches!(error, AppendError::Full), "{error}");
            writer.flush().unwrap();
            assert!(
                tasks.iter().any(|task| !task.is_finished()),
                "full for ever"
            );
            std::thread::yield_now();
        }
        if number.is_multiple_of(7) {
            writer.flush().unwrap();
        }
    }
    writer.flush().unwrap();
    for task in tasks {
        RUNTIME.block_on(task).unwrap();
    }
    assert_eq!(segments(folder.path()).len(), 1);
}
