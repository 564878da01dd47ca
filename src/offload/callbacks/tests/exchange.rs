//! One attempt after another: what is posted, and what counts as an answer.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::offload::callbacks::callback::Callback;
use crate::offload::callbacks::failure::Failure;
use crate::offload::callbacks::resolver::{LOOKUPS_MAX, Resolver};
use crate::offload::callbacks::target::Target;

fn callback(url: &str) -> Callback {
    Callback {
        transaction: id(0),
        queue: queue("q"),
        at: AT,
        target: Arc::new(Target::read(url).unwrap()),
    }
}

#[tokio::test]
async fn a_delivery_is_posted_as_it_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let address = receiver.address;
    let url = format!("http://us%65r:pass@{address}/p%20q?a=\"é\"#f");
    let settings = config::Callbacks {
        secret: Some(config::Secret::new("0123456789abcdef")),
        ..settings()
    };
    let mut pool = Pool::start(folder.path(), settings);
    pool.tell(&delivered(0, &url, &["a\"\n\u{1}é"]));
    let request = receiver.next().await;
    let body = format!(
        "{{\"transaction\":\"00000000-0000-4000-8000-000000000000\",\"queue\":\"a\\\"\\n\\u0001é\",\
         \"state\":\"Delivered\",\"callback\":\"http://us%65r:pass@{address}/p%20q?a=\\\"é\\\"#f\",\
         \"timestamp\":\"2026-11-21T16:33:25.157Z\"}}"
    );
    assert_eq!(request.body, body);
    let signer = signature::Signer::new(&config::Secret::new("0123456789abcdef")).unwrap();
    let expected = format!(
        "POST /p%20q?a=%22%C3%A9%22 HTTP/1.1\r\ncontent-type: application/json\r\n\
         authorization: Basic dXNlcjpwYXNz\r\nx-popbox-signature: {}\r\naccept: */*\r\n\
         user-agent: popbox\r\nhost: {address}\r\ncontent-length: {}\r\n\r\n",
        signer.sign(body.as_bytes()),
        body.len()
    );
    let lines = |head: &str| {
        let mut lines: Vec<_> = head.lines().map(str::to_owned).collect();
        lines[1..].sort();
        lines
    };
    assert_eq!(lines(&request.head), lines(&expected));
    request.answer(OK);
    pool.eventually("it is through", |tally| tally.sent() == 1)
        .await;
    pool.stop().await;
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let mut pool = Pool::start(folder.path(), settings());
    pool.tell(&delivered(0, &receiver.url(), &["a", "b", "c"]));
    for answer in [
        OK,
        "HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    ] {
        let request = receiver.next().await;
        assert_eq!(request.connection, 0);
        let padding = if answer.contains("4096") { 4096 } else { 0 };
        request.answer(&format!("{answer}{}", "x".repeat(padding)));
    }
    let request = receiver.next().await;
    assert_eq!(request.connection, 0);
    assert!(!request.head.contains("signature"), "{}", request.head);
    pool.stop().await;
}

#[tokio::test]
async fn what_fails_is_posted_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let settings = config::Callbacks {
        attempts: 1000,
        timeout: Duration::from_millis(500),
        ..settings()
    };
    let mut pool = Pool::start(folder.path(), settings);
    pool.tell(&delivered(0, &receiver.url(), &["a"]));
    let request = receiver.next().await;
    let body = request.body.clone();
    request.answer("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    let mut again = receiver.next().await;
    assert_eq!(again.body, body, "after a status");
    drop(again);
    again = receiver.next().await;
    assert_eq!(again.body, body, "after a closed connection");
    again.hang().await;
    again = receiver.next().await;
    assert_eq!(again.body, body, "after no answer");
    again.answer("this is not HTTP\r\n\r\n");
    again = receiver.next().await;
    assert_eq!(again.body, body, "after nonsense");
    again.answer(OK);
    pool.eventually("it is through", |tally| tally.sent() == 1)
        .await;
    let tally = pool.stop().await;
    assert!(tally.retried() >= 4, "{tally:?}");
    assert_eq!((tally.failed(), tally.waiting()), (0, 0));
}

