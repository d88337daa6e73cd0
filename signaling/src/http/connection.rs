//! One TCP connection: reads through the server's one scratch buffer, feeds the reader, writes the answers, and keeps the
//! deadlines. What an idle connection holds is its socket, this struct and one readiness poll.

use super::config::HttpConfig;
use super::error::HttpError;
use super::reader::{Phase, RequestReader, Step};
use super::request::{Method, Request};
use super::response::{Pieces, Response};
use super::stream::Stream;
use crate::problem::Problem;
use futures_lite::{AsyncRead, AsyncWrite, future};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

/// What answers requests.
pub trait Handler: 'static {
    /// Answers one request. The answer to HEAD is that to GET; its body is left away on the wire.
    fn handle(&self, request: Request) -> impl Future<Output = Response>;
}

impl<F, Answer> Handler for F
where
    F: Fn(Request) -> Answer + 'static,
    Answer: Future<Output = Response>,
{
    fn handle(&self, request: Request) -> impl Future<Output = Response> {
        self(request)
    }
}

/// Longest body that is copied behind its head, to leave in one segment with it.
const JOINED_BODY: usize = 16 * 1024;
/// Octets that are read at once.
const SCRATCH: usize = 16 * 1024;

/// What all connections of a server have in common.
pub(crate) struct Service<H> {
    pub(crate) config: HttpConfig,
    pub(crate) handler: H,
    /// No connection takes another request when set.
    pub(crate) stopping: Cell<bool>,
    scratch: RefCell<Box<[u8]>>,
}

impl<H> Service<H> {
    pub(crate) fn new(config: HttpConfig, handler: H) -> Self {
        let scratch = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
        Self { config, handler, stopping: Cell::new(false), scratch }
    }
}

/// How a read ended.
enum Read {
    Some,
    End,
    Late,
}

pub(crate) struct Connection<H> {
    service: Rc<Service<H>>,
    stream: Stream,
    peer: Option<SocketAddr>,
    reader: RequestReader,
    /// The phase that `deadline` belongs to.
    phase: Option<Phase>,
    deadline: Instant,
    /// Whether it is between two requests. The server ends idle connections when it stops, and waits for the others.
    idle: Rc<Cell<bool>>,
}

impl<H: Handler> Connection<H> {
    pub(crate) fn new(service: Rc<Service<H>>, stream: Stream, peer: Option<SocketAddr>, idle: Rc<Cell<bool>>) -> Self {
        let reader = RequestReader::new(service.config.limits);
        Self { service, stream, peer, reader, phase: None, deadline: Instant::now(), idle }
    }

