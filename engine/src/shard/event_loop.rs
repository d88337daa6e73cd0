//! The turn of a shard: readiness → receive → orders and mesh → timeouts → media out → sleep.

use super::load::Load;
use super::{Mailbox, Post};
use crate::flow::Flow;
use crate::message::{Mesh, Notice, Order};
use crate::middlebox::Middlebox;
use crate::outbox::Outbox;
use crate::stats::{Discard, ShardStats};
use crate::udp::{Receiver, Sender};
use glommio::net::UdpSocket;
use glommio::timer::Timer;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Longest sleep: `/readyz` wants to see every loop turn once a second.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// Shortest sleep for a deadline: finer timers cost more turns than they are worth.
const MIN_SLEEP: Duration = Duration::from_millis(1);
/// Least time between two log lines about a socket that cannot be read.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// Messages taken from each mailbox in one turn.
const MAX_MESSAGES: usize = 256;

/// What a turn of the loop works on.
pub(crate) struct Shard {
    pub number: usize,
    pub started: Instant,
    pub middlebox: Middlebox,
    pub receiver: Receiver,
    pub outbox: Outbox<Sender>,
    pub orders: Mailbox<Order>,
    pub mesh: Mailbox<Mesh>,
    pub notices: Post<(usize, Notice)>,
    pub peers: Vec<Post<Mesh>>,
    pub stats: Arc<ShardStats>,
    /// Notices that found the control core's queue full: none may be lost.
    pub unsent: Option<Notice>,
    /// How long a frame may be held when there is much to do.
    pub coalesce_max: Duration,
    /// When an error of the socket was last logged.
    pub complained: Option<Instant>,
}

impl Shard {
    /// Turns until it is told to stop. `readiness` is a descriptor of the receiver's socket.
    pub(crate) async fn run(mut self, readiness: UdpSocket) {
        let mut readable = pin!(None);
        let mut load = Load::new(Instant::now());
        loop {
            let now = Instant::now();
            let more = self.turn(now);
            let ended = Instant::now();
            self.stats.busy_us.add(ended.saturating_duration_since(now).as_micros() as u64);
            if load.turn(now, ended) {
                self.middlebox.set_window(load.window(self.coalesce_max));
            }
            if self.middlebox.is_stopped() && self.unsent.is_none() {
                return;
            }
            if more {
                glommio::executor().yield_if_needed().await;
                continue;
            }
            if readable.is_none() {
                readable.set(Some(wait_readable(&readiness)));
            }
            if self.sleep(readable.as_mut(), self.time_to_sleep(now)).await {
                readable.set(None);
            }
        }
    }

    /// One turn. True when there is more to do at once.
    fn turn(&mut self, now: Instant) -> bool {
        self.stats.last_turn_ms.set(now.saturating_duration_since(self.started).as_millis() as u64);
        let (middlebox, outbox, stats) = (&mut self.middlebox, &mut self.outbox, &self.stats);
        let mut received = 0;
        let drained = self.receiver.receive(|flow: Flow, datagram: &mut [u8]| {
            received += 1;
            middlebox.handle_datagram(now, flow, datagram, outbox);
        });
        stats.rx_datagrams.add(received);
        let mut more = drained.unwrap_or_else(|error| self.note_receive_error(now, &error));
        more |= self.take_messages(now);
        self.middlebox.handle_timeout(now, &mut self.outbox);
        self.middlebox.end_turn(now, &mut self.outbox);
        self.outbox.flush();
        self.send_messages();
        more
    }

    /// The kernel is short of something, most likely memory: counted, said once a minute, and tried again.
    fn note_receive_error(&mut self, now: Instant, error: &io::Error) -> bool {
        self.stats.discard(Discard::ReceiveFailed);
        if self.complained.is_none_or(|at| now >= at + COMPLAINT_INTERVAL) {
            self.complained = Some(now);
            tracing::warn!(%error, shard = self.number, "the media socket cannot be read for the moment");
        }
        false
    }

    fn time_to_sleep(&self, now: Instant) -> Duration {
        if self.unsent.is_some() {
            return MIN_SLEEP;
        }
        let due = self.middlebox.next_timeout().map_or(HEARTBEAT, |due| due.saturating_duration_since(now));
        due.clamp(MIN_SLEEP, HEARTBEAT)
    }

    fn take_messages(&mut self, now: Instant) -> bool {
        for _ in 0..MAX_MESSAGES {
            let order = self.orders.pop();
            let message = self.mesh.pop();
            if order.is_none() && message.is_none() {
                return false;
            }
            if let Some(order) = order {
                self.middlebox.handle_order(now, order, &mut self.outbox);
            }
            if let Some(message) = message {
                self.middlebox.handle_mesh(now, message, &mut self.outbox);
            }
        }
        true
    }

    fn send_messages(&mut self) {
        while let Some((shard, message)) = self.middlebox.poll_mesh() {
            if self.peers[shard].send(message).is_err() {
                self.stats.discard(Discard::MeshFull);
            }
        }
        while let Some(notice) = self.unsent.take().or_else(|| self.middlebox.poll_notice()) {
            if let Err((_, notice)) = self.notices.send((self.number, notice)) {
                self.unsent = Some(notice);
                return;
            }
        }
    }

    /// Sleeps until a datagram is there (then true), a message is, or the time is up.
    async fn sleep<F: Future>(&self, mut readable: Pin<&mut Option<F>>, time: Duration) -> bool {
        let mut timer = pin!(Timer::new(time));
        poll_fn(|context| {
            if let Some(readable) = readable.as_mut().as_pin_mut()
                && readable.poll(context).is_ready()
            {
                return Poll::Ready(true);
            }
            let rung = self.orders.poll_ready(context).is_ready() | self.mesh.poll_ready(context).is_ready();
            let due = timer.as_mut().poll(context).is_ready();
            if rung || due { Poll::Ready(false) } else { Poll::Pending }
        })
        .await
    }
}

/// Ready when a datagram is there, and leaves it there. glommio has no readiness for UDP; a peek of one byte is as good.
async fn wait_readable(socket: &UdpSocket) {
    let mut byte = [0];
    // An error (of an ICMP message, say) is as good a reason to look.
    let _ = socket.peek_from(&mut byte).await;
}
