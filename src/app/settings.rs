//! Settings: where and how much, never what. Flag, then file, then what the binary says, then the default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::core::{Error, Plan, Result, Sinks};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) data: Option<PathBuf>,
    pub(super) instance: Option<String>,
    /// Of the process, as `--memory`.
    pub(super) memory: Option<String>,
    pub(super) sources: BTreeMap<String, SourceSettings>,
    pub(super) stores: BTreeMap<String, MemorySettings>,
    pub(super) sinks: BTreeMap<String, SinkSettings>,
    pub(super) steps: BTreeMap<String, MemorySettings>,
    pub(super) kafka: KafkaSettings,
    pub(super) monitor: MonitorSettings,
    pub(super) archive: ArchiveSettings,
    /// Where the realtime state is.
    pub(super) realtime: RealtimeSettings,
    /// Where generations are shown to SQL.
    pub(super) views: ViewSettings,
    /// Where manifests and generations are, and how many stay.
    pub(super) offline: OfflineSettings,
}

/// Where a running job can be seen, and what counts as too long.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MonitorSettings {
    /// As `--monitor`.
    pub(super) address: Option<String>,
    /// A loop that did not come round for so long makes `/healthz` fail.
    pub(super) stalled_after_ms: Option<u64>,
    /// A log that gave no sign of life for so long makes `/readyz` fail.
    pub(super) silent_after_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SourceSettings {
    pub(super) location: Option<String>,
    pub(super) on_bad_record: Option<OnBad>,
    /// Where they are sent: `kafka://HOST:PORT/TOPIC` or `file:PATH`.
    pub(super) dead_letters: Option<String>,
    /// Of this source alone, over `[kafka]`.
    pub(super) kafka: KafkaSettings,
    /// Of the object store that it lies in.
    pub(super) options: ObjectOptions,
}

/// Endpoint, region and credentials. May be secrets: their names alone are shown.
#[derive(Default, Deserialize)]
pub(super) struct ObjectOptions(#[serde(deserialize_with = "texts")] pub(super) BTreeMap<String, String>);

impl std::fmt::Debug for ObjectOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where a sink is instead of where the binary says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SinkSettings {
    /// `kafka://HOST:PORT/TOPIC` of a topic, a directory of files.
    pub(super) location: Option<String>,
    /// Of a topic whose mark is gone: all that the state has gone past was written, and nothing else.
    pub(super) mark_from_state: bool,
}

/// Of a store, or of the combiner before a named step: an option belongs to one named thing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MemorySettings {
    /// What its combining map may hold before it is flushed.
    pub(super) memory_mib: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnBad {
    Fail,
    Skip,
    DeadLetter,
}

/// Where the archives of all sources are.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ArchiveSettings {
    /// A directory, or `s3://BUCKET/PREFIX`. Below the data directory, if it is not given.
    pub(super) location: Option<String>,
    /// Of the object store: endpoint, region, credentials. May be secrets.
    #[serde(deserialize_with = "texts")]
    pub(super) options: BTreeMap<String, String>,
}

impl std::fmt::Debug for ArchiveSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.options.keys().collect();
        f.debug_struct("ArchiveSettings")
            .field("location", &self.location)
            .field("options", &names)
            .finish()
    }
}

/// Where generations are tables as well.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ViewSettings {
    /// `postgres://..`. May hold a password.
    pub(super) location: Option<String>,
    /// As [`RealtimeSettings::schema`], which it is unless it is said.
    pub(super) schema: Option<String>,
    /// Which stores; all, unless it is said.
    pub(super) stores: Option<Vec<String>>,
    /// How many generations keep their tables beside the one that is shown.
    pub(super) keep: Option<u32>,
}

impl std::fmt::Debug for ViewSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewSettings")
            .field("location", &self.location.as_ref().map(|_| "..."))
            .field("schema", &self.schema)
            .field("stores", &self.stores)
            .field("keep", &self.keep)
            .finish()
    }
}

