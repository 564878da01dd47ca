//! Other servers than popbox can be given the same load, where they are installed.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long a server may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// A running server, which ends with the test.
struct Peer {
    url: String,
    processes: Vec<Child>,
    /// What it needs on the disk.
    _folder: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts a program and waits until it listens at `port`; none if it is not installed.
fn start(program: &str, arguments: &[&str], port: u16) -> Option<Child> {
    let mut command = Command::new(program);
    command.args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut process) = command.spawn() else {
        println!("skipped: there is no {program}");
        return None;
    };
    let give_up_at = Instant::now() + START_MAX;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = process.try_wait().unwrap();
        assert!(ended.is_none(), "{program} has ended: {ended:?}");
        assert!(Instant::now() < give_up_at, "{program} does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    Some(process)
}

fn redis(port: u16, folder: &Path) -> Option<Child> {
    let (port_text, folder) = (port.to_string(), folder.to_str().unwrap());
    let arguments = ["--port", &port_text, "--save", "", "--dir", folder];
    start("redis-server", &arguments, port)
}

fn plain_redis() -> Option<Peer> {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    Some(Peer {
        url: format!("redis://127.0.0.1:{port}"),
        processes: vec![redis(port, folder.path())?],
        _folder: folder,
    })
}

fn beanstalkd() -> Option<Peer> {
    let port = free_port();
    let arguments = ["-l", "127.0.0.1", "-p", &port.to_string()];
    Some(Peer {
        url: format!("beanstalk://127.0.0.1:{port}"),
        processes: vec![start("beanstalkd", &arguments, port)?],
        _folder: tempfile::tempdir().unwrap(),
    })
}

fn webdis() -> Option<Peer> {
    let (folder, port, redis_port) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    let settings = serde_json::json!({
        "redis_host": "127.0.0.1", "redis_port": redis_port, "http_host": "127.0.0.1", "http_port": port,
        "threads": 1, "daemonize": false, "database": 0, "verbosity": 0, "logfile": folder.path().join("log"),
    });
    let path = folder.path().join("webdis.json");
    fs::write(&path, settings.to_string()).unwrap();
    let redis = redis(redis_port, folder.path())?;
    let mut peer = Peer {
        url: format!("webdis://127.0.0.1:{port}"),
        processes: vec![redis],
        _folder: folder,
    };
    let webdis = start("webdis", &[path.to_str().unwrap()], port)?;
    peer.processes.push(webdis);
    Some(peer)
}

const NCHAN_MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

fn nchan() -> Option<Peer> {
    if !Path::new(NCHAN_MODULE).exists() {
        println!("skipped: there is no {NCHAN_MODULE}");
        return None;
    }
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let home = folder.path().to_str().unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {home}/{kind};"))
        .concat();
    let settings = format!(
        "load_module {NCHAN_MODULE}; daemon off; pid {home}/pid; master_process off;
         events {{ worker_connections 500; }}
         http {{
           access_log off; keepalive_requests 1000000000; {temporary}
           server {{
             listen 127.0.0.1:{port};
             location ~ ^/pub/(.+)$ {{ nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 100000; }}
             location ~ ^/sub/(.+)$ {{
               nchan_subscriber longpoll; nchan_channel_id $1; nchan_subscriber_first_message oldest;
             }}
           }}
         }}"
    );
    let path = folder.path().join("nginx.conf");
    fs::write(&path, settings).unwrap();
    let arguments = ["-e", "stderr", "-p", home, "-c", path.to_str().unwrap()];
    Some(Peer {
        url: format!("nchan://127.0.0.1:{port}"),
        processes: vec![start("nginx", &arguments, port)?],
        _folder: folder,
    })
}

fn run(peer: &Peer, line: &str) -> Value {
    let json = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_popbox-loadtest"))
        .args(line.split_whitespace())
        .args(["--target", &peer.url, "--json"])
        .arg(json.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}, {line}: {output:?}", peer.url);
    serde_json::from_str(&fs::read_to_string(json.path()).unwrap()).unwrap()
}

const WAKE: &str = "wake --waiters 20 --rate 200 --pushers 3 --warmup 100ms --duration 400ms --settle 100ms --seed 5";
const PAIR: &str = "pair --connections 4 --warmup 0 --duration 200ms";
const PUSH: &str = "push --connections 4 --queues 3 --warmup 0 --duration 200ms";

fn can_be_woken(peer: &Peer) {
    let report = run(peer, WAKE);
    assert_eq!(report["pushed"], 100, "{}", peer.url);
    assert_eq!(report["received"], 100, "{}", peer.url);
    assert_eq!(report["duplicated"], 0, "{}", peer.url);
    run(peer, "hold --waiters 20 --warmup 0 --duration 200ms");
}

fn can_be_pushed_to(peer: &Peer) {
    let report = run(peer, PUSH);
    assert!(report["pushed"].as_u64().unwrap() > 4, "{report}");
    let report = run(peer, PAIR);
    assert_eq!(report["pushed"], report["received"], "{}", peer.url);
    assert!(report["received"].as_u64().unwrap() > 4, "{report}");
    let report = run(peer, &format!("{PAIR} --depth 5 --prefix deep-"));
    assert_eq!(report["lost"], 0, "in the order in which they were pushed");
    assert_eq!(report["duplicated"], 0, "{}", peer.url);
}

#[test]
fn a_redis_can_be_woken_and_pushed_to() {
    if let Some(peer) = plain_redis() {
        can_be_woken(&peer);
        can_be_pushed_to(&peer);
    }
}

#[test]
fn nchan_can_be_woken_and_pushed_to() {
    if let Some(peer) = nchan() {
        can_be_woken(&peer);
        can_be_pushed_to(&peer);
    }
}

#[test]
fn a_beanstalkd_can_be_woken_and_pushed_to() {
    if let Some(peer) = beanstalkd() {
        can_be_woken(&peer);
        can_be_pushed_to(&peer);
    }
}

#[test]
fn a_webdis_can_be_pushed_to() {
    if let Some(peer) = webdis() {
        can_be_pushed_to(&peer);
    }
}
