//! Asks a broker whether it is there, in Kafka's own protocol.
//!
//! An open port is not enough: the port opens before the broker takes requests. The request is
//! `ApiVersions` version 0 (key 18, empty body), which every broker answers to anybody.
//!
//! Source: the *Kafka protocol guide*, sections *Protocol primitive types*, *Request header v1* and
//! *ApiVersions API (Key: 18)*.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// The request: length 10, key 18, version 0, correlation 7, no client id.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Succeeds if the broker answers without an error.
pub(crate) fn answers(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(&REQUEST)?;
    // Length, correlation, error code.
    let mut head = [0; 10];
    stream.read_exact(&mut head)?;
    let (correlation, error) = (&head[4..8], &head[8..]);
    if correlation != [0, 0, 0, 7] || error != [0, 0] {
        return Err(io::Error::other(format!("it answers {head:?}")));
    }
    Ok(())
}
