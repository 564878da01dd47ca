//! The guard, with its threads.

use std::{net::IpAddr, sync::Arc, thread, time::Duration};

use super::*;
use crate::{
    config::{Auth, User},
    mailbox::{QueueName, Realm, Tenant},
    runtime::Inbox,
};

struct Desk {
    guard: Arc<Guard>,
    inbox: Arc<Inbox<Verdict>>,
}

impl Desk {
    fn new(auth: &Auth) -> Self {
        let inbox = Arc::new(Inbox::new().unwrap());
        let guard = Guard::new(auth, &[Arc::clone(&inbox)]).unwrap();
        Self { guard, inbox }
    }

    fn ask(&self, number: u64, subject: &Subject, user: &str, password: &str) -> Check {
        self.guard
            .check(asker(number), subject, &login(user, password))
    }

    /// The next verdict.
    fn verdict(&self) -> Verdict {
        let mut verdicts = self.verdicts(1);
        verdicts.pop().unwrap()
    }

    fn verdicts(&self, count: usize) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        while verdicts.len() < count {
            let mut taken = Vec::new();
            self.inbox.take(&mut taken);
            verdicts.append(&mut taken);
            thread::yield_now();
        }
        assert_eq!(verdicts.len(), count, "{verdicts:?}");
        verdicts
    }

    /// What comes of a login that is not known.
    #[track_caller]
    fn outcome(&self, subject: &Subject, user: &str, password: &str) -> Outcome {
        let check = self.ask(7, subject, user, password);
        assert!(matches!(check, Check::Pending), "{check:?}");
        let verdict = self.verdict();
        assert_eq!(verdict.number, 7);
        verdict.outcome
    }
}

fn asker(number: u64) -> Asker {
    Asker {
        worker: 0,
        number,
        address: IpAddr::from([127, 0, 0, 1]),
    }
}

fn login(user: &str, password: &str) -> Login {
    Login {
        user: user.into(),
        password: password.as_bytes().into(),
    }
}

fn record(user: &str, password: &str) -> Box<str> {
    format!("{user}:{}", hash(password.as_bytes()).unwrap()).into()
}

fn queue(id: &str) -> QueueName {
    QueueName::new(Realm::Secured, Tenant::default(), id)
}

fn secured(id: &str, record: &str) -> Subject {
    Subject::Queue {
        queue: queue(id),
        record: record.into(),
    }
}

fn with_admin() -> Auth {
    Auth {
        admin: record("root", "r").parse().ok(),
        ..Auth::default()
    }
}

#[test]
fn a_queue_is_for_its_user_and_the_admin() {
    let desk = Desk::new(&with_admin());
    let subject = secured("q", &record("u", "p"));
    let granted = |user, password| match desk.outcome(&subject, user, password) {
        Outcome::Right { grant, renewed } => {
            assert_eq!(renewed, None);
            Some(format!("{grant:?}"))
        }
        _ => None,
    };
    assert_eq!(granted("u", "p").as_deref(), Some("Queue"));
    assert_eq!(granted("root", "r").as_deref(), Some("Admin"));
    for (user, password) in [("u", "r"), ("root", "p"), ("v", "p"), ("", "")] {
        assert_eq!(granted(user, password), None, "{user}:{password}");
    }
}

#[test]
fn a_user_of_the_admins_name_has_a_queue_of_its_own() {
    let desk = Desk::new(&with_admin());
    let subject = secured("q", &record("root", "own"));
    for password in ["own", "r"] {
        let outcome = desk.outcome(&subject, "root", password);
        assert!(matches!(outcome, Outcome::Right { .. }), "{password}");
    }
}

#[test]
fn nobody_is_no_admin() {
    let desk = Desk::new(&Auth::default());
    for subject in [
        secured("q", &record("u", "p")),
        secured("q", "?"),
        Subject::User,
    ] {
        let outcome = desk.outcome(&subject, "", "");
        assert!(matches!(outcome, Outcome::Wrong), "{subject:?}");
    }
}