/// Where the realtime state of the job is, if not below the data directory.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RealtimeSettings {
    /// As `--realtime`. May hold a password.
    pub(super) location: Option<String>,
    /// Of PostgreSQL: the schema that holds all tables.
    pub(super) schema: Option<String>,
    /// Of PostgreSQL: how many connections this process has at most.
    pub(super) connections: Option<usize>,
    /// How long a server may take to let this process in, and to answer.
    pub(super) connect_timeout_ms: Option<u64>,
    pub(super) answer_timeout_ms: Option<u64>,
    /// Of Redis: though it may forget what it acknowledged.
    pub(super) accept_volatile: bool,
}

impl std::fmt::Debug for RealtimeSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RealtimeSettings")
            .field("location", &self.location.as_ref().map(|_| "..."))
            .field("schema", &self.schema)
            .field("connections", &self.connections)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("answer_timeout_ms", &self.answer_timeout_ms)
            .field("accept_volatile", &self.accept_volatile)
            .finish()
    }
}

impl RealtimeSettings {
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
        ];
        match said.iter().find(|(_, said)| *said) {
            None => Ok(()),
            Some((name, _)) => Err(Error::invalid(format!(
                "settings [realtime]: `{name}` is of a server, and no server is named: add `location = \"postgres://..\"` or \
                 `redis://..`, or remove it"
            ))),
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

/// Where the generations of the job are, and what of them stays.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OfflineSettings {
    /// As [`ArchiveSettings::location`].
    pub(super) location: Option<String>,
    /// As [`ArchiveSettings::options`].
    #[serde(deserialize_with = "texts")]
    pub(super) options: BTreeMap<String, String>,
    /// As `--keep`.
    pub(super) keep: Option<u64>,
    /// As `--grace-minutes`.
    pub(super) grace_minutes: Option<u32>,
}

impl std::fmt::Debug for OfflineSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.options.keys().collect();
        f.debug_struct("OfflineSettings")
            .field("location", &self.location)
            .field("options", &names)
            .field("keep", &self.keep)
            .field("grace_minutes", &self.grace_minutes)
            .finish()
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KafkaSettings {
    /// Properties of librdkafka.
    #[serde(deserialize_with = "texts")]
    pub(super) properties: BTreeMap<String, String>,
    /// The consumer group of the stream; without it one of the job, instance and source. Only a source has one.
    pub(super) group: Option<String>,
}

/// Properties may be secrets: their names alone are shown.
impl std::fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("properties", &self.properties.keys())
            .field("group", &self.group)
            .finish()
    }
}

/// Names and texts. What is no text is not shown: it may be a password of digits.
fn texts<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    let all = BTreeMap::<String, toml::Value>::deserialize(from)?;
    all.into_iter()
        .map(|(name, value)| match value {
            toml::Value::String(text) => Ok((name, text)),
            _ => Err(D::Error::custom(format!(
                "the value of `{name}` is no text: write it in quotes"
            ))),
        })
        .collect()
}

