//! Who may do what, by the users of the configuration.

use std::env;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;

use crate::support::{
    Client, Layout, Queue, Request, Response, Server, Settings, credentials, delete, get, post,
    put, unique,
};

/// Everybody of these tests, by name; the password of each is `password`.
const USERS: [(&str, &str); 5] = [
    ("producer", r#"roles = ["producer"]"#),
    ("inspector", r#"roles = ["inspector"]"#),
    ("operator", r#"roles = ["operator"]"#),
    ("both", r#"roles = ["producer", "inspector"]"#),
    (
        "confined",
        r#"roles = ["operator"], tenants = ["one", "two"]"#,
    ),
];

fn settings() -> Settings {
    /// They take a slow hash each, so all tests have the same.
    static AUTH: LazyLock<[String; 2]> = LazyLock::new(|| {
        let users = USERS.map(|(name, rights)| {
            let credentials = credentials(name, "password");
            format!("{{credentials = {credentials:?}, {rights}}}")
        });
        let users = format!("[{}]", users.join(", "));
        [users, credentials("root", "password")]
    });
    let [users, admin] = &*AUTH;
    Settings::new()
        .with_tls()
        .set("auth.users", users)
        .set("auth.admin", admin)
        .set("auth.max_failures", 1_000_000)
}

/// Through the plain listener, or the one with TLS.
fn connect(server: &Server, is_secured: bool) -> Client {
    if is_secured {
        server.secured_client()
    } else {
        server.client()
    }
}

#[track_caller]
fn assert_forbidden(response: &Response) {
    response.assert_errors(403, &["not allowed to this user"]);
}

/// What there is to be done something with, and what is done if somebody may.
struct Deeds {
    q: Queue,
    id: String,
    group: String,
    list: Vec<(Request, &'static [&'static str])>,
}

const WRITERS: &[&str] = &["producer", "both", "operator", "root"];
const READERS: &[&str] = &["producer", "inspector", "both", "operator", "root"];
const INSPECTORS: &[&str] = &["inspector", "both", "operator", "root"];
const OPERATORS: &[&str] = &["operator", "root"];

impl Deeds {
    /// In the order in which one does not spoil the next.
    fn new(root: &mut Client, is_secured: bool) -> Self {
        let q = Queue::fresh();
        let id = root.push(&q, "p");
        let (group, other) = (unique("g"), unique("g"));
        let stored = json!({"name": group, "queues": ["a"]});
        root.call(&post("/group", &stored)).assert_json_head(200);

        let trans = format!("/trans/{id}");
        let push = json!({"payload": "p", "priority": "L", "queue": [{"id": Queue::fresh().id}]});
        let at_group = format!("/group/{group}");
        let mut list = vec![
            (post("/trans", &push), WRITERS),
            (get(&trans), READERS),
            (get(format!("{trans}?queues=All")), READERS),
            (get(&trans).header("Accept", "text/html"), READERS),
            (get(format!("{trans}/state")), READERS),
            (get(format!("{trans}/state/Pending")), READERS),
            (put(&trans, &json!({"payload": "changed"})), WRITERS),
            (delete(&trans), WRITERS),
            (
                post("/group", &json!({"name": other, "queues": ["b"]})),
                WRITERS,
            ),
            (get(&at_group), READERS),
            (put(&at_group, &json!({"queuesToAdd": ["b"]})), WRITERS),
            (delete(&at_group), WRITERS),
        ];
        if is_secured {
            let made = json!({"queue": q.id, "user": "al", "password": "open-sesame"});
            list.push((post("/queue", &made), OPERATORS));
        } else {
            list.extend([
                (get(q.path()), READERS),
                (get(q.path()).header("Accept", "text/html"), READERS),
                (get(q.route("dead")), INSPECTORS),
                (post(q.route("dead/redrive"), &json!({})), OPERATORS),
                (delete(q.route("dead")), OPERATORS),
            ]);
        }
        Self { q, id, group, list }
    }

    /// Fails if anything was done.
    #[track_caller]
    fn assert_undone(&self, root: &mut Client, is_secured: bool) {
        assert_eq!(root.state(&self.id), json!({&self.q.id: "Pending"}));
        assert_eq!(root.transaction(&self.id)["payload"], json!("p"));
        let group = root.call(&get(format!("/group/{}", self.group)));
        assert_eq!(group.json()["queues"], json!(["a"]));
        if is_secured {
            root.call(&get(self.q.path()))
                .assert_asks_for_login(500, "ERROR: Secure Queue does not exist");
        }
    }
}

#[test]
fn each_role_is_for_what_it_is_for_and_nothing_else() {
    let server = settings().start();
    for is_secured in [false, true] {
        let mut root = connect(&server, is_secured).login("root", "password");
        for name in ["producer", "inspector", "operator", "both", "root"] {
            let deeds = Deeds::new(&mut root, is_secured);
            let mut client = connect(&server, is_secured).login(name, "password");
            let (allowed, refused): (Vec<_>, Vec<_>) =
                deeds.list.iter().partition(|it| it.1.contains(&name));
            for (request, _) in refused {
                assert_forbidden(&client.call(request));
            }
            deeds.assert_undone(&mut root, is_secured);
            for (request, _) in allowed {
                let response = client.call(request);
                assert_eq!(response.status, 200, "{name}: {request:?}: {response:?}");
            }
        }
    }
}

#[test]
fn what_has_a_role_is_not_for_those_who_have_no_right_login() {
    let server = settings().start();
    for is_secured in [false, true] {
        let mut root = connect(&server, is_secured).login("root", "password");
        let deeds = Deeds::new(&mut root, is_secured);
        let own = Queue::fresh();
        let mut owner = server.secured_client().login("root", "password");
        owner.secure(&own, "al", "open-sesame");
        let mut client = connect(&server, is_secured);
        for (request, _) in &deeds.list {
            client.call(request).assert_unauthorized();
        }
        // A wrong password, nobody, and the user of a queue.
        for (user, password) in [
            ("operator", "wrong"),
            ("nobody", "password"),
            ("root", ""),
            ("al", "open-sesame"),
        ] {
            for (request, _) in &deeds.list {
                client
                    .call(&request.clone().login(user, password))
                    .assert_unauthorized();
            }
        }
        deeds.assert_undone(&mut root, is_secured);
    }
}

#[test]
fn taking_from_a_plain_queue_needs_no_login_and_looks_at_none() {
    let server = settings().start();
    let mut producer = server.client().login("producer", "password");
    let q = Queue::fresh();
    for mut client in [server.client(), server.client().login("nobody", "wrong")] {
        assert_eq!(client.call(&get("/")).status, 200);
        let id = producer.push(&q, "a");
        assert_eq!(client.peek(&q).data, ["a"]);
        assert_eq!(client.poprel(&q, &json!({"timeoutACK": 100})).data, ["a"]);
        assert_eq!(client.ack(&q, &[&id]), json!([{"err": null, "data": id}]));
        producer.push(&q, "b");
        assert_eq!(client.pop(&q, &json!({})).data, ["b"]);
        for route in ["subscribe", "subscriberel"] {
            let mut stream = server.client();
            stream.subscribe(&q, route, &json!({}));
            producer.push(&q, "c");
            let (payload, id) = stream.next_message();
            assert_eq!(payload, "c");
            client.ack(&q, &[&id]);
            drop(stream);
            producer.await_blocked(&q, false);
        }
    }
}

#[test]
fn at_a_secured_queue_a_role_is_a_wrong_login() {
    let server = settings().start();
    let q = Queue::fresh();
    let mut operator = server.secured_client().login("operator", "password");
    operator.secure(&q, "al", "open-sesame");
    operator.push(&q, "p");
    for (name, _) in USERS {
        for request in [
            get(q.route("peek")),
            get(q.path()),
            get(q.route("dead")),
            post(q.route("pop"), &json!({"timeout": 1})),
        ] {
            let mut client = server.secured_client().login(name, "password");
            client.call(&request).assert_unauthorized();
        }
    }
    for (user, password) in [("al", "open-sesame"), ("root", "password")] {
        let mut client = server.secured_client().login(user, password);
        assert_eq!(client.peek(&q).data, ["p"]);
    }
}

#[test]
fn who_may_not_do_something_is_not_told_what_is_wrong_with_it() {
    let server = settings().start();
    let mut client = server.client();
    for bad in [
        post("/trans", &json!({})),
        Request::new("POST", "/trans").body("{"),
        put("/trans/unknown", &json!({"expirationDate": -1})),
        post("/group", &json!([])),
    ] {
        client.call(&bad).assert_unauthorized();
        assert_forbidden(&client.call(&bad.clone().login("inspector", "password")));
        client
            .call(&bad.login("producer", "password"))
            .assert_some_error(400);
    }
    client
        .call(&get("/nowhere"))
        .assert_errors(404, &["not found"]);
    client
        .call(&put("/trans", &json!({})))
        .assert_errors(405, &["method not allowed"]);
    let long = get(format!("/group/{}", "x".repeat(1025)));
    client.call(&long).assert_some_error(400);
}

#[test]
fn whoever_is_confined_to_tenants_reaches_nothing_of_others() {
    let server = settings().start();
    for is_secured in [false, true] {
        let mut root = connect(&server, is_secured).login("root", "password");
        let mut client = connect(&server, is_secured).login("confined", "password");
        for (tenant, is_own) in [
            (Some("one"), true),
            (Some("two"), true),
            (Some("three"), false),
            (Some("One"), false),
            (None, false),
        ] {
            let q = match tenant {
                Some(tenant) => Queue::of(tenant, unique("q")),
                None => Queue::fresh(),
            };
            let org = tenant.map_or_else(String::new, |tenant| format!("/org/{tenant}"));
            let id = root.push(&q, "p");
            let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}]});
            let group = unique("g");
            let mut requests = vec![
                post(q.push_path(), &push),
                post(
                    format!("{org}/group"),
                    &json!({"name": group, "queues": ["a"]}),
                ),
                get(format!("{org}/group/{group}")),
                get(format!("{org}/trans/{id}")),
                put(format!("{org}/trans/{id}"), &json!({"payload": "changed"})),
            ];
            if is_secured {
                let made = json!({"queue": q.id, "user": "al", "password": "open-sesame"});
                requests.push(post(q.secure_path(), &made));
            } else {
                requests.extend([get(q.path()), get(q.route("dead"))]);
            }
            for request in requests {
                let response = client.call(&request);
                if is_own {
                    assert_eq!(response.status, 200, "{tenant:?}: {response:?}");
                } else {
                    assert_forbidden(&response);
                }
            }
        }
    }
}

