//! `[desk]`: which doors a running instance opens, and how.
//!
//! A door is opened by naming its address. Without a certificate it speaks plain text, and then
//! only to this machine unless `plain_to_others` says otherwise.

use std::net::SocketAddr;
use std::path::Path;

use desk::Opening;
use desk::Openings;
use desk::tls::TlsFiles;

use super::reader::Section;

/// Reads `[desk]`.
pub(super) fn read(section: &Section<'_>, base: &Path) -> Openings {
    let file = |key| section.text(key).map(|path| base.join(path));
    let tls = match (file("certificate"), file("key")) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            section.wrong("certificate", "a certificate without its key", "add key = \"…\"");
            None
        }
        (None, Some(_)) => {
            section.wrong("key", "a key without its certificate", "add certificate = \"…\"");
            None
        }
    };
    let plain_to_others = section.flag("plain_to_others").unwrap_or(false);
    let door = |key| {
        let text = section.text(key)?;
        match text.parse::<SocketAddr>() {
            Ok(listen) => Some(Opening { listen, tls: tls.clone(), plain_to_others }),
            Err(_) => {
                let hint = "write address and port, as in \"127.0.0.1:5439\"";
                section.wrong(key, format!("{text:?} is no address to listen on"), hint);
                None
            }
        }
    };
    let openings =
        Openings { postgres: door("postgres"), flight: door("flight"), http: door("http") };
    section.finish();
    openings
}
