//! The page of a queue's dead letters.

use super::{Paths, page::Page};
use crate::mailbox::DeadLetters;

/// Dead letters that a page lists.
const LISTED_MAX: usize = 500;

/// What was delivered too often, and how often that was.
pub fn dead_letters_page(paths: &Paths, id: &str, dead: &DeadLetters) -> String {
    let mut page = Page::new(&format!("Dead letters of {id}"), paths);
    page.markup("<p>")
        .link(&paths.queue(id), "The queue")
        .markup("</p>\n<dl>\n")
        .fact("Dead letters", dead.size)
        .markup("</dl>\n");
    if !dead.letters.is_empty() {
        page.markup("<ol>\n");
        for letter in dead.letters.iter().take(LISTED_MAX) {
            page.markup("<li>")
                .link(&paths.listed_transaction(letter.id), letter.id)
                .markup(" (")
                .text(letter.priority.letter())
                .markup(", delivered ")
                .text(letter.deliveries)
                .markup(" times)</li>\n");
        }
        page.markup("</ol>\n");
    }
    let listed = dead.letters.len().min(LISTED_MAX);
    if listed < dead.size {
        page.markup("<p>Only the first ")
            .text(listed)
            .markup(" are listed.</p>\n");
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{DeadLetter, Priority, Tenant, TransactionId};

    #[test]
    fn dead_letters_are_listed_as_far_as_they_fit() {
        let letter = DeadLetter {
            id: TransactionId::from_random([7; 16]),
            priority: Priority::Low,
            deliveries: 3,
        };
        let dead = DeadLetters {
            size: 10_000,
            letters: vec![letter; 1000],
        };
        let page = dead_letters_page(&Paths::new(Tenant(Some("o".into()))), "<q>", &dead);
        let id = letter.id;
        assert!(
            page.contains(&format!(
                "<li><a href=\"/org/o/trans/{id}\">{id}</a> (L, delivered 3 times)</li>"
            )),
            "{page}"
        );
        assert!(page.contains("href=\"/org/o/queue/%3Cq%3E\""), "{page}");
        assert!(page.contains("<dt>Dead letters</dt><dd>10000</dd>"));
        assert!(page.contains("Only the first 500 are listed."));
        assert!(!page.contains("<q>"));
    }

    #[test]
    fn a_queue_without_any() {
        let page = dead_letters_page(&Paths::default(), "q", &DeadLetters::default());
        assert!(page.contains("<dt>Dead letters</dt><dd>0</dd>"));
        assert!(!page.contains("<ol>") && !page.contains("Only the first"));
    }
}
