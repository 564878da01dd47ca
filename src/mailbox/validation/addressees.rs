//! Whom a transaction is for: queues, and groups of queues.

use std::borrow::Cow;

use super::{Fault, Fields, Json, List, Origin, Terms};
use crate::mailbox::{GroupName, QueueName};

/// Reads the fields `queue` and `groups`; either is enough.
pub(super) fn addressees(
    fields: &Fields<'_>,
    origin: &Origin,
    terms: &Terms,
    faults: &mut Vec<Fault>,
) -> (Vec<QueueName>, Vec<GroupName>) {
    let queue = |element: Json<'_>| {
        let id = match sole_id(element) {
            Some(id) => Cow::Borrowed(id),
            None => Fields::of(element)?.find("id")?.string()?,
        };
        is_id(&id, terms).then(|| QueueName::new(origin.realm, origin.tenant.clone(), &id))
    };
    let group = |element: Json<'_>| {
        let name = element.string()?;
        is_id(&name, terms).then(|| GroupName {
            tenant: origin.tenant.clone(),
            name: name.into(),
        })
    };
    let (queues, groups) = (fields.given("queue"), fields.given("groups"));
    if queues.is_none() && groups.is_none() {
        faults.push(Fault::UndefinedQueue);
    }
    let of_queues = [Fault::InvalidQueueType, Fault::InvalidQueueElement];
    let of_groups = [Fault::InvalidGroupsType, Fault::InvalidGroupsElement];
    let (queues, too_many_queues) = read(queues, queue, of_queues, terms, faults);
    let (groups, too_many_groups) = read(groups, group, of_groups, terms, faults);
    if too_many_queues || too_many_groups {
        faults.push(Fault::TooManyQueues(terms.queues_max));
    }
    (queues, groups)
}

/// The elements of a list, if one is given, and whether there are too many.
fn read<'a, T>(
    given: Option<Json<'a>>,
    parse: impl Fn(Json<'a>) -> Option<T>,
    [invalid_type, invalid_element]: [Fault; 2],
    terms: &Terms,
    faults: &mut Vec<Fault>,
) -> (Vec<T>, bool) {
    let Some(given) = given else {
        return (Vec::new(), false);
    };
    let Some(list) = List::read(given, terms.queues_max, parse) else {
        faults.push(invalid_type);
        return (Vec::new(), false);
    };
    if list.has_invalid {
        faults.push(invalid_element);
    }
    (list.elements, list.is_too_long)
}

/// The id of a queue as nearly all clients give it, alone and without escapes: a push to many queues is made of these.
fn sole_id(element: Json<'_>) -> Option<&str> {
    let field = element.source().strip_prefix('{')?.strip_suffix('}')?;
    let after_name = field.trim_ascii().strip_prefix("\"id\"")?;
    let value = after_name.trim_ascii_start().strip_prefix(':')?;
    let id = value
        .trim_ascii_start()
        .strip_prefix('"')?
        .strip_suffix('"')?;
    // With a quote or an escape within, it is not the one string that it looks like.
    memchr::memchr2(b'"', b'\\', id.as_bytes())
        .is_none()
        .then_some(id)
}

fn is_id(text: &str, terms: &Terms) -> bool {
    // A queue without a name could never be asked for.
    !text.is_empty() && text.len() <= terms.id_max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_to_an_id_leads_to_the_same() {
        for (source, is_short) in [
            (r#"{"id":"a"}"#, true),
            ("{ \"id\"\t:\r\n \"a\" }", true),
            (r#"{"id":""}"#, true),
            (r#"{"id":"a","x":1}"#, false),
            (r#"{"id":"a","id":"b"}"#, false),
            (r#"{"id":"b","x":"a"}"#, false),
            (r#"{"x":"a","id":"b"}"#, false),
            (r#"{"id":"a\"b"}"#, false),
            (r#"{"id":"\u0061"}"#, false),
            (r#"{"\u0069d":"a"}"#, false),
            (r#"{"id":5}"#, false),
            (r#"{"id":["a"]}"#, false),
            (r#"{"ids":"a"}"#, false),
            (r#"["id"]"#, false),
            (r#""{\"id\":\"a\"}""#, false),
            ("{}", false),
        ] {
            let element: Json<'_> = serde_json::from_str(source).unwrap();
            let short = sole_id(element);
            assert_eq!(short.is_some(), is_short, "{source}");
            if short.is_some() {
                let long = Fields::of(element).and_then(|fields| fields.find("id")?.string());
                assert_eq!(short, long.as_deref(), "{source}");
            }
        }
    }
}
