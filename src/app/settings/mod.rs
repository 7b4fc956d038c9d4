//! Settings: where and how much, never what. One rule of precedence: flag, then environment, then file, then what `main` says, then
//! the default.
//!
//! - `names`: every setting there is; `value`: one as it was said, and by whom; `secret`: what is never shown;
//! - `file`: settings of a file, with their lines; `layers`: all that was said, and who counts;
//! - here: the same as the rest of the program takes it.
#![cfg_attr(
    not(all(
        feature = "kafka",
        feature = "s3",
        feature = "postgres",
        feature = "redis",
        feature = "server"
    )),
    allow(dead_code, reason = "who reads a setting may not be built in")
)]

mod file;
mod layers;
mod names;
pub(super) mod secret;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use layers::{Around, Flagged, Layers, Ports, no_port, unheard};
#[cfg(all(test, feature = "server"))]
pub(super) use names::RECORDS;
pub(super) use names::{LOG_FORMATS, NAMES, ON_BAD, PORT};
pub(super) use value::{Origin, Value};

use crate::core::{Error, Plan, Result, Sinks};

/// What was said, by what it is for. What nobody said is `None`: the default is where it is used.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// Who said what.
    pub(super) layers: Layers,
    pub(super) data: PathBuf,
    pub(super) instance: String,
    /// Of the process.
    pub(super) memory: Option<String>,
    pub(super) log: LogSettings,
    pub(super) sources: BTreeMap<String, SourceSettings>,
    /// What combining maps of stores and steps may hold before they are flushed, in MiB.
    pub(super) stores: BTreeMap<String, u64>,
    pub(super) steps: BTreeMap<String, u64>,
    pub(super) sinks: BTreeMap<String, SinkSettings>,
    /// Properties of librdkafka.
    pub(super) kafka: Options,
    pub(super) monitor: MonitorSettings,
    pub(super) archive: PlaceSettings,
    /// Where manifests and generations are.
    pub(super) offline: PlaceSettings,
    /// How many generations stay before the current one, and for how long what a reader could have begun with.
    pub(super) keep: Option<u64>,
    pub(super) grace_minutes: Option<u64>,
    pub(super) realtime: RealtimeSettings,
    pub(super) views: ViewSettings,
    pub(super) serve: ServeSettings,
}

/// How the reads are served over HTTP.
#[derive(Clone, Debug, Default)]
pub(super) struct ServeSettings {
    pub(super) listen: Option<String>,
    pub(super) token_file: Option<PathBuf>,
    /// One a line; what stands in the way of those that are kept elsewhere.
    pub(super) tokens: Option<Result<Hidden, String>>,
    pub(super) admin_token_file: Option<PathBuf>,
    /// The same of those who may change something.
    pub(super) admin_tokens: Option<Result<Hidden, String>>,
    /// Who is shown records and the log.
    pub(super) records: Option<String>,
    pub(super) insecure: bool,
    pub(super) tls_certificate: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    /// Limits by their names.
    pub(super) limits: BTreeMap<String, u64>,
}

