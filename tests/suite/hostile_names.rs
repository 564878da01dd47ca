//! Names that are meant to be taken for others: none reaches what belongs to another name, in whatever store.

use serde_json::{Value, json};

use crate::support::{
    Client, Popped, Queue, RedisReply, Request, Server, Settings, delete, escaped, get, post, put,
    shared, unique,
};

/// What an attacker would like to reach, with the keys that it has in the store.
struct Victim {
    queue: Queue,
    /// Pending in it.
    guard: String,
    /// Borrowed from it.
    lent: String,
    group: String,
    /// By which a push is remembered.
    key: String,
    remembered: String,
    /// Where there are Redis servers: each key's server and content.
    stored: Vec<(usize, String, RedisReply)>,
}

impl Victim {
    fn new(server: &Server, client: &mut Client, queue: Queue) -> Self {
        let (group, key) = (unique("group"), unique("key"));
        let lent = client.push(&queue, "lent");
        client.poprel(&queue, &json!({"timeoutACK": 3600}));
        let guard = client.push(&queue, "guard");
        let members = json!({"name": group, "queues": ["member"]});
        client.call(&post("/group", &members)).assert_json_head(200);
        let response = client.call(&remembered(&key));
        response.assert_json_head(200);
        let remembered = response.json()["data"].as_str().unwrap().to_owned();
        // Whatever else its name has may be encoded there.
        let stem = queue.id.split('/').next().unwrap_or_default();
        let parts = [stem, &guard, &lent, &group, &key];
        let mut stored = Vec::new();
        for (number, redis) in server.layout.redis_servers().iter().enumerate() {
            for name in redis.keys() {
                if parts.iter().any(|part| name.contains(part)) {
                    let content = redis.call(&["DUMP", &name]);
                    stored.push((number, name, content));
                }
            }
        }
        // The queue, a line of it, its times, two records, the group, what is remembered.
        let has_redis = !server.layout.redis_servers().is_empty();
        assert!(!has_redis || stored.len() >= 7, "{stored:?}");
        Self {
            queue,
            guard,
            lent,
            group,
            key,
            remembered,
            stored,
        }
    }

    /// Names that are keys of the store, pieces of them, or what the old server had for keys.
    fn imitations(&self) -> Vec<String> {
        let (id, guard, group, key) = (&self.queue.id, &self.guard, &self.group, &self.key);
        let mut names: Vec<String> = self
            .stored
            .iter()
            .map(|(_, name, _)| name.clone())
            .collect();
        for (_, name, _) in &self.stored {
            let tag = name.split(['{', '}']).nth(1).unwrap_or_default();
            names.extend([tag, tag.get(1..).unwrap_or_default()].map(str::to_owned));
        }
        for behind in ["", ":h", ":l", ":r", ":x", ":t", ":w"] {
            names.push(format!("pb:q:{{p-/{id}}}{behind}"));
        }
        names.extend([
            format!("p-/{id}"),
            format!("/{id}"),
            format!("{{{id}}}"),
            format!("{id}}}:h"),
            format!("{id}}}{{"),
            format!("{id}\0"),
            format!("{id} "),
            format!("{id}/pop"),
            format!("pb:t:{{{guard}}}"),
            format!("pb:t:{{{guard}}}:n"),
            format!("pb:g:{{-/{group}}}"),
            format!("pb:c:{{s-/{id}}}"),
            format!("pb:i:{{p-/{key}}}"),
            format!("PB:Q|H:UNSEC:{id}"),
            format!("PB:B:{id}"),
            format!("PB:T|{guard}:meta"),
            format!("PB:T|{guard}:state"),
            format!("UNSEC:{id}:userInfo"),
            format!("SEC:{id}"),
            guard.clone(),
            group.clone(),
            key.clone(),
        ]);
        names.extend(["pb:due", "pb:workers", "pb:delayed", "pb:delayed:n"].map(str::to_owned));
        // Encoded once more, and once less.
        names.extend([escaped(id), id.replace("%7D", "}")]);
        names.retain(|name| name != id);
        names
    }

