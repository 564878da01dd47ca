//! Lines for whoever called. The standard macros would panic when nobody reads any more.

use std::fmt::Display;
use std::io::{self, Write};

/// A result, to standard output.
pub(super) fn print(line: impl Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

/// What went wrong, to standard error; if nobody reads that, there is nobody left to tell.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
