//! Opening the doors.
//!
//! Each door has its address and, if wanted, its certificate. A door that cannot be opened as it
//! was asked for is an error, and then none is open: not in plain text where a certificate was
//! asked for, and not to other machines in plain text unless that was said.
//!
//! The doors wait for their clients on threads of their own, apart from those that compute: a
//! cancel gets through however busy those are.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::desk::Desk;
use crate::flight;
use crate::http;
use crate::listen::Incoming;
use crate::tls::Tls;
use crate::tls::TlsError;
use crate::tls::TlsFiles;
use crate::wire;

/// Threads that wait for clients.
const THREADS: usize = 2;

/// How a door is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Where it listens; port 0 takes one that is free.
    pub listen: SocketAddr,
    /// Its certificate; without one it speaks plain text.
    pub tls: Option<TlsFiles>,
    /// Whether plain text may leave this machine.
    pub plain_to_others: bool,
}

impl Opening {
    /// A door on loopback, in plain text.
    pub fn loopback(port: u16) -> Opening {
        let listen = SocketAddr::from(([127, 0, 0, 1], port));
        Opening { listen, tls: None, plain_to_others: false }
    }
}

/// Which doors are opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// The PostgreSQL door.
    pub postgres: Option<Opening>,
    /// The Arrow Flight SQL door.
    pub flight: Option<Opening>,
    /// The HTTP door.
    pub http: Option<Opening>,
}

/// Which door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// PostgreSQL wire.
    Postgres,
    /// Arrow Flight SQL.
    Flight,
    /// HTTP.
    Http,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Which::Postgres => "PostgreSQL",
            Which::Flight => "Flight SQL",
            Which::Http => "HTTP",
        })
    }
}

/// Why a door stays closed.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address cannot be listened on.
    #[error("the {which} door cannot listen on {listen}")]
    Listen {
        /// The door.
        which: Which,
        /// The address.
        listen: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error("the {which} door cannot be secured")]
    Tls {
        /// The door.
        which: Which,
        /// Why not.
        #[source]
        source: TlsError,
    },
    /// Passwords would leave the machine in plain text.
    #[error(
        "the {which} door would speak plain text to other machines on {listen}: give it a \
         certificate, or say that this is meant"
    )]
    Plain {
        /// The door.
        which: Which,
        /// The address.
        listen: SocketAddr,
    },
    /// There are no threads for it.
    #[error("the doors' threads cannot be started")]
    Threads(#[source] io::Error),
}

/// The open doors; they close when this is dropped.
pub struct Doors {
    /// Where the PostgreSQL door listens.
    pub postgres: Option<SocketAddr>,
    /// Where the Flight SQL door listens.
    pub flight: Option<SocketAddr>,
    /// Where the HTTP door listens.
    pub http: Option<SocketAddr>,

    runtime: Option<Runtime>,
}

/// A door whose address and certificate are good.
struct Ready {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl Doors {
    /// Opens the doors that are asked for.
    ///
    /// # Errors
    /// One of them cannot be opened as asked for; then none is.
    pub fn open(desk: &Arc<Desk>, openings: &Openings) -> Result<Doors, DoorError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("doors")
            .enable_all()
            .build()
            .map_err(DoorError::Threads)?;
        let entered = runtime.enter();
        let get = |which, opening: &Option<Opening>, protocols: &[&[u8]]| {
            opening.as_ref().map(|opening| ready(which, opening, protocols)).transpose()
        };
        let postgres = get(Which::Postgres, &openings.postgres, &[b"postgresql"])?;
        let flight = get(Which::Flight, &openings.flight, &[b"h2"])?;
        let http = get(Which::Http, &openings.http, &[b"http/1.1"])?;
        let address = |ready: &Option<Ready>| ready.as_ref().map(|ready| ready.address);
        let addresses = (address(&postgres), address(&flight), address(&http));
        let most = desk.limits.connections;
        let incoming = |which, ready: Ready| {
            let listen = ready.address;
            Incoming::of(ready.listener, ready.tls, most).map_err(|source| DoorError::Listen {
                which,
                listen,
                source,
            })
        };
        let flight = flight.map(|ready| incoming(Which::Flight, ready)).transpose()?;
        let http = http.map(|ready| incoming(Which::Http, ready)).transpose()?;
        if let Some(ready) = postgres {
            runtime.spawn(wire::serve(Arc::clone(desk), ready.listener, ready.tls));
        }
        if let Some(incoming) = flight {
            runtime.spawn(flight::serve(Arc::clone(desk), incoming));
        }
        if let Some(incoming) = http {
            let router = http::router(Arc::clone(desk));
            runtime.spawn(async move {
                if let Err(error) = axum::serve(incoming, router).await {
                    tracing::error!(%error, "the HTTP door closed");
                }
            });
        }
        drop(entered);
        let (postgres, flight, http) = addresses;
        Ok(Doors { postgres, flight, http, runtime: Some(runtime) })
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn ready(which: Which, opening: &Opening, protocols: &[&[u8]]) -> Result<Ready, DoorError> {
    let listen = opening.listen;
    let refused = |source| DoorError::Tls { which, source };
    let tls = opening
        .tls
        .as_ref()
        .map(|files| Tls::read(files).and_then(|tls| tls.acceptor(protocols)).map_err(refused));
    let tls = tls.transpose()?;
    if tls.is_none() && !listen.ip().is_loopback() && !opening.plain_to_others {
        return Err(DoorError::Plain { which, listen });
    }
    let failed = |source| DoorError::Listen { which, listen, source };
    let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    Ok(Ready { listener, address, tls })
}
