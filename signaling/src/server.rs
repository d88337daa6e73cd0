//! The HTTP server: accepts connections, runs one task for each, and ends them when it is told to.
//!
//! It runs on the executor of the caller, the control core's. Connections are counted against the limit from their
//! acceptance to the end of their task.

use crate::http::HttpConfig;
use crate::http::connection::{Connection, Service};
use crate::http::listener::{Accepted, Listener};
use crate::problem::Problem;
use futures_lite::future;
use glommio::task::JoinHandle;
use glommio::timer::sleep;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::io::{self, Write};
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
    listener: Listener,
    service: Rc<Service<H>>,
    connections: Rc<Connections>,
    stop: Rc<Signal>,
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
        Self { listener, service, connections: Rc::default(), stop: Rc::default() }
    }

    /// What stops it.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(Rc::clone(&self.stop))
    }

    /// Serves until it is stopped. Must run within a glommio executor.
    pub async fn run(self) {
        let Server { listener, service, connections, stop } = self;
        future::or(stop.raised(), accept_all(&listener, &service, &connections)).await;
        service.stopping.set(true);
        drop(listener);
        connections.end(|idle| idle);
        future::or(connections.emptied.raised(), async {
            sleep(STOP_GRACE).await;
        })
        .await;
        connections.end(|_| true);
    }
}

async fn accept_all<H: Handler>(listener: &Listener, service: &Rc<Service<H>>, connections: &Rc<Connections>) {
    let mut is_failing = false;
    loop {
        let accepted = match listener.ready().await {
            Ok(()) => accept_burst(listener, service, connections),
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

fn accept_burst<H: Handler>(
    listener: &Listener,
    service: &Rc<Service<H>>,
    connections: &Rc<Connections>,
) -> io::Result<()> {
    for _ in 0..ACCEPT_BURST {
        let Some(accepted) = listener.accept()? else {
            break;
        };
        if connections.count() < service.config.max_connections {
            connections.start(accepted, service);
        } else {
            turn_away(accepted);
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

    fn start<H: Handler>(self: &Rc<Self>, accepted: Accepted, service: &Rc<Service<H>>) {
        let idle = Rc::new(Cell::new(true));
        let peer = Some(accepted.peer);
        let connection = Connection::new(Rc::clone(service), accepted.into_stream(), peer, Rc::clone(&idle));
        let key = self.tasks.borrow_mut().insert(Entry { task: None, idle });
        let place = Place { connections: Rc::clone(self), key };
        let task = glommio::spawn_local(async move {
            let _place = place;
            let _ = connection.run().await;
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