/// How the log on standard error is written.
#[derive(Clone, Debug, Default)]
pub(super) struct LogSettings {
    pub(super) level: Option<String>,
    pub(super) format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Where a running job can be seen, and what counts as too long.
#[derive(Clone, Debug, Default)]
pub(super) struct MonitorSettings {
    pub(super) address: Option<String>,
    /// A loop that did not come round for so long makes `/healthz` fail.
    pub(super) stalled_after_ms: Option<u64>,
    /// A log that gave no sign of life for so long makes `/readyz` fail.
    pub(super) silent_after_ms: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SourceSettings {
    pub(super) location: Option<String>,
    pub(super) on_bad_record: Option<OnBad>,
    /// Where they are sent: `kafka://HOST:PORT/TOPIC` or `file:PATH`.
    pub(super) dead_letters: Option<String>,
    /// Properties of this source alone, over `[kafka]`.
    pub(super) kafka: Options,
    /// The consumer group of the stream; without it one of the job, instance and source.
    pub(super) group: Option<String>,
    /// Of the object store that it lies in: endpoint, region and credentials.
    pub(super) options: Options,
}

/// Where a sink is instead of where the binary says.
#[derive(Clone, Debug, Default)]
pub(super) struct SinkSettings {
    /// `kafka://HOST:PORT/TOPIC` of a topic, a directory of files; the program's own word is none.
    pub(super) location: Option<String>,
    /// Of a topic whose mark is gone: all that the state has gone past was written, and nothing else.
    pub(super) mark_from_state: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnBad {
    Fail,
    Skip,
    DeadLetter,
}

/// Where the archives of all sources are, or the generations of the job.
#[derive(Clone, Debug, Default)]
pub(super) struct PlaceSettings {
    /// A directory, or `s3://BUCKET/PREFIX`. Below the data directory, if it is not given.
    pub(super) location: Option<String>,
    /// Of the object store: endpoint, region, credentials.
    pub(super) options: Options,
}

/// Where generations are tables as well.
#[derive(Clone, Debug, Default)]
pub(super) struct ViewSettings {
    /// `postgres://..`. May hold a password; what stands in the way of one that is kept elsewhere.
    pub(super) location: Option<Result<Hidden, String>>,
    /// As [`RealtimeSettings::schema`], which it is unless it is said.
    pub(super) schema: Option<String>,
    /// Which stores; all, unless it is said.
    pub(super) stores: Option<Vec<String>>,
    /// How many generations keep their tables beside the one that is shown.
    pub(super) keep: Option<u64>,
}

/// Where the realtime state of the job is, if not below the data directory.
#[derive(Clone, Debug, Default)]
pub(super) struct RealtimeSettings {
    /// May hold a password; what stands in the way of one that is kept elsewhere.
    pub(super) location: Option<Result<Hidden, String>>,
    /// Of PostgreSQL: the schema that holds all tables.
    pub(super) schema: Option<String>,
    /// Of PostgreSQL: how many connections this process has at most.
    pub(super) connections: Option<u64>,
    /// How long a server may take to let this process in, and to answer.
    pub(super) connect_timeout_ms: Option<u64>,
    pub(super) answer_timeout_ms: Option<u64>,
    /// No longer than that in any case.
    at_most: Option<Duration>,
    /// Of Redis: though it may forget what it acknowledged.
    pub(super) accept_volatile: bool,
    /// Of Redis over TLS: the authority of its certificate, in place of the system's.
    pub(super) root_certificates: Option<PathBuf>,
}

/// A text that may be, or hold, a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hidden(String);

impl Hidden {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::core::secret::HIDDEN)
    }
}

/// Options of somebody else: librdkafka's properties, what an object store takes. Some are secrets, and one that cannot be looked up
/// fails only those who need it.
#[derive(Clone, Default)]
pub(super) struct Options(BTreeMap<String, Result<String, String>>);

/// Their names alone.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Options {
    /// All of them.
    ///
    /// # Errors
    /// `InvalidRequest` with the first secret that is not where it is said to be.
    pub(super) fn all(&self) -> Result<BTreeMap<String, String>> {
        let one = |(name, value): (&String, &Result<String, String>)| match value {
            Ok(text) => Ok((name.clone(), text.clone())),
            Err(why) => Err(Error::invalid(why.clone())),
        };
        self.0.iter().map(one).collect()
    }

    /// Lowers the time-outs of a store of objects, which may be said under two names or by a variable. One that cannot be read stays:
    /// it is refused when the store is opened.
    fn wait_at_most(&mut self, patience: Duration, variable: impl Fn(&str) -> Option<String>) {
        let ms = patience.as_millis().max(1);
        for (name, usual) in OBJECT_TIMEOUTS {
            // The store takes them in this order, and the last one counts.
            let said = match self.0.get(name).or_else(|| self.0.get(&format!("aws_{name}"))) {
                Some(said) => said.clone().ok(),
                None => variable(&format!("AWS_{}", name.to_uppercase())).or_else(|| Some(usual.into())),
            };
            let said = said.and_then(|text| humantime::parse_duration(&text).ok());
            if said.is_some_and(|said| said > patience) {
                self.0.insert(name.into(), Ok(format!("{ms}ms")));
            }
        }
    }
}