    #[track_caller]
    fn assert_untouched(&self, server: &Server, client: &mut Client, by: &str) {
        for (number, name, content) in &self.stored {
            let now = server.layout.redis_servers()[*number].call(&["DUMP", name]);
            assert_eq!(&now, content, "{name} changed by {by:?}");
        }
        let peeked = client.peek(&self.queue);
        assert_eq!(peeked.data, ["guard"], "{by:?}");
        assert_eq!(peeked.transactions, [self.guard.as_str()], "{by:?}");
        let id = &self.queue.id;
        assert_eq!(client.state(&self.guard), json!({id: "Pending"}), "{by:?}");
        assert_eq!(client.state(&self.lent), json!({id: "Blocked"}), "{by:?}");
        client
            .call(&get(format!("/group/{}", self.group)))
            .assert_says(200, &json!({"name": self.group, "queues": ["member"]}));
        client
            .call(&remembered(&self.key))
            .assert_says(200, &json!({"ok": true, "data": self.remembered}));
    }
}

/// A push that is remembered, to no queue.
fn remembered(key: &str) -> Request {
    let body = json!({"payload": "once", "priority": "L", "queue": []});
    post("/trans", &body).header("Idempotency-Key", key)
}

/// Does with a queue whatever can be done with one; what it is asked to do with the victim's ids must fail.
#[track_caller]
fn use_queue(client: &mut Client, queue: &Queue, victim: &Victim) {
    let id = client.push(queue, &queue.id);
    let borrowed = client.poprel(queue, &json!({"timeoutACK": 60}));
    assert_eq!(borrowed.transactions, [id.as_str()], "{queue:?}");
    let ids = json!({"transactions": [victim.guard, victim.lent]});
    client
        .call(&post(queue.route("dead/redrive"), &ids))
        .assert_json_head(200);
    client
        .call(&delete(queue.route("dead")).json(&ids))
        .assert_json_head(200);
    let acked = client.ack(queue, &[&id, &victim.guard, &victim.lent]);
    assert_eq!(acked[0]["err"], Value::Null, "{queue:?}: {acked}");
    for stranger in [1, 2] {
        assert!(acked[stranger]["err"].is_string(), "{queue:?}: {acked}");
    }
    client.push(queue, &queue.id);
    assert_eq!(client.pop(queue, &json!({})).data, [queue.id.as_str()]);
    assert_eq!(client.queue_info(queue)["size"], json!(0), "{queue:?}");
}

fn use_name(client: &mut Client, name: &str, victim: &Victim) {
    use_queue(client, &Queue::named(name), victim);
    use_queue(client, &Queue::of(name, &victim.queue.id), victim);
    use_queue(client, &Queue::of("a:UNSEC", name), victim);
    let ok = json!({"ok": true});
    let path = escaped(name);
    if name != victim.guard && name != victim.lent {
        client
            .call(&get(format!("/trans/{path}")))
            .assert_is(200, "{}");
        client
            .call(&put(format!("/trans/{path}"), &json!({"payload": "evil"})))
            .assert_errors(400, &[&format!("{name} does not exist")]);
        client
            .call(&delete(format!("/trans/{path}")))
            .assert_says(200, &ok);
    }
    if name != victim.group {
        let members = json!({"name": name, "queues": ["evil"]});
        client.call(&post("/group", &members)).assert_json_head(200);
        client
            .call(&put(
                format!("/group/{path}"),
                &json!({"queuesToAdd": ["x"], "queuesToRemove": ["member"]}),
            ))
            .assert_json_head(200);
        client
            .call(&delete(format!("/group/{path}")))
            .assert_json_head(200);
    }
    client
        .call(&delete(format!("/org/{path}/group/{}", victim.group)))
        .assert_json_head(200);
    if name != victim.key && !name.contains('\0') && !name.ends_with(' ') {
        let response = client.call(&remembered(name));
        response.assert_json_head(200);
        assert_ne!(
            response.json()["data"],
            json!(victim.remembered),
            "{name:?}"
        );
    }
}

