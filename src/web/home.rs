//! The page to begin with.

use super::{Paths, page::Page};

/// What this is, and where to look something up.
pub fn home_page(paths: &Paths, trouble: Option<&str>) -> String {
    let mut page = Page::new("Mailboxes", paths);
    page.markup("<p>Messages wait here until the one they are for fetches them.</p>\n");
    if let Some(trouble) = trouble {
        page.markup("<p><strong>The store is out of reach:</strong> ")
            .text(trouble)
            .markup("</p>\n");
    }
    lookup(&mut page, paths, "queue", "Queue");
    lookup(&mut page, paths, "transaction", "Transaction");
    page.markup("<p><small>popbox ")
        .text(env!("CARGO_PKG_VERSION"))
        .markup("</small></p>\n");
    page.finish()
}

/// A form that asks the home page itself, which sends the browser on: a form cannot make a path of its input.
fn lookup(page: &mut Page, paths: &Paths, name: &'static str, label: &'static str) {
    page.markup("<form action=\"")
        .text(paths.home())
        .markup("\"><label for=\"")
        .markup(name)
        .markup("\">")
        .markup(label)
        .markup("</label><input required autocapitalize=\"off\" autocomplete=\"off\" spellcheck=\"false\" id=\"")
        .markup(name)
        .markup("\" name=\"")
        .markup(name)
        .markup("\"><button>Look up</button></form>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Tenant;

    #[test]
    fn forms_stay_with_their_tenant() {
        let page = home_page(&Paths::new(Tenant(Some("<o>".into()))), Some("<t>"));
        assert!(page.contains("<form action=\"/org/%3Co%3E\">"), "{page}");
        assert!(page.contains("<small>&lt;o&gt;</small>"));
        assert!(home_page(&Paths::default(), None).contains("<form action=\"/\">"));
        assert!(page.contains("&lt;t&gt;") && !page.contains("<t>"));
        assert!(!page.contains("<script"));
    }
}
