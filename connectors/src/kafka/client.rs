//! The one place where clients of the Kafka library are made, and where what they say becomes our
//! errors.
//!
//! The library reports asynchronously: a refused password arrives as an event, while the call that
//! waited for an answer only says that none came. So each client has an [`Ear`], which remembers
//! what was said last, and errors are told with that.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::Consumer;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::BaseProducer;
use rdkafka::producer::ProducerContext;

use crate::error::ConnectorError;
use crate::error::Finding;
use crate::kafka::config::KafkaConfig;
use crate::options::nearest;

/// How much one partition may be read ahead, in KiB.
const READ_AHEAD_KIB: u32 = 16 * 1024;

/// Remembers what a client was told.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    connector: String,

    heard: Mutex<Heard>,
}

/// What was heard and not yet told on.
#[derive(Debug, Default)]
struct Heard {
    /// Somebody said no.
    refusal: Option<String>,
    /// Anything else went wrong.
    trouble: Option<String>,
    /// A record did not arrive.
    undelivered: Option<String>,
}

impl Ear {
    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        // What was heard is valid whoever stopped in the middle of what.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a record did not arrive, if one did not since the last time this was asked.
    pub(crate) fn take_undelivered(&self) -> Option<String> {
        self.heard().undelivered.take()
    }
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Everything of consequence arrives as an error too, and is told there.
        tracing::debug!(connector = %self.connector, ?level, facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        let said = reason.rsplit_once("]: ").map_or(reason, |(_, said)| said).to_owned();
        let refused = error.rdkafka_error_code().is_some_and(refuses);
        let all_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let mut heard = self.heard();
        if all_down && heard.trouble.is_some() {
            // Why they are down was heard before, and says more.
            return;
        }
        let last = if refused { &mut heard.refusal } else { &mut heard.trouble };
        if last.as_ref() != Some(&said) {
            tracing::warn!(connector = %self.connector, "kafka: {said}");
            *last = Some(said);
        }
    }
}

impl ConsumerContext for Ear {}

impl ProducerContext for Ear {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.heard().undelivered.get_or_insert_with(|| error.to_string());
        }
    }
}

/// Whether a code means that somebody said no.
fn refuses(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

/// A consumer that commits nothing and gives what it is assigned.
pub(crate) fn consumer(
    connector: &str,
    config: &KafkaConfig,
) -> Result<BaseConsumer<Ear>, ConnectorError> {
    let mut client = base(config);
    // The library does not assign without a group's name; no group is joined.
    client.set("group.id", format!("gridloom-{connector}"));
    client.set("queued.max.messages.kbytes", READ_AHEAD_KIB.to_string());
    client.set("fetch.queue.backoff.ms", "10");
    client.set("fetch.wait.max.ms", "100");
    pass_through(&mut client, config);
    client.set("enable.auto.commit", "false");
    client.set("enable.auto.offset.store", "false");
    client.set("auto.offset.reset", "error");
    client.set("enable.partition.eof", "true");
    client.set("isolation.level", "read_committed");
    create(connector, &client)
}

/// A producer that sends nothing twice and passes over nothing.
pub(crate) fn producer(
    connector: &str,
    config: &KafkaConfig,
    transactional_id: Option<&str>,
) -> Result<BaseProducer<Ear>, ConnectorError> {
    let mut client = base(config);
    client.set("linger.ms", "1");
    pass_through(&mut client, config);
    client.set("enable.idempotence", "true");
    client.set("acks", "all");
    match transactional_id {
        // A record then lives as long as its transaction.
        Some(id) => client.set("transactional.id", id),
        None => client.set("message.timeout.ms", "0"),
    };
    create(connector, &client)
}

/// What the library says of one option on its own.
pub(crate) fn check_option(name: &str, value: &str) -> Result<(), KafkaError> {
    let mut alone = blank();
    alone.set(name, value);
    alone.create_native_config().map(drop)
}

/// Settings of a client that knows nothing yet.
#[expect(clippy::disallowed_methods, reason = "here is where clients begin")]
fn blank() -> ClientConfig {
    ClientConfig::new()
}

/// Settings that every client shares.
pub(crate) fn base(config: &KafkaConfig) -> ClientConfig {
    let mut client = blank();
    client.set("bootstrap.servers", &config.brokers);
    client.set("client.id", "gridloom");
    client.set("reconnect.backoff.max.ms", "2000");
    client.set_log_level(RDKafkaLogLevel::Warning);
    client
}

/// What the user set goes before our wishes, and before what must be it goes not.
pub(crate) fn pass_through(client: &mut ClientConfig, config: &KafkaConfig) {
    for (name, value) in &config.options {
        client.set(name, value);
    }
}

/// Makes any client.
pub(crate) fn create<T: FromClientConfigAndContext<Ear>>(
    connector: &str,
    client: &ClientConfig,
) -> Result<T, ConnectorError> {
    let ear = Ear { connector: connector.to_owned(), heard: Mutex::default() };
    client.create_with_context(ear).map_err(|error| {
        let finding = match error {
            KafkaError::ClientConfig(_, said, key, _) => {
                Finding::at(&format!("options.{key}"), said)
            }
            other => Finding { key: None, message: other.to_string(), hint: None },
        };
        ConnectorError::Config { connector: connector.to_owned(), findings: vec![finding] }
    })
}

/// Says what an error means, with what the client heard.
pub(crate) fn tell(
    connector: &str,
    config: &KafkaConfig,
    ear: &Ear,
    error: &KafkaError,
) -> ConnectorError {
    let (connector, place) = (connector.to_owned(), config.brokers.clone());
    let mut heard = ear.heard();
    let code = error.rdkafka_error_code();
    if let Some(detail) = heard.refusal.take() {
        return ConnectorError::Forbidden { connector, place, detail };
    }
    match code {
        Some(code) if refuses(code) => {
            let detail = code.to_string();
            ConnectorError::Forbidden { connector, place, detail }
        }
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition,
        ) => missing(connector, config, None),
        _ => {
            let said = error.to_string();
            let detail = heard.trouble.take().unwrap_or(said);
            ConnectorError::Unreachable { connector, place, detail }
        }
    }
}

