//! Each thing that a proxy can do to its wires, between a plain listener and a plain connection.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{Direction, Proxy};

/// For everything that is to come. What is not to come is never waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listener, the proxy to it, and who connects through that.
struct Bench {
    listener: TcpListener,
    proxy: Proxy,
}

impl Bench {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::to(listener.local_addr().unwrap());
        Self { listener, proxy }
    }

    fn dial(&self) -> TcpStream {
        let client = TcpStream::connect(self.proxy.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    fn answer(&self) -> TcpStream {
        let (server, _) = self.listener.accept().unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        server
    }

    /// Both ends of a new connection.
    fn pair(&self) -> (TcpStream, TcpStream) {
        let client = self.dial();
        (client, self.answer())
    }
}

fn send(mut to: &TcpStream, bytes: &[u8]) {
    to.write_all(bytes).unwrap();
}

#[track_caller]
fn assert_comes(mut at: &TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    at.read_exact(&mut got).unwrap();
    assert!(got == bytes);
}

/// Nothing is there at this moment.
#[track_caller]
fn assert_silent(at: &TcpStream) {
    at.set_nonblocking(true).unwrap();
    let peeked = at.peek(&mut [0]);
    assert_eq!(peeked.unwrap_err().kind(), ErrorKind::WouldBlock);
    at.set_nonblocking(false).unwrap();
}

#[track_caller]
fn assert_reset(mut at: &TcpStream) {
    let error = at.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn passes_everything_both_ways_and_each_end_by_itself() {
    let bench = Bench::new();
    let (mut client, mut server) = bench.pair();
    send(&client, b"to the server");
    assert_comes(&server, b"to the server");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    // Far more than the proxy may hold.
    let much = vec![b'm'; 3 << 20];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.write_all(&much).unwrap();
            drop(server);
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert!(got == much);
    });
}

#[test]
fn a_cut_ends_connections_and_refuses_new_ones_until_healed() {
    let bench = Bench::new();
    let (mut client, mut server) = bench.pair();
    assert_eq!(bench.proxy.link_count(), 1);
    bench.proxy.cut();
    assert_eq!(bench.proxy.link_count(), 0);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    let refused = TcpStream::connect(bench.proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    bench.proxy.heal();
    let (client, server) = bench.pair();
    send(&client, b"again");
    assert_comes(&server, b"again");
}

#[test]
fn resets_in_the_middle_of_an_answer_and_only_once() {
    let bench = Bench::new();
    let (client, server) = bench.pair();
    send(&server, b"before");
    assert_comes(&client, b"before");
    bench.proxy.reset_after(7);
    send(&server, b"the answer");
    assert_comes(&client, b"the ans");
    assert_reset(&client);
    assert_reset(&server);
    let (client, server) = bench.pair();
    send(&server, b"the whole answer");
    assert_comes(&client, b"the whole answer");
    bench.proxy.reset();
    assert_reset(&client);
    assert_reset(&server);
}

#[test]
fn one_direction_stalls_while_the_other_flows() {
    let bench = Bench::new();
    let (client, server) = bench.pair();
    for (stalled, deaf, heard) in [
        (Direction::ToClient, &client, &server),
        (Direction::ToServer, &server, &client),
    ] {
        bench.proxy.stall(stalled);
        send(heard, b"held");
        send(deaf, b"flows");
        assert_comes(heard, b"flows");
        assert_silent(deaf);
        bench.proxy.heal();
        assert_comes(deaf, b"held");
    }
}

#[test]
fn swallows_new_connections_and_lets_old_ones_be() {
    let bench = Bench::new();
    let (old_client, old_server) = bench.pair();
    bench.proxy.swallow_new();
    let client = bench.dial();
    send(&client, b"anybody there?");
    send(&old_client, b"flows");
    assert_comes(&old_server, b"flows");
    assert_silent(&client);
    bench.proxy.heal();
    assert_comes(&bench.answer(), b"anybody there?");
}

#[test]
fn delays_and_keeps_the_order() {
    let bench = Bench::new();
    let (client, server) = bench.pair();
    let delay = Duration::from_millis(20);
    bench.proxy.delay(delay);
    let before = std::time::Instant::now();
    let text: Vec<u8> = (0..50_000_u32).flat_map(u32::to_be_bytes).collect();
    send(&client, &text);
    assert_comes(&server, &text);
    // This much holds on however slow a machine.
    assert!(before.elapsed() >= delay);
}

#[test]
fn a_server_that_is_away_resets_who_comes() {
    let Bench { listener, proxy } = Bench::new();
    drop(listener);
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_reset(&client);
}

#[test]
fn ends_its_threads_whatever_they_do() {
    let bench = Bench::new();
    let (client, server) = bench.pair();
    // Nobody reads: the writer is full as well.
    client.set_nonblocking(true).unwrap();
    let piece = vec![0; 64 * 1024];
    while (&client).write(&piece).is_ok() {}
    bench.proxy.stall(Direction::ToClient);
    send(&server, b"held");
    bench.proxy.swallow_new();
    let swallowed = bench.dial();
    // Dropping waits for the threads: a test that comes back has shown that they end.
    drop(bench);
    drop((client, server, swallowed));
}
