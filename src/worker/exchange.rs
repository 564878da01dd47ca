//! A request from the moment it is understood until its answer is on its way.

use std::{net::IpAddr, rc::Rc, time::Instant};

use tracing::info;

use super::{
    Door, Worker,
    admission::{Admission, Progress},
    cargo::{Cargo, Load},
    desk::{Arrival, Errand},
    questions::Question,
    subscription::Subscription,
};
use crate::{
    api::{self, Action, Answer, Deed},
    http::{Frame, Method, Request, Response, Status, Version},
    mailbox::{LeaseId, LeaseKind, Op, QueueName, Refusal, Reply, TransactionId},
    memory::Charge,
    offload::{Inquiry, Recollection},
    runtime::{Bell, Tick},
    store,
};

pub(super) struct Exchange {
    version: Version,
    keep_alive: bool,
    head_only: bool,
    stage: Stage,
    access: Option<Box<Access>>,
    /// What it is called in history, if it is to be there.
    deed: Option<Box<Deed>>,
}

enum Stage {
    /// Not begun before its turn comes: messages and contents are not to be held behind other answers.
    Postponed(Option<Box<(Action, IpAddr)>>),
    /// It is being found out whether the client may have it.
    Admitting(Box<Admission>),
    /// The answer is known.
    Ready(Box<Response>),
    /// The store has been asked.
    Asked(Errand, Option<Answer>),
    /// History is asked, for the answer or for a part of it.
    Recalling(Box<Recalling>),
    /// A pop, which may wait.
    Popping(Popping),
    /// An answer without an end.
    Subscribed(Box<Subscription>),
}

struct Recalling {
    inquiry: Inquiry,
    /// None: it has not been asked yet.
    question: Option<Question<Recollection>>,
    /// The rest of the answer.
    rest: Option<(Answer, Arrival)>,
}

struct Popping {
    errand: Errand,
    queue: QueueName,
    kind: LeaseKind,
    /// When to stop waiting.
    deadline: Tick,
    is_stopped: bool,
}

/// What the access log tells of a request.
struct Access {
    method: Method,
    path: Box<str>,
    started: Instant,
}

/// How far writing an answer got.
pub(super) enum Written {
    /// It is not there yet.
    NotYet,
    /// A part of a stream is; more may come at any time.
    Part,
    /// All of it is; whether the connection may go on.
    Whole { keep_alive: bool },
}

impl Exchange {
    /// Begins what a request asks for, which is the first on its connection or behind others.
    pub(super) fn begin(
        request: &Request,
        body: Option<Charge>,
        is_first: bool,
        address: IpAddr,
        door: &Rc<Door>,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
    ) -> Self {
        let access = worker.access_log.then(|| {
            let (method, path) = (request.method, request.target.path().into());
            Box::new(Access {
                method,
                path,
                started: Instant::now(),
            })
        });
        let action = api::handle(request, &door.settings, &mut super::new_transaction_id);
        let deed = worker.deed(request, &action, &door.settings);
        let stage = if is_first || !brings_contents(&action) {
            Stage::begin(action, body, address, worker, bell)
        } else {
            Stage::Postponed(Some(Box::new((action, address))))
        };
        Self {
            version: request.version,
            keep_alive: request.keep_alive,
            head_only: request.method == Method::Head,
            stage,
            access,
            deed: deed.map(Box::new),
        }
    }

    /// An answer that is known, to a request that is not looked at.
    pub(super) fn answered(request: &Request, response: Response) -> Self {
        Self {
            version: request.version,
            keep_alive: request.keep_alive,
            head_only: request.method == Method::Head,
            stage: Stage::Ready(Box::new(response)),
            access: None,
            deed: None,
        }
    }

    /// An answer that closes the connection, to something that is no request.
    pub(super) fn last_words(response: Response) -> Self {
        Self {
            version: Version::Http11,
            keep_alive: false,
            head_only: false,
            stage: Stage::Ready(Box::new(response)),
            access: None,
            deed: None,
        }
    }

    /// Whether the connection takes further requests behind this one.
    pub(super) fn is_last(&self) -> bool {
        match &self.stage {
            Stage::Subscribed(_) => true,
            Stage::Admitting(admission) => !self.keep_alive || admission.is_to_subscription(),
            _ => !self.keep_alive,
        }
    }

    /// Whether it waits for messages, which a client that has gone must not get.
    pub(super) fn takes_messages(&self) -> bool {
        match &self.stage {
            Stage::Popping(_) | Stage::Subscribed(_) => true,
            Stage::Postponed(action) => {
                matches!(action.as_deref(), Some((Action::Pop { .. }, _)))
            }
            Stage::Admitting(admission) => admission.is_to_messages(),
            Stage::Ready(_) | Stage::Asked(..) | Stage::Recalling(_) => false,
        }
    }

