//! `serve`: the reads over HTTP.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::json;

use super::console::{Console, Desk, Rights};
use super::open::Context;
use super::out;
use super::settings::{Hidden, ServeSettings};
use super::write::stop_on_signal;
use crate::core::{Error, Result};
use crate::server::{Records, Served, Server, ServerOptions, TlsFiles, Tokens};

/// Where it is served when nobody says.
const USUAL: &str = "127.0.0.1:8080";
/// How soon a signal is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// Tokens of a file, or those of a setting.
fn tokens(
    (file_name, file): (&str, &Option<PathBuf>),
    (name, tokens): (&str, &Option<Result<Hidden, String>>),
) -> Result<Option<Tokens>> {
    Ok(match (file, tokens) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid(format!(
                "both `serve.{file_name}` and `serve.{name}` are said, and only one can count"
            ))
            .repaired_by("leave one of them out: `config` says where each was said"));
        }
        (Some(file), None) => Some(Tokens::read(file)?),
        (None, Some(Ok(tokens))) => Some(Tokens::parse(tokens.text(), &format!("the setting `serve.{name}`"))?),
        (None, Some(Err(why))) => return Err(Error::invalid(why.clone())),
        (None, None) => None,
    })
}

fn options(settings: &ServeSettings) -> Result<ServerOptions> {
    let mut options = ServerOptions::default();
    options.tokens = tokens(("token_file", &settings.token_file), ("tokens", &settings.tokens))?;
    options.admin = tokens(
        ("admin_token_file", &settings.admin_token_file),
        ("admin_tokens", &settings.admin_tokens),
    )?;
    options.records = settings.records.as_deref().map(records).transpose()?;
    options.insecure = settings.insecure;
    options.tls = match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        (None, None) => None,
        _ => {
            return Err(
                Error::invalid("TLS needs a certificate and its key, and one of them is said")
                    .repaired_by("give both `--tls-certificate FILE` and `--tls-key FILE`"),
            );
        }
    };
    for (name, value) in &settings.limits {
        limit(&mut options, name, *value)?;
    }
    Ok(options)
}

/// One of the words of `serve.records`.
fn records(word: &str) -> Result<Records> {
    match word {
        "all" => Ok(Records::All),
        "admin" => Ok(Records::Admin),
        "none" => Ok(Records::None),
        _ => Err(Error::bug(format!("setting `serve.records` is `{word}`"))),
    }
}

/// Says one of the limits; they are settings of the same names.
fn limit(options: &mut ServerOptions, name: &str, value: u64) -> Result<()> {
    let counts = [
        ("workers", &mut options.workers),
        ("readers", &mut options.readers),
        ("long_readers", &mut options.long_readers),
        ("queue", &mut options.queue),
        ("long_queue", &mut options.long_queue),
        ("bulk_readers", &mut options.bulk_readers),
        ("bulk_queue", &mut options.bulk_queue),
        ("body_bytes", &mut options.body_bytes),
        ("head_bytes", &mut options.head_bytes),
        ("uri_bytes", &mut options.uri_bytes),
        ("keys", &mut options.keys),
        ("key_bytes", &mut options.key_bytes),
        ("rows", &mut options.rows),
        ("connections", &mut options.connections),
        ("answer_bytes", &mut options.answer_bytes),
        ("write_rate", &mut options.write_rate),
        ("requests", &mut options.requests),
        ("requests_per_client", &mut options.requests_per_client),
        ("streams", &mut options.streams),
        ("watched_windows", &mut options.watched_windows),
        ("live_bytes", &mut options.live_bytes),
    ];
    if let Some((_, limit)) = counts.into_iter().find(|(of, _)| *of == name) {
        *limit = usize::try_from(value).unwrap_or(usize::MAX);
        return Ok(());
    }
    let times = [
        ("head_ms", &mut options.head_time),
        ("body_ms", &mut options.body_time),
        ("request_ms", &mut options.request_time),
        ("bulk_ms", &mut options.bulk_time),
        ("write_ms", &mut options.write_time),
        ("watch_ms", &mut options.watch_every),
        ("heartbeat_ms", &mut options.heartbeat),
        ("last_answers_ms", &mut options.last_answers),
    ];
    match times.into_iter().find(|(of, _)| *of == name) {
        Some((_, limit)) => *limit = Duration::from_millis(value),
        None => return Err(Error::bug(format!("setting `serve.{name}` limits nothing"))),
    }
    Ok(())
}

