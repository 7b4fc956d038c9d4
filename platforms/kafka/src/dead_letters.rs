//! Dead letters into a Kafka topic.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;
use rufous_core::{Error, Result};
use rufous_realtime::{DeadLetters, Letter, bad};

use crate::options::{KafkaOptions, admin_config};
use crate::secret::Secrets;

/// How long one flush blocks.
const FLUSH: Duration = Duration::from_secs(5);
/// The most bytes of a reason that a letter has.
const LONGEST_REASON: usize = 4096;

/// A letter that is kept until the brokers have it.
struct Kept {
    key: Option<Vec<u8>>,
    /// `None` of a null value, and of one that no broker takes.
    payload: Option<Vec<u8>>,
    headers: OwnedHeaders,
    /// The headers that say where the record lies, and how many bytes the record's own headers have; `None` once those are
    /// left out.
    place: Option<(OwnedHeaders, usize)>,
    /// Bytes that were left out.
    left_out: usize,
}

/// What the client's callbacks report.
#[derive(Clone, Default)]
struct Returned(Arc<Mutex<VecDeque<(Code, Box<Kept>)>>>);

impl ClientContext for Returned {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("dead letters: {error}: {reason}");
    }
}

impl ProducerContext for Returned {
    type DeliveryOpaque = Box<Kept>;
    fn delivery(&self, result: &DeliveryResult<'_>, letter: Box<Kept>) {
        if let Err((e, _)) = result {
            let code = e.rdkafka_error_code().unwrap_or(Code::Unknown);
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back((code, letter));
        }
    }
}

/// A topic of dead letters: the payload is the record's payload, the key its key, and its headers follow `rufous-source`,
/// `rufous-partition`, `rufous-offset`, `rufous-reason` and, where the log has times, `rufous-time-ms`, all as text. The
/// producer is idempotent and waits for all replicas in sync.
///
/// A payload that is larger than the topic allows is left out with the key, then the record's own headers if that is not
/// enough, and `rufous-left-out` says how many bytes they had: they can still be read at their place in the source.
pub struct KafkaDeadLetters {
    brokers: String,
    topic: String,
    options: KafkaOptions,
    producer: BaseProducer<Returned>,
    returned: Returned,
    /// A batch was larger than the topic allows: each letter is sent alone from then on.
    alone: bool,
}

impl KafkaDeadLetters {
    /// Opens the topic. `options` are those of a log: security settings count here, those of consumers are left out.
    ///
    /// # Errors
    /// `InvalidRequest` for a property that librdkafka does not know, or a topic that is not there; `TryAgain` when no broker
    /// answers in [`KafkaOptions::timeout`].
    pub fn open(brokers: &str, topic: &str, options: KafkaOptions) -> Result<Self> {
        let returned = Returned::default();
        let producer = producer(brokers, &options, returned.clone(), false)?;
        let this = Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            options,
            producer,
            returned,
            alone: false,
        };
        let found = this
            .producer
            .client()
            .fetch_metadata(Some(topic), this.options.timeout)
            .map_err(|e| {
                Error::try_again(format!("{}: the brokers do not answer: {e}", this.location())).caused_by(e)
            })?;
        let known = found
            .topics()
            .iter()
            .any(|t| t.error().is_none() && !t.partitions().is_empty());
        if !known {
            return Err(Error::invalid(format!(
                "{}: there is no such topic for dead letters: make it, or correct its name",
                this.location()
            )));
        }
        Ok(this)
    }

    fn produce(&self, letter: Box<Kept>) -> Result<(), (KafkaError, Box<Kept>)> {
        // The record borrows its parts and owns the letter, so the parts are copied once more: letters are few.
        let (key, payload) = (letter.key.clone(), letter.payload.clone());
        let mut record = BaseRecord::<[u8], [u8], Box<Kept>>::with_opaque_to(&self.topic, letter);
        record.headers = Some(record.delivery_opaque.headers.clone());
        record.key = key.as_deref();
        record.payload = payload.as_deref();
        self.producer
            .send(record)
            .map_err(|(e, record)| (e, record.delivery_opaque))
    }

    fn take_returned(&self) -> VecDeque<(Code, Box<Kept>)> {
        std::mem::take(&mut *self.returned.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends again what came back. Returns the last reason, if there was anything.
    fn again(&mut self) -> Result<Option<Code>> {
        let mut reason = None;
        let mut letters = self.take_returned();
        let were_alone = self.alone;
        // Brokers refuse a batch as a whole: which of its letters is too large is seen when each comes alone.
        self.alone |= letters.iter().any(|(code, _)| is_size(*code));
        if self.producer.client().fatal_error().is_some() || self.alone != were_alone {
            // Its sequence is broken, and it takes no message any more. A new one starts a new sequence.
            self.producer = producer(&self.brokers, &self.options, self.returned.clone(), self.alone)?;
            letters.extend(self.take_returned());
        }
        for (code, mut letter) in letters {
            reason = Some(code);
            if were_alone && is_size(code) {
                shrink(&mut letter);
            }
            if let Err((e, letter)) = self.produce(letter) {
                let code = e.rdkafka_error_code().unwrap_or(Code::Unknown);
                self.returned
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_back((code, letter));
            }
        }
        Ok(reason)
    }
}

fn is_size(code: Code) -> bool {
    matches!(code, Code::MessageSizeTooLarge | Code::MessageBatchTooLarge)
}

/// Leaves out payload and key; the next time the record's own headers. `false`: nothing is left that could be left out.
fn shrink(letter: &mut Kept) -> bool {
    let mut headers = std::mem::replace(&mut letter.headers, OwnedHeaders::new());
    if letter.payload.is_some() || letter.key.is_some() {
        let taken = [letter.payload.take(), letter.key.take()];
        letter.left_out += taken.iter().flatten().map(Vec::len).sum::<usize>();
    } else if let Some((place, bytes)) = letter.place.take() {
        letter.left_out += bytes;
        headers = place;
    } else {
        letter.headers = headers;
        return false;
    }
    letter.headers = headers.insert(Header {
        key: "rufous-left-out",
        value: Some(&letter.left_out.to_string()),
    });
    true
}

/// What of a reason goes into a letter: it may quote the record.
fn short(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(LONGEST_REASON)]
}

