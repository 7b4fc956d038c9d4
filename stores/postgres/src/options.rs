//! Where a database is, and how it is used.

use std::fmt;
use std::time::Duration;

use rufous_core::{Error, Result};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::name;
use crate::tls::{self, Asked};

/// How a database is used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The schema that holds everything: made when it is missing and the user may.
    pub schema: String,
    /// How many connections of a handle may read at once: a snapshot keeps one. Three more write.
    pub connections: usize,
    /// How long to wait for a connection to be made.
    pub connect_timeout: Duration,
    /// How long to wait for an answer, for a lock, and for a connection that others use. A process that stops in the middle of a write
    /// keeps others from its partitions for half of that: then the server undoes what it began.
    pub statement_timeout: Duration,
    /// How long a snapshot may lie unused: the server cannot tidy up behind it. Then it has to be taken again.
    pub snapshot_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            schema: "rufous".into(),
            connections: 8,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            snapshot_timeout: Duration::from_secs(300),
        }
    }
}

/// A database as messages name it: without the password.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    user: String,
    hosts: String,
    database: String,
}

impl Location {
    pub(crate) fn user(&self) -> &str {
        &self.user
    }
    pub(crate) fn database(&self) -> &str {
        &self.database
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@{}/{}", self.user, self.hosts, self.database)
    }
}

/// A location as messages show it: without the password.
///
/// # Errors
/// `InvalidRequest` when it cannot be one.
pub fn shown(url: &str, options: &PostgresOptions) -> Result<String> {
    Ok(format!("schema `{}` of {}", options.schema, parse(url, options)?.1))
}

/// Reads a location: the driver's form, and what is asked of TLS. Nothing of it is repeated in an error: it holds a password.
pub(crate) fn parse(url: &str, options: &PostgresOptions) -> Result<(Config, Location, Asked)> {
    const FORM: &str = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE";
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(Error::invalid(format!("the location of a PostgreSQL database: {FORM}")));
    }
    let (url, asked) = tls::split(url)?;
    let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
        // The cause names the option or the part, not its value.
        let cause = std::error::Error::source(&e).map_or_else(String::new, |cause| format!(" ({cause})"));
        Error::invalid(format!(
            "the location of a PostgreSQL database cannot be read{cause}: {FORM}"
        ))
    })?;
    name::check("schema", &options.schema)?;
    let (Some(user), Some(database)) = (config.get_user(), config.get_dbname()) else {
        return Err(Error::invalid(format!(
            "the location of a PostgreSQL database needs a user and a database: {FORM}"
        )));
    };
    let hosts = config.get_hosts();
    if hosts.is_empty() {
        return Err(Error::invalid(format!(
            "the location of a PostgreSQL database needs a host: {FORM}"
        )));
    }
    let ports = config.get_ports();
    let show = |(i, host): (usize, &Host)| {
        let port = ports.get(i).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(host) if host.contains(':') => format!("[{host}]:{port}"),
            Host::Tcp(host) => format!("{host}:{port}"),
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    };
    let location = Location {
        user: user.into(),
        hosts: hosts.iter().enumerate().map(show).collect::<Vec<_>>().join(","),
        database: database.into(),
    };
    config.ssl_mode(if asked.tls { SslMode::Require } else { SslMode::Disable });
    let ms = |d: Duration| d.as_millis().clamp(1, i32::MAX as u128);
    let statement = ms(options.statement_timeout);
    // The paths of access are known: plans that read whole tables are none of them.
    let own = format!(
        "-c statement_timeout={statement} -c lock_timeout={statement} -c jit=off \
         -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
    );
    let all = match config.get_options() {
        // What the user says comes last, so it counts.
        Some(theirs) => format!("{own} {theirs}"),
        None => own,
    };
    config.options(all);
    if config.get_application_name().is_none() {
        config.application_name("rufous");
    }
    config.connect_timeout(options.connect_timeout);
    config.tcp_user_timeout(options.statement_timeout);
    config.keepalives_idle(Duration::from_secs(60));
    Ok((config, location, asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_shown_without_the_password() {
        let shown = |url: &str| parse(url, &PostgresOptions::default()).map(|(_, l, _)| l.to_string());
        let good = shown("postgres://me:s3cr3t@db:5433/shop").unwrap();
        assert_eq!(good, "postgres://me@db:5433/shop");
        assert_eq!(
            shown("postgresql://me@db/shop?password=s3cr3t").unwrap(),
            "postgres://me@db:5432/shop"
        );
        for bad in [
            "redis://me:s3cr3t@db/0",
            "postgres://me:s3cr3t@db:port/shop",
            "postgres://me:s3cr3t@db/shop?colour=s3cr3t",
            "postgres://db/s3cr3t",
            "postgres://me:s3cr3t@/shop",
            "postgres://me:s3cr3t@db/shop?sslmode=s3cr3t",
        ] {
            let e = shown(bad).unwrap_err();
            assert_eq!(e.kind(), rufous_core::ErrorKind::InvalidRequest);
            assert!(!format!("{e} {e:?}").contains("s3cr3t"), "{e}");
        }
    }
}
