//! Whether a login is right: slow, and the same for whatever is wrong with it.

use std::{collections::HashMap, sync::Arc};

use subtle::ConstantTimeEq as _;
use tracing::error;

use super::{
    Grant, Login, Record, hash,
    record::{HashError, verify},
};
use crate::config::{Auth, Credentials, User};

/// What takes as long to be refused as a wrong password, for those who are nobody.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Whom the configuration knows.
#[derive(Debug)]
pub(super) struct Verification {
    admin: Option<Credentials>,
    users: HashMap<String, Arc<User>>,
    nobody: Credentials,
}

/// A login that was right.
#[derive(Debug)]
pub(super) struct Right {
    pub(super) grant: Grant,
    /// What is to be kept instead of an old record.
    pub(super) renewed: Option<Box<str>>,
}

impl Right {
    fn of(grant: Grant) -> Self {
        Self {
            grant,
            renewed: None,
        }
    }
}

impl Verification {
    pub(super) fn new(auth: &Auth) -> Self {
        let users = auth.users.iter().map(|user| {
            let user = Arc::new(user.clone());
            (user.credentials.user.clone(), user)
        });
        Self {
            admin: auth.admin.clone(),
            users: users.collect(),
            nobody: Credentials {
                user: String::new(),
                hash: NOBODY.to_owned(),
            },
        }
    }

    /// Whether the login is that of a secured queue, of which this was kept, or the admin's.
    pub(super) fn of_queue(&self, kept: &str, login: &Login) -> Option<Right> {
        let renewed = match Record::parse(kept) {
            Some(Record::Hashed(own)) if is_user(&own, login) => {
                if verify(&own, login) {
                    return Some(Right::of(Grant::Queue));
                }
                // One hash for each login, whoever it says it is; two only where both have the same name.
                if !self.admin.as_ref().is_some_and(|it| is_user(it, login)) {
                    return None;
                }
                None
            }
            Some(old @ Record::Old(_)) if old.verify(login) => {
                Some(credentials(&login.user, &login.password).ok())
            }
            Some(_) => None,
            None => {
                error!(
                    "the credentials of a secured queue cannot be read: only the admin can use it"
                );
                None
            }
        };
        if let Some(renewed) = renewed {
            return Some(Right {
                grant: Grant::Queue,
                renewed,
            });
        }
        self.of_admin(login).map(Right::of)
    }

    /// Whether the login is that of a user of the configuration, or the admin's.
    pub(super) fn of_users(&self, login: &Login) -> Option<Right> {
        match self.users.get(&*login.user) {
            Some(user) if verify(&user.credentials, login) => {
                Some(Right::of(Grant::User(Arc::clone(user))))
            }
            Some(_) => None,
            None => self.of_admin(login).map(Right::of),
        }
    }

    fn of_admin(&self, login: &Login) -> Option<Grant> {
        let credentials = self.admin.as_ref().unwrap_or(&self.nobody);
        (verify(credentials, login) && self.admin.is_some()).then_some(Grant::Admin)
    }
}

fn is_user(credentials: &Credentials, login: &Login) -> bool {
    let known = credentials.user.as_bytes();
    known.ct_eq(login.user.as_bytes()).into()
}

/// What is to be kept of a user of a secured queue.
pub(super) fn credentials(user: &str, password: &[u8]) -> Result<Box<str>, HashError> {
    let credentials = Credentials {
        user: user.to_owned(),
        hash: hash(password)?,
    };
    Ok(credentials.to_string().into())
}
