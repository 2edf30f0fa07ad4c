//! Letting a client in: SCRAM-SHA-256, and what PostgreSQL's clients want to be told first.

#[expect(
    clippy::disallowed_types,
    reason = "the trait asks for it; it is only iterated to be sent"
)]
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::Sink;
use futures::SinkExt;
use pgwire::api::ClientInfo;
use pgwire::api::METADATA_USER;
use pgwire::api::PgWireConnectionState;
use pgwire::api::PidSecretKeyGenerator;
use pgwire::api::auth::ServerParameterProvider;
use pgwire::api::auth::StartupHandler;
use pgwire::api::auth::finish_authentication;
use pgwire::api::auth::protocol_negotiation;
use pgwire::api::auth::save_startup_parameters_to_metadata;
use pgwire::error::ErrorInfo;
use pgwire::error::PgWireError;
use pgwire::error::PgWireResult;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::PgWireFrontendMessage;
use pgwire::messages::startup::Authentication;
use pgwire::messages::startup::PasswordMessageFamily;

use super::Client;
use super::sent;
use crate::error::DeskError;
use crate::error::Kind;
use crate::scram::Exchange;
use crate::scram::ScramError;
use crate::settings::REPORTED;
use crate::settings::SERVER_VERSION;

/// The one way in.
const METHOD: &str = "SCRAM-SHA-256";

/// A login that waits for the client's proof.
pub(super) struct Login {
    user: String,
    exchange: Exchange,
}

fn wrong_password(user: &str) -> PgWireError {
    let message = format!("there is no user {user} with this password");
    sent(DeskError::new(Kind::Unknown, message))
}

fn fatal(code: &str, message: &str) -> PgWireError {
    let info = ErrorInfo::new("FATAL".to_owned(), code.to_owned(), message.to_owned());
    PgWireError::UserError(Box::new(info))
}

fn refused(error: ScramError, user: &str) -> PgWireError {
    match error {
        ScramError::Wrong => wrong_password(user),
        other => fatal("08P01", &other.to_string()),
    }
}

impl Client {
    /// Takes one message of the exchange; gives the answer, and whether it was the last.
    fn proof(
        &self,
        user: &str,
        message: PasswordMessageFamily,
    ) -> PgWireResult<(Authentication, bool)> {
        let users = self.door.desk.users();
        let mut login = self.login.lock().expect("no holder panics");
        let Some(begun) = login.take() else {
            let first = message.into_sasl_initial_response()?;
            if first.auth_method != METHOD {
                return Err(PgWireError::UnsupportedSASLAuthMethod(first.auth_method));
            }
            let data = first.data.unwrap_or_default();
            let begun = users.begin(user, &data).map_err(|error| refused(error, user))?;
            let (exchange, answer) = begun;
            *login = Some(Login { user: user.to_owned(), exchange });
            return Ok((Authentication::SASLContinue(answer.into()), false));
        };
        let last = message.into_sasl_response()?;
        let answer = begun.exchange.finish(&last.data).map_err(|error| refused(error, user))?;
        // Between the two messages the user may have been taken away.
        let principal = users.find(&begun.user).ok_or_else(|| wrong_password(user))?;
        self.session.set(Arc::new(self.door.desk.session(principal))).ok();
        Ok((Authentication::SASLFinal(answer.into()), true))
    }
}

#[async_trait]
impl StartupHandler for Client {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match message {
            PgWireFrontendMessage::Startup(ref startup) => {
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                if self.full {
                    return Err(sent(DeskError::new(Kind::TooMany, "there are too many clients")));
                }
                if self.door.tls.is_some() && !client.is_secure() {
                    return Err(fatal("28000", "this door takes encrypted connections only"));
                }
                let methods = Authentication::SASL(vec![METHOD.to_owned()]);
                client.send(PgWireBackendMessage::Authentication(methods)).await?;
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => {
                let user = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
                let (answer, last) = self.proof(&user, message)?;
                client.send(PgWireBackendMessage::Authentication(answer)).await?;
                if last {
                    self.let_in(client).await?;
                }
            }
            _ => return Err(fatal("08P01", "a client has to say who it is first")),
        }
        Ok(())
    }
}

impl Client {
    async fn let_in<C>(&self, client: &mut C) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let session = self.session()?;
        {
            let mut settings = session.settings();
            for (name, value) in client.metadata() {
                settings.begin_with(name, value);
            }
        }
        let (pid, key) = self.door.keys.generate(client);
        client.set_pid_and_secret_key(pid, key.clone());
        let running = &self.door.running;
        let entry = ((pid, key.to_bytes()), Arc::downgrade(session));
        running.lock().expect("no holder panics").insert(entry.0, entry.1);
        finish_authentication(client, &Reported(self)).await
    }
}

/// The settings that a client is told as it is let in.
struct Reported<'a>(&'a Client);

impl ServerParameterProvider for Reported<'_> {
    fn server_parameters<C>(&self, _: &C) -> Option<HashMap<String, String>>
    where
        C: ClientInfo,
    {
        let session = self.0.session.get()?;
        let settings = session.settings();
        let mut told: HashMap<String, String> = REPORTED
            .iter()
            .filter_map(|(name, shown)| Some(((*shown).to_owned(), settings.get(name)?.to_owned())))
            .collect();
        let version = format!("{SERVER_VERSION} (gridloom {})", env!("CARGO_PKG_VERSION"));
        told.insert("server_version".to_owned(), version);
        Some(told)
    }
}
