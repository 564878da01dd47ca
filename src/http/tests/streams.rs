//! Whole connections, from seeds. A failing seed is printed; `POPBOX_SEED=n` runs that one alone, `POPBOX_SEEDS=n`
//! runs as many.

use super::generate::{Expected, Random, valid_request};
use super::*;

const SEEDS: u64 = 4000;

fn for_each_seed(run: impl Fn(&mut Random)) {
    let set = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let all = 0..set("POPBOX_SEEDS").unwrap_or(SEEDS);
    for seed in set("POPBOX_SEED").map_or(all, |seed| seed..seed + 1) {
        let run = std::panic::AssertUnwindSafe(|| run(&mut Random::new(seed)));
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn valid_stream(random: &mut Random) -> (Vec<u8>, Vec<Expected>) {
    let mut text = Vec::new();
    let expected = (0..=random.below(5))
        .map(|_| valid_request(random, &mut text))
        .collect();
    (text, expected)
}

fn read(outcome: &Outcome) -> Vec<Expected> {
    outcome.requests.iter().map(Expected::of).collect()
}

#[test]
fn a_stream_gives_its_requests_however_it_is_cut() {
    for_each_seed(|random| {
        let (text, expected) = valid_stream(random);
        let outcome = feed(LIMITS, random.cut(&text));
        assert_eq!(outcome.error, None);
        assert_eq!(outcome.phase, Phase::Idle);
        assert_eq!(read(&outcome), expected);
    });
}

/// That nothing panics, loops or grows is checked by `feed`; what comes out may be anything, but is the same however
/// it is cut.
#[test]
fn a_damaged_stream_gives_the_same_however_it_is_cut() {
    for_each_seed(|random| {
        let (mut text, _) = valid_stream(random);
        for _ in 0..=random.below(4) {
            damage(random, &mut text);
        }
        assert_same_however_cut(random, &text);
    });
}

#[test]
fn garbage_gives_the_same_however_it_is_cut() {
    let alphabet: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b":",
        b"0",
        b"f",
        b";",
        b"\0",
        b"A: b\r\n",
        b"\xff",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\n",
        b"Expect: 100-continue\r\n",
        b"POST http://a?b HTTP/1.0\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"%",
        b"ffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n",
    ];
    for_each_seed(|random| {
        let text = match random.below(4) {
            0 => {
                let count = random.below(3000);
                random.bytes(count)
            }
            1 => (0..random.below(60))
                .flat_map(|_| random.pick(alphabet))
                .copied()
                .collect(),
            _ => {
                let mut text = b"POST / HTTP/1.1\r\nHost: a\r\n".to_vec();
                text.extend((0..random.below(60)).flat_map(|_| random.pick(alphabet)));
                text
            }
        };
        assert_same_however_cut(random, &text);
    });
}

fn assert_same_however_cut(random: &mut Random, text: &[u8]) {
    let whole = feed(LIMITS, [text]);
    let cut = feed(LIMITS, random.cut(text));
    assert_eq!(read(&whole), read(&cut));
    assert_eq!(whole.error, cut.error);
    if whole.error.is_none() {
        assert_eq!(whole.phase, cut.phase);
    }
    for request in &whole.requests {
        let segments = request.target.segments();
        assert!(segments.is_err() || segments.unwrap().len() <= LIMITS.head_bytes_max);
        let _ = request.target.query("a");
        assert!(
            request
                .host()
                .is_none_or(|host| host.bytes().all(|byte| byte.is_ascii_graphic()))
        );
    }
}

fn damage(random: &mut Random, text: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    let at = random.below(text.len());
    let end = (at + 1 + random.below(20)).min(text.len());
    match random.below(6) {
        0 => text[at] ^= 1 << random.below(8),
        1 => text[at] = random.pick(b"\r\n\0 :;,0f%\xff"),
        2 => drop(text.drain(at..end)),
        3 => {
            let piece = text[at..end].to_vec();
            text.splice(at..at, piece);
        }
        4 => {
            let count = random.below(8);
            let piece = random.bytes(count);
            text.splice(at..at, piece);
        }
        _ => text.truncate(at),
    }
}