#[test]
fn a_name_that_is_a_key_of_the_store_reaches_nothing_of_it() {
    let server = Settings::new().start();
    let (mut client, mut waiting) = (server.client(), server.client());
    for queue in [
        Queue::named(unique("victim")),
        Queue::of(&unique("org"), format!("{}/ %7D}}{{x", unique("victim"))),
    ] {
        let victim = Victim::new(&server, &mut client, queue);
        let empty = Queue::named(format!("{}:empty", victim.queue.id));
        waiting.start_pop(&empty);
        client.await_blocked(&empty, true);
        for name in victim.imitations() {
            use_name(&mut client, &name, &victim);
            use_queue(&mut client, &Queue::named(format!("{name}:empty")), &victim);
            victim.assert_untouched(&server, &mut client, &name);
        }
        // Nor was its waiter given anything of theirs.
        client.push(&empty, "its own");
        assert_eq!(Popped::parse(&waiting.receive()).data, ["its own"]);
    }
}

/// Names that look alike, that some file systems and databases hold for equal, or that end early for some.
#[test]
fn names_that_look_alike_are_different_queues() {
    let shared = shared();
    let mut client = shared.client();
    let stem = unique("q");
    let tails = [
        "",
        "\0",
        "\0\0",
        "\0x",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        ".",
        "/",
        "//",
        "\\",
        "%00",
        "%2F",
        "%252F",
        "+",
        "%20",
        "é",
        "e\u{301}",
        "E\u{301}",
        "É",
        "a",
        "а",
        "ａ",
        "\u{aa}",
        "K",
        "\u{212a}",
        "k",
        "ß",
        "ss",
        "ſs",
        "i",
        "ı",
        "İ",
        "i\u{307}",
        "ﬁ",
        "fi",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\u{ad}",
        "\u{202e}",
        "\u{2028}",
        "\u{85}",
        "\u{a0}",
        "\u{3000}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "１",
        "1",
        "Ⅰ",
        "I",
        "l",
        "\u{7f}",
        "\u{1b}[2J",
    ];
    let queues: Vec<Queue> = tails
        .iter()
        .flat_map(|tail| {
            let name = format!("{stem}{tail}");
            [Queue::of(&name, "q"), Queue::named(name)]
        })
        .collect();
    for (number, queue) in queues.iter().enumerate() {
        client.push(queue, &number.to_string());
    }
    for (number, queue) in queues.iter().enumerate() {
        assert_eq!(
            client.pop(queue, &json!({})).data,
            [number.to_string()],
            "{queue:?}"
        );
    }
}