impl Settings {
    /// Gives stores and steps the memory that the settings name.
    ///
    /// # Errors
    /// When the job has no store or step of a name.
    pub(super) fn apply(&self, plan: &mut Plan) -> Result<()> {
        for (section, known, named) in [("stores", true, &self.stores), ("steps", false, &self.steps)] {
            for (name, settings) in named {
                let Some(mib) = settings.memory_mib else { continue };
                let place = format_args!("settings [{section}.{name}]");
                // What is unknown altogether is answered with the nearest name.
                plan.limit_memory(name, mib.max(1).saturating_mul(1 << 20))
                    .map_err(|e| e.at(place))?;
                if known != plan.store(name).is_some() {
                    let (is, other) = if known { ("store", "step") } else { ("step", "store") };
                    return Err(
                        Error::invalid(format!("`{name}` is no {is} but a {other}: write [{other}s.{name}]")).at(place),
                    );
                }
            }
        }
        Ok(())
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
        all.filter_map(|s| s.memory_mib)
            .fold(0, |sum, mib| sum.saturating_add(mib.max(1).saturating_mul(1 << 20)))
    }
    /// From `path`, or from `rufous.toml` if that is there.
    pub(super) fn load(path: Option<&Path>) -> Result<Self> {
        let (path, asked) = path.map_or((Path::new("rufous.toml"), false), |p| (p, true));
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let settings: Self = toml::from_str(&text).map_err(|e| {
                    // Not the line itself: it may hold a password.
                    let line = e.span().map(|at| text[..at.start].lines().count().max(1));
                    let line = line.map_or(String::new(), |n| format!(", line {n}"));
                    Error::invalid(format!("settings {}{line}: {}", path.display(), e.message()))
                })?;
                if settings.kafka.group.is_some() {
                    return Err(Error::invalid(format!(
                        "settings {}: [kafka] has a `group`, but a group belongs to one source: write it to [sources.NAME.kafka]",
                        path.display()
                    )));
                }
                Ok(settings)
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !asked => Ok(Self::default()),
            Err(e) => Err(Error::io("cannot read settings", path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An option belongs to exactly one named thing, of the kind that the section says.
    #[test]
    fn memory_is_given_by_name() {
        use crate::core::{Job, Source, Store};
        const LINES: Source<str> = Source::new("lines");
        const COUNTS: Store<String, u64> = Store::new("counts");
        let keys = LINES
            .read()
            .keyed(|line, out| out.emit(line, 1))
            .flat_map_keys(|k, out| {
                out.emit(k);
                out.emit(k);
            });
        let mut plan = Job::new("j", keys.named("twice").sum_by_key(COUNTS)).plan().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.toml");
        let mut apply = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Settings::load(Some(&path))
                .unwrap()
                .apply(&mut plan)
                .map_err(|e| e.to_string())
        };
        let wrong = apply("[stores.twice]\nmemory_mib = 1\n").unwrap_err();
        assert_eq!(
            wrong,
            "settings [stores.twice]: `twice` is no store but a step: write [steps.twice]"
        );
        let wrong = apply("[stores.count]\nmemory_mib = 1\n").unwrap_err();
        assert!(wrong.ends_with("did you mean `counts`?"), "{wrong}");
        let wrong = apply("[steps.twize]\nmemory_mib = 1\n").unwrap_err();
        assert!(
            wrong.starts_with("settings [steps.twize]: ") && wrong.ends_with("did you mean `twice`?"),
            "{wrong}"
        );
        apply("[stores.counts]\nmemory_mib = 3\n[steps.twice]\nmemory_mib = 2\n").unwrap();
        let text = plan.explain(Some(7 << 20));
        assert!(
            text.contains("3 MiB of its own") && text.contains("2 MiB of its own"),
            "{text}"
        );
        assert!(!text.contains("shares"), "{text}");
    }

    #[test]
    fn unknown_settings_are_errors_that_name_the_known_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.toml");
        std::fs::write(
            &path,
            "instance = 'prod'\n[sources.lines]\nlocation = 'file:a'\non_bad_record = 'skip'\n\
             [sources.others]\non_bad_record = 'dead-letter'\ndead_letters = 'file:b'\n",
        )
        .unwrap();
        let s = Settings::load(Some(&path)).unwrap();
        let others = &s.sources["others"];
        assert_eq!(others.on_bad_record, Some(OnBad::DeadLetter));
        assert_eq!(others.dead_letters.as_deref(), Some("file:b"));
        assert_eq!(s.sources["lines"].on_bad_record, Some(OnBad::Skip));
        std::fs::write(&path, "[sources.lines]\nlocaton = 'file:a'\n").unwrap();
        let e = Settings::load(Some(&path)).unwrap_err().to_string();
        assert!(e.contains("unknown field `locaton`") && e.contains("`location`"), "{e}");
        assert!(Settings::load(Some(&dir.path().join("none.toml"))).is_err());
    }

    /// A password of digits that was written without quotes is not shown.
    #[test]
    fn a_wrong_value_of_a_property_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.toml");
        for section in [
            "kafka.properties",
            "sources.lines.kafka.properties",
            "sources.lines.options",
            "archive.options",
        ] {
            for value in ["70417041", "7041.7041"] {
                std::fs::write(&path, format!("[{section}]\n'sasl.password' = {value}\n")).unwrap();
                let e = Settings::load(Some(&path)).unwrap_err().to_string();
                assert!(!e.contains("7041"), "{e}");
                assert!(
                    e.contains("line 1") && e.contains("`sasl.password`") && e.contains("quotes"),
                    "{e}"
                );
            }
        }
    }
}
