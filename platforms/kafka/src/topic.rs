//! What the brokers say about a topic.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rufous_core::{Error, Result};

use crate::secret::Secrets;
use crate::trouble::{self, Troubles};

/// How many topics an error names.
const NAMED: usize = 10;

/// The answer to "is it there".
pub(crate) enum Found {
    /// The numbers of its partitions, ascending, and a broker that can be asked more.
    Partitions(Vec<u32>, i32),
    /// The broker that was asked does not know it.
    Unknown,
}

/// Looks a topic up.
pub(crate) fn find(client: &Client<Troubles>, topic: &str, timeout: Duration) -> Result<Found, Code> {
    let metadata = client.fetch_metadata(Some(topic), timeout).map_err(|e| code_of(&e))?;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
        return Ok(Found::Unknown);
    };
    if let Some(code) = found.error().map(Code::from) {
        return if trouble::is_unknown(code) {
            Ok(Found::Unknown)
        } else {
            Err(code)
        };
    }
    // Not the one that answered: a connection to a bootstrap address has no number yet.
    let broker = metadata.brokers().first().map_or(-1, |b| b.id());
    let mut ids: Vec<u32> = found
        .partitions()
        .iter()
        .filter_map(|p| u32::try_from(p.id()).ok())
        .collect();
    ids.sort_unstable();
    Ok(if ids.is_empty() {
        Found::Unknown
    } else {
        Found::Partitions(ids, broker)
    })
}

/// Up to ten topics that exist, for an error.
pub(crate) fn others(client: &Client<Troubles>, timeout: Duration) -> String {
    let Ok(metadata) = client.fetch_metadata(None, timeout) else {
        return String::new();
    };
    let mut names: Vec<&str> = metadata
        .topics()
        .iter()
        .map(|t| t.name())
        .filter(|n| !n.starts_with("__"))
        .collect();
    names.sort_unstable();
    let more = if names.len() > NAMED {
        format!(" and {} more", names.len() - NAMED)
    } else {
        String::new()
    };
    names.truncate(NAMED);
    if names.is_empty() {
        "; the brokers have no topics".into()
    } else {
        format!("; there are: `{}`{more}", names.join("`, `"))
    }
}

/// The first offset and the end that a `read_committed` reader sees (librdkafka asks with the client's isolation level).
pub(crate) fn watermarks(
    client: &Client<Troubles>,
    topic: &str,
    partition: u32,
    timeout: Duration,
) -> Result<(u64, u64), Code> {
    let partition = i32::try_from(partition).map_err(|_| Code::UnknownPartition)?;
    let (low, high) = client
        .fetch_watermarks(topic, partition, timeout)
        .map_err(|e| code_of(&e))?;
    Ok((u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0)))
}

/// librdkafka's code of an error.
pub(crate) fn code_of(e: &KafkaError) -> Code {
    e.rdkafka_error_code().unwrap_or(Code::Fail)
}

/// Refuses a compacted topic (P9): it forgets records, so two readings of a batch would differ.
///
/// # Errors
/// `InvalidRequest` for a compacted topic. A broker that does not tell (no right to, or too old) is believed; a warning
/// says so.
pub(crate) fn refuse_compacted(
    config: &ClientConfig,
    broker: i32,
    location: &str,
    topic: &str,
    timeout: Duration,
) -> Result<()> {
    match setting(config, broker, topic, "cleanup.policy", timeout) {
        Ok(policy) if policy.split(',').any(|p| p.trim() == "compact") => Err(Error::invalid(format!(
            "{location}: topic `{topic}` has cleanup.policy={policy}: compaction removes records that were counted, so its \
             answers could not be rebuilt; read a topic with cleanup.policy=delete"
        ))),
        Ok(_) => Ok(()),
        Err(e) => {
            tracing::warn!("{location}: cannot see the topic's cleanup.policy ({e}); it must not be compacted");
            Ok(())
        }
    }
}

/// Whether producers stamp the records of a topic. `None`: the broker does not tell; a warning says so.
pub(crate) fn stamped_by_writers(
    config: &ClientConfig,
    broker: i32,
    location: &str,
    topic: &str,
    timeout: Duration,
) -> Option<bool> {
    match setting(config, broker, topic, "message.timestamp.type", timeout) {
        Ok(kind) => Some(kind == "CreateTime"),
        Err(e) => {
            tracing::warn!("{location}: cannot see the topic's message.timestamp.type ({e})");
            None
        }
    }
}

/// A setting of a topic.
fn setting(config: &ClientConfig, broker: i32, topic: &str, name: &str, timeout: Duration) -> Result<String, String> {
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(|e| Secrets::default().refusal(&e))?;
    let options = AdminOptions::new().request_timeout(Some(timeout)).broker_id(broker);
    let asked = [ResourceSpecifier::Topic(topic)];
    let answer = block_on(admin.describe_configs(&asked, &options)).map_err(|e| e.to_string())?;
    let resource = answer
        .into_iter()
        .next()
        .ok_or("an empty answer")?
        .map_err(|e| e.to_string())?;
    resource
        .get(name)
        .and_then(|entry| entry.value.clone())
        .ok_or_else(|| "not told".into())
}

/// Waits for a future that another thread completes. It needs no runtime, so it works inside of one, too.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
