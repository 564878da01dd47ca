//! Who may do what: what a request has to show before it is acted on.

use super::{
    Action, Settings,
    refusal::too_many,
    route::{QueueDeed, Resource, Route},
};
use crate::{
    auth::Login,
    config::{CreateQueues, Role, User},
    http::{ContentType, Method, Request, Response, Status},
    mailbox::{QueueName, Realm, Tenant, TransactionId},
};

/// Something to be done once it is known that the client may.
#[derive(Debug)]
pub struct Guarded {
    /// What it takes.
    pub gate: Gate,
    /// Who the client says it is; nobody in particular where it does not say, or not in a way that is understood.
    pub login: Option<Login>,
    /// What then.
    pub action: Action,
}

/// What it takes to be let through. The admin always is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// To be the user of a secured queue.
    Queue(QueueName),
    /// To be a user of the configuration who has one of these roles.
    Roles(Need),
}

/// What a user of the configuration must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// One of these; none: nobody's but the admin's.
    pub roles: &'static [Role],
    /// A right to what is this tenant's.
    pub tenant: Tenant,
    /// The transaction that it is about, which has a tenant of its own: that of its queues.
    pub transaction: Option<TransactionId>,
}

const READERS: &[Role] = &[Role::Producer, Role::Inspector, Role::Operator];
const WRITERS: &[Role] = &[Role::Producer, Role::Operator];
const INSPECTORS: &[Role] = &[Role::Inspector, Role::Operator];
/// Whether a user may look at what happened.
pub(super) fn may_read_history(user: &User) -> bool {
    INSPECTORS.iter().any(|role| user.roles.has(*role))
}

const OPERATORS: &[Role] = &[Role::Operator];
const NOBODY: &[Role] = &[];

/// Puts before an action what it takes to do it.
pub(super) fn guard(
    action: Action,
    request: &Request,
    method: Method,
    route: &Route<'_>,
    settings: &Settings,
) -> Action {
    let Some(gate) = gate(method, route, settings) else {
        return action;
    };
    let login = request.authorization().and_then(Login::from_header);
    Action::Guarded(Box::new(Guarded {
        gate,
        login,
        action,
    }))
}

fn gate(method: Method, route: &Route<'_>, settings: &Settings) -> Option<Gate> {
    let access = settings.access;
    let is_read = method == Method::Get;
    let roles = match route.resource {
        Resource::Queue(id)
        | Resource::QueueDeed(id, _)
        | Resource::DeadLetters(id)
        | Resource::Redrive(id)
        | Resource::QueueHistory(id)
            if settings.realm == Realm::Secured =>
        {
            return Some(Gate::Queue(route.queue(settings.realm, id)));
        }
        Resource::Queues if access.create_queues == CreateQueues::Admin => NOBODY,
        _ if !access.has_users => return None,
        Resource::Queues | Resource::Redrive(_) => OPERATORS,
        Resource::DeadLetters(_) if !is_read => OPERATORS,
        Resource::DeadLetters(_) | Resource::TransactionHistory(_) | Resource::QueueHistory(_) => {
            INSPECTORS
        }
        Resource::Transactions => WRITERS,
        Resource::Transaction(_) | Resource::Groups | Resource::Group(_) if !is_read => WRITERS,
        Resource::Transaction(_)
        | Resource::States { .. }
        | Resource::Groups
        | Resource::Group(_)
        | Resource::Queue(_) => READERS,
        // Whoever knows the name of a plain queue is its consumer; there are secured ones for whom that is too little.
        Resource::QueueDeed(
            _,
            QueueDeed::Pop(_) | QueueDeed::Subscribe(_) | QueueDeed::Ack | QueueDeed::Peek,
        )
        | Resource::Home => return None,
    };
    let transaction = match route.resource {
        Resource::Transaction(id) | Resource::States { id, .. } => TransactionId::parse(id),
        // What may be read back is sifted by tenants: the transaction may be gone.
        _ => None,
    };
    Some(Gate::Roles(Need {
        roles,
        tenant: route.tenant(),
        transaction,
    }))
}

/// What a client is told that has not shown who it is, or not rightly.
pub fn unauthorized() -> Response {
    challenge(Status::UNAUTHORIZED, "Unauthorized")
}

/// What a client is told whose user or password is not right.
pub fn wrong_login() -> Response {
    unauthorized().because_of("login")
}

/// What a client is told that asks for a secured queue that was never made. Clients of the old server look for it.
pub fn no_such_queue() -> Response {
    challenge(Status::INTERNAL, "ERROR: Secure Queue does not exist")
}

/// What a client is told that is who it says, and may not do this.
pub fn forbidden() -> Response {
    Response::errors(Status::FORBIDDEN, ["not allowed to this user"])
}

