//! The calls that most tests make, with what every good answer to them has in common.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Client, Queue, Response, eventually, eventually_equal, get, post};

/// What a pop answered: payloads and ids, in the same order.
#[derive(Debug, PartialEq, Eq)]
pub struct Popped {
    /// The payloads.
    pub data: Vec<String>,
    /// The ids.
    pub transactions: Vec<String>,
    /// How often each was delivered, where the answer says.
    pub deliveries: Vec<u64>,
}

impl Popped {
    /// Parses and checks the answer of any of the pops.
    #[track_caller]
    pub fn parse(response: &Response) -> Self {
        response.assert_json_head(200);
        Self::from_json(&response.json())
    }

    /// Checks one object of that form, such as a chunk of a subscription.
    #[track_caller]
    pub fn from_json(answer: &Value) -> Self {
        assert_eq!(answer["ok"], json!(true), "{answer}");
        let popped = Self {
            data: texts(&answer["data"]),
            transactions: texts(&answer["transactions"]),
            deliveries: answer.get("deliveries").map(numbers).unwrap_or_default(),
        };
        assert_eq!(popped.data.len(), popped.transactions.len(), "{answer}");
        let is_counted = answer.get("deliveries").is_some();
        if is_counted {
            assert_eq!(popped.data.len(), popped.deliveries.len(), "{answer}");
        }
        assert_eq!(
            answer.as_object().map(serde_json::Map::len),
            Some(3 + usize::from(is_counted)),
            "{answer}"
        );
        popped
    }

    /// Whether it waited in vain.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

#[track_caller]
fn texts(list: &Value) -> Vec<String> {
    let list = list
        .as_array()
        .unwrap_or_else(|| panic!("not a list: {list}"));
    list.iter()
        .map(|item| {
            item.as_str()
                .unwrap_or_else(|| panic!("not a text: {item}"))
                .to_owned()
        })
        .collect()
}

#[track_caller]
fn numbers(list: &Value) -> Vec<u64> {
    let list = list
        .as_array()
        .unwrap_or_else(|| panic!("not a list: {list}"));
    list.iter()
        .map(|item| {
            item.as_u64()
                .unwrap_or_else(|| panic!("not a whole number: {item}"))
        })
        .collect()
}

impl Client {
    /// Pushes to one queue with high priority; the transaction's id.
    #[track_caller]
    pub fn push(&mut self, queue: &Queue, payload: &str) -> String {
        self.push_with(queue, payload, json!({}))
    }

    /// The same with more fields, which win over the usual ones.
    #[track_caller]
    pub fn push_with(&mut self, queue: &Queue, payload: &str, fields: Value) -> String {
        let request = push_request(queue, payload, fields);
        id_in(&self.call(&request))
    }

    /// Pushes one transaction to several queues of no tenant.
    #[track_caller]
    pub fn push_to_all(&mut self, queues: &[&Queue], payload: &str) -> String {
        let ids: Vec<Value> = queues.iter().map(|queue| json!({"id": queue.id})).collect();
        let body = json!({"payload": payload, "priority": "H", "queue": ids});
        id_in(&self.call(&post("/trans", &body)))
    }

    /// Pushes a whole transaction that must be taken.
    #[track_caller]
    pub fn push_body(&mut self, body: &Value) -> String {
        id_in(&self.call(&post("/trans", body)))
    }

    /// Pushes many in as few round trips as can be; their ids.
    #[track_caller]
    pub fn push_many(&mut self, queue: &Queue, payloads: &[String]) -> Vec<String> {
        let client = self.for_pushes().expect("a connection for pushes");
        let mut ids = Vec::new();
        for batch in payloads.chunks(25) {
            let mut bytes = Vec::new();
            for payload in batch {
                bytes.extend(client.bytes_of(&push_request(queue, payload, json!({}))));
            }
            client.send_raw(&bytes);
            ids.extend(batch.iter().map(|_| id_in(&client.receive())));
        }
        ids
    }

