//! The Kafka door: topics of JSON, CSV, Avro or Arrow IPC, read by offset; topics of JSON, written
//! idempotently.
//!
//! A source reads all partitions of one topic. It takes no part in consumer groups and commits no
//! offsets: where it has read to is written down with each tick by the engine, and only there. A
//! sink writes with `acks=all` and an idempotent producer, keyed so that one device's setpoints
//! keep their order.
//!
//! # Arrival
//!
//! A record arrived when its message's timestamp says, and event times far ahead of that are
//! refused. By default the timestamp is the producer's word. On topics that devices write
//! themselves, set `message.timestamp.type=LogAppendTime`: the broker's clock then judges theirs.
//!
//! # Marks
//!
//! A record without payload and with a header [`MARK_HEADER`] holding milliseconds since the epoch
//! in decimal is a mark: its writer promises that nothing on time before that instant follows in
//! that partition.

pub mod admin;
mod client;
pub mod config;
mod deletion;
mod payload;
mod read;
pub mod sink;
pub mod source;

pub use self::config::KafkaConfig;
pub use self::config::KafkaFormat;
pub use self::config::KafkaSinkConfig;
pub use self::config::KafkaSourceConfig;
pub use self::sink::KafkaSink;
pub use self::source::KafkaSource;

/// The header that makes a record a mark.
pub const MARK_HEADER: &str = "gridloom-mark";

#[cfg(test)]
mod tests;
