//! A server in a thread with its own executor, and a client that speaks raw TCP to it.

use glommio::{LocalExecutorBuilder, Placement};
use oneport_signaling::http::{Deadlines, HttpConfig, Listener, Request, Response};
use oneport_signaling::server::{self, Handler, Server};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

/// A server that ends when it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Runs `handler` with a configuration.
    pub(crate) fn start<F, Answer>(config: HttpConfig, handler: F) -> Running
    where
        F: Fn(Request) -> Answer + Send + 'static,
        Answer: Future<Output = Response>,
    {
        Running::start_server(move |listener| Server::new(listener, config, handler))
    }

    /// Runs the server that `make` makes, within its executor.
    pub(crate) fn start_server<H: Handler>(make: impl FnOnce(Listener) -> Server<H> + Send + 'static) -> Running {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let address = listener.local_addr();
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            executor().run(async move {
                let server = make(listener);
                let watch = glommio::spawn_local(stop_when(stopped, server.shutdown()));
                server.run().await;
                watch.cancel().await;
            });
        });
        Running { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).expect("the server accepts"))
    }

    /// Tells it to stop without waiting for it.
    pub(crate) fn begin_stop(&mut self) {
        self.stop = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server's thread panicked");
        }
    }
}

/// Rings and buffers as small as they can be: many executors run at once in the tests.
pub(crate) fn executor() -> glommio::LocalExecutor {
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(64 * 1024)
        .ring_depth(64)
        .make()
        .expect("io_uring and some locked memory")
}

async fn stop_when(stopped: mpsc::Receiver<()>, shutdown: server::Shutdown) {
    while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
        glommio::timer::sleep(Duration::from_millis(5)).await;
    }
    shutdown.begin();
}

/// Deadlines that a test can wait for.
pub(crate) fn short_deadlines() -> Deadlines {
    let short = Duration::from_millis(150);
    Deadlines { head: short, body: short, idle: short, write: Duration::from_secs(5), linger: short }
}

/// A client over raw TCP.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What it read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Sends what may be cut off by the server.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// The next answer to anything but HEAD.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.header("Content-Length").map_or(0, |length| length.parse().expect("a number"));
        while self.buffer.len() < length {
            self.fill();
        }
        answer.body = self.buffer.drain(..length).collect();
        answer
    }

    /// The next answer's head alone.
    pub(crate) fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill();
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).expect("a head in ASCII");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Answer { status, head, body: Vec::new() }
    }

    /// Reads on until what came ends with this text, and gives it.
    pub(crate) fn until(&mut self, end: &str) -> String {
        while !self.buffer.ends_with(end.as_bytes()) {
            self.fill();
        }
        String::from_utf8(self.buffer.split_off(0)).expect("UTF-8")
    }

    fn fill(&mut self) {
        let mut bytes = [0; 4096];
        let length = self.stream.read(&mut bytes).expect("an answer in time");
        assert_ne!(length, 0, "the server closed; before that it said {:?}", String::from_utf8_lossy(&self.buffer));
        self.buffer.extend_from_slice(&bytes[..length]);
    }

    /// Ends its half of the connection.
    pub(crate) fn end_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("an open connection");
    }

    /// How many octets come until the connection ends, in order or not.
    pub(crate) fn count_rest(&mut self) -> usize {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        self.buffer.len() + rest.len()
    }

    /// Waits until the server closes, and says whether nothing came before.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("an orderly end");
        self.buffer.is_empty() && rest.is_empty()
    }
}
