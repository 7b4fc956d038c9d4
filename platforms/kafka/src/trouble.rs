//! Which of librdkafka's errors pass by themselves, and what the others mean.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::types::RDKafkaErrorCode as Code;
use rufous_core::Error;

/// What the client's callbacks tell, in any thread.
#[derive(Default)]
pub(crate) struct Troubles(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// An error that ends the reading, not yet given to the caller.
    severe: Option<(Code, String)>,
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
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// An error of the whole client.
    pub(crate) fn note(&self, code: Code, text: &str) {
        if is_refusal(code) || code == Code::Fatal {
            self.lock().severe.get_or_insert_with(|| (code, text.to_owned()));
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
    /// The error that ends the reading, once.
    pub(crate) fn take_severe(&self, location: &str) -> Option<Error> {
        let (code, text) = self.lock().severe.take()?;
        Some(if is_refusal(code) {
            Error::invalid(format!(
                "{location}: the brokers refuse the connection: {text}; check security.protocol, sasl.* and ssl.* of the source"
            ))
        } else {
            Error::try_again(format!(
                "{location}: the kafka client gave up: {text}; start the job again"
            ))
        })
    }
    /// The last that was said about connections, for messages.
    pub(crate) fn last(&self) -> String {
        self.lock()
            .last
            .as_ref()
            .map_or(String::new(), |text| format!(" ({text})"))
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