    /// Makes a secured queue that is not there yet.
    #[track_caller]
    pub fn secure(&mut self, queue: &Queue, user: &str, password: &str) {
        let body = json!({"queue": queue.id, "user": user, "password": password});
        let response = self.call(&post(queue.secure_path(), &body));
        response.assert_is(200, r#"{"ok":true}"#);
    }

    /// Takes messages.
    #[track_caller]
    pub fn pop(&mut self, queue: &Queue, parameters: &Value) -> Popped {
        Popped::parse(&self.call(&post(queue.route("pop"), parameters)))
    }

    /// Borrows messages.
    #[track_caller]
    pub fn poprel(&mut self, queue: &Queue, parameters: &Value) -> Popped {
        Popped::parse(&self.call(&post(queue.route("poprel"), parameters)))
    }

    /// Looks at everything that is pending.
    #[track_caller]
    pub fn peek(&mut self, queue: &Queue) -> Popped {
        Popped::parse(&self.call(&get(format!("{}?max=10000", queue.route("peek")))))
    }

    /// Gives a receipt; what the server said to each id.
    #[track_caller]
    pub fn ack(&mut self, queue: &Queue, ids: &[&str]) -> Value {
        let response = self.call(&post(queue.route("ack"), &json!({"transactions": ids})));
        response.assert_json_head(200);
        response.json()
    }

    /// What `/trans/:id/state` says of every queue.
    #[track_caller]
    pub fn state(&mut self, id: &str) -> Value {
        let response = self.call(&get(format!("/trans/{id}/state")));
        response.assert_json_head(200);
        let answer = response.json();
        assert_eq!(answer["ok"], json!(true));
        answer["data"].clone()
    }

    /// What `/queue/:id` says.
    #[track_caller]
    pub fn queue_info(&mut self, queue: &Queue) -> Value {
        let response = self.call(&get(queue.path()));
        response.assert_json_head(200);
        response.json()
    }

    /// What the history has of what is at a path, all of it.
    #[track_caller]
    pub fn history(&mut self, path: &str) -> Vec<Value> {
        let request = get(format!("{path}/history"));
        let mut response = self.call(&request);
        // Other tests read, too, and there is a limit.
        while response.status == 503 && response.text().contains("history is busy") {
            response = self.call(&request);
        }
        response.assert_json_head(200);
        let answer = response.json();
        assert_eq!(answer["ok"], json!(true), "{answer}");
        assert_eq!(answer["next"], json!(null), "{answer}");
        answer["data"].as_array().expect("a list of events").clone()
    }

    /// The states that a message has had, as the history has them.
    #[track_caller]
    pub fn states_told(&mut self, id: &str, queue: &Queue) -> Vec<String> {
        let mut events = self.history(&format!("/trans/{id}"));
        // What two servers tell of the same millisecond is in the order of their logs.
        events.sort_by_key(|it| (it["timestamp"].to_string(), it["state"] == "Delivered"));
        let of_queue = events.iter().filter(|event| event["queue"] == queue.id);
        let states = of_queue.filter_map(|event| event["state"].as_str());
        states.map(str::to_owned).collect()
    }

    /// Waits until a message has had exactly these states.
    #[track_caller]
    pub fn await_states_told(&mut self, id: &str, queue: &Queue, states: &[&str]) {
        let states: Vec<String> = states.iter().map(|&state| state.to_owned()).collect();
        eventually_equal(&states, || self.states_told(id, queue));
    }

    /// What `/trans/:id` says.
    #[track_caller]
    pub fn transaction(&mut self, id: &str) -> Value {
        let response = self.call(&get(format!("/trans/{id}")));
        response.assert_json_head(200);
        response.json()
    }

    /// What `GET /` says of refusals: how many for each limit; null if there were none.
    #[track_caller]
    pub fn refused(&mut self) -> Value {
        let response = self.call(&get("/"));
        response.assert_json_head(200);
        response.json()["refused"].clone()
    }

    /// What `GET /` says of events on their way to history and callbacks; null if nobody is to be told.
    #[track_caller]
    pub fn offload(&mut self) -> Value {
        let response = self.call(&get("/"));
        response.assert_json_head(200);
        response.json()["offload"].clone()
    }

    /// Sends a pop that waits for a minute; its answer is for `receive`.
    #[track_caller]
    pub fn start_pop(&mut self, queue: &Queue) {
        self.send(&post(queue.route("pop"), &json!({"timeout": 60})));
    }

    /// Waits until a live waiter of the queue is known, or none is.
    #[track_caller]
    pub fn await_blocked(&mut self, queue: &Queue, blocked: bool) {
        eventually(&format!("blocked is {blocked}"), || {
            self.queue_info(queue)["blocked"] == json!(blocked)
        });
    }

    /// Waits until the queue has that many messages.
    #[track_caller]
    pub fn await_size(&mut self, queue: &Queue, size: usize) {
        eventually(&format!("size is {size}"), || {
            self.queue_info(queue)["size"] == json!(size)
        });
    }

    /// Waits until exactly these payloads are pending, in this order.
    #[track_caller]
    pub fn await_pending(&mut self, queue: &Queue, payloads: &[&str]) {
        eventually(&format!("pending: {payloads:?}"), || {
            self.peek(queue).data == payloads
        });
    }

    /// Waits until the message is in that state.
    #[track_caller]
    pub fn await_state(&mut self, id: &str, queue: &Queue, state: &str) {
        eventually(&format!("{id} is {state}"), || {
            self.state(id)[&queue.id] == json!(state)
        });
    }

    /// Opens a stream and checks its head.
    #[track_caller]
    pub fn subscribe(&mut self, queue: &Queue, route: &str, parameters: &Value) {
        self.send(&post(queue.route(route), parameters));
        let head = self.receive_head();
        assert_eq!(head.status, 200, "{head:?}");
        assert!(head.lists("transfer-encoding", "chunked"), "{head:?}");
        let kind = head.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{head:?}");
    }

    /// The next message of a stream: one chunk, one message.
    #[track_caller]
    pub fn next_message(&mut self) -> (String, String) {
        let chunk = self
            .receive_chunk()
            .expect("a message, not the end of the stream");
        let mut popped = Popped::from_json(&serde_json::from_slice(&chunk).unwrap());
        assert_eq!(popped.data.len(), 1, "{popped:?}");
        (popped.data.remove(0), popped.transactions.remove(0))
    }

    /// Fails if this connection does not answer any more.
    #[track_caller]
    pub fn assert_alive(&mut self) {
        let queue = Queue::fresh();
        let id = self.push(&queue, "still here");
        let popped = self.pop(&queue, &json!({"timeout": 1}));
        assert_eq!(popped.data, ["still here"]);
        assert_eq!(popped.transactions, [id]);
    }

    /// Whether the server has ended this connection by now, after whatever it had to say.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        assert!(self.is_closed_within(Duration::from_secs(8)), "still open");
    }
}

pub(crate) fn push_request(queue: &Queue, payload: &str, fields: Value) -> super::Request {
    let mut body = json!({"payload": payload, "priority": "H", "queue": [{"id": queue.id}]});
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields);
    }
    post(queue.push_path(), &body)
}

#[track_caller]
fn id_in(response: &Response) -> String {
    response.assert_json_head(200);
    let answer = response.json();
    assert_eq!(answer["ok"], json!(true), "{answer}");
    answer["data"].as_str().expect("an id").to_owned()
}