fn missing(connector: String, config: &KafkaConfig, near: Option<&str>) -> ConnectorError {
    let hint = match near {
        Some(near) => format!("did you mean the topic {near:?}? Otherwise make the topic first"),
        None => "make the topic first, or correct `topic`".to_owned(),
    };
    let what = format!("topic {:?} on {}", config.topic, config.brokers);
    ConnectorError::Missing { connector, what, hint }
}

/// The topic's partitions. `serve` lets the client tell what it has heard.
pub(crate) fn partitions(
    connector: &str,
    config: &KafkaConfig,
    client: &Client<Ear>,
    serve: impl Fn(Duration),
) -> Result<Vec<i32>, ConnectorError> {
    let ask = |topic: Option<&str>| {
        client.fetch_metadata(topic, config.timeout).map_err(|error| {
            serve(Duration::from_millis(200));
            tell(connector, config, client.context(), &error)
        })
    };
    let metadata = ask(Some(&config.topic))?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == config.topic);
    let error = topic.and_then(|topic| topic.error()).map(RDKafkaErrorCode::from);
    match error {
        None => {}
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
            let all = ask(None)?;
            let names = all.topics().iter().map(|topic| topic.name());
            let near = nearest(&config.topic, names);
            return Err(missing(connector.to_owned(), config, near));
        }
        Some(code) => {
            let error = KafkaError::MetadataFetch(code);
            return Err(tell(connector, config, client.context(), &error));
        }
    }
    let mut partitions: Vec<i32> = topic
        .map(|topic| topic.partitions().iter().map(|partition| partition.id()).collect())
        .unwrap_or_default();
    if partitions.is_empty() {
        return Err(missing(connector.to_owned(), config, None));
    }
    partitions.sort_unstable();
    Ok(partitions)
}

/// Where a partition begins and where its next record will stand.
pub(crate) fn bounds(
    connector: &str,
    config: &KafkaConfig,
    consumer: &BaseConsumer<Ear>,
    partition: i32,
) -> Result<(i64, i64), ConnectorError> {
    consumer
        .fetch_watermarks(&config.topic, partition, config.timeout)
        .map_err(|error| tell(connector, config, consumer.client().context(), &error))
}

/// Lets a consumer tell what it has heard.
pub(crate) fn serve(consumer: &BaseConsumer<Ear>, wait: Duration) {
    let began = std::time::Instant::now();
    while began.elapsed() < wait {
        // Nothing is assigned yet, so that no record can be lost here.
        drop(consumer.poll(Duration::from_millis(20)));
    }
}