#[tokio::test]
async fn a_redirect_is_a_failure_like_others_and_is_given_up_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    let settings = config::Callbacks {
        attempts: 2,
        ..settings()
    };
    let mut pool = Pool::start(folder.path(), settings);
    pool.tell(&delivered(0, &receiver.url(), &["a", "b"]));
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let url = elsewhere.url();
        let answer = format!("HTTP/1.1 {status}\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n");
        receiver.next().await.answer(&answer);
    }
    pool.eventually("both are given up", |tally| tally.failed() == 2)
        .await;
    let tally = pool.stop().await;
    assert_eq!((tally.sent(), tally.retried(), tally.waiting()), (0, 2, 0));
    assert!(elsewhere.is_idle());
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let mut pool = Pool::start(folder.path(), settings());
    pool.tell(&delivered(0, &receiver.url(), &["a"]));
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    receiver.next().await.answer_for_ever(answer).await;
    pool.eventually("its head was enough", |tally| tally.sent() == 1)
        .await;
    pool.stop().await;
}

#[tokio::test]
async fn a_private_address_is_refused_at_once_behind_a_name_too() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let settings = config::Callbacks {
        allow_private: false,
        ..settings()
    };
    let mut pool = Pool::start(folder.path(), settings.clone());
    let port = receiver.address.port();
    for (transaction, host) in [
        (0, "127.0.0.1"),
        (1, "localhost"),
        (2, "[::ffff:127.0.0.1]"),
    ] {
        pool.tell(&delivered(
            transaction,
            &format!("http://{host}:{port}/"),
            &["a"],
        ));
    }
    pool.eventually("all are given up", |tally| tally.failed() == 3)
        .await;
    let tally = pool.stop().await;
    assert_eq!((tally.sent(), tally.retried()), (0, 0));
    assert!(receiver.is_idle());
}

#[tokio::test]
async fn what_cannot_be_looked_up_since_too_much_is_being_is_put_off_and_not_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let settings = config::Callbacks {
        attempts: 1,
        ..settings()
    };
    let resolver = Resolver::new(true);
    let lookups = Arc::clone(&resolver.lookups);
    let all = lookups.acquire_many(LOOKUPS_MAX).await.unwrap();
    let client = Client::with_resolver(&settings, resolver).unwrap();
    let mut pool = Pool::start_with(folder.path(), settings.clone(), client);
    let url = format!("http://localhost:{}/", receiver.address.port());
    pool.tell(&delivered(0, &url, &["a"]));
    pool.eventually("it is put off", |tally| tally.retried() == 1)
        .await;
    let tally = pool.stop().await;
    assert_eq!((tally.failed(), tally.waiting()), (0, 1));
    drop(all);

    let pool = Pool::start(folder.path(), settings);
    receiver.next().await.answer(OK);
    pool.eventually("it is through", |tally| tally.sent() == 1)
        .await;
    pool.stop().await;
}

#[tokio::test]
async fn what_is_said_of_a_failure_names_no_url() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Client::new(&settings()).unwrap();
    let failed = client.post(
        callback(&format!("http://user:pass@{nobody}/secret")),
        false,
    );
    let failure = failed.await.unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("refused"), "{text}");
    assert!(!text.contains("secret") && !text.contains("pass"), "{text}");
}

/// Made with `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=a
/// receiver of callbacks" -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE`.
const SELF_SIGNED: &str = include_str!("self_signed.pem");

#[tokio::test]
async fn a_receiver_that_signed_for_itself_is_not_trusted() {
    let provider = Arc::new(ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(SELF_SIGNED.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(SELF_SIGNED.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(tls)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut received = [0; 1];
        let read = stream.read(&mut received);
        let _ = stream.write_all(OK.as_bytes());
        read.is_ok_and(|count| count > 0)
    });
    let client = Client::new(&settings()).unwrap();
    let posted = client
        .post(callback(&format!("https://{address}/")), false)
        .await;
    let Err(Failure::Exchange(text)) = posted else {
        panic!("{posted:?}");
    };
    assert!(text.contains("UnknownIssuer"), "{text}");
    assert!(!receiver.join().unwrap(), "nothing was told");
}
