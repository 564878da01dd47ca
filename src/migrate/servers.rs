//! All old servers together.

use super::server::{Reply, Server, ServerError};
use crate::config::RedisAddress;

/// Connections to every old server, each named by its place.
#[derive(Debug)]
pub(super) struct Servers(Vec<Server>);

/// Names one of the servers.
pub(super) type ServerIndex = u16;

/// A command for one of the servers.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) server: ServerIndex,
    pub(super) words: Vec<Vec<u8>>,
}

impl Question {
    pub(super) fn new(server: ServerIndex, words: &[&[u8]]) -> Self {
        let words = words.iter().map(|word| word.to_vec()).collect();
        Self { server, words }
    }
}

impl Servers {
    /// Connects to all of them, to those that are named twice once.
    pub(super) fn connect<'a>(
        addresses: impl Iterator<Item = &'a RedisAddress>,
    ) -> Result<Self, ServerError> {
        let mut servers: Vec<Server> = Vec::new();
        for address in addresses {
            if !servers.iter().any(|known| known.address() == address) {
                servers.push(Server::connect(address.clone())?);
            }
        }
        Ok(Self(servers))
    }

    /// Every server.
    pub(super) fn each(&self) -> impl Iterator<Item = ServerIndex> + use<> {
        (0..).take(self.0.len())
    }

    /// One of them.
    pub(super) fn get(&self, server: ServerIndex) -> &Server {
        // Indexes come from `each`.
        &self.0[usize::from(server)]
    }

    /// Asks one thing of one server.
    pub(super) fn ask(
        &mut self,
        server: ServerIndex,
        words: &[&[u8]],
    ) -> Result<Reply, ServerError> {
        let server = &mut self.0[usize::from(server)];
        server.send([words])?;
        server.receive()
    }

    /// Sends all commands, then hands the replies to `each` in the order of the commands, one at a time: of replies of
    /// any size only one is held. They come with their server.
    pub(super) fn ask_all<E: From<ServerError>>(
        &mut self,
        questions: &[Question],
        mut each: impl FnMut(usize, &Server, Reply) -> Result<(), E>,
    ) -> Result<(), E> {
        for (index, server) in (0..).zip(&mut self.0) {
            let own = questions.iter().filter(|it| it.server == index);
            let words = own.map(|it| it.words.iter().map(Vec::as_slice).collect::<Vec<_>>());
            server.send(words)?;
        }
        for (at, it) in questions.iter().enumerate() {
            let server = &mut self.0[usize::from(it.server)];
            let reply = server.receive()?;
            each(at, server, reply)?;
        }
        Ok(())
    }
}
