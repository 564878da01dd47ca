//! A server that gets callbacks, and answers as a test tells it to.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::PATIENCE;

pub(super) const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// Listens on a port of its own.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Request>,
}

/// A request that waits for its answer. Its connection is closed if it is dropped.
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: String,
    /// The number of its connection.
    pub(super) connection: usize,
    /// Takes bytes to answer with, and whether to go on with them for ever.
    answer: oneshot::Sender<(String, bool)>,
    /// Ends when the connection is closed.
    closed: oneshot::Receiver<()>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, connection, sender.clone()));
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) async fn next(&mut self) -> Request {
        let next = timeout(PATIENCE, self.requests.recv()).await;
        next.expect("a callback").expect("the receiver runs")
    }

    /// Whether it was not called.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }
}

impl Request {
    pub(super) fn answer(self, answer: &str) {
        let _ = self.answer.send((answer.to_owned(), false)); // the client may be gone
    }

    /// The last part of the answer is sent again and again; ready when the client has enough.
    pub(super) async fn answer_for_ever(self, answer: &str) {
        let _ = self.answer.send((answer.to_owned(), true));
        let _ = timeout(PATIENCE, self.closed).await.expect("it is cut off");
    }

    /// Gives no answer until the client has given it up.
    pub(super) async fn hang(self) {
        let _ = timeout(PATIENCE, self.closed)
            .await
            .expect("it is given up");
    }
}

async fn serve(stream: TcpStream, connection: usize, requests: mpsc::UnboundedSender<Request>) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = read(&mut stream).await {
        let (answer, answered) = oneshot::channel();
        let (close, closed) = oneshot::channel();
        let request = Request {
            head,
            body,
            connection,
            answer,
            closed,
        };
        if requests.send(request).is_err() {
            return;
        }
        let answer = tokio::select! {
            answer = answered => answer,
            _ = stream.read_u8() => return, // the client has closed
        };
        let Ok((answer, for_ever)) = answer else {
            return;
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if for_ever {
            let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
            return;
        }
        drop(close);
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let (length, _) = length.split_once("\r\n").unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}