/// However a client chooses to write it down.
#[test]
fn one_name_has_many_spellings() {
    let shared = shared();
    let mut client = shared.client();
    let stem = unique("q");
    for (written, name) in [
        (r"\u0000", "%00"),
        (r"\u002F", "%2F"),
        (r"\/", "%2f"),
        (r"\u0041", "A"),
        ("A", "%41"),
        (r"\ud83d\ude00", "%F0%9F%98%80"),
        (r"\u00e9", "%C3%A9"),
        ("+", "%2B"),
        ("+", "+"),
    ] {
        let body =
            format!(r#"{{"payload":"p","priority":"H","queue":[{{"id":"{stem}{written}"}}]}}"#);
        client
            .call(&post("/trans", &json!({})).body(body))
            .assert_json_head(200);
        let popped = client.call(&post(
            format!("/queue/{stem}{name}/pop"),
            &json!({"timeout": 1}),
        ));
        assert_eq!(Popped::parse(&popped).data, ["p"], "{written} {name}");
    }
}

/// A slash that is encoded is of the name; one that is not, or is encoded twice, is what it is.
#[test]
fn an_encoded_slash_makes_no_other_path() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    let guard = client.push(&q, "guard");
    let (id, none) = (&q.id, json!({}));
    for (request, status) in [
        (post(format!("/queue/{id}%2Fpop"), &none), 405),
        (post(format!("/queue%2F{id}%2Fpop"), &none), 404),
        (post(format!("/queue%2F{id}/pop"), &none), 404),
        (post(format!("/%2Fqueue/{id}/pop"), &none), 404),
        (post(format!("//queue/{id}/pop"), &none), 404),
        (post(format!("/queue//{id}/pop"), &none), 404),
        (post(format!("/./queue/{id}/pop"), &none), 404),
        (post(format!("/queue/x/../{id}/pop"), &none), 404),
        (
            post(format!("/queue/x%2F..%2F{id}/pop?timeout=1"), &none),
            200,
        ),
        (post(format!("/queue/%2F{id}/pop?timeout=1"), &none), 200),
        (post(format!("/queue/{id}%2F/pop?timeout=1"), &none), 200),
        (post(format!("/queue/{id}%00/pop?timeout=1"), &none), 200),
        (
            post(format!("/queue/{id}%3Ftimeout=1/pop?timeout=1"), &none),
            200,
        ),
        (post(format!("/queue/{id}%23/pop?timeout=1"), &none), 200),
        (
            post(format!("/queue/{id}%252Fpop/pop?timeout=1"), &none),
            200,
        ),
        (
            post(format!("/org/x%2F..%2F/queue/{id}/pop?timeout=1"), &none),
            200,
        ),
        (post(format!("/org/x/..%2Fqueue/{id}/pop"), &none), 404),
        (post(format!("/queue/{id};x/pop?timeout=1"), &none), 200),
        (delete(format!("/trans%2F{guard}")), 404),
        (delete(format!("/trans/x%2F..%2F{guard}")), 200),
        (delete(format!("/trans/{guard}%2F")), 200),
        (delete(format!("/trans/{guard}%00")), 200),
        (delete(format!("/trans/%20{guard}")), 200),
    ] {
        let response = client.call(&request);
        assert_eq!(
            response.status,
            status,
            "{:?}",
            String::from_utf8_lossy(&request.bytes("h"))
        );
        if response.closes() {
            client = shared.client();
        }
        assert_eq!(client.peek(&q).data, ["guard"]);
    }
}