/// How long a store of objects is waited for where nobody says so.
const OBJECT_TIMEOUTS: [(&str, &str); 2] = [("timeout", "30s"), ("connect_timeout", "5s")];

impl RealtimeSettings {
    /// How long a server may take to let this process in.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(super) fn connect_timeout(&self, default: Duration) -> Duration {
        self.lowered(self.connect_timeout_ms, default)
    }

    /// How long a server may take to answer.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(super) fn answer_timeout(&self, default: Duration) -> Duration {
        self.lowered(self.answer_timeout_ms, default)
    }

    #[cfg(any(feature = "postgres", feature = "redis", test))]
    fn lowered(&self, said: Option<u64>, default: Duration) -> Duration {
        let said = said.map_or(default, Duration::from_millis);
        self.at_most.map_or(said, |at_most| said.min(at_most))
    }

    /// Without a server there is nothing to say of it.
    ///
    /// # Errors
    /// `InvalidRequest` with the first option that means a server.
    pub(super) fn check_local(&self) -> Result<()> {
        let said = [
            ("schema", self.schema.is_some()),
            ("connections", self.connections.is_some()),
            ("connect_timeout_ms", self.connect_timeout_ms.is_some()),
            ("answer_timeout_ms", self.answer_timeout_ms.is_some()),
            ("accept_volatile", self.accept_volatile),
            ("root_certificates", self.root_certificates.is_some()),
        ];
        match said.iter().find(|(_, said)| *said) {
            None => Ok(()),
            Some((name, _)) => Err(Error::invalid(format!(
                "settings [realtime]: `{name}` is of a server, and no server is named"
            ))
            .repaired_by("add `location = \"postgres://..\"` or `redis://..`, or remove it")),
        }
    }
    /// Refuses options that a server does not have.
    ///
    /// # Errors
    /// `InvalidRequest` with the first that was said.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(super) fn check_unsaid(&self, server: &str, said: &[(&str, bool)]) -> Result<()> {
        match said.iter().find(|(_, said)| *said) {
            None => Ok(()),
            Some((name, _)) => Err(Error::invalid(format!(
                "settings [realtime]: {server} has no `{name}`: remove it"
            ))),
        }
    }
}

/// Reads values of one kind out of what was said. Kinds were checked when it was said.
struct Reader<'a>(&'a Layers);

