//! The PostgreSQL door.
//!
//! One task a client: it lets the client in with SCRAM ([`startup`]), and answers its messages one
//! after the other ([`query`]). Beside it stands a watch that ends the task when the client is
//! gone, in the middle of a statement as well. Nothing of a client outlives its task.
//!
//! **Bounds:** a message may be as long as a statement and [`MESSAGE_BYTES_OVER`]; before a client
//! is let in, [`STARTUP_BYTES`]. Clients beyond the limit are told so and sent away.

mod encode;
mod query;
mod startup;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::Weak;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::SinkExt;
use futures::StreamExt;
use pgwire::api::ClientInfo;
use pgwire::api::NoopHandler;
use pgwire::api::PgWireConnectionState;
use pgwire::api::RandomPidSecretKeyGenerator;
use pgwire::api::cancel::CancelHandler;
use pgwire::error::ErrorInfo;
use pgwire::error::PgWireError;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::PgWireFrontendMessage;
use pgwire::messages::cancel::CancelRequest;
use pgwire::tokio::server::negotiate_tls;
use pgwire::tokio::server::process_error;
use pgwire::tokio::server::process_message;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::Interest;
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::Framed;
use tokio_util::codec::FramedParts;

use crate::desk::Desk;
use crate::error::DeskError;
use crate::error::Kind;
use crate::limits::CLIENT_CHECK;
use crate::limits::MESSAGE_BYTES_OVER;
use crate::session::Session;

use self::query::Statement;

/// How long a client may take to be let in.
const STARTUP_TIME: Duration = Duration::from_secs(10);

/// Bytes of a message before a client is let in.
const STARTUP_BYTES: usize = 64 << 10;

/// Clients that are told they are too many, beside those that are let in.
const REFUSED_AT_ONCE: usize = 100;

/// The door, as its clients share it.
pub(crate) struct Door {
    desk: Arc<Desk>,
    tls: Option<TlsAcceptor>,
    keys: RandomPidSecretKeyGenerator,
    running: Mutex<BTreeMap<(i32, Bytes), Weak<Session>>>,
    clients: AtomicUsize,
}

/// Lets clients in for ever.
pub(crate) async fn serve(desk: Arc<Desk>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let door = Arc::new(Door {
        desk,
        tls,
        keys: RandomPidSecretKeyGenerator::default(),
        running: Mutex::default(),
        clients: AtomicUsize::new(0),
    });
    let mut clients = tokio::task::JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, address)) => {
                clients.spawn(Arc::clone(&door).client(stream, address));
            }
            Err(error) => {
                // Out of file descriptors, most likely: those that leave give theirs back.
                tracing::warn!(%error, "a client could not be let in");
                tokio::time::sleep(CLIENT_CHECK).await;
            }
        }
    }
}

/// A client that is counted until it leaves.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    async fn client(self: Arc<Door>, stream: TcpStream, address: SocketAddr) {
        let most = self.desk.limits.connections;
        let n = self.clients.fetch_add(1, Ordering::Relaxed);
        let _counted = Counted(&self.clients);
        if n >= most + REFUSED_AT_ONCE {
            return;
        }
        let _open = self.desk.counters.connected();
        let watch = match second_handle(&stream) {
            Ok(watch) => watch,
            Err(error) => {
                tracing::warn!(%address, %error, "a client could not be watched");
                return;
            }
        };
        let client = Arc::new(Client {
            door: Arc::clone(&self),
            full: n >= most,
            login: Mutex::default(),
            session: OnceLock::new(),
        });
        let served = tokio::select! {
            served = client.serve(stream) => served,
            () = gone(&watch) => Ok(()),
        };
        if let Err(error) = served {
            tracing::debug!(%address, %error, "client lost");
        }
        self.running.lock().expect("no holder panics").retain(|_, s| s.strong_count() > 0);
    }
}

/// One client, from its coming to its leaving.
pub(crate) struct Client {
    door: Arc<Door>,
    /// Whether there are too many, and this one is only told so.
    full: bool,
    login: Mutex<Option<startup::Login>>,
    session: OnceLock<Arc<Session>>,
}

impl Client {
    /// The session of a client that was let in.
    fn session(&self) -> Result<&Arc<Session>, PgWireError> {
        self.session.get().ok_or(PgWireError::NotReadyForQuery)
    }

