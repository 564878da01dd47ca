//! What is said first on every connection.

use redis_protocol::resp3::types::BytesFrame;
use uuid::Uuid;

use super::{Decimal, Fault, State, into_bytes, into_list};
use crate::store::redis::{clock, keys, library};

/// Why a replica is of no use.
pub(in crate::store::redis) const REPLICA: &str = "it is a replica, which cannot be written to";

/// Why a server is of no use at the moment.
pub(super) type Reason = String;

/// Introduces us, makes sure that the server is one to write to, and gives it the library of functions. The
/// channel that was subscribed to, if there is a listener.
pub(super) async fn greet(state: &State) -> Result<Option<String>, Reason> {
    let address = &state.settings.address;
    let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
    if let Some(password) = &address.password {
        let user = address.user.as_deref().unwrap_or("default");
        hello.extend([&b"AUTH"[..], user.as_bytes(), password.as_bytes()]);
    }
    hello.extend([&b"SETNAME"[..], b"popbox"]);
    said(state.call(&hello).await)?;
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
    match state.call(&library::load_command()).await {
        // One that takes no writes now may have the library nevertheless. If not, the first call finds out.
        Err(fault) if fault.is_of_known_library() || fault.is_of_no_writes() => {}
        loaded => drop(said(loaded)?),
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
