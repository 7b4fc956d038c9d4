//! Connections, and waiting for them within bounds. The handle owns its runtime: calls block, wherever they come from.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime as Kind};
use futures_util::SinkExt;
use rufous_core::{Error, Result};
use rufous_store_api::Until;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CopyInSink, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::ended::end;
use crate::failure::{Failure, Step, told};
use crate::name::quoted;
use crate::options::{Location, PostgresOptions, parse};
use crate::tls::connector;

/// Connections that write: commits of one process follow each other, acquisitions come between, and what was dropped is deleted.
const WRITERS: usize = 3;
/// How much longer than the server a client waits: the server's own time-outs say more.
const GRACE: Duration = Duration::from_secs(2);

/// Parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A database, and the schema in it that is ours.
pub(crate) struct Db {
    runtime: Own,
    readers: Pool,
    writers: Pool,
    tls: Option<MakeRustlsConnect>,
    pub(crate) location: Location,
    /// As named; [`schema`](Self::schema) is quoted.
    name: String,
    schema: String,
    limit: Duration,
}

/// A runtime may not be dropped inside another one, unless it is not waited for.
struct Own(Option<Runtime>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Reading,
    Writing,
}

impl Db {
    /// Connects to nothing yet.
    pub(crate) fn new(url: &str, options: &PostgresOptions) -> Result<Self> {
        let (config, location, asked) = parse(url, options)?;
        let tls = asked.tls.then(|| connector(asked.roots.as_deref())).transpose()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("rufous-postgres")
            .enable_all()
            .build()
            .map_err(|e| Error::try_again(format!("cannot start a thread for {location}: {e}")).caused_by(e))?;
        let pool = |size: usize, idle: Duration| {
            let mut config = config.clone();
            let idle = idle.as_millis().clamp(1, i32::MAX as u128);
            // Before what the user says, which counts.
            let rest = config.get_options().unwrap_or_default().to_string();
            config.options(format!("-c idle_in_transaction_session_timeout={idle} {rest}"));
            // A connection that broke is noticed before it is used again; one that breaks later fails what it does.
            let recycle = ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            };
            let manager = match &tls {
                Some(tls) => Manager::from_config(config, tls.clone(), recycle),
                None => Manager::from_config(config, NoTls, recycle),
            };
            Pool::builder(manager)
                .max_size(size.max(1))
                .runtime(Kind::Tokio1)
                .create_timeout(Some(options.connect_timeout))
                .wait_timeout(Some(options.statement_timeout))
                .recycle_timeout(Some(options.connect_timeout))
                .build()
                .map_err(|e| Error::bug(format!("connections to {location}: {e}")).caused_by(e))
        };
        Ok(Self {
            runtime: Own(Some(runtime)),
            readers: pool(options.connections, options.snapshot_timeout)?,
            // Who waits for a lock of one that stopped gets it before his own time is over.
            writers: pool(WRITERS, options.statement_timeout / 2)?,
            name: options.schema.clone(),
            schema: quoted(&options.schema),
            limit: options.statement_timeout + GRACE,
            tls,
            location,
        })
    }

    /// The schema, quoted.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// The schema as the user named it.
    pub(crate) fn schema_name(&self) -> &str {
        &self.name
    }

    /// Waits for a future on the own runtime. Its steps are bounded, each by itself: see [`Session`].
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        what: impl fmt::Display,
        f: impl Future<Output = Step<T>> + Send + 'static,
    ) -> Result<T> {
        self.wait_until(what, &Until::default(), f)
    }

    /// The same as long as somebody waits for the answer. What nobody waits for is ended at the server, too: see [`end`].
    pub(crate) fn wait_until<T: Send + 'static>(
        &self,
        what: impl fmt::Display,
        until: &Until,
        f: impl Future<Output = Step<T>> + Send + 'static,
    ) -> Result<T> {
        let began = Instant::now();
        let (tell, answer) = sync_channel(1);
        let task = self.runtime.0.as_ref().map(|runtime| {
            runtime.spawn(async move {
                // Who asked waits for it, or has gone.
                let _ = tell.send(f.await);
            })
        });
        let found = loop {
            if !until.may_end() {
                break answer.recv().map_err(|_| RecvTimeoutError::Disconnected);
            }
            // Each step of the future has its own bound: this one ends no wait by itself.
            let left = until.left(Duration::from_secs(3_600));
            match answer.recv_timeout(until.slice(left)) {
                Err(RecvTimeoutError::Timeout) if !until.is_over() => {}
                found => break found,
            }
        };
        match found {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Err(told(&self.location, &self.name, &what, failure)),
            Err(RecvTimeoutError::Timeout) => {
                task.iter().for_each(JoinHandle::abort);
                Err(Error::try_again(format!(
                    "{what}: no answer of {} within {} ms, and nobody waits for longer",
                    self.location,
                    began.elapsed().as_millis()
                )))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::bug(format!("{what}: a request to {} panicked", self.location)))
            }
        }
    }

    /// Runs on, and nobody waits for it.
    pub(crate) fn spawn(&self, f: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime.0 {
            runtime.spawn(f);
        }
    }

    /// A connection, when the future is awaited.
    pub(crate) fn session(&self, to: For) -> impl Future<Output = Step<Session>> + Send + 'static {
        let pool = match to {
            For::Reading => self.readers.clone(),
            For::Writing => self.writers.clone(),
        };
        let (limit, tls) = (self.limit, self.tls.clone());
        async move {
            let object = pool.get().await.map_err(|e| Failure::Pool(e, pool.status().max_size))?;
            Ok(Session {
                object: Some(object),
                unfinished: AtomicBool::new(false),
                asked: AtomicUsize::new(0),
                silent: AtomicBool::new(false),
                tls,
                limit,
            })
        }
    }
}

