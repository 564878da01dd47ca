//! Who wants a page and who wants JSON.

use crate::{
    http::{Request, Response, Status},
    web::CONTENT_SECURITY_POLICY,
};

/// Whether the client names `text/html` itself among what it accepts: browsers do, programs that take anything do not.
pub(super) fn wants_page(request: &Request) -> bool {
    request
        .headers("accept")
        .flat_map(|line| line.split(','))
        .any(names_html)
}

fn names_html(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_html = parts
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case("text/html"));
    is_html && !parts.any(is_refusal)
}

/// A weight of zero.
fn is_refusal(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or_default();
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0)
}

/// A page. It is made anew each time, since what it shows changes.
pub(super) fn page_response(page: String) -> Response {
    Response::html(Status::OK, page)
        .with_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .with_header("X-Content-Type-Options", "nosniff")
        .with_header("Cache-Control", "no-store")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for range in [
            "text/html",
            " TEXT/HTML ",
            "text/html;level=1;q=0.1",
            "text/html; q=1",
        ] {
            assert!(names_html(range), "{range}");
        }
        for range in [
            "*/*",
            "text/*",
            "application/json",
            "text/html;q=0",
            "text/html ; Q = 0.000",
            "",
            "text/htmlx",
        ] {
            assert!(!names_html(range), "{range}");
        }
    }
}
