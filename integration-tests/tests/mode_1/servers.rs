//! The servers that hold the state, by what a job asks of them.

use std::sync::Arc;

use anyhow::Result;
use rufous::core::Plan;
use rufous::store_api::{NamespaceOf, RealtimeReader, Until};
use rufous_integration_tests::kafka::Broker;
use rufous_integration_tests::kafka::job::{Live, SOON_DEAD, SharedState, Words};
use rufous_store_postgres::{PostgresOptions, PostgresRealtime};
use rufous_store_redis::{RedisOptions, RedisRealtime};
use rufous_test_servers::postgres::Server as Postgres;
use rufous_test_servers::redis::{RedisServer, RedisSetup};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_job-word-count");

/// A server of a test's own.
pub(crate) enum Server {
    Postgres(Postgres),
    Redis(RedisServer),
}

impl Server {
    pub(crate) fn postgres() -> Result<Self> {
        Ok(Self::Postgres(Postgres::start(&[])?))
    }
    /// One that keeps what it acknowledged.
    pub(crate) fn redis() -> Result<Self> {
        Ok(Self::Redis(RedisSetup::durable("always").start()?))
    }
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url("postgres"),
            Self::Redis(server) => server.url(),
        }
    }
    pub(crate) fn kill(&mut self) -> Result<()> {
        match self {
            Self::Postgres(server) => server.kill()?,
            Self::Redis(server) => server.kill()?,
        }
        Ok(())
    }
    pub(crate) fn start_again(&mut self) -> Result<()> {
        match self {
            Self::Postgres(server) => server.restart()?,
            Self::Redis(server) => server.start_again()?,
        }
        Ok(())
    }
    pub(crate) fn pause(&mut self) -> Result<()> {
        match self {
            Self::Postgres(server) => server.pause()?,
            Self::Redis(server) => server.pause()?,
        }
        Ok(())
    }
    pub(crate) fn resume(&mut self) -> Result<()> {
        match self {
            Self::Postgres(server) => server.unpause()?,
            Self::Redis(server) => server.resume()?,
        }
        Ok(())
    }

    /// The state of a job in it, for the job's processes and for readers of the test.
    pub(crate) fn state(&self, plan: &Plan) -> SharedState {
        let (url, job, stores) = (self.url(), plan.job().to_string(), plan.live_stores());
        let is_postgres = matches!(self, Self::Postgres(_));
        let open = {
            let url = url.clone();
            move |namespace: &str, until: &Until| -> rufous::Result<Option<Arc<dyn RealtimeReader>>> {
                let of = NamespaceOf::new(&job, "main", namespace);
                if is_postgres {
                    let reader = PostgresRealtime::reader(&url, &PostgresOptions::default(), of, &stores, until)?;
                    Ok(reader.map(|reader| Arc::new(reader) as Arc<dyn RealtimeReader>))
                } else {
                    let reader = RedisRealtime::reader(&url, &RedisOptions::default(), of, &stores, until)?;
                    Ok(reader.map(|reader| Arc::new(reader) as Arc<dyn RealtimeReader>))
                }
            }
        };
        SharedState {
            url,
            reader: Arc::new(open),
        }
    }
}

/// The first process of the job on a server; others are beside it.
pub(crate) fn first(server: &Server, broker: &Broker, words: &Words<'_>) -> Result<Live> {
    let live = Live::new(PROGRAM, broker, words.topic(), &SOON_DEAD)?;
    let state = server.state(live.plan());
    Ok(live.in_server(state))
}
