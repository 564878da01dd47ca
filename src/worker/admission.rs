//! What goes before an answer that is not for everybody: finding out, without holding the worker, whether the client
//! may have it.
//!
//! A login that was found right lately is known at once. Any other takes a slow hash, which is made elsewhere.

use std::{mem, net::IpAddr, rc::Rc, sync::Arc};

use super::{Worker, desk::Errand, questions::Question};
use crate::{
    api::{self, Action, Gate, Guarded, Need, NewQueue},
    auth::{self, Asker, Grant, Login, Outcome, Subject},
    config::User,
    http::Response,
    mailbox::{Op, QueueName, Refusal, Reply, State},
    memory::Charge,
    runtime::Bell,
};

pub(super) struct Admission {
    step: Step,
    address: IpAddr,
    /// The request's body.
    body: Option<Charge>,
    is_to_messages: bool,
    is_to_subscription: bool,
}

/// How far it is.
enum Step {
    /// Nothing has been asked yet.
    AtGate(Box<Guarded>),
    /// The store is asked who may use the queue.
    Looking {
        errand: Errand,
        queue: QueueName,
        login: Option<Login>,
        action: Action,
    },
    /// A login is being checked for a queue, whose credentials are these.
    CheckingForQueue {
        check: Question<Outcome>,
        queue: QueueName,
        record: Box<str>,
        action: Action,
    },
    /// A login is being checked for what a user of the configuration may do.
    CheckingForRole {
        check: Question<Outcome>,
        need: Need,
        action: Action,
    },
    /// The store replaces credentials of an old kind; whatever comes of it, the login was right.
    Renewing(Errand, Action),
    /// The store is asked whose a transaction is.
    Owning {
        errand: Errand,
        user: Arc<User>,
        action: Action,
    },
    /// A queue is to be made.
    ToMake(Box<NewQueue>),
    /// Its password is being hashed.
    Hashing(Question<Outcome>, Box<NewQueue>),
    /// It is known.
    Over,
}

/// How far [`Admission::go_on`] got.
pub(super) enum Progress {
    /// Something has to come first, upon which the bell rings.
    NotYet,
    /// The client may have it: this is to be done, with that body.
    Admitted(Action, Option<Charge>),
    /// It may not, or it cannot be found out.
    Refused(Response),
}

/// What becomes of a step.
enum Turn {
    Wait(Step),
    Next(Step),
    Admit(Action),
}

impl Admission {
    /// For something that has a gate before it.
    pub(super) fn through_gate(
        guarded: Box<Guarded>,
        body: Option<Charge>,
        address: IpAddr,
    ) -> Self {
        Self {
            is_to_messages: matches!(guarded.action, Action::Pop { .. } | Action::Subscribe(_)),
            is_to_subscription: matches!(guarded.action, Action::Subscribe(_)),
            step: Step::AtGate(guarded),
            address,
            body,
        }
    }

    /// For a secured queue that anybody may make.
    pub(super) fn to_make(queue: Box<NewQueue>, body: Option<Charge>, address: IpAddr) -> Self {
        Self {
            step: Step::ToMake(queue),
            address,
            body,
            is_to_messages: false,
            is_to_subscription: false,
        }
    }

    /// Whence the client comes.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether messages are what the client is after.
    pub(super) fn is_to_messages(&self) -> bool {
        self.is_to_messages
    }

    /// Whether a stream of them is.
    pub(super) fn is_to_subscription(&self) -> bool {
        self.is_to_subscription
    }

    /// Goes as far as is possible now.
    pub(super) fn go_on(&mut self, worker: &Rc<Worker>, bell: &Rc<Bell>) -> Progress {
        loop {
            let step = mem::replace(&mut self.step, Step::Over);
            match self.take(step, worker, bell) {
                Ok(Turn::Wait(step)) => {
                    self.step = step;
                    return Progress::NotYet;
                }
                Ok(Turn::Next(step)) => self.step = step,
                Ok(Turn::Admit(Action::Make(queue))) => self.step = Step::ToMake(queue),
                Ok(Turn::Admit(action)) => return Progress::Admitted(action, self.body.take()),
                Err(response) => return Progress::Refused(response),
            }
        }
    }