/// Threads that look at the job for the console: as many as the server has that ask, and one for the checks.
const LOOKERS: usize = 3;

pub(super) fn serve(context: &Context<'_>) -> Result<()> {
    super::read::has_stores(context)?;
    let settings = &context.settings.serve;
    let mut options = options(settings)?;
    options.local = context.settings.offline.location.is_none() && !context.state.is_shared();
    let desk = Arc::new(Desk::default());
    let rights = Rights {
        acts: options.admin.is_some(),
        records: options.shows_records(),
    };
    let served = Served {
        job: context.plan.job().to_string(),
        instance: context.layout.instance().to_string(),
        client: context.client(),
        stores: context.plan.stores().to_vec(),
        observed: Some(Arc::new(Console::new(desk.clone(), rights))),
    };
    let listen = settings.listen.as_deref().unwrap_or(USUAL);
    let bound = Server::new(served, options)?.bind(listen)?;
    let stop = stop_on_signal()?;
    // On standard output and at once: whoever asked for port 0 reads it here.
    out::say(
        || format!("serving {}", bound.url()),
        || json!({ "event": "serving", "url": bound.url() }),
    );
    let _ = std::io::stdout().flush();
    std::thread::scope(|scope| {
        let lookers: Vec<_> = (0..LOOKERS).map(|_| scope.spawn(|| desk.work(context))).collect();
        let closes = desk.clone();
        let served = bound.serve(async move {
            while !stop.load(Relaxed) {
                tokio::time::sleep(LOOK).await;
            }
            // The server waits for its readers, and these for the desk.
            closes.close();
        });
        desk.close();
        // A scope waits for the work alone, not for the end of the threads, and the process ends next.
        for looker in lookers {
            let _ = looker.join();
        }
        served
    })
}

#[cfg(test)]
mod tests {
    use super::super::settings::NAMES;
    use super::*;

    /// Every limit of the server is a setting: each stands in what it shows of itself, beside who may ask.
    #[test]
    fn every_limit_can_be_said() {
        let shown = format!("{:#?}", ServerOptions::default());
        let limits = shown
            .lines()
            .filter(|l| l.starts_with("    ") && !l.starts_with("     ") && l.contains(": "))
            .count();
        let named = NAMES
            .iter()
            .filter(|n| n.path.first() == Some(&"serve") && n.default.parse::<u64>().is_ok());
        // Tokens of both kinds, who is shown records, TLS, `insecure` and `local` are no limits.
        assert_eq!(named.count(), limits - 6, "{shown}");
    }

    /// Every word that can be said is one, and the server does as it was told.
    #[test]
    fn who_is_shown_records_can_be_said() {
        for word in super::super::settings::RECORDS {
            let shown = format!("{:?}", records(word).unwrap()).to_lowercase();
            assert_eq!(shown, word);
        }
    }

    /// A limit that can be said is one, and what is said to be usual is.
    #[test]
    fn every_limit_is_one() {
        let usual = format!("{:?}", ServerOptions::default());
        let mut said = ServerOptions::default();
        for name in NAMES.iter().filter(|n| n.path.first() == Some(&"serve")) {
            if let Ok(value) = name.default.parse() {
                limit(&mut said, name.path[1], value).unwrap();
                let mut other = ServerOptions::default();
                limit(&mut other, name.path[1], value + 1).unwrap();
                assert_ne!(format!("{other:?}"), usual, "{}", name.show());
            }
        }
        assert_eq!(format!("{said:?}"), usual);
    }
}
