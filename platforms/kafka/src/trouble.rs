//! Which of librdkafka's errors pass by themselves, and what the others mean.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::types::RDKafkaErrorCode as Code;
use rufous_core::Error;

use crate::group::Change;
use crate::secret::Secrets;

/// What the client's callbacks tell, in any thread.
pub(crate) struct Troubles {
    inner: Mutex<Inner>,
    pub(crate) secrets: Secrets,
}

/// An error that ends the client.
pub(crate) struct Severe {
    pub(crate) code: Code,
    pub(crate) text: String,
}

#[derive(Default)]
struct Inner {
    /// An error that ends the reading, not yet given to the caller.
    severe: Option<Severe>,
    /// What the consumer group said and nobody has worked off.
    group: VecDeque<Change>,
    /// The client is about to go: it takes no partitions any more.
    closing: bool,
    /// The last that was said about connections.
    last: Option<String>,
    /// When a warning was written last, and how many were swallowed since.
    warned: Option<Instant>,
    swallowed: u64,
}

/// Lost connections repeat themselves each second: one line in this time is enough.
const QUIET: Duration = Duration::from_secs(10);

impl ClientContext for Troubles {}

impl Troubles {
    pub(crate) fn new(secrets: Secrets) -> Self {
        let inner = Mutex::default();
        Self { inner, secrets }
    }
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// An error of the whole client.
    pub(crate) fn note(&self, code: Code, text: &str) {
        let text = &self.secrets.hide(text);
        if is_refusal(code) {
            self.fail(code, text);
        } else {
            let mut inner = self.lock();
            // "1/1 brokers are down" follows the reason: the reason is worth more.
            if code != Code::AllBrokersDown || inner.last.is_none() {
                inner.last = Some(text.to_owned());
            }
            drop(inner);
            self.warn(text);
        }
    }
    /// An error that ends the client; the first one counts.
    pub(crate) fn fail(&self, code: Code, text: &str) {
        let text = self.secrets.hide(text);
        self.lock().severe.get_or_insert(Severe { code, text });
    }
    /// Tells the operator, at most once in [`QUIET`].
    pub(crate) fn warn(&self, text: &str) {
        let mut inner = self.lock();
        if inner.warned.is_some_and(|at| at.elapsed() < QUIET) {
            inner.swallowed += 1;
            return;
        }
        inner.warned = Some(Instant::now());
        let swallowed = std::mem::take(&mut inner.swallowed);
        drop(inner);
        tracing::warn!(swallowed, "kafka: {text} (reading goes on)");
    }
    /// The error that ends the client, once.
    pub(crate) fn take_severe(&self) -> Option<Severe> {
        self.lock().severe.take()
    }
    /// What the group says. `false`: nobody will work it off.
    pub(crate) fn changed(&self, change: Change) -> bool {
        let mut inner = self.lock();
        if inner.closing {
            return false;
        }
        inner.group.push_back(change);
        true
    }
    /// What the group said, oldest first.
    pub(crate) fn next_change(&self) -> Option<Change> {
        self.lock().group.pop_front()
    }
    /// From now on nothing that the group says is worked off.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
    }
    /// The last that was said about connections, for messages.
    pub(crate) fn last(&self) -> String {
        self.lock()
            .last
            .as_ref()
            .map_or(String::new(), |text| format!(" ({text})"))
    }
}

impl Severe {
    /// Another client joined with this one's member id, or this one did so itself and did not hear the answer.
    pub(crate) fn is_fence(&self) -> bool {
        self.code == Code::FencedInstanceId
    }
    /// The error for the caller; `None` when a new client may go on in place of this one.
    pub(crate) fn error(&self, location: &str) -> Option<Error> {
        let text = &self.text;
        if is_refusal(self.code) {
            return Some(Error::invalid(format!(
                "{location}: the brokers refuse the connection: {text}; check security.protocol, sasl.* and ssl.* of the source"
            )));
        }
        // Two that take turns would throw each other out for ever.
        self.is_fence().then(|| {
            Error::closed(format!(
                "{location}: another process joined the consumer group with the same member id, and has the partitions now: \
                 {text}; stop one of the two, or give each its own `group.instance.id`"
            ))
        })
    }
}

/// Wrong credentials or certificates: no retry helps.
pub(crate) fn is_refusal(code: Code) -> bool {
    use Code as C;
    matches!(
        code,
        C::Authentication
            | C::SaslAuthenticationFailed
            | C::SSL
            | C::UnsupportedSASLMechanism
            | C::ClusterAuthorizationFailed
    )
}

/// The topic is not there, as the broker that was asked knows.
pub(crate) fn is_unknown(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition
    )
}

/// An error that a partition's messages brought and that does not pass: `None` for one that does.
pub(crate) fn lasting(code: Code, topic: &str, partition: Option<u32>, offset: i64, text: &str) -> Option<Error> {
    use Code as C;
    let at = || match (partition, offset) {
        (Some(p), 0..) => format!("topic `{topic}`, partition {p}, offset {offset}"),
        (Some(p), _) => format!("topic `{topic}`, partition {p}"),
        (None, _) => format!("topic `{topic}`"),
    };
    match code {
        C::TopicAuthorizationFailed => Some(Error::invalid(format!(
            "topic `{topic}` may not be read by this user: {text}; grant READ and DESCRIBE on it"
        ))),
        C::BadMessage | C::InvalidMessage | C::BadCompression | C::InvalidMessageSize => Some(Error::corrupt(format!(
            "{}: records cannot be read: {text}; check the broker's disk, or let the position pass over them",
            at()
        ))),
        C::NotImplemented | C::UnsupportedFeature | C::UnsupportedCompressionType => Some(Error::invalid(format!(
            "{}: this client cannot read the records: {text}; produce them with none, gzip, snappy, lz4 or zstd",
            at()
        ))),
        C::MessageSizeTooLarge => Some(Error::invalid(format!(
            "{}: a record is larger than the client accepts: {text}; raise the property `receive.message.max.bytes`",
            at()
        ))),
        code if is_refusal(code) => Some(Error::invalid(format!(
            "{}: refused: {text}; check the source's credentials",
            at()
        ))),
        _ => None,
    }
}
