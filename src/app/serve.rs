//! `serve`: the reads over HTTP.

use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::open::Context;
use super::settings::ServeSettings;
use super::write::stop_on_signal;
use crate::core::{Error, Result};
use crate::server::{Served, Server, ServerOptions, TlsFiles, Tokens};

/// Where it is served when nobody says.
const USUAL: &str = "127.0.0.1:8080";
/// How soon a signal is noticed.
const LOOK: Duration = Duration::from_millis(50);

fn options(settings: &ServeSettings) -> Result<ServerOptions> {
    let mut options = ServerOptions::default();
    options.tokens = match (&settings.token_file, &settings.tokens) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "both `serve.tokens` and `serve.token_file` are said: leave one of them out",
            ));
        }
        (Some(file), None) => Some(Tokens::read(file)?),
        (None, Some(Ok(tokens))) => Some(Tokens::parse(tokens.text(), "`serve.tokens`")?),
        (None, Some(Err(why))) => return Err(Error::invalid(why.clone())),
        (None, None) => None,
    };
    options.insecure = settings.insecure;
    options.tls = match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        (None, None) => None,
        _ => {
            return Err(Error::invalid(
                "TLS needs a certificate and its key: give both `--tls-certificate FILE` and `--tls-key FILE`",
            ));
        }
    };
    for (name, limit) in &settings.limits {
        match limit_of(&mut options, name) {
            Some(Limit::Count(of)) => *of = usize::try_from(*limit).unwrap_or(usize::MAX),
            Some(Limit::Time(of)) => *of = Duration::from_millis(*limit),
            None => return Err(Error::bug(format!("`serve.{name}` is a setting, and no limit"))),
        }
    }
    Ok(options)
}

/// A limit of the server, by the name of its setting.
enum Limit<'a> {
    Count(&'a mut usize),
    Time(&'a mut Duration),
}

fn limit_of<'a>(options: &'a mut ServerOptions, name: &str) -> Option<Limit<'a>> {
    Some(match name {
        "workers" => Limit::Count(&mut options.workers),
        "readers" => Limit::Count(&mut options.readers),
        "long_readers" => Limit::Count(&mut options.long_readers),
        "queue" => Limit::Count(&mut options.queue),
        "long_queue" => Limit::Count(&mut options.long_queue),
        "body_bytes" => Limit::Count(&mut options.body_bytes),
        "head_bytes" => Limit::Count(&mut options.head_bytes),
        "uri_bytes" => Limit::Count(&mut options.uri_bytes),
        "keys" => Limit::Count(&mut options.keys),
        "key_bytes" => Limit::Count(&mut options.key_bytes),
        "rows" => Limit::Count(&mut options.rows),
        "connections" => Limit::Count(&mut options.connections),
        "requests" => Limit::Count(&mut options.requests),
        "head_ms" => Limit::Time(&mut options.head_time),
        "body_ms" => Limit::Time(&mut options.body_time),
        "request_ms" => Limit::Time(&mut options.request_time),
        "write_ms" => Limit::Time(&mut options.write_time),
        "last_answers_ms" => Limit::Time(&mut options.last_answers),
        _ => return None,
    })
}

pub(super) fn serve(context: &Context<'_>) -> Result<()> {
    super::read::has_stores(context)?;
    let settings = &context.settings.serve;
    let served = Served {
        job: context.plan.job().to_string(),
        instance: context.layout.instance().to_string(),
        client: context.client(),
        stores: context.plan.stores().to_vec(),
    };
    let listen = settings.listen.as_deref().unwrap_or(USUAL);
    let bound = Server::new(served, options(settings)?)?.bind(listen)?;
    let stop = stop_on_signal()?;
    // On standard output and at once: whoever asked for port 0 reads it here.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "serving {}", bound.url()).and_then(|()| out.flush());
    drop(out);
    bound.serve(async move {
        while !stop.load(Relaxed) {
            tokio::time::sleep(LOOK).await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::settings::NAMES;
    use super::*;

    /// Every limit that is a setting is one of the server, and the default that `config` shows is the server's own.
    #[test]
    fn limits_are_settings() {
        let mut options = ServerOptions::default();
        let mut seen = 0;
        for name in NAMES {
            let ["serve", limit] = name.path else { continue };
            let default = match limit_of(&mut options, limit) {
                Some(Limit::Count(of)) => *of as u128,
                Some(Limit::Time(of)) => of.as_millis(),
                None => continue,
            };
            assert_eq!(name.default, default.to_string(), "serve.{limit}");
            seen += 1;
        }
        assert_eq!(seen, 18);
    }
}
