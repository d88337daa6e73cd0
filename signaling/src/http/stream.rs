//! One connection's bytes, with TLS or without.

use futures_lite::{AsyncRead, AsyncWrite, future};
use futures_rustls::server::TlsStream;
use glommio::net::TcpStream;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// See the module's text.
pub(crate) enum Stream {
    /// HTTP.
    Plain(TcpStream),
    /// HTTPS. Boxed: its buffers and keys are many times what a plain one holds.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// How long a read may take before it fails.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.socket().set_read_timeout(timeout)?)
    }

    /// How long a write may take before it fails.
    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        Ok(self.socket().set_write_timeout(timeout)?)
    }

    /// Ends the sending half, with close_notify where there is TLS (RFC 8446 §6.1).
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => Ok(socket.shutdown(Shutdown::Write).await?),
            Stream::Tls(tls) => future::poll_fn(|cx| Pin::new(&mut **tls).poll_close(cx)).await,
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, bytes),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, bytes),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_close(cx),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_close(cx),
        }
    }
}
