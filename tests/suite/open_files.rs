//! A server that may open few files says what is possible, serves that many, and refuses the others politely.

use std::time::Duration;

use crate::support::{Client, Settings, eventually, get};

/// What the server may open.
const OPEN_FILES: libc::rlim_t = 700;

/// Whether a new connection is served; if it is refused, it is told why, and closed.
#[track_caller]
fn is_served(client: &mut Client) -> bool {
    // Whoever is refused may be told before it asks, and find the connection closed when it does.
    let _ = client.try_send_raw(&get("/").bytes("h"));
    let response = client
        .try_receive(Duration::from_secs(10))
        .expect("an answer, whichever");
    if response.status == 200 {
        return true;
    }
    response.assert_errors(503, &["no room: limits.max_connections is reached"]);
    assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
    assert!(response.closes(), "{response:?}");
    client.assert_closed();
    false
}

#[test]
fn what_is_not_possible_is_said_and_refused_and_passes() {
    let server = Settings::new()
        .set("server.workers", 2)
        .open_files(OPEN_FILES)
        .start();
    let mut said = String::new();
    eventually("the log says what is possible", || {
        said = server.stderr();
        said.contains("connections are possible")
    });
    let line = said
        .lines()
        .find(|line| line.contains("connections are possible"))
        .unwrap();
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("limits.max_connections = 65536"), "{line}");
    assert!(line.contains("LimitNOFILE"), "{line}");
    let possible: usize = line
        .split_once(" connections are possible")
        .and_then(|(before, _)| before.split_whitespace().last())
        .and_then(|count| count.parse().ok())
        .expect("a number of connections");
    assert!(possible > 0 && possible < usize::try_from(OPEN_FILES).unwrap());

    for _ in 0..2 {
        let mut within = server.clients(possible);
        for client in &mut within {
            assert!(is_served(client));
        }
        for _ in 0..3 * possible {
            assert!(!is_served(&mut server.client()));
        }
        // Those that came in time are none the worse.
        for client in &mut within {
            assert!(is_served(client));
        }
        within[0].assert_alive();
        let mut one = within.pop().unwrap();
        one.finish_sending();
        one.assert_closed();
        eventually("the place of one that left is free", || {
            is_served(&mut server.client())
        });
        drop(within);
        // All places are free again when as many as ever fit.
        eventually("every place is free", || {
            server.clients(possible).iter_mut().all(is_served)
        });
        eventually("and once more", || is_served(&mut server.client()));
    }
}

#[test]
fn very_few_files_are_enough_to_serve_one_client() {
    let server = Settings::new()
        .set("server.workers", 1)
        .open_files(64)
        .start();
    let mut client = server.client();
    client.assert_alive();
    assert!(!is_served(&mut server.client()));
    client.assert_alive();
    drop(client);
    eventually("the place is free", || is_served(&mut server.client()));
}
