//! What is said first on every connection.

use redis_protocol::resp3::types::BytesFrame;
use uuid::Uuid;

use super::{Decimal, Fault, State, into_bytes, into_list};
use crate::store::redis::{clock, keys};

/// Why a replica is of no use.
pub(in crate::store::redis) const REPLICA: &str = "it is a replica, which cannot be written to";

/// Why a server is of no use at the moment.
pub(super) type Reason = String;

/// Introduces us, makes sure that the server is one to write to, and makes the scripts known. The channel that was
/// subscribed to, if there is a listener.
pub(super) async fn greet(state: &State) -> Result<Option<String>, Reason> {
    let address = &state.settings.address;
    let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
    if let Some(password) = &address.password {
        let user = address.user.as_deref().unwrap_or("default");
        hello.extend([&b"AUTH"[..], user.as_bytes(), password.as_bytes()]);
    }
    hello.extend([&b"SETNAME"[..], b"popbox"]);
    let hello = said(state.call(&hello).await)?;
    let has_flags = version_of(hello).is_some_and(|major| major >= 7);
    if address.database != 0 {
        let database = Decimal::of(address.database.into());
        said(state.call(&[b"SELECT", database.as_bytes()]).await)?;
    }
    // Those that may not ask find out when they write.
    if let Ok(role) = state.call(&[b"ROLE"]).await
        && let Some(role) = into_list(role).unwrap_or_default().into_iter().next()
        && into_bytes(role).is_ok_and(|role| role.as_deref() != Some(b"master"))
    {
        return Err(REPLICA.into());
    }
    let before = state.settings.timers.now();
    let time = said(state.call(&[b"TIME"]).await)?;
    if let Some(time) = clock::from_time_reply(time) {
        state.clock.set(time, before);
    }
    for script in &state.settings.scripts {
        script.set_flags(has_flags);
        let text = script.text();
        let digest = said(state.call(&[b"SCRIPT", b"LOAD", text.as_bytes()]).await)?;
        script.note_digest(into_bytes(digest).ok().flatten().unwrap_or_default());
    }
    if state.listener.borrow().is_none() {
        return Ok(None);
    }
    // Of this connection alone: what was to be told to an earlier one is not for this one.
    let worker = Uuid::new_v4().simple().to_string();
    let channel = keys::channel(&worker);
    said(state.call(&[b"SUBSCRIBE", channel.as_bytes()]).await)?;
    Ok(Some(worker))
}

fn said(result: Result<BytesFrame, Fault>) -> Result<BytesFrame, Reason> {
    result.map_err(|fault| fault.to_string())
}

/// The major version in the answer to HELLO. Servers of another name say which Redis they are like elsewhere; all of
/// those are of version 7 at least.
fn version_of(hello: BytesFrame) -> Option<u32> {
    let fields = into_list(hello).ok()?;
    let texts: Vec<_> = fields
        .into_iter()
        .map(|it| into_bytes(it).ok().flatten())
        .collect();
    let at = texts
        .iter()
        .position(|it| it.as_deref() == Some(b"version"))?;
    let version = texts.get(at + 1)?.clone()?;
    let text = std::str::from_utf8(&version).ok()?;
    text.split('.').next()?.parse().ok()
}