/// What a client is told whose logins were wrong too often, with the seconds that it has to wait.
pub fn too_many_failures(seconds: u64) -> Response {
    too_many("auth.max_failures", "too many failed logins", seconds)
}

fn challenge(status: Status, text: &'static str) -> Response {
    Response::new(status, ContentType::Text, text)
        .with_header("WWW-Authenticate", "Basic realm=\"PopBox\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Access, config::Limits, store::Health};
    use std::{borrow::Cow, sync::Arc};

    fn settings(realm: Realm, has_users: bool, create_queues: CreateQueues) -> Settings {
        let access = Access {
            has_users,
            create_queues,
        };
        Settings {
            limits: Limits::default(),
            realm,
            access,
            health: Health::new(0),
            transitions: Arc::default(),
            refusals: Arc::default(),
            has_history: false,
            offload: None,
        }
    }

    fn gate_of(method: Method, path: &str, settings: &Settings) -> Option<Gate> {
        let segments: Vec<_> = path.split(' ').map(Cow::Borrowed).collect();
        gate(method, &Route::find(&segments).unwrap(), settings)
    }

    #[test]
    fn a_secured_queue_is_for_its_user_whatever_is_done_with_it() {
        let settings = settings(Realm::Secured, false, CreateQueues::Anyone);
        for (method, path) in [
            (Method::Post, "queue q pop"),
            (Method::Post, "queue q poprel"),
            (Method::Post, "queue q subscribe"),
            (Method::Post, "queue q subscriberel"),
            (Method::Post, "queue q ack"),
            (Method::Get, "queue q peek"),
            (Method::Get, "queue q"),
            (Method::Get, "queue q dead"),
            (Method::Delete, "queue q dead"),
            (Method::Post, "queue q dead redrive"),
        ] {
            let queue = QueueName::new(Realm::Secured, Tenant(None), "q");
            assert_eq!(
                gate_of(method, path, &settings),
                Some(Gate::Queue(queue)),
                "{path}"
            );
            let path = format!("org o {path}");
            let queue = QueueName::new(Realm::Secured, Tenant(Some("o".into())), "q");
            assert_eq!(
                gate_of(method, &path, &settings),
                Some(Gate::Queue(queue)),
                "{path}"
            );
        }
        assert_eq!(gate_of(Method::Post, "queue", &settings), None);
        assert_eq!(gate_of(Method::Post, "trans", &settings), None);
    }

    #[test]
    fn without_users_plain_queues_are_open() {
        let settings = settings(Realm::Plain, false, CreateQueues::Admin);
        for path in [
            "queue q pop",
            "queue q",
            "trans",
            "trans i",
            "group",
            "group g",
            "queue q dead",
        ] {
            assert_eq!(gate_of(Method::Post, path, &settings), None, "{path}");
        }
    }

    #[test]
    fn with_users_each_deed_has_its_roles() {
        let settings = settings(Realm::Plain, true, CreateQueues::Anyone);
        for (method, path, roles) in [
            (Method::Post, "trans", Some(WRITERS)),
            (Method::Put, "trans i", Some(WRITERS)),
            (Method::Delete, "trans i", Some(WRITERS)),
            (Method::Get, "trans i", Some(READERS)),
            (Method::Get, "trans i state", Some(READERS)),
            (Method::Post, "group", Some(WRITERS)),
            (Method::Put, "group g", Some(WRITERS)),
            (Method::Delete, "group g", Some(WRITERS)),
            (Method::Get, "group g", Some(READERS)),
            (Method::Get, "queue q", Some(READERS)),
            (Method::Post, "queue", Some(OPERATORS)),
            (Method::Get, "queue q dead", Some(INSPECTORS)),
            (Method::Delete, "queue q dead", Some(OPERATORS)),
            (Method::Post, "queue q dead redrive", Some(OPERATORS)),
            (Method::Post, "queue q pop", None),
            (Method::Post, "queue q ack", None),
            (Method::Get, "queue q peek", None),
        ] {
            let found = gate_of(method, &format!("org o {path}"), &settings);
            let expected = roles.map(|roles| {
                Gate::Roles(Need {
                    roles,
                    tenant: Tenant(Some("o".into())),
                    transaction: None,
                })
            });
            assert_eq!(found, expected, "{method:?} {path}");
        }
    }

    #[test]
    fn secured_queues_may_be_the_admins_to_make() {
        let settings = settings(Realm::Secured, true, CreateQueues::Admin);
        let found = gate_of(Method::Post, "queue", &settings);
        assert!(
            matches!(found, Some(Gate::Roles(Need { roles: [], .. }))),
            "{found:?}"
        );
    }
}
