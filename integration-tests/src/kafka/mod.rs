//! A real Kafka broker (KRaft, one node) for a test. `./x test` prepares what it needs (`scripts/kafka/prepare`) and names the
//! directory in `RUFOUS_KAFKA_DIR`.
//!
//! A test that breaks the broker starts its own; the others take [`shared`] and a [`unique_name`] for each topic, group and
//! transactional id.

mod admin;
mod home;
pub mod job;
pub mod process;
mod unsafe_calls;

use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

pub use admin::block_on;
use home::{Home, Java};

/// A busy machine starts a broker slowly; an idle one in about a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker. It ends with this value, or with the test process, however that ends.
pub struct Broker {
    home: Home,
    // None: killed, and not yet started again.
    child: Mutex<Option<Child>>,
    addr: String,
}

enum Failed {
    // Another process has one of the ports: try others.
    PortTaken,
    Other(anyhow::Error),
}

impl Broker {
    /// Starts a broker with no topics and waits until it answers.
    pub fn start() -> Result<Self> {
        Self::start_with(Java::Quick, None)
    }

    /// The same with the Java of a broker that is measured: every compiler, and a larger heap.
    pub fn start_for_measuring() -> Result<Self> {
        Self::start_with(Java::Fast, None)
    }

    /// A broker that also listens with SASL (PLAIN, this user and password) and with TLS.
    pub fn start_secured(user: &str, password: &str) -> Result<Self> {
        Self::start_with(Java::Quick, Some((user, password)))
    }

    fn start_with(java: Java, secured: Option<(&str, &str)>) -> Result<Self> {
        for _ in 0..10 {
            let home = Home::create(java, secured)?;
            let addr = format!("127.0.0.1:{}", home.port());
            let broker = Self {
                home,
                child: Mutex::new(None),
                addr,
            };
            let launched = broker.launch(&mut broker.child());
            match launched {
                Ok(()) => return Ok(broker),
                Err(Failed::PortTaken) => {}
                Err(Failed::Other(e)) => return Err(e),
            }
        }
        bail!("no free ports for a broker after ten tries");
    }

    /// Where clients connect: `HOST:PORT`, the same after each [`restart`](Self::restart).
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// Where clients connect by SASL_PLAINTEXT.
    pub fn sasl_addr(&self) -> Result<String> {
        let (sasl, _) = self.home.secured().context("a broker without secured listeners")?;
        Ok(format!("127.0.0.1:{sasl}"))
    }

    /// Where clients connect by SSL, and the certificate that they must trust.
    pub fn ssl_addr(&self) -> Result<(String, std::path::PathBuf)> {
        let (_, ssl) = self.home.secured().context("a broker without secured listeners")?;
        Ok((format!("127.0.0.1:{ssl}"), self.home.certificate()))
    }

    /// The settings of a client of this broker, one that comes back soon after a restart.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.addr)
            .set("reconnect.backoff.max.ms", "500");
        config
    }

    /// Its process, for other signals; `None` after [`kill9`](Self::kill9).
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// SIGKILL: what was acknowledged is kept by the operating system, nothing is closed. Nothing happens if it is dead already.
    pub fn kill9(&self) -> Result<()> {
        match self.child().take() {
            Some(mut child) => process::kill(&mut child),
            None => Ok(()),
        }
    }

    /// Starts it again on the same data and the same port, and waits until it answers. A running one is stopped (SIGTERM) first.
    pub fn restart(&self) -> Result<()> {
        let mut child = self.child();
        if let Some(mut running) = child.take() {
            process::stop(&mut running)?;
        }
        match self.launch(&mut child) {
            Ok(()) => Ok(()),
            Err(Failed::PortTaken) => bail!(
                "another process took port {} while the broker was down",
                self.home.port()
            ),
            Err(Failed::Other(e)) => Err(e),
        }
    }

    /// SIGSTOP: the broker hangs, its connections stay open.
    pub fn pause(&self) -> Result<()> {
        let mut child = self.child();
        let child = child.as_mut().context("the broker is dead")?;
        Ok(unsafe_calls::pause(child)?)
    }

    /// SIGCONT.
    pub fn resume(&self) -> Result<()> {
        let mut child = self.child();
        let child = child.as_mut().context("the broker is dead")?;
        Ok(unsafe_calls::resume(child)?)
    }

    /// Where the segments of a partition are.
    pub fn segments(&self, topic: &str, partition: u32) -> std::path::PathBuf {
        self.home.segments(topic, partition)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn launch(&self, slot: &mut Option<Child>) -> Result<(), Failed> {
        let log_before = self.home.log_len();
        let child = slot.insert(process::spawn(self.home.command()?)?);
        let ready = self.wait_ready(child, log_before);
        if ready.is_err()
            && let Some(mut child) = slot.take()
        {
            process::kill(&mut child)?;
        }
        ready
    }

    // Ready: a broker of this cluster answers a metadata request. That a port accepts comes earlier and is not enough, and
    // on that port may be the broker of another process, while this one is about to find it taken.
    fn wait_ready(&self, child: &mut Child, log_before: u64) -> Result<(), Failed> {
        let start = Instant::now();
        let client: BaseConsumer = self.client().set("reconnect.backoff.max.ms", "100").create()?;
        loop {
            if let Some(status) = child.try_wait()? {
                let log = self.home.log_since(log_before);
                if log.contains("Address already in use") {
                    return Err(Failed::PortTaken);
                }
                return Err(anyhow!("the broker ended ({status}) before it was ready; its log:\n{log}").into());
            }
            let metadata = client.fetch_metadata(None, Duration::from_millis(500));
            if metadata.is_ok_and(|m| !m.brokers().is_empty())
                && client.client().fetch_cluster_id(Duration::from_millis(500)).as_deref() == Some(self.home.cluster())
            {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let log = self.home.log_since(log_before);
                return Err(anyhow!("the broker did not answer within {PATIENCE:?}; its log:\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child().take() {
            // Nobody is left to hear of a failure; the parent-death signal is the second line.
            let _ = process::stop(&mut child);
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(e: E) -> Self {
        Self::Other(e.into())
    }
}

/// One broker for all tests of a process: a start costs a second. Do not kill it.
pub fn shared() -> Result<&'static Broker> {
    static SHARED: OnceLock<Result<Broker, String>> = OnceLock::new();
    // Nothing drops a static: the parent-death signal ends this one.
    SHARED
        .get_or_init(|| Broker::start().map_err(|e| format!("{e:#}")))
        .as_ref()
        .map_err(|e| anyhow!("{e}"))
}

/// A name that no other test has, for a topic, a group or a transactional id.
pub fn unique_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{prefix}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