#[test]
fn a_transaction_is_its_queues_tenants_whatever_path_it_is_reached_by() {
    let server = settings().start();
    let mut root = server.client().login("root", "password");
    let mut client = server.client().login("confined", "password");
    let [own, other, outside] = [
        Queue::of("one", unique("q")),
        Queue::of("three", unique("q")),
        Queue::fresh(),
    ];
    for (q, is_own) in [(&own, true), (&other, false), (&outside, false)] {
        for path in ["/org/one/trans", "/org/two/trans"] {
            let id = root.push(q, "p");
            for request in [
                get(format!("{path}/{id}")),
                get(format!("{path}/{id}/state")),
                put(format!("{path}/{id}"), &json!({"callback": "http://h/"})),
                delete(format!("{path}/{id}")),
            ] {
                let response = client.call(&request);
                if is_own {
                    assert_eq!(response.status, 200, "{response:?}");
                } else {
                    assert_forbidden(&response);
                }
            }
            let left = if is_own {
                json!({})
            } else {
                json!({&q.id: "Pending"})
            };
            assert_eq!(root.state(&id), left);
        }
        // The path has to be the user's, too.
        let id = root.push(q, "p");
        assert_forbidden(&client.call(&get(format!("/trans/{id}"))));
        assert_forbidden(&client.call(&get(format!("/org/three/trans/{id}"))));
    }
    // One in no queue is no tenant's, and one that is not there nobody's.
    let id = root.push_body(&json!({"payload": "p", "priority": "H", "queue": []}));
    let shown = client.call(&get(format!("/org/one/trans/{id}")));
    assert_eq!(shown.json()["payload"], json!("p"));
    client
        .call(&get("/org/one/trans/unknown"))
        .assert_is(200, "{}");
}