fn producer(brokers: &str, options: &KafkaOptions, context: Returned, alone: bool) -> Result<BaseProducer<Returned>> {
    let mut config = admin_config(brokers, options);
    for (name, value) in [
        ("client.id", "rufous-dead-letters"),
        ("enable.idempotence", "true"),
        ("acks", "all"),
        // A letter is never given up: reading waits for it.
        ("message.timeout.ms", "0"),
        ("allow.auto.create.topics", "false"),
        // What a broker takes is the broker's to say.
        ("message.max.bytes", "1000000000"),
        ("linger.ms", "5"),
        ("batch.num.messages", if alone { "1" } else { "10000" }),
        ("queue.buffering.max.messages", "100000"),
        ("reconnect.backoff.ms", "100"),
        ("reconnect.backoff.max.ms", "1000"),
    ] {
        config.set(name, value);
    }
    // Not as a cause: librdkafka quotes values that it refuses.
    config.create_with_context(context).map_err(|e| {
        Error::invalid(format!(
            "dead letters to kafka://{brokers}: {}: correct the kafka properties",
            Secrets::of(&options.properties).refusal(&e)
        ))
    })
}

impl DeadLetters for KafkaDeadLetters {
    fn location(&self) -> String {
        format!("kafka://{}/{}", self.brokers, self.topic)
    }

    fn send(&mut self, letter: &Letter<'_>) -> Result<()> {
        let about = [
            ("rufous-source", letter.source.to_owned()),
            ("rufous-partition", letter.partition.to_string()),
            ("rufous-offset", letter.offset.to_string()),
            ("rufous-reason", short(letter.reason).to_owned()),
        ];
        let time = letter.time.map(|t| ("rufous-time-ms", t.0.to_string()));
        let mut headers = OwnedHeaders::new();
        for (key, value) in about.iter().chain(&time) {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        let (place, mut bytes) = (headers.clone(), 0);
        for (key, value) in bad::headers(letter.headers)? {
            bytes += key.len() + value.map_or(0, <[u8]>::len);
            headers = headers.insert(Header { key, value });
        }
        let mut kept = Box::new(Kept {
            key: letter.key.map(<[u8]>::to_vec),
            payload: letter.payload.map(<[u8]>::to_vec),
            headers,
            place: (bytes > 0).then_some((place, bytes)),
            left_out: 0,
        });
        loop {
            self.producer.poll(Duration::ZERO);
            kept = match self.produce(kept) {
                Ok(()) => return Ok(()),
                Err((e, mut kept)) => match e.rdkafka_error_code() {
                    Some(Code::MessageSizeTooLarge) if shrink(&mut kept) => kept,
                    // A full queue, or a client whose sequence is broken: the next flush sees to both.
                    _ => return Err(Error::try_again(format!("not taken yet: {e}")).caused_by(e)),
                },
            };
        }
    }

    fn flush(&mut self) -> Result<()> {
        let mut flushed = self.producer.flush(FLUSH);
        // What came back is sent again: without its payload if that was too large, else as it was.
        let reason = self.again()?;
        if reason.is_some() {
            flushed = self.producer.flush(FLUSH);
        }
        let left = self.returned.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        match (flushed, left) {
            (Ok(()), 0) => Ok(()),
            (outcome, _) => {
                let why = match (outcome, reason) {
                    (_, Some(code)) => code.to_string(),
                    (Err(e), None) => e.to_string(),
                    (Ok(()), None) => "they came back".to_string(),
                };
                Err(Error::try_again(format!(
                    "{} letters are not stored yet: {why}; check that the brokers run and let this client write",
                    self.producer.in_flight_count().max(0) as usize + left
                )))
            }
        }
    }
}
