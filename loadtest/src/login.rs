//! Who the load is from, where the server wants to know.

use std::{fmt, str::FromStr};

use base64ct::{Base64, Encoding as _};

/// A user and a password.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl FromStr for Login {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let login = text.split_once(':');
        let (user, password) = login
            .filter(|(user, password)| !user.is_empty() && !password.is_empty())
            .ok_or("a login is written as USER:PASSWORD")?;
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

impl Login {
    /// The header that says it.
    pub(crate) fn header(&self) -> String {
        let Self { user, password } = self;
        let both = Base64::encode_string(format!("{user}:{password}").as_bytes());
        format!("Authorization: Basic {both}\r\n")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:(hidden)", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_have_colons_and_a_login_lacks_nothing() {
        let login: Login = "al:open:sesame".parse().unwrap();
        assert_eq!(
            login.header(),
            "Authorization: Basic YWw6b3BlbjpzZXNhbWU=\r\n"
        );
        for text in ["al", "al:", ":sesame"] {
            assert!(text.parse::<Login>().is_err(), "{text}");
        }
    }
}
