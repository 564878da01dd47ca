//! TLS (`tls.listen`) as clients of others see it: `openssl s_client`, `curl` and Python's `ssl`.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::foreign::{Authority, Certificate, Python, run, text};
use crate::support::{Queue, READ_TIMEOUT, Request, Server, Settings, eventually, get, post};

/// As Python names them.
pub(crate) const VERSIONS: [&str; 2] = ["TLSv1_2", "TLSv1_3"];

/// `alice:secret`, whose every queue here is.
const LOGIN: &str = "Basic YWxpY2U6c2VjcmV0";

/// A server that also speaks TLS, with a certificate of an authority of its own.
pub(crate) struct Secured {
    pub(crate) server: Server,
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
}

impl Secured {
    pub(crate) fn new() -> Self {
        Self::with(Settings::new())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let authority = Authority::new();
        let certificate = authority.sign("server");
        let server = serving(settings, &certificate).start();
        Self {
            address: address_of(&server),
            server,
            authority,
        }
    }

    #[track_caller]
    pub(crate) fn connect(&self, version: &str) -> Python {
        Python::connect(self.address, &self.authority, version)
    }

    /// What `openssl s_client` and the server say, the latter's answers to this input included.
    pub(crate) fn s_client(&self, options: &[&str], input: &[u8]) -> String {
        let (address, authority) = (self.address.to_string(), self.authority.certificate());
        let mut arguments = vec![
            "s_client",
            "-connect",
            &address,
            "-CAfile",
            text(&authority),
        ];
        arguments.extend([
            "-verify_return_error",
            "-servername",
            "localhost",
            "-ign_eof",
        ]);
        arguments.extend(options);
        let output = run("openssl", &arguments, input);
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// How often it has refused something for the sake of that limit.
    #[track_caller]
    pub(crate) fn refused(&self, limit: &str) -> u64 {
        let answer = self.server.client().call(&get("/")).json();
        answer["refused"][limit].as_u64().unwrap_or(0)
    }
}

/// With this certificate, on a port of its own.
pub(crate) fn serving(settings: Settings, certificate: &Certificate) -> Settings {
    settings
        .set("tls.listen", "127.0.0.1:0")
        .set("tls.cert", text(&certificate.chain))
        .set("tls.key", text(&certificate.key))
}

/// Where it speaks TLS.
#[track_caller]
pub(crate) fn address_of(server: &Server) -> SocketAddr {
    let (_, rest) = server.ready_line.split_once("https://").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// The one that most tests share.
fn shared() -> impl Deref<Target = Secured> {
    static SECURED: LazyLock<Secured> =
        LazyLock::new(|| Secured::with(Settings::new().set("server.workers", 2)));
    &*SECURED
}

/// A new secured queue of alice.
#[track_caller]
pub(crate) fn secured_queue(client: &mut Python) -> Queue {
    let queue = Queue::fresh();
    let new = json!({"queue": queue.id, "user": "alice", "password": "secret"});
    client.call(&post("/queue", &new));
    queue
}

pub(crate) fn push(queue: &Queue, payload: &str) -> Request {
    let body = json!({"payload": payload, "priority": "H", "queue": [{"id": queue.id}]});
    post(queue.push_path(), &body)
}

pub(crate) fn pop(queue: &Queue, parameters: &Value) -> Request {
    post(queue.route("pop"), parameters).header("Authorization", LOGIN)
}

#[track_caller]
pub(crate) fn await_blocked(client: &mut Python, queue: &Queue, is_blocked: bool) {
    let info = get(queue.path()).header("Authorization", LOGIN);
    eventually(&format!("blocked is {is_blocked}"), || {
        client.call(&info)["blocked"] == json!(is_blocked)
    });
}

fn closing(request: Request) -> Request {
    request.header("Connection", "close")
}

#[test]
fn openssl_verifies_pushes_and_pops() {
    let secured = shared();
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let q = secured_queue(&mut secured.connect("TLSv1_3"));
        let mut requests = push(&q, "of openssl").bytes("localhost");
        requests.extend(closing(pop(&q, &json!({}))).bytes("localhost"));
        let said = secured.s_client(&[option, "-alpn", "h2,http/1.1"], &requests);
        for expected in [
            "Verify return code: 0 (ok)",
            "ALPN protocol: http/1.1",
            &format!("New, {version}, "),
            r#""data":["of openssl"]"#,
        ] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
        assert!(!said.contains("unexpected eof"), "{said}");
    }
}

#[test]
fn curl_pushes_and_pops() {
    let secured = shared();
    let authority = secured.authority.certificate();
    let url = format!("https://localhost:{}", secured.address.port());
    for version in ["1.2", "1.3"] {
        let least = format!("--tlsv{version}");
        let curl = |path: &str, body: &Value| {
            let (url, body) = (format!("{url}{path}"), body.to_string());
            let arguments = [
                "--silent",
                "--show-error",
                "--ipv4",
                "--cacert",
                text(&authority),
                &least,
                "--tls-max",
                version,
                "--user",
                "alice:secret",
                "--header",
                "Content-Type: application/json",
                "--header",
                "Connection: close",
                "--data",
                &body,
                "--write-out",
                " HTTP/%{http_version} %{http_code}",
                &url,
            ];
            let output = run("curl", &arguments, b"");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let q = Queue::fresh();
        let new = json!({"queue": q.id, "user": "alice", "password": "secret"});
        assert_eq!(curl("/queue", &new), r#"{"ok":true} HTTP/1.1 200"#);
        let body = json!({"payload": "of curl", "priority": "H", "queue": [{"id": q.id}]});
        let pushed = curl("/trans", &body);
        assert!(pushed.ends_with(" HTTP/1.1 200"), "{pushed}");
        let popped = curl(&q.route("pop"), &json!({}));
        assert!(popped.contains(r#""data":["of curl"]"#), "{popped}");
    }
}

#[test]
fn python_pushes_to_a_long_poll() {
    let secured = shared();
    for (version, name) in VERSIONS.into_iter().zip(["TLSv1.2", "TLSv1.3"]) {
        let mut waiting = Python::begin(secured.address, &secured.authority, version);
        let session = waiting.session();
        assert_eq!(session["version"], name);
        assert_eq!(session["alpn"], "http/1.1");
        let mut client = secured.connect(version);
        let q = secured_queue(&mut client);
        waiting.send(&pop(&q, &json!({"timeout": 60})));
        await_blocked(&mut client, &q, true);
        client.call(&push(&q, "of python"));
        let popped = waiting.receive();
        let body: Value = serde_json::from_str(popped["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["data"], json!(["of python"]));
    }
}

#[test]
fn sessions_are_resumed() {
    let secured = shared();
    let request = closing(get("/")).bytes("localhost");
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let session = secured.authority.path(&format!("session{option}"));
        let first = secured.s_client(&[option, "-sess_out", text(&session)], &request);
        assert!(first.contains(&format!("New, {version}")), "{first}");
        let second = secured.s_client(&[option, "-sess_in", text(&session)], &request);
        assert!(second.contains(&format!("Reused, {version}")), "{second}");
        assert!(second.contains(r#""name":"popbox""#), "{second}");
    }
}

#[test]
fn payloads_as_large_as_may_be_go_both_ways() {
    let secured = shared();
    let payload = "x".repeat(1 << 20);
    for version in VERSIONS {
        let mut client = secured.connect(version);
        let q = secured_queue(&mut client);
        client.call(&push(&q, &payload));
        let popped = client.call(&pop(&q, &json!({})));
        assert!(popped["data"] == json!([payload]), "another payload");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let secured = shared();
    for version in VERSIONS {
        let mut client = secured.connect(version);
        let q = secured_queue(&mut client);
        let mut requests = Vec::new();
        for number in 0..100 {
            requests.extend(push(&q, &number.to_string()).bytes("localhost"));
            requests.extend(pop(&q, &json!({"max": 1})).bytes("localhost"));
        }
        client.send_raw(&requests);
        for number in 0..100 {
            assert_eq!(client.receive()["status"], 200);
            let popped = client.receive();
            let expected = format!("[\"{number}\"]");
            let body = popped["body"].as_str().unwrap();
            assert!(body.contains(&expected), "{expected}: {body}");
        }
    }
}

/// The answer is larger than all buffers on the way, and its end is announced all the same.
#[test]
fn a_slow_reader_gets_everything_and_the_announcement_of_the_end() {
    let secured = shared();
    for version in VERSIONS {
        let mut client = secured.connect(version);
        let q = secured_queue(&mut client);
        let payloads: Vec<String> = ('a'..='i')
            .map(|letter| letter.to_string().repeat(1_000_000))
            .collect();
        for payload in &payloads {
            client.call(&push(&q, payload));
        }
        let mut slow = secured.connect(version);
        slow.send(&closing(pop(&q, &json!({}))));
        let order = json!({"do": "receive", "piece": 64 << 10, "pause_s": 0.005});
        let answer = slow.order(&order);
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert!(body["data"] == json!(payloads), "other payloads");
        slow.assert_end_is_announced(version);
    }
}

#[test]
fn a_client_that_leaves_a_blocked_pop_costs_no_message() {
    let secured = shared();
    for version in VERSIONS {
        let mut client = secured.connect(version);
        for deed in ["close", "cut", "reset"] {
            let q = secured_queue(&mut client);
            let mut leaving = secured.connect(version);
            leaving.send(&pop(&q, &json!({"timeout": 60})));
            await_blocked(&mut client, &q, true);
            let left = leaving.order(&json!({"do": deed}));
            assert!(left.get("error").is_none(), "{version} {deed}: {left}");
            await_blocked(&mut client, &q, false);
            client.call(&push(&q, "kept"));
            let popped = client.call(&pop(&q, &json!({"timeout": 60})));
            assert_eq!(popped["data"], json!(["kept"]), "{version} {deed}");
        }
    }
}

#[test]
fn the_end_is_announced_wherever_the_server_ends_a_connection() {
    let settings = Settings::new()
        .set("limits.keep_alive", "1s")
        .set("limits.head_timeout", "500ms")
        .set("limits.body_timeout", "500ms");
    let secured = Secured::with(settings);
    let head = "POST /trans HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
    let late = format!("{head}Content-Length: 9\r\n\r\n{{");
    let large = format!(
        "{head}Content-Length: 99999999\r\n\r\n{}",
        "x".repeat(100_000)
    );
    let cases = [
        (
            "Connection: close",
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            "200",
        ),
        ("HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "200"),
        ("what is no request", "nonsense\r\n\r\n", "400"),
        ("a late head", "GET / HTTP/1.1\r\n", "408"),
        ("a late body", &late, "408"),
        ("a body too large, some of which is there", &large, "413"),
        ("nothing asked in time", "", ""),
        (
            "nothing more asked in time",
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "200",
        ),
    ];
    for version in VERSIONS {
        for (what, request, status) in cases {
            let mut client = secured.connect(version);
            client.send_raw(request.as_bytes());
            let end = client.order(&json!({"do": "end"}));
            assert_eq!(end["end"], "announced", "{version}, {what}: {end}");
            let rest = end["rest"].as_str().unwrap();
            assert_eq!(
                rest.get(9..12).unwrap_or_default(),
                status,
                "{what}: {rest}"
            );
        }
    }
}

#[test]
fn the_end_is_announced_as_the_server_drains() {
    for version in VERSIONS {
        let secured = Secured::new();
        let mut client = secured.connect(version);
        let q = secured_queue(&mut client);
        let mut idle = secured.connect(version);
        let mut waiting = secured.connect(version);
        waiting.send(&pop(&q, &json!({"timeout": 60})));
        await_blocked(&mut client, &q, true);
        let mut stream = secured.connect(version);
        let streamed = secured_queue(&mut client);
        let login = ("Authorization", LOGIN);
        stream.send(&post(streamed.route("subscribe"), &json!({})).header(login.0, login.1));
        await_blocked(&mut client, &streamed, true);
        secured.server.signal(libc::SIGTERM);
        assert_eq!(waiting.receive()["status"], 200);
        waiting.assert_end_is_announced("a blocked pop");
        stream.assert_end_is_announced("a stream");
        idle.assert_end_is_announced("an idle connection");
        client.assert_end_is_announced("one that was used");
        let status = secured.server.exit_within(READ_TIMEOUT);
        assert!(status.success(), "{status}");
    }
}

/// Its own announcement is answered by the server's, whatever comes at the same time.
#[test]
fn a_client_that_announces_its_end_is_answered() {
    let secured = shared();
    for version in VERSIONS {
        let mut client = secured.connect(version);
        let q = secured_queue(&mut client);
        let mut leaving = secured.connect(version);
        leaving.send(&pop(&q, &json!({"timeout": 60})));
        await_blocked(&mut client, &q, true);
        // Which of the two the server sees first is open; the message is not lost in either case.
        leaving.give(&json!({"do": "close"}));
        client.call(&push(&q, "kept"));
        let left = leaving.answer();
        if left["end"] == "announced" {
            let popped = client.call(&pop(&q, &json!({"timeout": 60})));
            assert_eq!(popped["data"], json!(["kept"]));
        } else {
            // The answer with the message was on its way to one who no longer wanted it.
            let error = left["error"].as_str().unwrap();
            assert!(
                error.contains("application data after close notify"),
                "{left}"
            );
        }
    }
}