    fn take(&self, step: Step, worker: &Rc<Worker>, bell: &Rc<Bell>) -> Result<Turn, Response> {
        match step {
            Step::AtGate(guarded) => self.come_to_gate(*guarded, worker, bell),
            Step::Looking {
                mut errand,
                queue,
                login,
                action,
            } => {
                let Some(arrival) = errand.take_reply() else {
                    return Ok(Turn::Wait(Step::Looking {
                        errand,
                        queue,
                        login,
                        action,
                    }));
                };
                match arrival.reply {
                    Reply::Credentials(Some(record)) => {
                        let login = login.ok_or_else(api::unauthorized)?;
                        self.check_for_queue(queue, record, &login, action, worker, bell)
                    }
                    Reply::Credentials(None) => Err(api::no_such_queue()),
                    other => Err(unexpected(other)),
                }
            }
            Step::CheckingForQueue {
                mut check,
                queue,
                record,
                action,
            } => match check.take_answer() {
                None => Ok(Turn::Wait(Step::CheckingForQueue {
                    check,
                    queue,
                    record,
                    action,
                })),
                Some(Outcome::Right {
                    renewed: Some(after),
                    ..
                }) => {
                    let renew = Op::RenewCredentials {
                        queue,
                        before: record,
                        after,
                    };
                    Ok(renewed(renew, action, worker, bell))
                }
                Some(Outcome::Right { .. }) => Ok(Turn::Admit(action)),
                Some(outcome) => Err(failed(&outcome)),
            },
            Step::CheckingForRole {
                mut check,
                need,
                action,
            } => match check.take_answer() {
                None => Ok(Turn::Wait(Step::CheckingForRole {
                    check,
                    need,
                    action,
                })),
                Some(Outcome::Right { grant, .. }) => allow(&grant, &need, action, worker, bell),
                Some(outcome) => Err(failed(&outcome)),
            },
            Step::Renewing(mut errand, action) => Ok(match errand.take_reply() {
                None => Turn::Wait(Step::Renewing(errand, action)),
                Some(_) => Turn::Admit(action),
            }),
            Step::Owning {
                mut errand,
                user,
                action,
            } => match errand.take_reply().map(|arrival| arrival.reply) {
                None => Ok(Turn::Wait(Step::Owning {
                    errand,
                    user,
                    action,
                })),
                // One that is not there is nobody's, and the answer will be that it is not there.
                Some(Reply::States(states)) if is_own(&user, &states) => Ok(Turn::Admit(action)),
                Some(Reply::States(_)) => Err(api::forbidden()),
                Some(other) => Err(unexpected(other)),
            },
            Step::ToMake(queue) => self.hash(queue, worker, bell),
            Step::Hashing(mut check, queue) => match check.take_answer() {
                None => Ok(Turn::Wait(Step::Hashing(check, queue))),
                Some(Outcome::Hashed(credentials)) => {
                    let NewQueue { queue, answer, .. } = *queue;
                    let make = Op::SecureQueue { queue, credentials };
                    Ok(Turn::Admit(Action::Ask(make, answer)))
                }
                Some(outcome) => Err(failed(&outcome)),
            },
            Step::Over => Ok(Turn::Wait(Step::Over)),
        }
    }

    /// By whom a verdict is asked for.
    fn asker(&self, worker: &Worker, check: &Question<Outcome>) -> Asker {
        Asker {
            worker: worker.index,
            number: check.number(),
            address: self.address,
        }
    }

    fn come_to_gate(
        &self,
        guarded: Guarded,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
    ) -> Result<Turn, Response> {
        let Guarded {
            gate,
            login,
            action,
        } = guarded;
        match gate {
            Gate::Queue(queue) => {
                let is_known = |login| worker.guard.known(&queue, login);
                if login.as_ref().is_some_and(is_known) {
                    return Ok(Turn::Admit(action));
                }
                let look = Op::Credentials(queue.clone());
                let errand = worker.desk.ask(look, None, bell);
                Ok(Turn::Next(Step::Looking {
                    errand: errand.map_err(|refusal| api::refused(&refusal))?,
                    queue,
                    login,
                    action,
                }))
            }
            Gate::Roles(need) => {
                let login = login.ok_or_else(api::unauthorized)?;
                let check = worker.checks.open(bell);
                let asker = self.asker(worker, &check);
                match granted(worker.guard.check(asker, &Subject::User, &login))? {
                    Some(grant) => allow(&grant, &need, action, worker, bell),
                    None => Ok(Turn::Next(Step::CheckingForRole {
                        check,
                        need,
                        action,
                    })),
                }
            }
        }
    }

