//! Makes topics, and writes to them what no sink of ours would: for tests, and for a plant that is
//! set up from nothing.
//!
//! A running instance makes no topic: who reads from a topic that is not there has mistyped it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Wake;
use std::task::Waker;
use std::thread::Thread;

use rdkafka::admin::AdminClient;
use rdkafka::admin::AdminOptions;
use rdkafka::admin::NewTopic;
use rdkafka::admin::TopicReplication;
use rdkafka::error::KafkaError;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::BaseRecord;
use rdkafka::producer::Producer;
use schemas::time::Timestamp;

use crate::error::ConnectorError;
use crate::kafka::client;
use crate::kafka::client::Ear;
use crate::kafka::config::KafkaConfig;

/// Makes the topic with that many partitions, one copy each, kept for ever. One that is there
/// already is left as it is. `who` stands in errors.
///
/// # Errors
/// The brokers do not answer, refuse us, or refuse the topic.
pub fn make_topic(who: &str, config: &KafkaConfig, partitions: u32) -> Result<(), ConnectorError> {
    let mut settings = client::base(config);
    client::pass_through(&mut settings, config);
    let admin: AdminClient<Ear> = client::create(who, &settings)?;
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
    // Replayed days carry old timestamps: kept by age they would be gone at once.
    let topic = NewTopic::new(&config.topic, partitions, TopicReplication::Fixed(1))
        .set("retention.ms", "-1");
    let options = AdminOptions::new().operation_timeout(Some(config.timeout));
    let options = options.request_timeout(Some(config.timeout));
    let made = block_on(admin.create_topics([&topic], &options))
        .map_err(|error| client::tell(who, config, admin.inner().context(), &error))?;
    for result in made {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => {
                return Err(ConnectorError::Forbidden {
                    connector: who.to_owned(),
                    place: config.brokers.clone(),
                    detail: format!("the topic {:?} cannot be made: {code}", config.topic),
                });
            }
        }
    }
    Ok(())
}

/// A record as anybody may write one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain<'a> {
    /// The partition it goes to.
    pub partition: i32,
    /// The message's timestamp.
    pub at: Timestamp,
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The payload, if it has one.
    pub payload: Option<&'a [u8]>,
}

/// Writes records as they are, in order, and waits until they have arrived.
///
/// # Errors
/// The brokers do not answer or refuse us, or take no more in time.
pub fn write(who: &str, config: &KafkaConfig, records: &[Plain<'_>]) -> Result<(), ConnectorError> {
    let producer = client::producer(who, config, None)?;
    let tell = |error: KafkaError| client::tell(who, config, producer.context(), &error);
    for plain in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(&config.topic)
            .partition(plain.partition)
            .timestamp(plain.at.millis() as i64);
        (record.key, record.payload) = (plain.key, plain.payload);
        producer.send(record).map_err(|(error, _)| tell(error))?;
    }
    producer.flush(config.timeout).map_err(tell)
}

/// Deletes the records of a partition before `before`, as retention does.
#[cfg(test)]
pub(crate) fn delete_records(
    who: &str,
    config: &KafkaConfig,
    partition: i32,
    before: i64,
) -> Result<(), rdkafka::error::KafkaError> {
    let admin: AdminClient<Ear> =
        client::create(who, &client::base(config)).expect("the settings are the library's own");
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&config.topic, partition, rdkafka::Offset::Offset(before))?;
    block_on(admin.delete_records(&list, &AdminOptions::new())).map(drop)
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread; the library's own thread drives it.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
