//! What is kept, sent, taken and dropped.

use super::*;

fn line(number: u64) -> Vec<u8> {
    format!("{{\"n\":{number}}}\n").into_bytes()
}

fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
    numbers.flat_map(line).collect()
}

fn open(folder: &Path, most: u64) -> Buffer {
    Buffer::open(folder, most, 7).unwrap()
}

/// All that waits, in batches of ten.
fn take_all(buffer: &mut Buffer) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(batch) = buffer.next(10, 1 << 20).unwrap() {
        all.extend_from_slice(&batch.body);
        buffer.take(&batch);
    }
    all
}

#[test]
fn a_batch_stays_the_same_until_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut buffer = open(folder.path(), 1 << 20);
    buffer.append(&lines(0..3)).unwrap();
    let first = buffer.next(10, 1 << 20).unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.events), ("msg_0000000000000007_0", 3));
    assert_eq!(first.body, lines(0..3));
    buffer.append(&lines(3..20)).unwrap();
    // The server is killed here: another process goes on.
    let mut buffer = Buffer::open(folder.path(), 1 << 20, 8).unwrap();
    assert_eq!(buffer.waiting(), 20);
    assert_eq!(buffer.next(10, 1 << 20).unwrap().unwrap(), first);
    buffer.take(&first);
    buffer.take(&first);
    assert_eq!(buffer.waiting(), 17);
    let second = buffer.next(10, 1 << 20).unwrap().unwrap();
    assert_eq!(second.body, lines(3..13));
    assert_ne!(second.id, first.id);
    assert_eq!(take_all(&mut buffer), lines(3..20));
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 0));
    let mut buffer = open(folder.path(), 1 << 20);
    assert_eq!(buffer.next(10, 1 << 20).unwrap(), None);
    buffer.append(&line(20)).unwrap();
    assert_eq!(take_all(&mut buffer), line(20));
}

#[test]
fn batches_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut buffer = open(folder.path(), 1 << 20);
    let long = [b"{\"x\":\"", vec![b'x'; 1_000].as_slice(), b"\"}\n"].concat();
    buffer
        .append(&[lines(0..2), long.clone(), lines(2..4)].concat())
        .unwrap();
    let mut bodies = Vec::new();
    while let Some(batch) = buffer.next(3, 20).unwrap() {
        buffer.take(&batch);
        bodies.push(batch.body);
    }
    assert_eq!(bodies, [lines(0..2), long, lines(2..4)]);
}

#[test]
fn the_oldest_are_dropped_and_counted_where_there_are_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let most = 256 << 10;
    let mut buffer = open(folder.path(), most);
    let under_way = {
        buffer.append(&lines(0..5)).unwrap();
        buffer.next(10, 1 << 20).unwrap().unwrap()
    };
    let total = 60_000;
    for start in (5..total).step_by(1_000) {
        buffer.append(&lines(start..(start + 1_000).min(total))).unwrap();
        assert!(buffer.octets() <= most);
    }
    assert!(buffer.dropped() > 5);
    assert_eq!(buffer.dropped() + buffer.waiting(), total);
    // It was taken after it had been dropped to make room.
    buffer.take(&under_way);
    let dropped = buffer.dropped();
    assert_eq!(take_all(&mut buffer), lines(dropped..total));
    assert_eq!(buffer.waiting(), 0);
    assert!(buffer.octets() <= 16 << 10, "what was taken is removed");
    assert!(!open(folder.path(), most).has_room_for_strangers(129 << 10));
}

#[test]
fn what_a_crash_leaves_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let mut buffer = open(folder.path(), 1 << 20);
    buffer.append(&lines(0..3)).unwrap();
    let file = folder.path().join("0000000000000000.jsonl");
    let whole = std::fs::read(&file).unwrap();
    for (what, tail, waiting, sent) in [
        ("a line was cut", &b"{\"n\":"[..], 3, lines(0..3)),
        ("a line was never written", b"\0\0\0\0\n", 4, lines(0..3)),
        ("all is well", b"", 3, lines(0..3)),
    ] {
        std::fs::write(&file, [&whole, tail].concat()).unwrap();
        let _ = std::fs::remove_file(folder.path().join("position.json"));
        let mut buffer = open(folder.path(), 1 << 20);
        assert_eq!(buffer.waiting(), waiting, "{what}");
        assert_eq!(take_all(&mut buffer), sent, "{what}");
        assert_eq!(buffer.waiting(), 0, "{what}");
    }
    // The position is newer than the lines, or is not readable.
    std::fs::write(&file, lines(0..1)).unwrap();
    assert_eq!(take_all(&mut open(folder.path(), 1 << 20)), b"");
    std::fs::write(folder.path().join("position.json"), "{").unwrap();
    assert_eq!(take_all(&mut open(folder.path(), 1 << 20)), lines(0..1));
}

#[test]
fn an_id_stands_for_the_same_lines_though_the_position_cannot_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut buffer = open(folder.path(), 1 << 20);
    buffer.append(&lines(0..6_000)).unwrap();
    let first = buffer.next(10_000, 1 << 20).unwrap().unwrap();
    // From now on its file cannot be written.
    let in_the_way = folder.path().join("position.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    buffer.take(&first);
    assert_eq!(buffer.next(10, 1 << 20).unwrap(), None);
    let mut again = open(folder.path(), 1 << 20);
    again.append(&lines(6_000..6_001)).unwrap();
    assert_eq!(again.next(10_000, 1 << 20).unwrap().unwrap(), first);
    std::fs::remove_dir(&in_the_way).unwrap();
    again.take(&first);
    assert_eq!(take_all(&mut again), lines(6_000..6_001));
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!((left, again.octets()), (1, 0), "only the position is left");
}

#[test]
fn a_file_that_has_lost_its_lines_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut buffer = open(folder.path(), 1 << 20);
    buffer.append(&lines(0..3)).unwrap();
    let file = folder.path().join("0000000000000000.jsonl");
    std::fs::write(&file, b"").unwrap();
    assert_eq!(buffer.next(10, 1 << 20).unwrap(), None);
    assert!(!file.exists());
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 3));
    buffer.append(&line(3)).unwrap();
    assert_eq!(take_all(&mut buffer), line(3));
}

#[test]
fn what_cannot_be_written_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut buffer = open(folder.path(), 1 << 20);
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(buffer.append(&lines(0..3)).is_err());
    assert_eq!((buffer.waiting(), buffer.dropped()), (0, 3));
    std::fs::create_dir(folder.path()).unwrap();
    buffer.append(&lines(3..4)).unwrap();
    assert_eq!(take_all(&mut buffer), lines(3..4));
}
