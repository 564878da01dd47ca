//! The page of a transaction.

use super::{
    Paths,
    page::{Page, date},
};
use crate::{
    mailbox::{QueueName, State, Tenant, TransactionView},
    offload::Memories,
};

/// Bytes of a payload that a page shows.
const PAYLOAD_SHOWN_MAX: usize = 64 * 1024;

/// Bytes of any other value that a page shows.
const VALUE_SHOWN_MAX: usize = 1024;

/// Queues that a page lists.
const QUEUES_SHOWN_MAX: usize = 500;

/// Fields of the producer's own that a page lists.
const FIELDS_SHOWN_MAX: usize = 100;

/// Events that a page is to be given at most.
pub const EVENTS_SHOWN_MAX: usize = 500;

/// A transaction, with its state in every queue, and what happened to it where that is written down.
pub fn transaction_page(
    paths: &Paths,
    id: &str,
    view: &TransactionView,
    memories: Option<&Memories>,
) -> String {
    let record = &view.record;
    let mut page = Page::new(&format!("Transaction {id}"), paths);
    page.markup("<dl>\n")
        .fact("Priority", view.priority.letter());
    page.fact("Expires", date(view.expires_at.into()));
    if let Some(callback) = &record.callback {
        value(&mut page, "callback", callback);
    }
    for (name, text) in record.fields.iter().take(FIELDS_SHOWN_MAX) {
        value(&mut page, name, text);
    }
    page.markup("</dl>\n");
    missing(&mut page, record.fields.len(), FIELDS_SHOWN_MAX, " fields");
    states(&mut page, &view.states);
    if let Some(memories) = memories {
        timeline(&mut page, memories);
    }
    page.markup("<h2>Payload</h2>\n<pre>");
    page.beginning(&String::from_utf8_lossy(&record.payload), PAYLOAD_SHOWN_MAX);
    page.markup("</pre>\n");
    page.finish()
}

/// What to think when a transaction cannot be found.
pub fn unknown_transaction_page(paths: &Paths, id: &str) -> String {
    let mut page = Page::new("No such transaction", paths);
    page.markup("<p>There is no transaction <code>");
    page.beginning(id, VALUE_SHOWN_MAX);
    page.markup("</code> here. It may have expired or been deleted: nothing is kept of a transaction after that. ");
    page.markup("Or its id was cut short: it has 36 characters, with four hyphens.</p>\n<p>");
    page.link(&paths.home(), "Look up another").markup("</p>\n");
    page.finish()
}

fn value(page: &mut Page, name: &str, text: &str) {
    page.markup("<dt>")
        .beginning(name, VALUE_SHOWN_MAX)
        .markup("</dt><dd>");
    page.beginning(text, VALUE_SHOWN_MAX).markup("</dd>\n");
}

fn states(page: &mut Page, states: &[(QueueName, State)]) {
    page.markup("<h2>Queues</h2>\n");
    if states.is_empty() {
        page.markup("<p>None.</p>\n");
        return;
    }
    page.markup("<dl>\n");
    for (queue, state) in states.iter().take(QUEUES_SHOWN_MAX) {
        let path = Paths::new(queue.tenant().clone()).queue(queue.id());
        page.markup("<dt>").text(state.word()).markup("</dt><dd>");
        page.link(&path, queue.id()).markup("</dd>\n");
    }
    page.markup("</dl>\n");
    missing(page, states.len(), QUEUES_SHOWN_MAX, " queues");
}

fn timeline(page: &mut Page, memories: &Memories) {
    page.markup("<h2>History</h2>\n");
    let past = match memories {
        Ok(past) => past,
        Err(reason) => {
            page.markup("<p>It cannot be read now: ")
                .text(reason)
                .markup("</p>\n");
            return;
        }
    };
    if past.events.is_empty() {
        page.markup("<p>Nothing yet.</p>\n");
        return;
    }
    page.markup("<dl>\n");
    for event in &past.events {
        let text = |name: &str| event.get(name).and_then(serde_json::Value::as_str);
        page.markup("<dt>")
            .text(text("timestamp").unwrap_or_default());
        page.markup("</dt><dd>");
        page.beginning(
            text("state").or(text("action")).unwrap_or_default(),
            VALUE_SHOWN_MAX,
        );
        if let Some(queue) = text("queue") {
            let tenant = Tenant(text("tenant").map(Into::into));
            page.markup(" in ");
            page.link(&Paths::new(tenant).queue(queue), queue);
        }
        if let Some(error) = text("error") {
            page.markup(": ").beginning(error, VALUE_SHOWN_MAX);
        }
        page.markup("</dd>\n");
    }
    page.markup("</dl>\n");
    if past.next.is_some() {
        page.markup("<p>There is more: ask for /trans/…/history.</p>\n");
    }
}

fn missing(page: &mut Page, count: usize, shown_max: usize, things: &'static str) {
    if count > shown_max {
        page.markup("<p>Only the first ")
            .text(shown_max)
            .markup(" of ")
            .text(count);
        page.markup(things).markup(" are listed.</p>\n");
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::mailbox::{Priority, Realm, Record, Tenant, UnixMillis};
    use crate::offload::{Past, Since};

    fn view(payload: String, queues: usize) -> TransactionView {
        let tenant = Tenant(Some("o".into()));
        let queue = |number| QueueName::new(Realm::Plain, tenant.clone(), &format!("<q{number}>"));
        TransactionView {
            priority: Priority::High,
            expires_at: 1_795_282_137,
            record: Record {
                payload: Bytes::from(payload),
                callback: Some("http://c/?a&b".into()),
                fields: vec![("<n>".into(), "\"v\"".into())],
            },
            states: (0..queues)
                .map(|number| (queue(number), State::Blocked))
                .collect(),
        }
    }

    #[test]
    fn everything_is_escaped_and_linked() {
        let page = transaction_page(
            &Paths::default(),
            "i",
            &view("</pre><b>".to_owned(), 1),
            None,
        );
        assert!(page.contains("<pre>&lt;/pre&gt;&lt;b&gt;</pre>"), "{page}");
        assert!(page.contains("<dt>callback</dt><dd>http://c/?a&amp;b</dd>"));
        assert!(page.contains("<dt>&lt;n&gt;</dt><dd>&quot;v&quot;</dd>"));
        assert!(
            page.contains(
                "<dt>Blocked</dt><dd><a href=\"/org/o/queue/%3Cq0%3E\">&lt;q0&gt;</a></dd>"
            )
        );
    }

    #[test]
    fn large_transactions_make_pages_of_bounded_size() {
        let page = transaction_page(
            &Paths::default(),
            "i",
            &view("é".repeat(1 << 20), 10_000),
            None,
        );
        assert!(page.contains("… (65536 of 2097152 bytes)"));
        assert!(page.contains("Only the first 500 of 10000 queues are listed."));
        assert!(page.len() < 200_000);
    }

    #[test]
    fn a_history_that_is_cut_says_so() {
        let since = Since {
            at: UnixMillis(0),
            after: None,
        };
        for next in [None, Some(since)] {
            let is_cut = next.is_some();
            let events = vec![serde_json::json!({"state": "Pending"})];
            let memories = Ok(Past { events, next });
            let view = view(String::new(), 1);
            let page = transaction_page(&Paths::default(), "i", &view, Some(&memories));
            assert!(page.contains("Pending"), "{page}");
            assert_eq!(page.contains("There is more"), is_cut, "{page}");
        }
    }

    #[test]
    fn an_unknown_transaction_is_explained() {
        let page = unknown_transaction_page(&Paths::default(), "<x>");
        assert!(page.contains("<code>&lt;x&gt;</code>"));
    }
}