    async fn serve(self: &Arc<Client>, stream: TcpStream) -> io::Result<()> {
        let read = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(STARTUP_BYTES));
        let tls = self.door.tls.clone();
        let negotiated =
            tokio::time::timeout(STARTUP_TIME, negotiate_tls::<Statement>(stream, tls));
        let Ok(Some(socket)) = negotiated.await.map_err(io::Error::other)? else { return Ok(()) };
        let parts = socket.into_parts();
        let io = Measured { io: parts.io, read: Arc::clone(&read), most: Arc::clone(&most) };
        let mut measured = FramedParts::new(io, parts.codec);
        measured.read_buf = parts.read_buf;
        measured.write_buf = parts.write_buf;
        let mut socket = Framed::from_parts(measured);
        let late = tokio::time::sleep(STARTUP_TIME);
        tokio::pin!(late);
        loop {
            read.store(0, Ordering::Relaxed);
            let coming = matches!(
                socket.state(),
                PgWireConnectionState::AwaitingStartup
                    | PgWireConnectionState::AuthenticationInProgress
            );
            if !coming {
                let longest = self.door.desk.limits.statement_bytes + MESSAGE_BYTES_OVER;
                most.store(longest, Ordering::Relaxed);
            }
            let message = tokio::select! {
                message = socket.next() => message,
                () = &mut late, if coming => return Ok(()),
            };
            let message = match message {
                None | Some(Ok(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    let error = unreadable(&error);
                    let info: ErrorInfo = error.into();
                    socket.send(PgWireBackendMessage::ErrorResponse(info.into())).await?;
                    return socket.close().await;
                }
            };
            let until_sync = message.is_extended_query();
            let me = || Arc::clone(self);
            let no_copy = Arc::new(NoopHandler);
            let done = process_message(message, &mut socket, me(), me(), me(), no_copy, me()).await;
            if let Err(error) = done {
                process_error(&mut socket, error, until_sync).await?;
            }
        }
    }
}

/// What is said of a message that cannot be read.
fn unreadable(error: &PgWireError) -> PgWireError {
    let message = match error {
        PgWireError::IoError(error) => error.to_string(),
        other => other.to_string(),
    };
    let mut refusal = ErrorInfo::new("FATAL".to_owned(), "08P01".to_owned(), message);
    refusal.hint = Some("bring rows by a stream instead of by statements".to_owned());
    PgWireError::UserError(Box::new(refusal))
}

/// A refusal as the door sends it.
pub(crate) fn sent(error: DeskError) -> PgWireError {
    let fatal = matches!(error.kind, Kind::Unknown | Kind::TooMany);
    let severity = if fatal { "FATAL" } else { "ERROR" }.to_owned();
    let mut info = ErrorInfo::new(severity, error.kind.sqlstate().to_owned(), error.message);
    info.hint = error.hint;
    info.position = error.position.map(|position| position.to_string());
    PgWireError::UserError(Box::new(info))
}

#[async_trait::async_trait]
impl CancelHandler for Client {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let key = (request.pid, request.secret_key.to_bytes());
        let found = self.door.running.lock().expect("no holder panics").get(&key).cloned();
        if let Some(session) = found.and_then(|session| session.upgrade()) {
            session.cancel();
        }
    }
}

/// A second handle of a connection, to see it end while the first is busy.
fn second_handle(stream: &TcpStream) -> io::Result<TcpStream> {
    let handle = std::net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
    handle.set_nonblocking(true)?;
    TcpStream::from_std(handle)
}

/// Waits until the client has closed its end.
async fn gone(watch: &TcpStream) {
    loop {
        tokio::time::sleep(CLIENT_CHECK).await;
        match watch.ready(Interest::READABLE).now_or_never() {
            Some(Ok(ready)) if ready.is_read_closed() => return,
            Some(Err(_)) => return,
            _ => {}
        }
    }
}

/// A connection that reads no more than so many bytes between two messages.
struct Measured<S> {
    io: S,
    read: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Measured<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        let new = buf.filled().len() - before;
        let most = self.most.load(Ordering::Relaxed);
        if self.read.fetch_add(new, Ordering::Relaxed) + new > most {
            let message = format!("a message has more than {most} bytes");
            return Poll::Ready(Err(io::Error::other(message)));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Measured<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
