//! The location of a server, which may hold a password: it is taken apart here, and shown by those who know how.

use crate::core::{Error, Result};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateUrl<'a> {
    Postgres(&'a str),
    Redis(&'a str),
}

impl<'a> StateUrl<'a> {
    /// By its scheme; the server's own driver reads the rest.
    ///
    /// # Errors
    /// `InvalidRequest` with the forms, and without what was given: it may hold a password.
    pub(super) fn parse(location: &'a str) -> Result<Self> {
        match location.split_once("://") {
            Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => Ok(Self::Postgres(location)),
            Some(("redis" | "rediss", rest)) if !rest.is_empty() => Ok(Self::Redis(location)),
            scheme => Err(Error::invalid(format!(
                "the location of the realtime state begins with {}: write postgres://USER@HOST:PORT/DATABASE or \
                 redis://HOST:PORT/DATABASE, or leave it out for a database below the data directory",
                scheme.map_or_else(|| "no scheme".into(), |(scheme, _)| format!("`{scheme}://`"))
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_their_scheme() {
        let url = "postgresql://u:secret@h:5432/d?sslmode=require";
        assert_eq!(StateUrl::parse(url).unwrap(), StateUrl::Postgres(url));
        assert_eq!(
            StateUrl::parse("postgres://h/d").unwrap(),
            StateUrl::Postgres("postgres://h/d")
        );
        assert_eq!(
            StateUrl::parse("redis://h:1/0").unwrap(),
            StateUrl::Redis("redis://h:1/0")
        );
        assert_eq!(StateUrl::parse("rediss://h").unwrap(), StateUrl::Redis("rediss://h"));
        for bad in ["", "h:5432", "mysql://u:secret@h/d", "postgres://", "secret"] {
            let e = StateUrl::parse(bad).unwrap_err().to_string();
            assert!(e.contains("postgres://USER@HOST") && !e.contains("secret"), "{e}");
        }
    }
}