    /// Serves until either side ends it. An error of the socket ends it as well; it concerns nobody else.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        loop {
            match self.reader.poll() {
                Ok(Step::Request(request)) => {
                    // Boxed: an idle connection's task has no room for what only an answer needs.
                    if !Box::pin(self.answer(request)).await? {
                        return Box::pin(self.linger()).await;
                    }
                }
                Ok(Step::Continue) => self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?,
                Ok(Step::NeedMore) => match self.read().await? {
                    Read::Some => {}
                    Read::End => return Ok(()),
                    Read::Late if self.reader.phase() == Phase::Idle => return Ok(()),
                    Read::Late => return Box::pin(self.refuse(HttpError::Timeout)).await,
                },
                Err(error) => return Box::pin(self.refuse(error)).await,
            }
        }
    }

    /// Whether the connection may be used on.
    async fn answer(&mut self, mut request: Request) -> io::Result<bool> {
        request.peer = self.peer;
        self.idle.set(false);
        self.phase = None;
        let (method, wants_more) = (request.method, request.keep_alive);
        let response = self.service.handler.handle(request).await;
        let keep_alive = wants_more && !self.service.stopping.get() && response.pieces.is_none();
        self.send(&response, Some(method), keep_alive).await?;
        if let Some(pieces) = response.pieces.filter(|_| method != Method::Head) {
            return self.send_pieces(&pieces).await.map(|()| false);
        }
        glommio::yield_if_needed().await;
        Ok(keep_alive)
    }

    async fn refuse(&mut self, error: HttpError) -> io::Result<()> {
        let response = Problem::from(error).into_response();
        self.send(&response, None, false).await?;
        self.linger().await
    }

    async fn send(&mut self, response: &Response, method: Option<Method>, keep_alive: bool) -> io::Result<()> {
        let mut head = response.encode_head(keep_alive, SystemTime::now());
        let body = response.body_for(method);
        if body.len() <= JOINED_BODY {
            head.extend_from_slice(body);
            return self.write(&head).await;
        }
        self.write(&head).await?;
        self.write(body).await
    }

    /// Sends pieces as they come, until there are no more or the client has gone. What it still says is passed over.
    async fn send_pieces(&mut self, pieces: &Pieces) -> io::Result<()> {
        self.stream.set_read_timeout(None)?;
        loop {
            let service = Rc::clone(&self.service);
            let stream = &mut self.stream;
            let next = future::poll_fn(|cx| match pieces.poll_next(cx) {
                Poll::Ready(piece) => Poll::Ready(Ok(piece)),
                Poll::Pending => {
                    let read = Pin::new(&mut *stream).poll_read(cx, &mut service.scratch.borrow_mut());
                    match std::task::ready!(read)? {
                        0 => Poll::Ready(Ok(None)),
                        _ => {
                            cx.waker().wake_by_ref();
                            Poll::Pending
                        }
                    }
                }
            });
            match next.await {
                Ok(Some(piece)) => self.write(&piece).await?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends all of it, within the one deadline.
    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + self.service.config.deadlines.write;
        while !bytes.is_empty() {
            let left = time_left(deadline).ok_or(io::ErrorKind::TimedOut)?;
            self.stream.set_write_timeout(Some(left))?;
            let stream = &mut self.stream;
            match future::poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for bytes and feeds them to the reader.
    async fn read(&mut self) -> io::Result<Read> {
        self.follow_phase();
        let (service, reader) = (&self.service, &mut self.reader);
        let read = read_some(&mut self.stream, self.deadline, |cx, stream| {
            let mut scratch = service.scratch.borrow_mut();
            let poll = Pin::new(stream).poll_read(cx, &mut scratch);
            poll.map_ok(|length| {
                reader.feed(&scratch[..length]);
                length
            })
        });
        read.await
    }

    /// Each phase has its deadline from its beginning on, however its bytes trickle in.
    fn follow_phase(&mut self) {
        let phase = self.reader.phase();
        self.idle.set(phase == Phase::Idle);
        if self.phase == Some(phase) {
            return;
        }
        let deadlines = self.service.config.deadlines;
        let allowed = match phase {
            Phase::Idle => deadlines.idle,
            Phase::Head => deadlines.head,
            Phase::Body => deadlines.body,
        };
        self.phase = Some(phase);
        self.deadline = Instant::now() + allowed;
    }

    /// Ends the sending half, and reads what still comes for a while: closing a socket with unread bytes makes the kernel
    /// send a reset, which can destroy the response on its way.
    async fn linger(&mut self) -> io::Result<()> {
        self.stream.end().await?;
        let deadline = Instant::now() + self.service.config.deadlines.linger;
        loop {
            let service = &self.service;
            let read = read_some(&mut self.stream, deadline, |cx, stream| {
                Pin::new(stream).poll_read(cx, &mut service.scratch.borrow_mut())
            });
            if !matches!(read.await?, Read::Some) {
                return Ok(());
            }
            glommio::yield_if_needed().await;
        }
    }
}

async fn read_some(
    stream: &mut Stream,
    deadline: Instant,
    mut poll: impl FnMut(&mut std::task::Context<'_>, &mut Stream) -> std::task::Poll<io::Result<usize>>,
) -> io::Result<Read> {
    let Some(left) = time_left(deadline) else {
        return Ok(Read::Late);
    };
    stream.set_read_timeout(Some(left))?;
    match future::poll_fn(|cx| poll(cx, stream)).await {
        Ok(0) => Ok(Read::End),
        Ok(_) => Ok(Read::Some),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(Read::Late),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Read::Some),
        Err(error) => Err(error),
    }
}

fn time_left(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}
