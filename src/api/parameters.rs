//! What a request says besides its path: in a JSON body, in a form, in its query.

use std::{borrow::Cow, time::Duration};

use super::{
    bad_request,
    number::{parse_float, parse_integer},
};
use crate::{
    http::{Request, Response, form_value},
    mailbox::validation::{Fields, Json},
};

/// The parameters of a request. The body's outweigh the query's.
pub(super) struct Parameters<'a> {
    fields: Fields<'a>,
    /// A body as HTML forms and old clients send it: `a=1&b=2`.
    form: &'a [u8],
    query: &'a str,
}

/// The shortest time for which messages can be lent: none at all would return them before they were sent.
const LEASE_MIN: Duration = Duration::from_millis(1);

impl<'a> Parameters<'a> {
    /// Reads the body, whatever it is called unless it is called a form: many clients send JSON and do not say so, or
    /// even say that it is a form.
    pub(super) fn read(request: &'a Request) -> Result<Self, Response> {
        let may_be_form =
            !request.body.is_empty() && !request.body.trim_ascii_start().starts_with(b"{");
        let is_form = may_be_form
            && request.content_type().is_some_and(|content_type| {
                starts_with_ignoring_case(content_type, "application/x-www-form-urlencoded")
            });
        let (json, form) = if is_form {
            (&[][..], &request.body[..])
        } else {
            (&request.body[..], &[][..])
        };
        let fields = Fields::parse(json).map_err(bad_request)?;
        Ok(Self {
            fields,
            form,
            query: request.target.raw_query(),
        })
    }

    /// The fields of the JSON body.
    pub(super) fn fields(&self) -> &Fields<'a> {
        &self.fields
    }

    /// A parameter as text.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(value) = self.fields.given(name) {
            return Some(json_text(value));
        }
        value_in(self.form, name).or_else(|| form_value(self.query, name))
    }

    /// How many of something, between one and `count_max`.
    pub(super) fn count(&self, name: &str, default: usize, count_max: usize) -> usize {
        let number = self.text(name).and_then(|text| parse_integer(&text));
        number.map_or(default, |number| {
            // What does not fit is below zero.
            usize::try_from(number)
                .unwrap_or(0)
                .clamp(1, count_max.max(1))
        })
    }

    /// How long to wait, in whole seconds, at least one. Below zero makes no sense.
    pub(super) fn wait(
        &self,
        name: &str,
        default: Duration,
        wait_max: Duration,
    ) -> Result<Duration, Response> {
        let Some(number) = self.text(name).and_then(|text| parse_integer(&text)) else {
            return Ok(default);
        };
        let seconds =
            u64::try_from(number).map_err(|_| bad_request(format_args!("invalid {name}")))?;
        Ok(Duration::from_secs(seconds.max(1)).min(wait_max))
    }

    /// How long messages are lent, in seconds with fractions. Nothing or less is one second.
    pub(super) fn lease(&self, name: &str, default: Duration, lease_max: Duration) -> Duration {
        let Some(seconds) = self.text(name).and_then(|text| parse_float(&text)) else {
            return default;
        };
        if seconds <= 0.0 {
            return Duration::from_secs(1);
        }
        // Only a number too large can fail here.
        let lease = Duration::try_from_secs_f64(seconds).unwrap_or(lease_max);
        lease.max(LEASE_MIN).min(lease_max)
    }
}

/// Whether a text begins so, in any case.
pub(super) fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    let beginning = text.as_bytes().get(..prefix.len());
    beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// A number is spelled without an exponent, which those who read its beginning would stop at.
fn json_text(value: Json<'_>) -> Cow<'_, str> {
    let is_number = value
        .source()
        .starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match value.number().filter(|_| is_number) {
        Some(number) => Cow::Owned(number.to_string()),
        None => value.text(),
    }
}

fn value_in<'a>(form: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let form = std::str::from_utf8(form).ok()?;
    form_value(form.trim(), name)
}