/// A connection in use. In the middle of a transaction it is closed instead of given back, so nobody else gets the rest of it, and
/// the server undoes it.
pub(crate) struct Session {
    object: Option<Object>,
    /// Whether it is closed in place of being given back: a transaction is open.
    unfinished: AtomicBool,
    /// Answers that are still to come: with any of them it is not given back, either.
    asked: AtomicUsize,
    /// Whether one did not come when it should have.
    silent: AtomicBool,
    tls: Option<MakeRustlsConnect>,
    limit: Duration,
}

impl Drop for Session {
    fn drop(&mut self) {
        let asked = self.asked.load(Relaxed) > 0;
        if !asked && !self.unfinished.load(Relaxed) {
            return;
        }
        let Some(object) = self.object.take() else { return };
        match Handle::try_current() {
            Ok(runtime) if asked => {
                // Whose time was over at the server, too, has ended there, or will not for long.
                let patience = if self.silent.load(Relaxed) { GRACE } else { self.limit };
                runtime.spawn(end(object, self.tls.take(), patience));
            }
            _ => drop(Object::take(object)),
        }
    }
}

impl Session {
    fn object(&self) -> Step<&Object> {
        self.object
            .as_ref()
            .ok_or_else(|| Failure::Own(Error::bug("a connection is used after it was given back")))
    }

    async fn bounded<T>(&self, f: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Step<T> {
        // Who is dropped before the answer leaves it counted.
        self.asked.fetch_add(1, Relaxed);
        match tokio::time::timeout(self.limit, f).await {
            Ok(answer) => {
                self.asked.fetch_sub(1, Relaxed);
                Ok(answer?)
            }
            Err(_) => {
                self.silent.store(true, Relaxed);
                Err(Failure::Silent(self.limit.as_millis()))
            }
        }
    }

    /// Statements without parameters, as one transaction where none is open.
    pub(crate) async fn batch(&self, sql: &str) -> Step<()> {
        let object = self.object()?;
        self.bounded(object.batch_execute(sql)).await
    }

    /// From here on, to the end of the transaction, a statement may take so long.
    pub(crate) async fn patience(&mut self, limit: Duration) -> Step<()> {
        let ms = limit.as_millis().clamp(1, i32::MAX as u128);
        self.batch(&format!(
            "SET LOCAL statement_timeout = {ms}; SET LOCAL idle_in_transaction_session_timeout = {ms}"
        ))
        .await?;
        self.limit = limit + GRACE;
        Ok(())
    }

    /// Begins to copy rows into a table: what it returns is fed by [`feed`](Self::feed).
    pub(crate) async fn copy(&self, sql: &str) -> Step<Pin<Box<CopyInSink<Bytes>>>> {
        let object = self.object()?;
        self.bounded(object.copy_in(sql)).await.map(Box::pin)
    }

    /// Sends a piece of a copy.
    pub(crate) async fn feed(&self, sink: &mut Pin<Box<CopyInSink<Bytes>>>, piece: Vec<u8>) -> Step<()> {
        self.bounded(sink.send(piece.into())).await
    }

    /// Ends a copy: how many rows it had.
    pub(crate) async fn finish(&self, sink: &mut Pin<Box<CopyInSink<Bytes>>>) -> Step<u64> {
        self.bounded(sink.as_mut().finish()).await
    }

    /// Begins a transaction; `how` says which. What is awaited beside it is in it, too.
    pub(crate) async fn begin(&self, how: &str) -> Step<()> {
        self.unfinished.store(true, Relaxed);
        self.batch(&format!("BEGIN {how}")).await
    }

    /// Ends a transaction. After an error it is not known whether it was committed.
    pub(crate) async fn commit(&self) -> Step<()> {
        self.batch("COMMIT").await.map_err(|e| Failure::Commit(Box::new(e)))?;
        self.unfinished.store(false, Relaxed);
        Ok(())
    }

    /// Undoes a transaction.
    pub(crate) async fn rollback(&self) -> Step<()> {
        self.batch("ROLLBACK").await?;
        self.unfinished.store(false, Relaxed);
        Ok(())
    }

    /// A statement that is prepared once a connection. May be awaited beside others: they are sent one behind the other.
    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Step<Vec<Row>> {
        let object = self.object()?;
        self.bounded(async {
            let statement = object.prepare_cached(sql).await?;
            object.query(&statement, params).await
        })
        .await
    }

    /// The only row of a query, or none.
    pub(crate) async fn maybe(&self, sql: &str, params: Params<'_>) -> Step<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// A statement that answers with a number of rows.
    pub(crate) async fn execute(&self, sql: &str, params: Params<'_>) -> Step<u64> {
        let object = self.object()?;
        self.bounded(async {
            let statement = object.prepare_cached(sql).await?;
            object.execute(&statement, params).await
        })
        .await
    }

    /// A statement that is not prepared for longer: its text differs from call to call.
    pub(crate) async fn once(&self, sql: &str, params: Params<'_>) -> Step<Vec<Row>> {
        let object = self.object()?;
        self.bounded(object.query(sql, params)).await
    }
}
