//! Connections of the HTTP and Flight doors: counted, and encrypted where the door is.
//!
//! A handshake that takes its time holds up nobody else: each is a task of its own, and only
//! connections that are ready reach the door.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures::Stream;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Connections that are ready and wait for the door.
const READY: usize = 16;

enum Carrier {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's connection; it is counted as long as it is there.
pub(crate) struct Connection {
    carrier: Carrier,
    _counted: OwnedSemaphorePermit,
}

/// Connections as they become ready.
pub(crate) struct Incoming {
    address: SocketAddr,
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
    accepting: tokio::task::AbortHandle,
}

impl Incoming {
    /// Connections of a listener, at most so many at once; more wait in the system's queue.
    ///
    /// # Errors
    /// The listener has no address.
    pub(crate) fn of(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        most: usize,
    ) -> io::Result<Incoming> {
        let address = listener.local_addr()?;
        let (put, ready) = mpsc::channel(READY);
        let accepting = tokio::runtime::Handle::current().spawn(accept(listener, tls, most, put));
        Ok(Incoming { address, ready, accepting: accepting.abort_handle() })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    most: usize,
    put: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(most));
    let mut handshakes = tokio::task::JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a client could not be let in");
                tokio::time::sleep(crate::limits::CLIENT_CHECK).await;
                continue;
            }
        };
        // Without it small answers wait for nothing; a connection works without.
        stream.set_nodelay(true).ok();
        let (tls, put) = (tls.clone(), put.clone());
        handshakes.spawn(async move {
            let carrier = match tls {
                None => Carrier::Plain(stream),
                Some(tls) => {
                    let shaken = tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await;
                    let Ok(Ok(stream)) = shaken else { return };
                    Carrier::Tls(Box::new(stream))
                }
            };
            // A door that closed takes nobody in.
            put.send((Connection { carrier, _counted: place }, address)).await.ok();
        });
    }
}

impl axum::serve::Listener for Incoming {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The accepting task never ends by itself.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(cx).map(|ready| ready.map(|(connection, _)| Ok(connection)))
    }
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Carrier::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Carrier::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