#[test]
fn what_an_old_server_kept_is_renewed() {
    let desk = Desk::new(&Auth::default());
    // Of `u:p`.
    let subject = secured("q", "oNCYGJ8dkoDeNoWJrGLZMQ0UiSw=");
    let outcome = desk.outcome(&subject, "u", "p");
    let Outcome::Right {
        renewed: Some(renewed),
        ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    let renewed = Record::parse(&renewed).unwrap();
    assert!(matches!(renewed, Record::Hashed(_)) && renewed.verify(&login("u", "p")));
    assert!(matches!(desk.outcome(&subject, "u", "q"), Outcome::Wrong));
}

#[test]
fn a_right_login_is_known_for_its_queue_alone() {
    let desk = Desk::new(&Auth::default());
    let kept = record("u", "p");
    assert!(!desk.guard.known(&queue("a"), &login("u", "p")));
    desk.outcome(&secured("a", &kept), "u", "p");
    assert!(desk.guard.known(&queue("a"), &login("u", "p")));
    let check = desk.ask(1, &secured("a", &kept), "u", "p");
    assert!(matches!(check, Check::Known(Grant::Queue)), "{check:?}");
    let plain = QueueName::new(Realm::Plain, Tenant::default(), "a");
    let of_tenant = QueueName::new(Realm::Secured, Tenant(Some("t".into())), "a");
    for other in [queue("b"), plain, of_tenant] {
        assert!(!desk.guard.known(&other, &login("u", "p")), "{other:?}");
    }
    for (user, password) in [("u", "q"), ("up", ""), ("", "up"), ("v", "p")] {
        assert!(!desk.guard.known(&queue("a"), &login(user, password)));
    }
}

#[test]
fn a_wrong_login_is_not_remembered() {
    let desk = Desk::new(&Auth::default());
    let subject = secured("q", &record("u", "p"));
    desk.outcome(&subject, "u", "q");
    assert!(!desk.guard.known(&queue("q"), &login("u", "q")));
}

#[test]
fn many_who_come_at_once_with_one_login_cost_one_hash() {
    // Only the first takes a place among those that wait, and only it counts until it is known to be right.
    let auth = Auth {
        max_verifications: 1,
        max_failures: 2,
        ..Auth::default()
    };
    let desk = Desk::new(&auth);
    let subject = secured("q", &record("u", "p"));
    let mut pending = 0;
    for number in 0..1000 {
        match desk.ask(number, &subject, "u", "p") {
            Check::Pending => pending += 1,
            Check::Known(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let verdicts = desk.verdicts(pending);
    let is_right = |verdict: &Verdict| matches!(verdict.outcome, Outcome::Right { .. });
    assert!(verdicts.iter().all(is_right));
    // None was left counted as a failure.
    let outcome = desk.outcome(&subject, "u", "wrong");
    assert!(matches!(outcome, Outcome::Wrong));
}

#[test]
fn guessing_is_limited_at_each_queue() {
    let auth = Auth {
        max_failures: 3,
        ..Auth::default()
    };
    let desk = Desk::new(&auth);
    let kept = record("u", "p");
    let subject = secured("q", &kept);
    // At once, so that none of them is known to be wrong before the next.
    let checks: Vec<_> = (0..5)
        .map(|number| desk.ask(number, &subject, "u", &format!("guess {number}")))
        .collect();
    let pending = checks
        .iter()
        .filter(|it| matches!(it, Check::Pending))
        .count();
    assert_eq!(pending, 3, "{checks:?}");
    desk.verdicts(3);
    let check = desk.ask(9, &subject, "u", "p");
    let Check::Limited { retry_after } = check else {
        panic!("{check:?}");
    };
    assert!(retry_after <= Duration::from_mins(1));
    let outcome = desk.outcome(&secured("other", &kept), "u", "p");
    assert!(matches!(outcome, Outcome::Right { .. }));
    let elsewhere = Asker {
        address: IpAddr::from([127, 0, 0, 2]),
        ..asker(1)
    };
    let check = desk.guard.check(elsewhere, &subject, &login("u", "p"));
    assert!(matches!(check, Check::Pending), "{check:?}");
    desk.verdict();
}

#[test]
fn more_than_may_wait_are_turned_away() {
    let auth = Auth {
        max_verifications: 1,
        max_failures: 1000,
        ..Auth::default()
    };
    let desk = Desk::new(&auth);
    let subject = secured("q", &record("u", "p"));
    let checks: Vec<_> = (0..100)
        .map(|number| desk.ask(number, &subject, "u", &format!("guess {number}")))
        .collect();
    assert!(checks.iter().any(|it| matches!(it, Check::Busy)));
    let pending = checks
        .iter()
        .filter(|it| matches!(it, Check::Pending))
        .count();
    desk.verdicts(pending);
}

#[test]
fn users_of_the_configuration_are_known_by_name() {
    let text = format!(
        r#"[{{credentials = "p:{}", roles = ["producer"]}}]"#,
        hash(b"1").unwrap()
    );
    let mut auth = with_admin();
    auth.users = read_users(&text);
    let desk = Desk::new(&auth);
    let outcome = desk.outcome(&Subject::User, "p", "1");
    let Outcome::Right {
        grant: Grant::User(user),
        ..
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(user.credentials.user, "p");
    for (user, password) in [("p", "2"), ("q", "1"), ("root", "1")] {
        assert!(matches!(
            desk.outcome(&Subject::User, user, password),
            Outcome::Wrong
        ));
    }
    let outcome = desk.outcome(&Subject::User, "root", "r");
    assert!(matches!(
        outcome,
        Outcome::Right {
            grant: Grant::Admin,
            ..
        }
    ));
}

fn read_users(text: &str) -> Vec<User> {
    let sources = crate::config::Sources {
        set: vec![format!("auth.users={text}")],
        ..crate::config::Sources::default()
    };
    crate::config::Config::load(&sources).unwrap().auth.users
}

#[test]
fn new_credentials_are_hashed() {
    let desk = Desk::new(&Auth::default());
    assert!(matches!(
        desk.guard.make(asker(3), "u", "p"),
        Check::Pending
    ));
    let verdict = desk.verdict();
    assert_eq!(verdict.number, 3);
    let Outcome::Hashed(kept) = verdict.outcome else {
        panic!("{verdict:?}");
    };
    assert!(Record::parse(&kept).unwrap().verify(&login("u", "p")));
}
