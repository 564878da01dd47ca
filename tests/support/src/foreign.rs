//! Clients of others that speak TLS: `openssl`, `curl` and Python's `ssl`; and certificates that `openssl` makes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Request, scratch};

/// After so many seconds a program is ended, so that no test hangs.
const PATIENCE_S: &str = "120";

/// Runs a program with this input to its end.
#[track_caller]
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new("timeout")
        .arg(PATIENCE_S)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    // A program that ends without having read all of it is looked at as any other.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// One who signs certificates, and a folder for what was signed.
pub struct Authority {
    folder: TempDir,
}

/// The files of a certificate.
pub struct Certificate {
    /// The certificate and, behind it, the authority's.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let authority = Self { folder: scratch() };
        authority.make("authority", EC, &["-subj", "/CN=authority"]);
        authority
    }

    /// Its own certificate, which clients are to trust.
    pub fn certificate(&self) -> PathBuf {
        self.path("authority.crt")
    }

    /// Signs a certificate for `localhost` with a key on a curve.
    pub fn sign(&self, name: &str) -> Certificate {
        self.sign_for(name, EC)
    }

    /// The same with a key as the options of `openssl req` say.
    pub fn sign_for(&self, name: &str, kind: &[&str]) -> Certificate {
        let (own, key) = (self.certificate(), self.path("authority.key"));
        let options = [
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-CA",
            text(&own),
            "-CAkey",
            text(&key),
        ];
        self.make(name, kind, &options);
        let chain = self.path(&format!("{name}.chain"));
        let certificates = [self.path(&format!("{name}.crt")), own].map(|it| fs::read(it).unwrap());
        fs::write(&chain, certificates.concat()).unwrap();
        Certificate {
            chain,
            key: self.path(&format!("{name}.key")),
        }
    }

    /// A file of that name in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self, name: &str, kind: &[&str], options: &[&str]) {
        let certificate = self.path(&format!("{name}.crt"));
        let key = self.path(&format!("{name}.key"));
        let mut arguments = vec!["req", "-x509", "-nodes", "-days", "30"];
        arguments.extend(["-out", text(&certificate), "-keyout", text(&key)]);
        arguments.extend(kind);
        arguments.extend(options);
        let made = run("openssl", &arguments, b"");
        assert!(made.status.success(), "openssl {arguments:?}: {made:?}");
    }
}

const EC: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/// A path that is text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A connection of Python's `ssl` (tests/tls/client.py); dropped, it is cut off.
pub struct Python {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Connects, and does not wait for the handshake.
    #[track_caller]
    pub fn begin(address: SocketAddr, authority: &Authority, version: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tls/client.py");
        let mut process = Command::new("python3")
            .args([script, &address.to_string()])
            .arg(authority.certificate())
            .arg(version)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run python3: {error}"));
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut begun = Self {
            process,
            orders,
            answers,
        };
        assert_eq!(begun.answer(), json!({"connected": true}));
        begun
    }

    /// Connects, and shakes hands.
    #[track_caller]
    pub fn connect(address: SocketAddr, authority: &Authority, version: &str) -> Self {
        let mut begun = Self::begin(address, authority, version);
        begun.session();
        begun
    }

    /// Waits for the handshake: what was agreed on.
    #[track_caller]
    pub fn session(&mut self) -> Value {
        let session = self.answer();
        assert!(session["version"].is_string(), "no handshake: {session}");
        session
    }

    /// Sends a request.
    #[track_caller]
    pub fn send(&mut self, request: &Request) {
        self.send_raw(&request.bytes("localhost"));
    }

    /// Sends bytes, which must be text.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).unwrap();
        let sent = self.order(&json!({"do": "send", "text": text}));
        assert_eq!(sent, json!({}));
    }

    /// Waits for the next answer: `status`, `headers` and `body`.
    #[track_caller]
    pub fn receive(&mut self) -> Value {
        let answer = self.order(&json!({"do": "receive"}));
        assert!(answer["status"].is_number(), "no answer: {answer}");
        answer
    }

    /// Sends a request and waits for its answer, which must be a good one: the JSON in its body.
    #[track_caller]
    pub fn call(&mut self, request: &Request) -> Value {
        self.send(request);
        let answer = self.receive();
        assert_eq!(answer["status"], 200, "{answer}");
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    /// Has it do one of the things that it can do; what came of it.
    #[track_caller]
    pub fn order(&mut self, order: &Value) -> Value {
        self.give(order);
        self.answer()
    }

    /// The same without waiting for what comes of it, for which there is [`Self::answer`].
    #[track_caller]
    pub fn give(&mut self, order: &Value) {
        writeln!(self.orders, "{order}").expect("the client is there");
    }

    /// What came of the last order.
    #[track_caller]
    pub fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }

    /// Reads to the end, which must be an announced one.
    #[track_caller]
    pub fn assert_end_is_announced(&mut self, what: &str) {
        let end = self.order(&json!({"do": "end"}));
        assert_eq!(end["end"], "announced", "{what}: {end}");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