impl Reader<'_> {
    fn text(&self, path: &[&str]) -> Option<String> {
        match self.0.get(path) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }
    fn number(&self, path: &[&str]) -> Option<u64> {
        match self.0.get(path) {
            Some(Value::Number(n)) => Some(*n),
            _ => None,
        }
    }
    fn switch(&self, path: &[&str]) -> bool {
        self.0.get(path) == Some(&Value::Switch(true))
    }
    /// What stands in the way when it is kept elsewhere, and not there.
    fn hidden(&self, path: &[&str]) -> Option<Result<Hidden, String>> {
        match self.0.said(path)? {
            (Value::Text(text) | Value::Hidden(text) | Value::Secret(_, Ok(text)), _) => Some(Ok(Hidden(text.clone()))),
            (Value::Secret(_, Err(why)), origin) => {
                Some(Err(format!("{}: `{}`: {why}", origin.place(), path.join("."))))
            }
            _ => None,
        }
    }
    fn options(&self, section: &[&str]) -> Options {
        let one = |(name, value): (&str, &Value)| {
            let text = match value {
                Value::Text(text) | Value::Hidden(text) | Value::Secret(_, Ok(text)) => Ok(text.clone()),
                Value::Secret(_, Err(why)) => Err(format!("setting `{}.{name}`: {why}", section.join("."))),
                other => Ok(other.to_string()),
            };
            (name.to_string(), text)
        };
        Options(self.0.below(section).map(one).collect())
    }
    fn numbers(&self, section: &str) -> BTreeMap<String, u64> {
        let of = |name: String| Some((name.clone(), self.number(&[section, &name])?));
        self.names(section).into_iter().filter_map(of).collect()
    }
    fn names(&self, section: &str) -> BTreeSet<String> {
        self.0.below(&[section]).map(|(name, _)| name.to_string()).collect()
    }
    fn memory(&self, section: &str) -> BTreeMap<String, u64> {
        let of = |name: String| Some((name.clone(), self.number(&[section, &name, "memory_mib"])?));
        self.names(section).into_iter().filter_map(of).collect()
    }
    fn place(&self, section: &str) -> PlaceSettings {
        PlaceSettings {
            location: self.text(&[section, "location"]),
            options: self.options(&[section, "options"]),
        }
    }
    fn source(&self, name: &str) -> SourceSettings {
        let policy = self.text(&["sources", name, "on_bad_record"]);
        SourceSettings {
            location: self.text(&["sources", name, "location"]),
            on_bad_record: policy.map(|p| match p.as_str() {
                "skip" => OnBad::Skip,
                "dead-letter" => OnBad::DeadLetter,
                _ => OnBad::Fail,
            }),
            dead_letters: self.text(&["sources", name, "dead_letters"]),
            kafka: self.options(&["sources", name, "kafka", "properties"]),
            group: self.text(&["sources", name, "kafka", "group"]),
            options: self.options(&["sources", name, "options"]),
        }
    }
    fn sink(&self, name: &str) -> SinkSettings {
        let location = self.0.said(&["sinks", name, "location"]);
        let elsewhere = location.filter(|(_, origin)| **origin != Origin::Main);
        SinkSettings {
            location: elsewhere.map(|(value, _)| value.to_string()),
            mark_from_state: self.switch(&["sinks", name, "mark_from_state"]),
        }
    }
}

impl Settings {
    /// By what was said. A secret that is not where it is said to be fails those who need it.
    pub(super) fn of(layers: Layers) -> Self {
        let read = Reader(&layers);
        let format = read.text(&["log", "format"]);
        Self {
            data: read.text(&["data"]).unwrap_or_else(|| "data".into()).into(),
            instance: read.text(&["instance"]).unwrap_or_else(|| "main".into()),
            memory: read.text(&["memory"]),
            log: LogSettings {
                level: read.text(&["log", "level"]),
                format: match format.as_deref() {
                    Some("json") => LogFormat::Json,
                    _ => LogFormat::Text,
                },
            },
            sources: read
                .names("sources")
                .into_iter()
                .map(|n| (n.clone(), read.source(&n)))
                .collect(),
            stores: read.memory("stores"),
            steps: read.memory("steps"),
            sinks: read
                .names("sinks")
                .into_iter()
                .map(|n| (n.clone(), read.sink(&n)))
                .collect(),
            kafka: read.options(&["kafka", "properties"]),
            monitor: MonitorSettings {
                address: read.text(&["monitor", "address"]),
                stalled_after_ms: read.number(&["monitor", "stalled_after_ms"]),
                silent_after_ms: read.number(&["monitor", "silent_after_ms"]),
            },
            archive: read.place("archive"),
            offline: read.place("offline"),
            keep: read.number(&["offline", "keep"]),
            grace_minutes: read.number(&["offline", "grace_minutes"]),
            realtime: RealtimeSettings {
                location: read.hidden(&["realtime", "location"]),
                schema: read.text(&["realtime", "schema"]),
                connections: read.number(&["realtime", "connections"]),
                connect_timeout_ms: read.number(&["realtime", "connect_timeout_ms"]),
                answer_timeout_ms: read.number(&["realtime", "answer_timeout_ms"]),
                at_most: None,
                accept_volatile: read.switch(&["realtime", "accept_volatile"]),
                root_certificates: read.text(&["realtime", "root_certificates"]).map(Into::into),
            },
            views: ViewSettings {
                location: read.hidden(&["views", "location"]),
                schema: read.text(&["views", "schema"]),
                stores: match layers.get(&["views", "stores"]) {
                    Some(Value::Texts(all)) => Some(all.clone()),
                    _ => None,
                },
                keep: read.number(&["views", "keep"]),
            },
            serve: ServeSettings {
                listen: read.text(&["serve", "listen"]),
                token_file: read.text(&["serve", "token_file"]).map(PathBuf::from),
                tokens: read.hidden(&["serve", "tokens"]),
                admin_token_file: read.text(&["serve", "admin_token_file"]).map(PathBuf::from),
                admin_tokens: read.hidden(&["serve", "admin_tokens"]),
                records: read.text(&["serve", "records"]),
                insecure: read.switch(&["serve", "insecure"]),
                tls_certificate: read.text(&["serve", "tls_certificate"]).map(PathBuf::from),
                tls_key: read.text(&["serve", "tls_key"]).map(PathBuf::from),
                limits: read.numbers("serve"),
            },
            layers,
        }
    }

