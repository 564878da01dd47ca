//! Groups.

use super::*;
use crate::mailbox::{GroupChange, GroupName};

fn org_group(name: &str) -> GroupName {
    GroupName {
        tenant: Tenant(Some("o".into())),
        name: name.into(),
    }
}

#[test]
fn a_life_of_a_group() {
    let (op, text) = ask(
        "POST /org/o/group",
        r#"{"name":"g","queues":["a","b"]}"#,
        Reply::Done,
    );
    assert_eq!(text, r#"{"ok":"group stored"}"#);
    match op {
        Op::StoreGroup(name, queues) => assert_eq!(
            (name, queues),
            (org_group("g"), vec!["a".into(), "b".into()])
        ),
        other => panic!("{other:?}"),
    }
    let (op, text) = ask(
        "GET /org/o/group/g%22",
        "",
        Reply::Group(vec!["a".into(), "\"".into()]),
    );
    assert_eq!(text, r#"{"name":"g\"","queues":["a","\""]}"#);
    assert!(matches!(op, Op::Group(name) if name == org_group("g\"")));
    let (op, text) = ask(
        "PUT /org/o/group/g",
        r#"{"queuesToRemove":["a"]}"#,
        Reply::Found(true),
    );
    assert_eq!(text, r#"{"ok":"group modified"}"#);
    let change = GroupChange {
        add: vec![],
        remove: vec!["a".into()],
    };
    assert!(
        matches!(op, Op::ChangeGroup(name, asked) if name == org_group("g") && asked == change)
    );
    let (_, text) = ask("PUT /group/g", r#"{"queuesToAdd":[]}"#, Reply::Found(false));
    assert_eq!(text, r#"{"errors":["g does not exist"]}"#);
    let (_, text) = ask("DELETE /group/g", "", Reply::Done);
    assert_eq!(text, r#"{"ok":"Group g removed"}"#);
    let (_, text) = ask("GET /group/none", "", Reply::Group(vec![]));
    assert_eq!(text, r#"{"name":"none","queues":[]}"#);
}

#[test]
fn what_a_group_cannot_be() {
    for (body, errors) in [
        ("", &["missing name", "missing queues"][..]),
        (
            r#"{"name":"","queues":null}"#,
            &["missing name", "missing queues"],
        ),
        (r#"{"name":"g"}"#, &["missing queues"]),
        (r#"{"queues":[]}"#, &["missing name"]),
        (
            r#"{"name":5,"queues":"a"}"#,
            &["invalid name", "invalid queues"],
        ),
        (r#"{"name":["g"],"queues":[]}"#, &["invalid name"]),
        (
            r#"{"name":"12345678901234567890123456789012345678901","queues":[]}"#,
            &["invalid name"],
        ),
        (r#"{"name":"g","queues":["a",5]}"#, &["invalid queues"]),
        (r#"{"name":"g","queues":[""]}"#, &["invalid queues"]),
        (r#"{"name":"g","queues":[{"id":"a"}]}"#, &["invalid queues"]),
        (
            r#"{"name":"g","queues":["a","b","c","d"]}"#,
            &["too many queues: maximum 3"],
        ),
    ] {
        refused("POST /group", body, errors);
    }
    for (body, errors) in [
        ("", &["missing queues to add/remove"][..]),
        (r#"{"queuesToAdd":null}"#, &["missing queues to add/remove"]),
        (
            r#"{"queuesToAdd":"a","queuesToRemove":[1]}"#,
            &["invalid queuesToAdd", "invalid queuesToRemove"],
        ),
        (
            r#"{"queuesToAdd":["a","b","c","d"]}"#,
            &["too many queues: maximum 3"],
        ),
    ] {
        refused("PUT /group/g", body, errors);
    }
}
