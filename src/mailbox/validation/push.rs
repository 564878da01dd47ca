//! A new transaction.

use std::time::Duration;

use super::{
    Fault, Fields, Json, Terms, addressees::addressees, expiration::expiration, payload::payload,
};
use crate::mailbox::{Priority, Push, Realm, Record, Tenant, TransactionId};

/// Fields that have a place of their own or, as the list of queues, are not part of what is shown again.
const KNOWN_FIELDS: [&str; 6] = [
    "payload",
    "priority",
    "queue",
    "groups",
    "callback",
    "expirationDate",
];

/// Where a transaction enters.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The realm of its queues.
    pub realm: Realm,
    /// The owner of its queues and groups.
    pub tenant: Tenant,
}

/// Reads a new transaction. `delay`, in seconds, is a parameter and need not come from the body.
pub fn push(
    id: TransactionId,
    fields: &Fields<'_>,
    delay: Option<&str>,
    origin: &Origin,
    terms: &Terms,
) -> Result<Push, Vec<Fault>> {
    let mut faults = Vec::new();
    // The order of these is the order in which clients are told.
    let priority = note(&mut faults, priority(fields.find("priority")));
    let (queues, groups) = addressees(fields, origin, terms, &mut faults);
    let payload = note(&mut faults, payload(fields.find("payload"), terms));
    let expiration = note(&mut faults, expiration(fields, terms));
    let delay = note(
        &mut faults,
        delay.map_or(Ok(Duration::ZERO), |text| hold(text, terms)),
    );
    match (priority, payload, expiration, delay) {
        (Some(priority), Some(payload), Some(expiration), Some(delay)) if faults.is_empty() => {
            let (callback, fields) = further(fields);
            Ok(Push {
                id,
                priority,
                queues,
                groups,
                realm: origin.realm,
                record: Record {
                    payload,
                    callback,
                    fields,
                },
                expiration,
                delay,
                idempotency: None,
                may_repeat: false,
            })
        }
        _ => Err(faults),
    }
}