    fn check_for_queue(
        &self,
        queue: QueueName,
        record: Box<str>,
        login: &Login,
        action: Action,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
    ) -> Result<Turn, Response> {
        let check = worker.checks.open(bell);
        let asker = self.asker(worker, &check);
        let subject = Subject::Queue {
            queue: queue.clone(),
            record: record.clone(),
        };
        Ok(match granted(worker.guard.check(asker, &subject, login))? {
            Some(_) => Turn::Admit(action),
            None => Turn::Next(Step::CheckingForQueue {
                check,
                queue,
                record,
                action,
            }),
        })
    }

    fn hash(
        &self,
        queue: Box<NewQueue>,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
    ) -> Result<Turn, Response> {
        let check = worker.checks.open(bell);
        let asker = self.asker(worker, &check);
        // A grant is for logins, and this is none.
        granted(worker.guard.make(asker, &queue.user, &queue.password.0))?;
        Ok(Turn::Next(Step::Hashing(check, queue)))
    }
}

/// Has better credentials kept. What comes of that changes nothing: it is tried again at the next login.
fn renewed(renew: Op, action: Action, worker: &Rc<Worker>, bell: &Rc<Bell>) -> Turn {
    match worker.desk.ask(renew, None, bell) {
        Ok(errand) => Turn::Next(Step::Renewing(errand, action)),
        Err(_) => Turn::Admit(action),
    }
}

/// Whether a transaction is in none but a user's queues.
fn is_own(user: &User, states: &[(QueueName, State)]) -> bool {
    let mut tenants = states.iter().map(|(queue, _)| queue.tenant().0.as_deref());
    tenants.all(|tenant| user.may_reach(tenant))
}

/// What a login was found to be, or none where that comes later.
fn granted(check: auth::Check) -> Result<Option<Grant>, Response> {
    match check {
        auth::Check::Known(grant) => Ok(Some(grant)),
        auth::Check::Pending => Ok(None),
        auth::Check::Limited { retry_after } => {
            Err(api::too_many_failures(retry_after.as_secs() + 1))
        }
        auth::Check::Busy => Err(api::refused(&Refusal::Full(
            "auth.max_verifications is reached",
        ))),
    }
}

/// Whether somebody may do what needs something; more has to be asked about a transaction, which is not in its path.
fn allow(
    grant: &Grant,
    need: &Need,
    action: Action,
    worker: &Rc<Worker>,
    bell: &Rc<Bell>,
) -> Result<Turn, Response> {
    let user = match grant {
        Grant::Admin => return Ok(Turn::Admit(action)),
        Grant::User(user) => user,
        Grant::Queue => return Err(api::forbidden()),
    };
    let has_role = need.roles.iter().any(|role| user.roles.has(*role));
    if !has_role || !user.may_reach(need.tenant.0.as_deref()) {
        return Err(api::forbidden());
    }
    let action = action.for_user(user);
    match need.transaction.filter(|_| user.tenants.is_some()) {
        None => Ok(Turn::Admit(action)),
        Some(id) => {
            let errand = worker.desk.ask(Op::States(id), None, bell);
            Ok(Turn::Next(Step::Owning {
                errand: errand.map_err(|refusal| api::refused(&refusal))?,
                user: Arc::clone(user),
                action,
            }))
        }
    }
}

fn failed(outcome: &Outcome) -> Response {
    match outcome {
        Outcome::Wrong => api::wrong_login(),
        _ => api::refused(&Refusal::Unavailable("a password cannot be hashed".into())),
    }
}

fn unexpected(reply: Reply) -> Response {
    match reply {
        Reply::Refused(refusal) => api::refused(&refusal),
        _ => api::refused(&Refusal::Unavailable("unexpected reply".into())),
    }
}
