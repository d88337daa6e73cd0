//! The HTTP server: accepts connections, runs one task for each, and ends them when it is told to.
//!
//! It runs on the executor of the caller, the control core's. Connections are counted against the limit from their
//! acceptance to the end of their task.

use crate::http::HttpConfig;
use crate::http::connection::{Connection, Service};
use crate::http::listener::{Accepted, Listener};
use crate::http::stream::Stream;
use crate::problem::Problem;
use futures_lite::future;
use futures_rustls::TlsAcceptor;
use glommio::task::JoinHandle;
use glommio::timer::sleep;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime};
use tracing::warn;

pub use crate::http::connection::Handler;

/// Connections that are accepted before other tasks of the executor have their turn.
const ACCEPT_BURST: usize = 64;
/// How long nothing is accepted after the kernel refused, which it does when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests in progress may take to their end when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A server that is ready to run.
pub struct Server<H> {
    doors: Vec<Door>,
    service: Rc<Service<H>>,
    connections: Rc<Connections>,
    stop: Rc<Signal>,
}

/// A port, and whether it wants TLS.
struct Door {
    listener: Listener,
    tls: Option<TlsAcceptor>,
}

/// Stops a [`Server`].
#[derive(Clone)]
pub struct Shutdown(Rc<Signal>);

impl Shutdown {
    /// Makes [`Server::run`] stop accepting, end its idle connections, let requests in progress come to their end for a
    /// second, and return.
    pub fn begin(&self) {
        self.0.raise();
    }
}

impl<H: Handler> Server<H> {
    /// A server on a bound port.
    pub fn new(listener: Listener, config: HttpConfig, handler: H) -> Self {
        let service = Rc::new(Service::new(config, handler));
        Self { doors: vec![Door { listener, tls: None }], service, connections: Rc::default(), stop: Rc::default() }
    }

    /// Serves the same over HTTPS on another bound port.
    #[must_use]
    pub fn with_tls(mut self, listener: Listener, tls: TlsAcceptor) -> Self {
        self.doors.push(Door { listener, tls: Some(tls) });
        self
    }

    /// What stops it.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(Rc::clone(&self.stop))
    }

    /// Serves until it is stopped. Must run within a glommio executor.
    pub async fn run(self) {
        let Server { doors, service, connections, stop } = self;
        let accepting: Vec<_> = doors.iter().map(|door| Box::pin(accept_all(door, &service, &connections))).collect();
        future::or(stop.raised(), all(accepting)).await;
        service.stopping.set(true);
        drop(doors);
        connections.end(|idle| idle);
        future::or(connections.emptied.raised(), async {
            sleep(STOP_GRACE).await;
        })
        .await;
        connections.end(|_| true);
    }
}

/// Drives all of these, none of which ends.
async fn all(mut futures: Vec<Pin<Box<impl Future<Output = ()>>>>) {
    future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn accept_all<H: Handler>(door: &Door, service: &Rc<Service<H>>, connections: &Rc<Connections>) {
    let mut is_failing = false;
    loop {
        let accepted = match door.listener.ready().await {
            Ok(()) => accept_burst(door, service, connections),
            Err(error) => Err(error),
        };
        if let Err(error) = &accepted {
            // Said once, not ten times a second.
            if !is_failing {
                warn!(%error, "HTTP connections cannot be accepted for the moment");
            }
            sleep(ACCEPT_PAUSE).await;
        }
        is_failing = accepted.is_err();
        glommio::yield_if_needed().await;
    }
}

fn accept_burst<H: Handler>(door: &Door, service: &Rc<Service<H>>, connections: &Rc<Connections>) -> io::Result<()> {
    for _ in 0..ACCEPT_BURST {
        let Some(accepted) = door.listener.accept()? else {
            break;
        };
        match &door.tls {
            _ if connections.count() < service.config.max_connections => {
                connections.start(accepted, door.tls.clone(), service);
            }
            None => turn_away(accepted),
            // Without a handshake there is nothing that could be said.
            Some(_) => drop(accepted),
        }
    }
    Ok(())
}

/// One write that the kernel takes at once or not at all: a connection too many shall cost nothing.
fn turn_away(accepted: Accepted) {
    let response = Problem::TooManyConnections.into_response();
    let mut bytes = response.encode_head(false, SystemTime::now());
    bytes.extend_from_slice(response.body_for(None));
    let mut socket = accepted.socket;
    let _ = socket.set_nonblocking(true);
    let _ = socket.write(&bytes);
    let _ = socket.shutdown(std::net::Shutdown::Write);
}

/// The tasks of the open connections.
#[derive(Default)]
struct Connections {
    tasks: RefCell<Slab<Entry>>,
    /// Raised when the last one ends after [`Connections::end`].
    emptied: Signal,
    ending: Cell<bool>,
}

struct Entry {
    /// `None` only until the task has been spawned.
    task: Option<JoinHandle<()>>,
    idle: Rc<Cell<bool>>,
}

impl Connections {
    fn count(&self) -> usize {
        self.tasks.borrow().len()
    }

    fn start<H: Handler>(self: &Rc<Self>, accepted: Accepted, tls: Option<TlsAcceptor>, service: &Rc<Service<H>>) {
        let idle = Rc::new(Cell::new(true));
        let peer = Some(accepted.peer);
        let service = Rc::clone(service);
        let its_idle = Rc::clone(&idle);
        let key = self.tasks.borrow_mut().insert(Entry { task: None, idle });
        let place = Place { connections: Rc::clone(self), key };
        let task = glommio::spawn_local(async move {
            let _place = place;
            if let Some(stream) = open(accepted, tls, service.config.deadlines.head).await {
                let _ = Connection::new(service, stream, peer, its_idle).run().await;
            }
        });
        self.tasks.borrow_mut()[key].task = Some(task.detach());
    }

    /// Ends those connections for which `which` says so, given whether they are idle.
    fn end(&self, which: impl Fn(bool) -> bool) {
        self.ending.set(true);
        for (_, entry) in self.tasks.borrow().iter() {
            if let Some(task) = entry.task.as_ref().filter(|_| which(entry.idle.get())) {
                task.cancel();
            }
        }
        self.tell_if_empty();
    }

    fn tell_if_empty(&self) {
        if self.ending.get() && self.count() == 0 {
            self.emptied.raise();
        }
    }
}

/// The stream of a connection, after the handshake where there is one. `None` when that fails, or takes too long.
async fn open(accepted: Accepted, tls: Option<TlsAcceptor>, time: Duration) -> Option<Stream> {
    let socket = accepted.into_stream();
    let Some(tls) = tls else { return Some(Stream::Plain(socket)) };
    let late = async {
        sleep(time).await;
        None
    };
    // Boxed, as it is large and over soon.
    let handshake = Box::pin(async { tls.accept(socket).await.ok() });
    future::or(handshake, late).await.map(|stream| Stream::Tls(Box::new(stream)))
}

/// A connection's place among the others; given back when its task ends, whichever way.
struct Place {
    connections: Rc<Connections>,
    key: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let entry = self.connections.tasks.borrow_mut().try_remove(self.key);
        drop(entry);
        self.connections.tell_if_empty();
    }
}

/// Something that happens once, and one task that waits for it.
#[derive(Default)]
struct Signal {
    is_raised: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Signal {
    fn raise(&self) {
        self.is_raised.set(true);
        if let Some(waiter) = self.waiter.borrow_mut().take() {
            waiter.wake();
        }
    }

    async fn raised(&self) {
        future::poll_fn(|cx| {
            if self.is_raised.get() {
                return Poll::Ready(());
            }
            *self.waiter.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