fn note<T>(faults: &mut Vec<Fault>, result: Result<T, Fault>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

fn priority(given: Option<Json<'_>>) -> Result<Priority, Fault> {
    let given = given
        .filter(|value| !value.is_nothing())
        .ok_or(Fault::UndefinedPriority)?;
    match given.string().as_deref() {
        Some("H") => Ok(Priority::High),
        Some("L") => Ok(Priority::Low),
        _ => Err(Fault::InvalidPriority),
    }
}

fn hold(text: &str, terms: &Terms) -> Result<Duration, Fault> {
    let seconds = text.trim().parse().map_err(|_| Fault::InvalidDelay)?;
    // Not a number and infinity fail here; what is below zero does in the comparison.
    let delay = Duration::try_from_secs_f64(seconds).map_err(|_| Fault::InvalidDelay)?;
    if delay > terms.delay_max {
        return Err(Fault::InvalidDelay);
    }
    Ok(delay)
}

/// A name and a value as they are shown again.
type Shown = (Box<str>, Box<str>);

/// The callback, and what else the producer gave.
fn further(fields: &Fields<'_>) -> (Option<Box<str>>, Vec<Shown>) {
    let given = fields.find("callback");
    let callback = given
        .and_then(Json::string)
        .filter(|callback| !callback.is_empty());
    let mut shown: Vec<Shown> = fields
        .select(|name| !KNOWN_FIELDS.contains(&name))
        .into_iter()
        .map(|(name, value)| (name.into(), value.text().into()))
        .collect();
    // What nobody can be called at is still shown.
    if let (Some(given), None) = (given, &callback) {
        shown.push(("callback".into(), given.text().into()));
    }
    (callback.map(Into::into), shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{Expiration, GroupName, QueueName};

    const GOOD: &str = r#"{"payload":"p","priority":"H","queue":[{"id":"a"}]}"#;

    fn read_delayed(body: &str, delay: Option<&str>) -> Result<Push, String> {
        let origin = Origin {
            realm: Realm::Plain,
            tenant: Tenant(Some("org".into())),
        };
        let fields = Fields::parse(body.as_bytes()).unwrap();
        let id = TransactionId::from_random([7; 16]);
        push(id, &fields, delay, &origin, &Terms::for_tests()).map_err(|faults| {
            let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
            texts.join(", ")
        })
    }

    fn read(body: &str) -> Result<Push, String> {
        read_delayed(body, None)
    }

    /// The faults of a good body with one field set to `value`, or left out.
    fn faults_with(name: &str, value: Option<&str>) -> String {
        let mut fields = vec![("payload", "\"p\""), ("priority", "\"H\""), ("queue", "[]")];
        fields.retain(|field| field.0 != name);
        fields.extend(value.map(|value| (name, value)));
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        read(&format!("{{{}}}", fields.join(",")))
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn a_whole_push() {
        let push = read(
            r#"{"payload":"p","priority":"L","queue":[{"id":"a"},{"id":"b","x":1}],"groups":["g"],
                "callback":"http://c","expirationDate":9,"expirationDelay":5,"note":{"a": 1},"n":null}"#,
        )
        .unwrap();
        let tenant = Tenant(Some("org".into()));
        assert_eq!(push.priority, Priority::Low);
        let ids: Vec<_> = push.queues.iter().map(QueueName::id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(push.queues.iter().all(|queue| *queue.tenant() == tenant));
        assert_eq!(
            push.groups,
            [GroupName {
                tenant,
                name: "g".into()
            }]
        );
        assert_eq!(push.record.payload, "p");
        assert_eq!(push.record.callback.as_deref(), Some("http://c"));
        assert_eq!(push.expiration, Expiration::At(9));
        assert_eq!(push.delay, Duration::ZERO);
        let fields: Vec<_> = push
            .record
            .fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            fields,
            [
                ("expirationDelay", "5"),
                ("note", r#"{"a":1}"#),
                ("n", "null")
            ]
        );
    }

    #[test]
    fn every_fault_alone() {
        for (name, value, expected) in [
            ("priority", None, "undefined priority"),
            ("priority", Some("null"), "undefined priority"),
            ("priority", Some("\"\""), "undefined priority"),
            ("priority", Some("\"h\""), "invalid priority"),
            ("priority", Some("\"X\""), "invalid priority"),
            ("priority", Some("5"), "invalid priority"),
            ("priority", Some("[\"H\"]"), "invalid priority"),
            ("queue", None, "undefined queue"),
            ("queue", Some("null"), "undefined queue"),
            ("queue", Some("{}"), "invalid queue type"),
            ("queue", Some("\"a\""), "invalid queue type"),
            ("queue", Some("[{}]"), "invalid queue element"),
            (
                "queue",
                Some("[{\"id\":\"a\"},null]"),
                "invalid queue element",
            ),
            ("queue", Some("[\"a\",\"b\"]"), "invalid queue element"),
            ("queue", Some("[{\"id\":5}]"), "invalid queue element"),
            ("queue", Some("[{\"id\":\"\"}]"), "invalid queue element"),
            (
                "queue",
                Some("[{\"id\":\"123456789\"}]"),
                "invalid queue element",
            ),
            (
                "queue",
                Some("[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\"},{\"id\":\"d\"}]"),
                "too many queues: maximum 3",
            ),
            ("groups", Some("\"g\""), "invalid groups type"),
            ("groups", Some("[5]"), "invalid groups element"),
            ("groups", Some("[\"\"]"), "invalid groups element"),
            (
                "groups",
                Some("[\"a\",\"b\",\"c\",\"d\"]"),
                "too many queues: maximum 3",
            ),
            ("payload", None, "undefined payload"),
            ("payload", Some("null"), "undefined payload"),
            ("payload", Some("\"\""), "undefined payload"),
            (
                "payload",
                Some("\"12345678901\""),
                "payload greater than 10",
            ),
            ("payload", Some("[1,2,3,4,5]"), "payload greater than 10"),
            (
                "expirationDate",
                Some("\"x\""),
                "expirationDate is not a number",
            ),
            ("expirationDate", Some("-1"), "expirationDate out of range"),
        ] {
            assert_eq!(faults_with(name, value), expected, "{name} {value:?}");
        }
    }

    #[test]
    fn faults_come_together_and_in_order() {
        let error = read_delayed(r#"{"expirationDate":"x"}"#, Some("x")).unwrap_err();
        assert_eq!(
            error,
            "undefined priority, undefined queue, undefined payload, expirationDate is not a number, invalid delay"
        );
        let error = read(
            r#"{"priority":"Q","queue":[1],"groups":1,"payload":"12345678901","expirationDate":-1}"#,
        );
        assert_eq!(
            error.unwrap_err(),
            "invalid priority, invalid queue element, invalid groups type, payload greater than 10, \
             expirationDate out of range"
        );
    }

    #[test]
    fn payloads_that_are_no_strings_are_kept_as_json() {
        for (source, kept) in [
            ("0", "0"),
            ("false", "false"),
            ("{ }", "{}"),
            ("[1, 2.50]", "[1,2.50]"),
        ] {
            let push = read(&GOOD.replace("\"p\"", source)).unwrap();
            assert_eq!(push.record.payload, kept);
        }
    }

    #[test]
    fn length_is_counted_in_utf16_units() {
        assert!(read(&GOOD.replace("\"p\"", "\"éééééééééé\"")).is_ok());
        assert!(read(&GOOD.replace("\"p\"", "\"😀😀😀😀😀\"")).is_ok());
        assert!(read(&GOOD.replace("\"p\"", "\"😀😀😀😀😀.\"")).is_err());
    }

    #[test]
    fn groups_need_no_queue_and_queues_may_be_none() {
        let push = read(r#"{"payload":"p","priority":"H","groups":["g"]}"#).unwrap();
        assert!(push.queues.is_empty());
        assert_eq!(push.groups.len(), 1);
        assert!(read(r#"{"payload":"p","priority":"H","queue":[]}"#).is_ok());
    }

    #[test]
    fn delays_are_strict() {
        for (text, seconds) in [("0", 0.0), ("1.5", 1.5), ("100", 100.0), ("-0", 0.0)] {
            let push = read_delayed(GOOD, Some(text)).unwrap();
            assert_eq!(push.delay, Duration::from_secs_f64(seconds));
        }
        for text in ["", "x", "-1", "5s", "100.1", "inf", "NaN", "1e400", "true"] {
            assert_eq!(
                read_delayed(GOOD, Some(text)).unwrap_err(),
                "invalid delay",
                "{text}"
            );
        }
    }

    #[test]
    fn only_a_string_is_called_back() {
        for (source, text) in [("null", "null"), ("5", "5"), ("\"\"", "")] {
            let body = GOOD.replace("\"p\"", &format!("\"p\",\"callback\":{source}"));
            let record = read(&body).unwrap().record;
            assert_eq!(record.callback, None);
            assert_eq!(record.fields, [("callback".into(), text.into())]);
        }
    }
}
