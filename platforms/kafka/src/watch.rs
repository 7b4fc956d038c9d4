//! A thread that looks for new partitions, and for a topic that was deleted or made again: a consumer assigned by hand is
//! told of none of these.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::client::Client;
use rufous_core::{Error, Result};
use rufous_realtime::metrics::Moment;

use crate::dequeue;
use crate::topic::{self, Found};
use crate::trouble::Troubles;

/// So many looks in a row must miss a topic before it counts as deleted: a broker that just started may not know it yet.
const GONE: u32 = 3;

/// How long one question may take.
const ASK: Duration = Duration::from_secs(2);

/// A running watcher. It stops when this is dropped.
pub(crate) struct Watch {
    seen: Arc<Seen>,
    _stop: Sender<()>,
}

#[derive(Default)]
struct Seen {
    /// 0: nothing seen yet.
    partitions: AtomicU32,
    misses: AtomicU32,
    /// The topic has another id than it had.
    replaced: AtomicBool,
    /// A broker answered.
    heard: Moment,
    /// The last question got no answer.
    silent: AtomicBool,
}

impl Watch {
    /// Starts the thread. It holds the client only while it asks.
    pub(crate) fn start(
        client: &Arc<Client<Troubles>>,
        topic: &str,
        id: Option<String>,
        interval: Duration,
    ) -> Result<Self> {
        let seen = Arc::new(Seen::default());
        // The positions to start from came from a broker just now.
        seen.heard.mark();
        let (stop, stopped) = mpsc::channel::<()>();
        let (client, topic, shared) = (Arc::downgrade(client), topic.to_owned(), Arc::clone(&seen));
        std::thread::Builder::new()
            .name("rufous-kafka-watch".into())
            .spawn(move || {
                while stopped.recv_timeout(shared.pause(interval)) == Err(RecvTimeoutError::Timeout) {
                    if !shared.look(&client, &topic, id.as_deref()) {
                        break;
                    }
                }
            })
            .map_err(|e| Error::try_again(format!("no thread to watch a kafka topic: {e}")).caused_by(e))?;
        Ok(Self { seen, _stop: stop })
    }
    /// How many partitions the topic has, as far as is known.
    pub(crate) fn partitions(&self) -> Option<u32> {
        Some(self.seen.partitions.load(Relaxed)).filter(|&n| n > 0)
    }
    /// Whether the topic was made again under its name.
    pub(crate) fn is_replaced(&self) -> bool {
        self.seen.replaced.load(Relaxed)
    }
    /// How long ago a broker answered.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.seen.heard.age()
    }
    /// Whether the topic was deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.seen.misses.load(Relaxed) >= GONE
    }
}

impl Seen {
    fn pause(&self, interval: Duration) -> Duration {
        if self.misses.load(Relaxed) == 0 && !self.silent.load(Relaxed) {
            interval
        } else {
            interval.min(Duration::from_secs(1))
        }
    }
    /// `false` when the log was closed.
    fn look(&self, client: &Weak<Client<Troubles>>, topic: &str, id: Option<&str>) -> bool {
        let Some(client) = client.upgrade() else { return false };
        let found = topic::find(&client, topic, ASK);
        self.silent.store(found.is_err(), Relaxed);
        if found.is_ok() {
            self.heard.mark();
        }
        match found {
            Ok(Found::Partitions(ids, broker)) => {
                self.misses.store(0, Relaxed);
                let now = id.and_then(|_| dequeue::topic_id(&client, broker, topic, ASK).ok().flatten());
                if now.is_some() && now.as_deref() != id {
                    self.replaced.store(true, Relaxed);
                }
                self.partitions.store(ids.len() as u32, Relaxed);
            }
            Ok(Found::Unknown) => {
                self.misses.fetch_add(1, Relaxed);
            }
            // A broker that cannot be asked says nothing about the topic; the reader warns of it.
            Err(_) => {}
        }
        true
    }
}
