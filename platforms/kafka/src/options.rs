//! The settings of a Kafka log.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rufous_core::{Error, Format, Result};

use crate::secret;

/// Who says which partitions a log reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// The caller: every partition is its own, and no member joins the group. For tools that read all there is, such as the
    /// archiver. The group must not be one that consumers subscribe with, or the brokers refuse the positions that are
    /// shown there (reading is not touched by that).
    #[default]
    ByHand,
    /// The consumer group (P10a), by the classic protocol with eager rebalancing.
    Group {
        /// The static member id (`group.instance.id`): who comes back with it within the session timeout gets its
        /// partitions back at once. It does not leave the group when it ends, so others get its partitions after the session
        /// timeout (30 s unless `session.timeout.ms` says otherwise). No two processes that run may have the same one.
        /// `None`: each start is a new member, and what a killed one had is free after its session timeout only.
        member: Option<String>,
    },
}

/// How a [`KafkaLog`](crate::KafkaLog) reads.
#[derive(Clone)]
pub struct KafkaOptions {
    /// The consumer group: its lag is what lag tools show.
    pub group: String,
    /// Who says which partitions are read.
    pub ownership: Ownership,
    /// How records are written.
    pub format: Format,
    /// Settings of librdkafka (`security.protocol`, `sasl.*`, `ssl.*`, ...) that are added to ours or replace them.
    pub properties: BTreeMap<String, String>,
    /// How long [`partitions`](rufous_realtime::Log::partitions) may take.
    pub timeout: Duration,
    /// How much is read ahead, in bytes of memory: records with what librdkafka keeps beside each of them, and one answer of a broker.
    pub prefetch: u64,
    /// How often a thread looks for new partitions.
    pub watch_interval: Duration,
}

/// Values of properties that may be secrets are not shown.
impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaOptions")
            .field("group", &self.group)
            .field("ownership", &self.ownership)
            .field("format", &self.format)
            .field("properties", &secret::shown(&self.properties))
            .field("timeout", &self.timeout)
            .field("prefetch", &self.prefetch)
            .field("watch_interval", &self.watch_interval)
            .finish()
    }
}

impl KafkaOptions {
    /// The group `rufous`, all partitions by hand, 10 seconds, 256 MiB, a look every 5 seconds.
    pub fn new(format: Format) -> Self {
        Self {
            group: "rufous".into(),
            ownership: Ownership::ByHand,
            format,
            properties: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            prefetch: 256 << 20,
            watch_interval: Duration::from_secs(5),
        }
    }
}

/// Exactness rests on these; each with the reason why it may not be changed.
const OURS: [(&str, &str); 10] = [
    ("isolation.level", "both layers read committed records only"),
    ("auto.offset.reset", "a lost range must be seen, not skipped"),
    ("enable.auto.commit", "positions come from the store"),
    ("auto.commit.enable", "positions come from the store"),
    (
        "group.protocol",
        "static members of the classic protocol are back at once",
    ),
    (
        "partition.assignment.strategy",
        "partitions change hands all at once: positions come from the store",
    ),
    ("enable.auto.offset.store", "positions come from the store"),
    ("enable.partition.eof", "positions move over aborted transactions by it"),
    ("bootstrap.servers", "it is the address of the log"),
    ("group.id", "it is the option `group`"),
];

/// What a client for the topic's administration needs: the address and the user's settings (security).
pub(crate) fn admin_config(brokers: &str, options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config.set("bootstrap.servers", brokers);
    config
}

/// The reading client's settings.
pub(crate) fn consumer_config(brokers: &str, options: &KafkaOptions) -> Result<ClientConfig> {
    for name in options.properties.keys() {
        // `metadata.broker.list` is librdkafka's other name of the address.
        let name = if name == "metadata.broker.list" {
            "bootstrap.servers"
        } else {
            name
        };
        if let Some((_, why)) = OURS.iter().find(|(ours, _)| *ours == name) {
            return Err(Error::invalid(format!(
                "kafka property `{name}` cannot be set: {why}; remove it"
            )));
        }
    }
    let kbytes = (options.prefetch >> 10).clamp(1, 2_097_151).to_string();
    // Small records weigh what is kept beside them: about half a kibibyte.
    let messages = (options.prefetch >> 9).clamp(1_000, 100_000).to_string();
    let answer = (options.prefetch >> 2).clamp(1 << 20, 64 << 20);
    // Of each partition in one answer, compressed. Eight times as much brought a gigabyte of small records into memory at once,
    // and no speed.
    let part = answer.min(1 << 20).to_string();
    let answer = answer.to_string();
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("client.id", "rufous"),
        ("queued.min.messages", &messages),
        ("queued.max.messages.kbytes", &kbytes),
        ("fetch.message.max.bytes", &part),
        ("fetch.max.bytes", &answer),
        ("fetch.wait.max.ms", "10"),
        // The default of a second would leave the engine without records each time that the queue was full.
        ("fetch.queue.backoff.ms", "10"),
        ("reconnect.backoff.ms", "100"),
        ("reconnect.backoff.max.ms", "1000"),
        ("topic.metadata.refresh.interval.ms", "5000"),
    ] {
        config.set(name, value);
    }
    if let Ownership::Group { member } = &options.ownership {
        // A slow flush or a slow closure is no reason to lose partitions; a dead process is, soon.
        for (name, value) in [
            ("session.timeout.ms", "30000"),
            ("heartbeat.interval.ms", "3000"),
            ("max.poll.interval.ms", "1800000"),
        ] {
            config.set(name, value);
        }
        if let Some(member) = member {
            config.set("group.instance.id", member);
        }
    }
    for (name, value) in &options.properties {
        if name == "max.partition.fetch.bytes" {
            // Another name of ours: with both set, chance would choose.
            config.remove("fetch.message.max.bytes");
        }
        config.set(name, value);
    }
    for (name, value) in [
        ("bootstrap.servers", brokers),
        ("group.id", &options.group),
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "error"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("allow.auto.create.topics", "false"),
        ("group.protocol", "classic"),
        ("partition.assignment.strategy", "range"),
    ] {
        config.set(name, value);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactness_cannot_be_configured_away() {
        let mut options = KafkaOptions::new(Format::Text);
        options.properties.insert("linger.ms".into(), "1".into());
        assert!(consumer_config("h:1", &options).is_ok());
        options.properties.insert("auto.offset.reset".into(), "latest".into());
        let e = consumer_config("h:1", &options).unwrap_err();
        assert!(e.to_string().contains("`auto.offset.reset` cannot be set"), "{e}");
    }
}
