//! The page of a queue.

use super::{
    Paths,
    page::{Page, date},
};
use crate::mailbox::{QueueInfo, TransactionId};

/// What waits in a queue, and who for.
pub fn queue_page(paths: &Paths, id: &str, info: &QueueInfo) -> String {
    let mut page = Page::new(&format!("Queue {id}"), paths);
    page.markup("<dl>\n").fact("Messages waiting", info.size);
    match info.last_pop {
        Some(second) => page.fact("Last pop", date(second)),
        None => page.fact("Last pop", "none remembered"),
    };
    page.fact("A pop waits now", if info.blocked { "yes" } else { "no" });
    if info.dead > 0 {
        page.markup("<dt>Dead letters</dt><dd>")
            .link(&paths.dead_letters(id), info.dead)
            .markup("</dd>\n");
    }
    page.markup("</dl>\n");
    line(&mut page, paths, "High priority", &info.high);
    line(&mut page, paths, "Low priority", &info.low);
    let listed = info.high.len() + info.low.len();
    if listed < info.size {
        page.markup("<p>Only the first ")
            .text(listed)
            .markup(" are listed.</p>\n");
    }
    page.finish()
}

fn line(page: &mut Page, paths: &Paths, title: &'static str, transactions: &[TransactionId]) {
    if transactions.is_empty() {
        return;
    }
    page.markup("<h2>").markup(title).markup("</h2>\n<ol>\n");
    for id in transactions {
        page.markup("<li>")
            .link(&paths.listed_transaction(*id), id)
            .markup("</li>\n");
    }
    page.markup("</ol>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue() {
        let id = TransactionId::from_random([0; 16]);
        let info = QueueInfo {
            last_pop: Some(0),
            blocked: true,
            size: 3,
            high: vec![id],
            low: vec![],
            dead: 7,
        };
        let page = queue_page(&Paths::default(), "<q>", &info);
        assert!(
            page.contains("<dt>Dead letters</dt><dd><a href=\"/queue/%3Cq%3E/dead\">7</a></dd>")
        );
        assert!(page.contains("<h1>Queue &lt;q&gt;</h1>"), "{page}");
        assert!(page.contains("<dt>Last pop</dt><dd>Thu, 01 Jan 1970 00:00:00 GMT</dd>"));
        assert!(page.contains(&format!("<li><a href=\"/trans/{id}\">{id}</a></li>")));
        assert!(page.contains("Only the first 1 are listed."));
        assert!(!page.contains("Low priority"));
        assert!(!page.contains("<q>"));
        let page = queue_page(&Paths::default(), "q", &QueueInfo::default());
        assert!(!page.contains("Dead letters"));
    }
}
