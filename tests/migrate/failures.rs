//! What can keep a migration from its work: each is told, with exit code 1, or 2 for wrong arguments.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use super::new::{Migration, Store, popbox};
use super::old::Old;

#[track_caller]
fn assert_fails(migration: &Migration, code: i32, reason: &str) {
    assert_eq!(migration.code, Some(code), "{migration:?}");
    assert!(
        migration.errors.contains(reason),
        "no {reason:?} in {migration:?}"
    );
}

#[test]
fn a_server_that_is_not_there() {
    // Bound, so that nobody else has it, and listened on by nobody.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any_port.into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    let store = Store::new();
    let address = format!("redis://user:secret@127.0.0.1:{port}/2");
    let migration = store.migrate(&["--from", &address]);
    let reason = format!("popbox migrate: redis://127.0.0.1:{port}/2: cannot connect: ");
    assert_fails(&migration, 1, &reason);
    assert!(!migration.errors.contains("secret"), "{migration:?}");
    assert!(!store.path().exists(), "no store was made for nothing");
    let migration = store.migrate(&["--from", "redis://nowhere.invalid"]);
    assert_fails(&migration, 1, "cannot find the host: ");
}

#[test]
fn a_store_in_use() {
    let (old, store) = (Old::start(), Store::embedded());
    let _server = store.serve();
    let migration = store.migrate(&["--from", &old.address()]);
    assert_fails(&migration, 1, "another popbox uses the store");
}

#[test]
fn wrong_arguments() {
    let store = Store::new();
    assert_fails(&store.migrate(&[]), 2, "--from");
    for wrong in [
        "redis://a,http://user:secret@b",
        "redis://a,user:secret@b",
        "redis://a,",
    ] {
        let migration = store.migrate(&["--from", wrong]);
        assert_fails(
            &migration,
            2,
            "--from, address 2: expected redis://[[user]:password@]host[:port][/database]",
        );
        assert!(!migration.errors.contains("secret"), "{migration:?}");
    }
    let migration = store.migrate(&["--from", "redis://a", "--from-transactions", "x"]);
    assert_fails(&migration, 2, "--from-transactions, address 1: expected");
}

#[test]
fn a_wrong_configuration() {
    let store = Store::new();
    let mut command = popbox(&store.path());
    command.args([
        "--set",
        "limits.max_pop=x",
        "migrate",
        "--from",
        "redis://a",
    ]);
    assert_fails(&Migration::of(&mut command), 1, "limits.max_pop = \"x\"");
}