#[test]
fn overlong_and_impossible_utf_8_is_no_name() {
    let shared = shared();
    let mut client = shared.client();
    let q = Queue::fresh();
    client.push(&q, "guard");
    let id = &q.id;
    for bytes in [
        // NUL, a slash and a dot in more bytes than they need.
        "%C0%80",
        "%C0%AF",
        "%E0%80%AF",
        "%F0%80%80%AF",
        "%C0%AE",
        // A half of a pair, beyond the last character, a beginning without an end, an end without a beginning.
        "%ED%A0%80",
        "%ED%BF%BF",
        "%F4%90%80%80",
        "%F8%88%80%80%80",
        "%E2%82",
        "%80",
        "%FE",
        "%u002f",
        "%2",
    ] {
        for request in [
            post(format!("/queue/{id}{bytes}/pop"), &json!({})),
            post(format!("/queue/{id}{bytes}/subscribe"), &json!({})),
            get(format!("/queue/{id}{bytes}/peek")),
            delete(format!("/queue/{id}{bytes}/dead")),
            post(format!("/org/{bytes}/queue/{id}/pop"), &json!({})),
            delete(format!("/group/{bytes}")),
            put(format!("/trans/{bytes}"), &json!({"payload": "p"})),
        ] {
            client
                .call(&request)
                .assert_errors(400, &["undecodable path"]);
        }
    }
    for bytes in [
        b"\xc0\x80".as_slice(),
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\0",
    ] {
        let before = format!(r#"{{"payload":"p","priority":"H","queue":[{{"id":"{id}"#);
        let body = [before.as_bytes(), bytes, br#""}]}"#].concat();
        client
            .call(&post("/trans", &json!({})).body(body))
            .assert_some_error(400);
    }
    assert_eq!(client.peek(&q).data, ["guard"]);
}

const MAX_ID: usize = 64;

#[test]
fn the_longest_names_work_everywhere_whatever_they_are_made_of() {
    let server = Settings::new().set("limits.max_id", MAX_ID).start();
    let mut client = server.client();
    // Some take three times as much room where they are encoded, in a path or in a store.
    for letter in ["x", "}", "/", " ", "%", "\0", "\n", "\"", "é", "😀"] {
        let name = letter.repeat(MAX_ID / letter.len());
        let queue = Queue::of(&name, &name);
        let id = client.push(&queue, &name);
        assert_eq!(client.state(&id), json!({&name: "Pending"}));
        assert_eq!(
            client.poprel(&queue, &json!({})).transactions,
            [id.as_str()]
        );
        assert_eq!(
            client.ack(&queue, &[&id]),
            json!([{"err": null, "data": id}])
        );
        let tenant = format!("/org/{}", escaped(&name));
        let members = json!({"name": name, "queues": [name]});
        client
            .call(&post(format!("{tenant}/group"), &members))
            .assert_json_head(200);
        let push = json!({"payload": "p", "priority": "H", "groups": [name]});
        client
            .call(&post(format!("{tenant}/trans"), &push))
            .assert_json_head(200);
        assert_eq!(client.pop(&queue, &json!({})).data, ["p"]);
        client
            .call(&delete(format!("{tenant}/group/{}", escaped(&name))))
            .assert_json_head(200);
    }
}

/// Nor is one cut down to another's.
#[test]
fn a_name_a_byte_too_long_is_refused_everywhere() {
    let server = Settings::new().set("limits.max_id", MAX_ID).start();
    let mut client = server.client();
    let q = Queue::named("x".repeat(MAX_ID));
    let tenants = Queue::of(&q.id, &q.id);
    for queue in [&q, &tenants] {
        client.push(queue, "guard");
    }
    let too_long = format!("id longer than {MAX_ID} bytes");
    for long in [
        format!("{}y", q.id),
        format!("{}é", "x".repeat(MAX_ID - 1)),
        "😀".repeat(17),
    ] {
        let path = escaped(&long);
        for request in [
            post(format!("/queue/{path}/pop"), &json!({})),
            post(format!("/queue/{path}/poprel"), &json!({})),
            post(format!("/queue/{path}/subscribe"), &json!({})),
            post(format!("/queue/{path}/ack"), &json!({"transactions": []})),
            get(format!("/queue/{path}/peek")),
            get(format!("/queue/{path}")),
            get(format!("/queue/{path}/dead")),
            delete(format!("/queue/{path}/dead")),
            post(format!("/org/{path}/queue/{}/pop", q.id), &json!({})),
            post(
                format!("/org/{path}/trans"),
                &json!({"payload": "p", "priority": "H", "queue": []}),
            ),
            delete(format!("/org/{path}/group/g")),
            get(format!("/group/{path}")),
            put(format!("/group/{path}"), &json!({"queuesToAdd": ["q"]})),
            delete(format!("/group/{path}")),
        ] {
            client.call(&request).assert_errors(400, &[&too_long]);
        }
        let push = json!({"payload": "p", "priority": "H", "queue": [{"id": q.id}, {"id": long}], "groups": [long]});
        client
            .call(&post("/trans", &push))
            .assert_errors(400, &["invalid queue element", "invalid groups element"]);
        client
            .call(&post("/group", &json!({"name": long, "queues": [long]})))
            .assert_errors(400, &["invalid name", "invalid queues"]);
        client
            .call(&put(
                "/group/g",
                &json!({"queuesToAdd": [long], "queuesToRemove": [long]}),
            ))
            .assert_errors(400, &["invalid queuesToAdd", "invalid queuesToRemove"]);
        let acked = client.ack(&q, &[&long]);
        assert_eq!(
            acked,
            json!([{"err": format!("{long}/{} does not exist", q.id), "data": long}])
        );
        for queue in [&q, &tenants] {
            assert_eq!(client.peek(queue).data, ["guard"]);
        }
    }
}
