//! `auth.users`: users with roles.

use std::collections::HashSet;

use toml::{Table, Value};

use super::auth::Credentials;
use super::value;

/// Somebody who may do what a role is for.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Name and password.
    pub credentials: Credentials,
    /// What for, at least one.
    pub roles: Roles,
    /// Whose things they are confined to, where `""` is what is outside of all tenants; none: not at all.
    pub tenants: Option<Vec<String>>,
}

/// What somebody is here for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Pushes, changes and deletes transactions and groups, and looks at them.
    Producer,
    /// Looks at them, and at dead letters.
    Inspector,
    /// All of it, and makes secured queues, redrives and purges dead letters.
    Operator,
}

/// Some of the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl User {
    /// What `auth.users` may be.
    pub(super) const LIST_FORM: &str = "a list of users { credentials = \"user:<hash>\", roles = \
        [\"producer\", \"inspector\" or \"operator\"], tenants = [\"a\"] } of different names, \
        where tenants may be left out";

    /// Whether they may reach what is a tenant's, or outside of all tenants.
    pub fn may_reach(&self, tenant: Option<&str>) -> bool {
        // No path has an empty tenant.
        let tenant = tenant.unwrap_or_default();
        self.tenants
            .as_ref()
            .is_none_or(|tenants| tenants.iter().any(|it| it == tenant))
    }

    /// Reads all of them; as a string, too, which is all that the environment has.
    pub(super) fn read_list(value: &Value) -> Option<Vec<Self>> {
        let users = value::tables(value)?;
        let users = users.iter().map(Self::read);
        let users = users.collect::<Option<Vec<_>>>()?;
        let mut names = HashSet::new();
        let is_new = |user: &Self| names.insert(user.credentials.user.clone());
        users.iter().all(is_new).then_some(users)
    }

    fn read(table: &Table) -> Option<Self> {
        let known = ["credentials", "roles", "tenants"];
        if !table.keys().all(|key| known.contains(&key.as_str())) {
            return None;
        }
        let texts = |list: &Value| {
            let texts = list.as_array()?.iter();
            texts
                .map(|text| text.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        };
        let mut roles = Roles::default();
        for word in texts(table.get("roles")?)? {
            roles.add(Role::of_word(&word)?);
        }
        let tenants = match table.get("tenants") {
            Some(list) => Some(texts(list)?),
            None => None,
        };
        let is_any = roles != Roles::default();
        Some(Self {
            credentials: table.get("credentials")?.as_str()?.parse().ok()?,
            roles: is_any.then_some(roles)?,
            tenants,
        })
    }
}

impl Role {
    fn of_word(word: &str) -> Option<Self> {
        match word {
            "producer" => Some(Self::Producer),
            "inspector" => Some(Self::Inspector),
            "operator" => Some(Self::Operator),
            _ => None,
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Roles {
    /// Whether a role is one of them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    fn add(&mut self, role: Role) {
        self.0 |= role.bit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";

    fn read(text: &str) -> Option<Vec<User>> {
        User::read_list(&Value::String(text.replace("HASH", HASH)))
    }

    #[test]
    fn users_are_read() {
        let users = read(
            r#"[{credentials = "p:HASH", roles = ["producer", "inspector"], tenants = ["a", ""]},
                {credentials = "o:HASH", roles = ["operator"]}]"#,
        )
        .unwrap();
        let [first, second] = &users[..] else {
            panic!("{users:?}");
        };
        assert_eq!(first.credentials.user, "p");
        assert!(first.roles.has(Role::Producer) && first.roles.has(Role::Inspector));
        assert!(!first.roles.has(Role::Operator));
        for (of, reached) in [(Some("a"), true), (None, true), (Some("b"), false)] {
            assert_eq!(first.may_reach(of), reached, "{of:?}");
        }
        assert!(second.roles.has(Role::Operator) && second.may_reach(Some("b")));
        assert_eq!(read(""), Some(Vec::new()));
        assert_eq!(read("[]"), Some(Vec::new()));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "x",
            "[1]",
            "[{}]",
            r#"[{credentials = "p:HASH"}]"#,
            r#"[{credentials = "p:HASH", roles = []}]"#,
            r#"[{credentials = "p:HASH", roles = ["root"]}]"#,
            r#"[{credentials = "p:secret", roles = ["producer"]}]"#,
            r#"[{credentials = "p:HASH", roles = ["producer"], tenant = ["a"]}]"#,
            r#"[{credentials = "p:HASH", roles = ["producer"], tenants = "a"}]"#,
            r#"[{credentials = "p:HASH", roles = ["producer"]}, {credentials = "p:HASH", roles = ["operator"]}]"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
