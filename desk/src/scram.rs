//! SCRAM-SHA-256, the server's half, over stored verifiers.
//!
//! With `Hi` = PBKDF2, `H` = SHA-256 and the letters of RFC 5802, section 3:
//!
//! ```text
//! SaltedPassword  := Hi(password, salt, i)
//! ClientKey       := HMAC(SaltedPassword, "Client Key")
//! StoredKey       := H(ClientKey)
//! ServerKey       := HMAC(SaltedPassword, "Server Key")
//! AuthMessage     := client-first-bare "," server-first "," client-final-without-proof
//! ClientProof     := ClientKey XOR HMAC(StoredKey, AuthMessage)
//! ServerSignature := HMAC(ServerKey, AuthMessage)
//! ```
//!
//! Only `salt`, `i`, `StoredKey` and `ServerKey` are kept: whoever steals them can neither log in
//! nor learn the password. A user that does not exist is asked for a proof as well, over a salt
//! that stays the same, so that names cannot be found out.
//!
//! Channel binding is not offered. Passwords are made by us and are ASCII, so that SASLprep has
//! nothing to do.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::hmac;
use ring::pbkdf2;
use serde::Deserialize;
use serde::Serialize;

/// Rounds of `Hi` for new passwords. PostgreSQL's own number: the passwords made here hold 256
/// random bits, which no number of rounds makes harder to guess.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("it is not zero");

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// What is kept of a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier {
    /// The salt, in base64.
    salt: String,
    /// The rounds of `Hi`.
    iterations: NonZeroU32,
    /// `StoredKey`, in base64.
    stored_key: String,
    /// `ServerKey`, in base64.
    server_key: String,
}

impl Verifier {
    /// The verifier of a password, with a salt of its own.
    pub fn of(password: &str) -> Verifier {
        Verifier::with(password, &random::<SALT_BYTES>(), ITERATIONS)
    }

    /// The verifier of a password that nobody has; the same for the same name in one process.
    fn of_nobody(name: &str, secret: &[u8]) -> Verifier {
        let salt = hmac(secret, name.as_bytes());
        let password = STANDARD.encode(random::<32>());
        Verifier::with(&password, &salt.as_ref()[..SALT_BYTES], ITERATIONS)
    }

    fn with(password: &str, salt: &[u8], iterations: NonZeroU32) -> Verifier {
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        let hi = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(hi, iterations, salt, password.as_bytes(), &mut salted);
        let client_key = hmac(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac(&salted, b"Server Key");
        Verifier {
            salt: STANDARD.encode(salt),
            iterations,
            stored_key: STANDARD.encode(stored_key),
            server_key: STANDARD.encode(server_key),
        }
    }
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The client does not speak SCRAM as the RFC says.
    #[error("the client's SCRAM message is malformed")]
    Malformed,
    /// The client wants channel binding, which is not offered.
    #[error("channel binding is not offered")]
    ChannelBinding,
    /// The proof is wrong.
    #[error("the password is wrong")]
    Wrong,
}

/// An exchange that waits for the client's proof.
#[derive(Clone, Debug)]
pub struct Exchange {
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
    gs2_header: String,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl Exchange {
    /// Answers the client's first message; gives what to send.
    ///
    /// # Errors
    /// The message is malformed.
    pub fn begin(
        verifier: Option<&Verifier>,
        name: &str,
        secret: &[u8],
        client_first: &[u8],
    ) -> Result<(Exchange, String), ScramError> {
        let text = std::str::from_utf8(client_first).map_err(|_| ScramError::Malformed)?;
        // gs2-header = ("n" / "y" / "p=…") "," [authzid] ","
        let mut parts = text.splitn(3, ',');
        let (flag, authzid, bare) = match (parts.next(), parts.next(), parts.next()) {
            (Some(flag), Some(authzid), Some(bare)) => (flag, authzid, bare),
            _ => return Err(ScramError::Malformed),
        };
        match flag {
            "n" | "y" => {}
            flag if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
            _ => return Err(ScramError::Malformed),
        }
        let client_nonce = bare
            .split(',')
            .find_map(|part| part.strip_prefix("r="))
            .ok_or(ScramError::Malformed)?;
        if client_nonce.is_empty() {
            return Err(ScramError::Malformed);
        }
        let nobody = verifier.is_none().then(|| Verifier::of_nobody(name, secret));
        let verifier = verifier.or(nobody.as_ref()).expect("one of the two is there");
        let nonce = format!("{client_nonce}{}", STANDARD.encode(random::<18>()));
        let server_first = format!("r={nonce},s={},i={}", verifier.salt, verifier.iterations);
        let decode = |key: &str| STANDARD.decode(key).map_err(|_| ScramError::Malformed);
        let exchange = Exchange {
            stored_key: decode(&verifier.stored_key)?,
            server_key: decode(&verifier.server_key)?,
            gs2_header: format!("{flag},{authzid},"),
            nonce,
            client_first_bare: bare.to_owned(),
            server_first: server_first.clone(),
        };
        Ok((exchange, server_first))
    }

    /// Checks the client's proof; gives the server's own signature to send.
    ///
    /// # Errors
    /// The message is malformed, or the proof is wrong.
    pub fn finish(&self, client_final: &[u8]) -> Result<String, ScramError> {
        let text = std::str::from_utf8(client_final).map_err(|_| ScramError::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        if binding != Some(STANDARD.encode(&self.gs2_header).as_str()) {
            return Err(ScramError::ChannelBinding);
        }
        if nonce != Some(self.nonce.as_str()) {
            return Err(ScramError::Malformed);
        }
        let message = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = hmac(&self.stored_key, message.as_bytes());
        let proof = STANDARD.decode(proof).map_err(|_| ScramError::Malformed)?;
        if proof.len() != signature.as_ref().len() {
            return Err(ScramError::Malformed);
        }
        let client_key: Vec<u8> =
            proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        if !same(stored_key.as_ref(), &self.stored_key) {
            return Err(ScramError::Wrong);
        }
        let server_signature = hmac(&self.server_key, message.as_bytes());
        Ok(format!("v={}", STANDARD.encode(server_signature)))
    }
}

fn hmac(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

/// Whether two secrets are equal, in a time that does not say where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("without random numbers nobody can be let in");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_rfc_7677_is_accepted() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::with("pencil", &salt, ITERATIONS);
        let exchange = Exchange {
            stored_key: STANDARD.decode(&verifier.stored_key).unwrap(),
            server_key: STANDARD.decode(&verifier.server_key).unwrap(),
            gs2_header: "n,,".to_owned(),
            nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned(),
            client_first_bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(),
            server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                           s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
                .to_owned(),
        };
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(exchange.finish(last.as_bytes()), Ok(server_final.to_owned()));
        let forged = last.replace("dHzb", "dHzc");
        assert_eq!(exchange.finish(forged.as_bytes()), Err(ScramError::Wrong));
    }

    #[test]
    fn somebody_unknown_is_asked_for_a_proof_over_a_salt_that_stays() {
        let ask = |name: &str| {
            let (_, first) = Exchange::begin(None, name, b"secret", b"n,,n=,r=abc").unwrap();
            first.split(',').nth(1).unwrap().to_owned()
        };
        assert_eq!(ask("eve"), ask("eve"));
        assert_ne!(ask("eve"), ask("mallory"));
    }
}
