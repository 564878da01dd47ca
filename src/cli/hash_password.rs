//! `popbox hash-password`: makes the line that goes into `auth.admin`.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use super::output;
use crate::auth::{HashError, hash};
use crate::config::Credentials;

/// Bytes of a password that are read at most: more than anyone types.
const MAX_PASSWORD: u64 = 4096;

/// Why no hash was printed.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("USER: expected a name without colons and control characters")]
    User,
    #[error("the password is empty")]
    Empty,
    #[error("the password has more than {MAX_PASSWORD} bytes")]
    Long,
    #[error("standard input or output: {0}")]
    Input(#[from] io::Error),
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// `popbox hash-password USER`: reads the password and prints the credentials.
pub(super) fn run(user: &str) -> ExitCode {
    match credentials(user).and_then(|credentials| Ok(output::print(credentials)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            output::complain(format_args!("popbox hash-password: {refusal}"));
            ExitCode::FAILURE
        }
    }
}

fn credentials(user: &str) -> Result<Credentials, Refusal> {
    // Before the password is asked for: nobody should type it in vain.
    if !Credentials::is_user(user) {
        return Err(Refusal::User);
    }
    let password = if io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Password of {user}: "))?.into_bytes()
    } else {
        read_line(io::stdin().lock())?
    };
    if password.is_empty() {
        return Err(Refusal::Empty);
    }
    Ok(Credentials {
        user: user.to_owned(),
        hash: hash(&password)?,
    })
}

/// One line without its end. Bytes, because HTTP does not promise that a password is UTF-8.
fn read_line(input: impl BufRead) -> Result<Vec<u8>, Refusal> {
    let mut line = Vec::new();
    // Two more: a line's end.
    input.take(MAX_PASSWORD + 2).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() as u64 > MAX_PASSWORD {
        return Err(Refusal::Long);
    }
    Ok(line.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_end_only() {
        for (input, expected) in [
            ("secret\nmore", "secret"),
            ("secret\r\n", "secret"),
            ("secret", "secret"),
            (" a b \n", " a b "),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(read_line(input.as_bytes()).unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn a_line_has_an_end() {
        let long = "x".repeat(4097);
        assert!(matches!(read_line(long.as_bytes()), Err(Refusal::Long)));
        assert_eq!(read_line(&long.as_bytes()[1..]).unwrap().len(), 4096);
    }
}