#[test]
fn an_empty_tenant_stands_for_the_paths_of_none() {
    let user = credentials("u", "password");
    let users = format!(r#"[{{credentials = {user:?}, roles = ["producer"], tenants = [""]}}]"#);
    let server = Settings::new().set("auth.users", users).start();
    let mut client = server.client().login("u", "password");
    let q = Queue::fresh();
    let id = client.push(&q, "p");
    assert_eq!(client.transaction(&id)["payload"], json!("p"));
    let tenants = get(Queue::of("one", &q.id).path());
    assert_forbidden(&client.call(&tenants));
}

#[test]
fn failed_logins_to_what_has_roles_are_limited_together() {
    let server = settings().set("auth.max_failures", 3).start();
    let mut producer = server.client().login("producer", "password");
    let look = get("/trans/unknown");
    producer.call(&look).assert_is(200, "{}");
    let mut client = server.client();
    for user in ["producer", "root", "nobody"] {
        client
            .call(&look.clone().login(user, "wrong"))
            .assert_unauthorized();
    }
    for (user, password) in [("operator", "password"), ("other", "wrong")] {
        let limited = client.call(&look.clone().login(user, password));
        limited.assert_errors(
            429,
            &["too many failed logins: auth.max_failures is reached"],
        );
        assert!(limited.header("retry-after").is_some(), "{limited:?}");
    }
    producer.call(&look).assert_is(200, "{}");
    client.call(&look).assert_unauthorized();
}

fn making(queue: &Queue) -> Request {
    let body = json!({"queue": queue.id, "user": "al", "password": "open-sesame"});
    post(queue.secure_path(), &body)
}

#[test]
fn secured_queues_may_be_the_admins_to_make() {
    let admins = |settings: Settings| settings.set("auth.create_queues", "admin").start();
    let without_users = settings().set("auth.users", "[]");
    for server in [admins(without_users), admins(settings())] {
        for q in [Queue::fresh(), Queue::of("one", unique("q"))] {
            let mut client = server.secured_client();
            client.call(&making(&q)).assert_unauthorized();
            client
                .call(&making(&q).login("root", "wrong"))
                .assert_unauthorized();
            for (name, _) in USERS {
                let response = client.call(&making(&q).login(name, "password"));
                assert!([401, 403].contains(&response.status), "{response:?}");
            }
            client
                .login("root", "password")
                .secure(&q, "al", "open-sesame");
        }
    }
}

#[test]
fn without_an_admin_in_the_configuration_nobody_is_it() {
    let server = Settings::new()
        .with_tls()
        .set("auth.create_queues", "admin")
        .start();
    let mut client = server.secured_client();
    for (user, password) in [
        ("", ""),
        ("admin", "admin"),
        ("root", "password"),
        ("nobody", ""),
    ] {
        let made = making(&Queue::fresh()).login(user, password);
        client.call(&made).assert_unauthorized();
    }
}

const OPEN: &str = "whoever reaches server.listen may push, pop and delete";
const PASSWORDS: &str = "passwords of auth.users come over server.listen as they are";
const MAKING: &str = "whoever reaches tls.listen may push, and make secured queues";

#[test]
fn what_strangers_may_do_is_said_at_the_start() {
    // Without a network, so that nobody reaches what is open here.
    let apart = ["--net", "--map-root-user"];
    let can = Command::new("unshare").args(apart).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        println!("skipped: no network namespace can be made here");
        return;
    }
    let user = credentials("u", "password");
    let users = &*format!(r#"auth.users=[{{credentials = {user:?}, roles = ["producer"]}}]"#);
    let anywhere = "server.listen=0.0.0.0:0";
    let tls = "tls.listen=[::]:0";
    for (set, expected) in [
        (&[][..], &[][..]),
        (&[users], &[]),
        (&[anywhere], &[OPEN]),
        (&[anywhere, users], &[PASSWORDS]),
        (&[tls], &[MAKING]),
        (&[tls, users], &[]),
        (&[tls, "auth.create_queues=admin"], &[]),
        (&[anywhere, tls], &[OPEN, MAKING]),
    ] {
        let Some(layout) = Layout::fresh_embedded() else {
            return;
        };
        let popbox = Settings::on(&layout).with_tls().command();
        let mut command = Command::new("unshare");
        command
            .args(apart)
            .arg(popbox.get_program())
            .args(popbox.get_args())
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)));
        for setting in set {
            command.args(["--set", setting]);
        }
        let server = Server::run(command, layout).expect("a start");
        server.signal(libc::SIGTERM);
        server.exit_within(Duration::from_secs(20));
        let log = server.stderr();
        for warning in [OPEN, PASSWORDS, MAKING] {
            let is_expected = expected.contains(&warning);
            assert_eq!(log.contains(warning), is_expected, "{set:?}\n{log}");
        }
    }
}