    /// When it needs to be looked at though nothing has come.
    pub(super) fn deadline(&self) -> Option<Tick> {
        match &self.stage {
            Stage::Popping(popping) => (!popping.is_stopped).then_some(popping.deadline),
            Stage::Subscribed(subscription) => subscription.deadline(),
            _ => None,
        }
    }

    /// Stops waiting where the time for it is over.
    pub(super) fn look_at_time(&mut self, now: Tick, is_draining: bool) {
        match &mut self.stage {
            Stage::Popping(popping) if is_draining || now >= popping.deadline => {
                popping.is_stopped = true;
                popping.errand.stop_waiting();
            }
            Stage::Subscribed(subscription) if is_draining => subscription.stop(),
            _ => {}
        }
    }

    /// Appends the answer to `out` if it is there. What it carries is added to `load`. The final one of a
    /// connection's requests closes it when the server drains.
    pub(super) fn write(
        &mut self,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
        is_final: bool,
        out: &mut Vec<u8>,
        load: &mut Load,
    ) -> Written {
        if !self.is_admitted(worker, bell) {
            return Written::NotYet;
        }
        if let Stage::Subscribed(subscription) = &mut self.stage
            && let Err(refusal) = subscription.begin(worker, bell)
        {
            // The connection takes no further request behind what was to be a stream.
            self.keep_alive = false;
            self.stage = Stage::refused(&refusal);
        }
        let keep_alive = self.keep_alive && !(is_final && worker.draining.get());
        let date = worker.date();
        let (version, head_only) = (self.version, self.head_only);
        let frame = Frame {
            version,
            keep_alive,
            head_only,
            date: &date,
        };
        if let Stage::Postponed(action) = &mut self.stage
            && let Some(action) = action.take()
        {
            let (action, address) = *action;
            self.stage = Stage::begin(action, None, address, worker, bell);
        }
        self.turn_to_history();
        let made;
        let response = match &mut self.stage {
            Stage::Postponed(_) | Stage::Admitting(_) => return Written::NotYet,
            Stage::Ready(response) => &**response,
            Stage::Asked(errand, answer) => {
                let Some(arrival) = errand.take_reply() else {
                    return Written::NotYet;
                };
                load.contents.extend(arrival.contents);
                note_reply(&mut self.deed, &arrival.reply);
                made = render(answer.take(), arrival.reply);
                &made
            }
            Stage::Recalling(recalling) => {
                if !out.is_empty() {
                    // While the client does not take that, it had no use for the answer, and others for the place.
                    return Written::NotYet;
                }
                let Some(answered) = recalling.take_answer(worker, bell, load) else {
                    return Written::NotYet;
                };
                made = answered;
                &made
            }
            Stage::Popping(popping) => {
                let Some(arrival) = popping.errand.take_reply() else {
                    return Written::NotYet;
                };
                load.contents.extend(arrival.contents);
                if let Reply::Messages(handout) = &arrival.reply
                    && !handout.messages.is_empty()
                {
                    let queue = popping.queue.clone();
                    let cargo = Cargo::new(&worker.desk, queue, popping.kind, handout);
                    load.cargo.push(cargo);
                }
                note_reply(&mut self.deed, &arrival.reply);
                made = api::messages(popping.kind, arrival.reply);
                &made
            }
            Stage::Subscribed(subscription) => {
                let written = subscription.write(worker, bell, &frame, out, load);
                if let Written::Whole { .. } = written {
                    if let Some(deed) = self.deed.take() {
                        let now = store::time_of_day();
                        worker.tell(match subscription.failure() {
                            Some(response) => deed.answered(now, response),
                            None => deed.ended(now),
                        });
                    }
                    self.log(Status::OK);
                }
                return written;
            }
        };
        worker.note_refusal(response);
        response.encode(&frame, out);
        let status = response.status;
        if let Some(deed) = self.deed.take() {
            worker.tell(deed.answered(store::time_of_day(), response));
        }
        self.log(status);
        Written::Whole { keep_alive }
    }

    /// Turns to history for its part of the answer, where it has one and the store has replied.
    fn turn_to_history(&mut self) {
        if let Stage::Asked(errand, answer) = &mut self.stage
            && answer.as_ref().is_some_and(Answer::wants_history)
            && let Some(arrival) = errand.take_reply()
            && let Some(answer) = answer.take()
        {
            self.stage = match answer.inquiry(&arrival.reply) {
                Some(inquiry) => Stage::Recalling(Box::new(Recalling {
                    inquiry,
                    question: None,
                    rest: Some((answer, arrival)),
                })),
                None => Stage::Ready(Box::new(answer.render(arrival.reply))),
            };
        }
    }

    /// The client has left before these answers were whole.
    pub(super) fn abandon(exchanges: impl Iterator<Item = Self>, worker: &Worker) {
        let now = store::time_of_day();
        for exchange in exchanges {
            let Some(deed) = exchange.deed else { continue };
            worker.tell(match exchange.stage {
                // That is how such a one ends.
                Stage::Subscribed(_) => deed.ended(now),
                _ => deed.unanswered(now),
            });
        }
    }