    /// As [`Layers::apply`].
    ///
    /// # Errors
    /// When the job has no store or step of a name.
    pub(super) fn apply(&self, plan: &mut Plan) -> Result<()> {
        self.layers.apply(plan)
    }
    /// Servers and stores of objects are waited for as long at most, and no longer than was said or is usual: for one who only looks.
    pub(super) fn wait_at_most(&mut self, patience: Duration) {
        self.realtime.at_most = Some(patience);
        let of_sources = self.sources.values_mut().map(|source| &mut source.options);
        for options in of_sources.chain([&mut self.archive.options, &mut self.offline.options]) {
            options.wait_at_most(patience, |name| std::env::var(name).ok());
        }
    }
    /// Puts sinks where the settings say.
    pub(super) fn move_sinks(&self, sinks: &mut Sinks) -> Result<()> {
        for (name, settings) in &self.sinks {
            let Some(location) = &settings.location else { continue };
            if !sinks.move_to(name, location) {
                return Err(Error::invalid(format!(
                    "settings [sinks.{name}]: the program binds no topic and no files to a sink `{name}`, so there is nothing to put elsewhere"
                )));
            }
        }
        Ok(())
    }
    /// Bytes that stores and steps have of their own.
    pub(super) fn own_memory(&self) -> usize {
        let all = self.stores.values().chain(self.steps.values());
        all.fold(0, |sum: usize, mib| sum.saturating_add(bytes(*mib)))
    }
}

impl Layers {
    /// Gives stores and steps the memory that is said for them, and looks up the stores that views show.
    ///
    /// # Errors
    /// When the job has no store or step of a name.
    pub(super) fn apply(&self, plan: &mut Plan) -> Result<()> {
        let read = Reader(self);
        for (section, known) in [("stores", true), ("steps", false)] {
            for (name, mib) in read.memory(section) {
                let place = self.place(&[section, &name, "memory_mib"], &format!("{section}.{name}"));
                // What is unknown altogether is answered with the nearest name.
                plan.limit_memory(&name, bytes(mib)).map_err(|e| e.at(&place))?;
                if known != plan.store(&name).is_some() {
                    let (is, other) = if known { ("store", "step") } else { ("step", "store") };
                    return Err(
                        Error::invalid(format!("`{name}` is no {is} but a {other}: write [{other}s.{name}]"))
                            .at(&place),
                    );
                }
            }
        }
        if let Some(Value::Texts(shown)) = self.get(&["views", "stores"]) {
            let known: Vec<_> = plan.stores().iter().map(|s| s.name).collect();
            if let Some(name) = shown.iter().find(|name| !known.contains(&name.as_str())) {
                let place = self.place(&["views", "stores"], "views.stores");
                return Err(no_port(plan.job(), "store", name, &known).at(place));
            }
        }
        Ok(())
    }
    /// Where a setting was said, and its name.
    fn place(&self, path: &[&str], name: &str) -> String {
        let origin = self.said(path).map(|(_, origin)| origin.place());
        format!("{}: `{name}`", origin.unwrap_or_else(|| "settings".into()))
    }
}

fn bytes(mib: u64) -> usize {
    usize::try_from(mib.max(1))
        .unwrap_or(usize::MAX)
        .saturating_mul(1 << 20)
}
