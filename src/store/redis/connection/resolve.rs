//! The addresses of a server by its name, without holding up the thread.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustix::event::{EventfdFlags, eventfd};

use crate::runtime::Watch;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

type Found = Arc<Mutex<Option<io::Result<Vec<SocketAddr>>>>>;

/// Looks a name up. It is done on a thread of its own, since the system's way of doing so blocks.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let watch = Watch::new(event.try_clone()?)?;
    let found = Found::default();
    let (host, into) = (host.to_owned(), Arc::clone(&found));
    thread::Builder::new()
        .name("resolver".into())
        .spawn(move || look_up(&host, port, &into, &event))?;
    watch.readable().await?;
    let result = found.lock().unwrap_or_else(PoisonError::into_inner).take();
    result.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
}

fn look_up(host: &str, port: u16, into: &Found, event: &OwnedFd) {
    let addresses = (host, port).to_socket_addrs();
    let result = addresses.map(|addresses| addresses.take(ADDRESSES_MAX).collect());
    *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    // The counter cannot overflow: it is written once.
    let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
}