    /// What was handed out to a reliable subscription has been written.
    pub(super) fn note_delivered(&mut self, lease: LeaseId, ids: Vec<TransactionId>, now: Tick) {
        if let Stage::Subscribed(subscription) = &mut self.stage {
            subscription.note_delivered(lease, ids, now);
        }
    }

    /// Finds out whether the client may have what it asks for, if that is open; whether it is not any more.
    fn is_admitted(&mut self, worker: &Rc<Worker>, bell: &Rc<Bell>) -> bool {
        let Stage::Admitting(admission) = &mut self.stage else {
            return true;
        };
        match admission.go_on(worker, bell) {
            Progress::NotYet => return false,
            Progress::Admitted(action, body) => {
                let address = admission.address();
                self.stage = Stage::begin(action, body, address, worker, bell);
            }
            Progress::Refused(response) => {
                // The connection takes no further request behind what was to be a stream.
                self.keep_alive &= !admission.is_to_subscription();
                self.stage = Stage::Ready(Box::new(response));
            }
        }
        true
    }

    fn log(&self, status: Status) {
        if let Some(access) = &self.access {
            let seconds = access.started.elapsed().as_secs_f64();
            info!(target: "access", method = ?access.method, path = %access.path, status = status.code(), seconds);
        }
    }
}

impl Recalling {
    /// The answer, if it has come and there is room for it until the client has it.
    fn take_answer(
        &mut self,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
        load: &mut Load,
    ) -> Option<Response> {
        let question = self
            .question
            .get_or_insert_with(|| worker.recall(self.inquiry.clone(), bell));
        let recollection = question.take_answer()?;
        let (response, contents) = match self.rest.take() {
            None => (api::recalled(recollection.memories), None),
            Some((answer, arrival)) => {
                let response = answer.render_with(arrival.reply, recollection.memories);
                (response, arrival.contents)
            }
        };
        let mut charge = Charge::new(&worker.shared.answer_memory);
        if !charge.resize(response.body.len()) {
            let limit = "limits.max_answer_memory is reached";
            return Some(api::refused(&Refusal::Full(limit)));
        }
        load.contents.extend(contents.into_iter().chain([charge]));
        Some(response)
    }
}

impl Stage {
    fn begin(
        action: Action,
        body: Option<Charge>,
        address: IpAddr,
        worker: &Rc<Worker>,
        bell: &Rc<Bell>,
    ) -> Self {
        match action {
            Action::Guarded(guarded) => {
                Self::Admitting(Box::new(Admission::through_gate(guarded, body, address)))
            }
            Action::Make(queue) => {
                Self::Admitting(Box::new(Admission::to_make(queue, body, address)))
            }
            Action::Respond(response) => Self::Ready(Box::new(response)),
            Action::Ask(op, answer) => match worker.desk.ask(op, body, bell) {
                Ok(errand) => Self::Asked(errand, Some(answer)),
                Err(refusal) => Self::refused(&refusal),
            },
            Action::Recall(inquiry) => Self::Recalling(Box::new(Recalling {
                inquiry,
                question: None,
                rest: None,
            })),
            Action::Pop { mut pop, wait_max } => {
                pop.wait = !worker.draining.get();
                let (queue, kind) = (pop.queue.clone(), pop.kind);
                let deadline = worker.timers.now().plus(wait_max);
                match worker.desk.ask(Op::Pop(pop), None, bell) {
                    Ok(errand) => Self::Popping(Popping {
                        errand,
                        queue,
                        kind,
                        deadline,
                        is_stopped: false,
                    }),
                    Err(refusal) => Self::refused(&refusal),
                }
            }
            Action::Subscribe(pop) => {
                let mut subscription = Subscription::new(pop);
                if worker.draining.get() {
                    subscription.stop();
                }
                Self::Subscribed(Box::new(subscription))
            }
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        Self::Ready(Box::new(api::refused(refusal)))
    }
}

/// Whether the answer holds contents: messages or a whole transaction.
fn brings_contents(action: &Action) -> bool {
    match action {
        Action::Pop { .. } => true,
        Action::Ask(op, _) => op.brings_contents(),
        // These begin when their turn comes in any case.
        Action::Subscribe(_)
        | Action::Guarded(_)
        | Action::Make(_)
        | Action::Recall(_)
        | Action::Respond(_) => false,
    }
}

/// An operation has one reply, so its answer is there to render it.
fn render(answer: Option<Answer>, reply: Reply) -> Response {
    answer.map_or_else(
        || Response::errors(Status::INTERNAL, ["an answer is lost"]),
        |answer| answer.render(reply),
    )
}

fn note_reply(deed: &mut Option<Box<Deed>>, reply: &Reply) {
    if let Some(deed) = deed {
        deed.note_reply(reply);
    }
}
