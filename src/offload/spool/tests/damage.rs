//! Files that are not what was written.

use super::*;

/// Three segments of three entries each.
const LIMITS: Limits = Limits {
    bytes_max: 1 << 20,
    segment_bytes: 60,
};

fn entries() -> Vec<Vec<u8>> {
    (1..=9).map(|number| vec![number; 12]).collect()
}

/// What can be read if the entry is damaged that this byte of a segment belongs to.
fn left(segment: usize, byte: usize) -> Vec<Vec<u8>> {
    let mut left = entries();
    let first = segment * 3 + byte / 20;
    // With the length it is unknown where the next one begins.
    let is_length = byte % 20 < 4;
    left.drain(
        first..if is_length {
            (segment + 1) * 3
        } else {
            first + 1
        },
    );
    left
}

#[test]
fn a_torn_tail_is_cut_wherever_it_is_torn() {
    let source = tempfile::tempdir().unwrap();
    let (mut writer, readers) = open(source.path(), AMPLE, ["one"]);
    write(&mut writer, &entries()[..3]);
    drop((writer, readers));
    for length in 0..60 {
        let folder = copy(source.path());
        let segment = segments(folder.path()).remove(0);
        let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
        file.set_len(length).unwrap();
        if length % 2 == 0 {
            file.set_len(100).unwrap(); // Zeros, as some file systems leave them.
        }
        let (mut writer, [mut reader]) = open(folder.path(), AMPLE, ["one"]);
        let whole = usize::try_from(length / 20).unwrap();
        assert_eq!(writer.size(), 20 * whole as u64);
        assert_eq!(writer.size(), bytes_of_segments(folder.path()));
        write(&mut writer, &entries()[3..4]);
        let mut expected = entries()[..whole].to_vec();
        expected.push(entries().remove(3));
        assert_eq!(read_all(&mut reader), expected, "cut at {length}");
    }
}

#[test]
fn a_flipped_bit_costs_its_entry_or_the_rest_of_its_segment() {
    let source = tempfile::tempdir().unwrap();
    let (mut writer, readers) = open(source.path(), LIMITS, ["one"]);
    write(&mut writer, &entries());
    drop((writer, readers));
    assert_eq!(segments(source.path()).len(), 3);
    let mut random = Random::of(1);
    for segment in 0..3 {
        for byte in 0..60 {
            let folder = copy(source.path());
            flip(&segments(folder.path())[segment], byte, &mut random);
            let (mut writer, [mut reader]) = open(folder.path(), LIMITS, ["one"]);
            let expected = left(segment, byte);
            assert_eq!(read_all(&mut reader), expected, "{segment} {byte}");
            done_all(&mut reader);
            write(&mut writer, &entries()[..1]);
            assert_eq!(read_all(&mut reader), entries()[..1]);
        }
    }
}

#[test]
fn a_bit_flipped_while_the_log_is_open_costs_its_entry_or_the_rest_of_its_segment() {
    let mut random = Random::of(2);
    for segment in 0..3 {
        for byte in (0..60).step_by(7) {
            let folder = tempfile::tempdir().unwrap();
            let (mut writer, [mut one, mut two]) = open(folder.path(), LIMITS, ["one", "two"]);
            write(&mut writer, &entries());
            assert_eq!(read_all(&mut one), entries());
            flip(&segments(folder.path())[segment], byte, &mut random);
            let expected = left(segment, byte);
            assert_eq!(read_all(&mut two), expected, "{segment} {byte}");
            let lost = 20 * (9 - expected.len() as u64);
            assert_eq!(writer.damaged_bytes(), lost);
            write(&mut writer, &entries()[..1]);
            assert_eq!(read_all(&mut two), entries()[..1]);
            done_all(&mut one);
            done_all(&mut two);
            assert_eq!(segments(folder.path()).len(), 1);
        }
    }
}

#[test]
fn corrupt_entries_that_are_apart_cost_no_others_and_are_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, readers) = open(folder.path(), AMPLE, ["one", "two"]);
    let mut long = entries();
    long[6] = vec![7; 2 << 20]; // More than is looked at at once.
    write(&mut writer, &long);
    drop((writer, readers));
    let segment = segments(folder.path()).remove(0);
    // Also the first of all, and that before a long one.
    for number in [0, 2, 5] {
        flip(&segment, number * 20 + 8, &mut Random::of(5));
    }
    let (writer, [mut one, mut two]) = open(folder.path(), AMPLE, ["one", "two"]);
    let expected = [1, 3, 4, 6, 7, 8].map(|number| long[number].clone());
    assert_eq!(read_all(&mut one), expected);
    assert_eq!(read_all(&mut two), expected);
    assert_eq!(writer.damaged_bytes(), 60);
    done_all(&mut one);
    assert_eq!(one.behind(), 0);
}

fn flip(path: &Path, byte: usize, random: &mut Random) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1 << random.below(8);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_segment_that_is_gone_or_cut_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, [mut reader]) = open(folder.path(), LIMITS, ["one"]);
    write(&mut writer, &entries());
    let paths = segments(folder.path());
    fs::remove_file(&paths[0]).unwrap();
    fs::write(&paths[2], &fs::read(&paths[2]).unwrap()[..30]).unwrap();
    assert_eq!(read_all(&mut reader), entries()[3..7]);
}

#[test]
fn damage_does_not_hold_a_full_log() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        bytes_max: 60,
        segment_bytes: 60,
    };
    let (mut writer, [mut reader]) = open(folder.path(), limits, ["one"]);
    write(&mut writer, &entries()[..3]);
    flip(&segments(folder.path())[0], 0, &mut Random::of(3));
    assert!(matches!(writer.append(&[]), Err(AppendError::Full)));
    assert!(read(&mut reader, 100).is_empty());
    assert!(reader.is_at_end());
    write(&mut writer, &entries()[3..6]);
    assert_eq!(read_all(&mut reader), entries()[3..6]);
}

#[test]
fn a_damaged_cursor_begins_with_the_oldest_entry() {
    let source = tempfile::tempdir().unwrap();
    let (mut writer, [mut one, two]) = open(source.path(), LIMITS, ["one", "two"]);
    write(&mut writer, &entries());
    read_all(&mut one);
    done_all(&mut one);
    drop((writer, one, two));
    let mut random = Random::of(4);
    for byte in 0..20 {
        let folder = copy(source.path());
        flip(&folder.path().join("one.cursor"), byte, &mut random);
        let (_writer, [mut one, _]) = open(folder.path(), LIMITS, ["one", "two"]);
        assert_eq!(read_all(&mut one), entries());
    }
    for length in 0..20 {
        let folder = copy(source.path());
        let path = folder.path().join("one.cursor");
        fs::write(&path, &fs::read(&path).unwrap()[..length]).unwrap();
        let (_writer, [mut one, _]) = open(folder.path(), LIMITS, ["one", "two"]);
        assert_eq!(read_all(&mut one), entries());
    }
}
