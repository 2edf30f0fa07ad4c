//! What happens while a broker is away: a source waits, a sink says that it is not known what
//! arrived.
//!
//! The broker of the other tests is shared and must not go away; this one is the client library's
//! own stand-in, which speaks the protocol and can be told to.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::*;

const BROKER: i32 = 1;

fn cluster() -> (MockCluster<'static, DefaultProducerContext>, KafkaConfig) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut config = KafkaConfig::topic(&cluster.bootstrap_servers(), "t");
    config.timeout = Duration::from_millis(1_500);
    config.options.insert("reconnect.backoff.max.ms".to_owned(), "100".to_owned());
    (cluster, config)
}

#[test]
fn a_source_waits_for_a_broker_that_went_away_and_loses_nothing() {
    let (cluster, config) = cluster();
    let rows = json::encode(&switches(0, 4));
    let writer = Writer::to(&config);
    let write = |n: usize| {
        writer.write(0, 1, Some(rows[n].as_bytes()), None);
        writer.flush();
    };
    write(0);
    write(1);
    let mut source = open(&config, 100);
    read(&mut source, 2);
    cluster.broker_down(BROKER).unwrap();
    for _ in 0..10 {
        let polled = source.poll(Duration::from_millis(100)).expect("an outage is no error");
        assert!(matches!(polled, Polled::Idle), "{polled:?}");
    }
    cluster.broker_up(BROKER).unwrap();
    write(2);
    write(3);
    let positions: Vec<i64> = read(&mut source, 2)
        .into_iter()
        .flat_map(|polled| match polled {
            Polled::Batch(piece) => piece.positions,
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(positions, [2, 3]);
}

#[test]
fn a_sink_says_so_and_sends_what_it_kept_when_the_broker_is_back() {
    let (cluster, config) = cluster();
    let mut sink = sink(&config);
    sink.send(&setpoints(1, 3)).unwrap();
    sink.flush().unwrap();
    cluster.broker_down(BROKER).unwrap();
    sink.send(&setpoints(3, 5)).unwrap();
    let error = sink.flush().unwrap_err();
    assert!(matches!(error, ConnectorError::NotWritten { .. }), "{error}");
    assert!(error.retry());
    cluster.broker_up(BROKER).unwrap();
    let flushed = (0..10).find_map(|_| sink.flush().ok());
    assert_eq!(flushed, Some(()), "the broker is back");
    assert_eq!(sink.tail(10).unwrap(), setpoints(1, 5), "each once and in order");
}
