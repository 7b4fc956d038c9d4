//! From names to places: which log, store and archive each port is bound to.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Location;
use super::doctor::Checks;
use super::location::ArchivePlace;
use super::location::Place;
use super::settings::{Options, Settings};
use super::state::{self, Memory, StatePlace, Whose};
use super::unreached::Unreached;
use crate::client::{Client, ClientParts};
use crate::core::{Error, Format, Plan, Result, Sinks, SourceFace, nearest};
use crate::platform_local::{LocalLog, LocalOptions};
use crate::realtime::Log;
use crate::realtime::budget::{Budget, Shares, Users};
use crate::store_api::{GenerationStore, Layout, Manifest, ManifestLog, Until};
use rufous_store_offline::{Generations, Manifests, PinFiles};

/// Who reads a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// The keeper of the realtime state: what the consumer group gives to it (P10a).
    Shared,
    /// All partitions, whoever else reads them.
    All,
    /// The same for one who only looks: new files get no numbers.
    Look,
}

pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) layout: Layout,
    pub(super) locations: BTreeMap<String, Location>,
    pub(super) settings: &'a Settings,
    /// Where written records go.
    pub(super) sinks: Sinks,
    /// Why the live part cannot write, if it cannot.
    pub(super) refused_writes: Option<String>,
    /// Where manifests and generations of the job are.
    pub(super) offline: Arc<dyn rufous_place::Place>,
    pub(super) state: Arc<dyn StatePlace>,
    pub(super) manifests: Arc<Manifests>,
    pub(super) generations: Arc<Generations>,
    /// Of the process.
    pub(super) budget: Budget,
    /// Who may hold how much memory of a live one.
    pub(super) shares: Shares,
    /// How long one answer of a broker or a server is waited for, where that was said.
    pub(super) patience: Option<Duration>,
    /// Drawn with each start.
    #[cfg_attr(
        not(feature = "kafka"),
        expect(dead_code, reason = "members of a group are told apart by it")
    )]
    start: u32,
}

/// Commands that hold combining maps, or say how large they will be.
const HOLD_MAPS: [&str; 5] = ["stream", "archive", "batch", "backfill", "explain"];

impl<'a> Context<'a> {
    /// For a command, which ends with the first place that cannot be opened.
    pub(super) fn new(plan: &'a Plan, settings: &'a Settings, command: &str, archives: bool) -> Result<Self> {
        Self::open(plan, settings, command, archives, None)
    }
    /// For one who looks at all that can be looked at: what cannot be opened is said, or answers everything by why.
    ///
    /// # Errors
    /// When there can be no such instance.
    pub(super) fn as_far_as_it_goes(
        plan: &'a Plan,
        settings: &'a Settings,
        patience: Option<Duration>,
        checks: &mut Checks<'_>,
    ) -> Result<Self> {
        let mut context = Self::open(plan, settings, "doctor", true, Some(checks))?;
        context.patience = patience;
        Ok(context)
    }
    fn open(
        plan: &'a Plan,
        settings: &'a Settings,
        command: &str,
        archives: bool,
        mut checks: Option<&mut Checks<'_>>,
    ) -> Result<Self> {
        let lenient = checks.is_some();
        let mut wrong = |what: &str, e: Error| match checks.as_deref_mut() {
            Some(checks) => {
                checks.fail(what, e);
                Ok(())
            }
            None => Err(e),
        };
        let layout = Layout::new(&settings.data, &settings.instance)?;
        let in_the_way = settings
            .data
            .ancestors()
            .find(|at| at.exists())
            .filter(|at| !at.is_dir());
        if let Some(at) = in_the_way.filter(|at| !at.as_os_str().is_empty()) {
            let e = Error::invalid(format!(
                "the data directory {}: {} is no directory",
                settings.data.display(),
                at.display()
            ));
            wrong("data", e.repaired_by("name another one (--data), or move that away"))?;
        }
        let mut locations = BTreeMap::new();
        for (name, source) in &settings.sources {
            match source.location.as_deref().map(Location::parse) {
                Some(Ok(location)) => drop(locations.insert(name.clone(), location)),
                // Who goes on says it of the source itself.
                Some(Err(_)) if lenient => {}
                Some(Err(e)) => return Err(e),
                None => {}
            }
        }
        let budget = settings
            .memory
            .as_deref()
            .map_or_else(|| Ok(Budget::default()), Budget::parse);
        let budget = budget.or_else(|e| wrong("memory", e).map(|()| Budget::default()))?;
        let users = Users {
            sources: plan.sources().len(),
            stream: command != "archive",
            archive: archives,
            // Who reads holds no maps: what they are given elsewhere does not matter here.
            own: if HOLD_MAPS.contains(&command) {
                settings.own_memory()
            } else {
                0
            },
        };
        // The default is enough for any job of a few sources; one of very many is asked about without maps.
        let shares = budget.split(&users).or_else(|e| {
            wrong("memory", e)?;
            Budget::default().split(&Users {
                own: 0,
                sources: 1,
                ..users
            })
        })?;
        let whose = Whose {
            job: plan.job().to_string(),
            layout: layout.clone(),
            stores: plan.live_stores(),
        };
        let offline = offline(settings, &layout, plan.job()).or_else(|e| match lenient {
            true => Ok(Arc::new(Unreached::by(&e)) as Arc<dyn rufous_place::Place>),
            false => Err(e),
        })?;
        let writes = command == "stream";
        let state = state::place(whose, &settings.realtime, &offline, writes).or_else(|e| match lenient {
            true => Ok(Arc::new(Unreached::by(&e)) as Arc<dyn StatePlace>),
            false => Err(e),
        })?;
        let manifests = Arc::new(Manifests::on(offline.clone(), "manifests"));
        let generations = Arc::new(Generations::on(offline.clone(), "offline"));
        plan.keep_pins(Arc::new(PinFiles::on(offline.clone(), "pins")));
        Ok(Self {
            plan,
            layout,
            locations,
            settings,
            sinks: Sinks::new(),
            refused_writes: None,
            offline,
            state,
            manifests,
            generations,
            budget,
            shares,
            patience: None,
            start: RandomState::new().hash_one(std::process::id()) as u32,
        })
    }

    /// Whether there is anything of the instance: who mistypes a directory or an instance is not told that nothing was ever run.
    ///
    /// # Errors
    /// `InvalidRequest` with the directory, and the instance that was probably meant.
    pub(super) fn check_data(&self) -> Result<()> {
        let root = self.layout.root();
        if self.settings.offline.location.is_some() || root.exists() {
            return Ok(());
        }
        let there = std::fs::read_dir(&self.settings.data).into_iter().flatten().flatten();
        let there: Vec<String> = there.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let repair = match nearest(self.layout.instance(), there.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean --instance {meant}?"),
            None => "name the right one (--data, --instance), or start `stream` or `batch`".into(),
        };
        Err(Error::invalid(format!(
            "job `{}`: there is no data directory {}",
            self.plan.job(),
            root.display()
        ))
        .repaired_by(repair))
    }

    pub(super) fn location(&self, source: &str) -> Result<&Location> {
        self.locations.get(source).ok_or_else(|| {
            let said = self.settings.sources.get(source).and_then(|s| s.location.as_deref());
            if let Some(Err(wrong)) = said.map(Location::parse) {
                return wrong;
            }
            Error::invalid(format!("source `{source}` is not bound")).repaired_by(format!(
                "add `--source {source}=file:PATH` (or dir:, kafka://, bulk:, parquet:), or `[sources.{source}]` with `location` to the \
                 settings"
            ))
        })
    }

    pub(super) fn format(&self, face: &SourceFace) -> Format {
        self.locations
            .get(face.name)
            .and_then(|l| l.format_of(face.fields.is_some()))
            .unwrap_or_else(|| face.default_format())
    }

    /// A log of a source, for the one who keeps the realtime state, or for a tool that reads all. Also when a run stops at the present
    /// end, files are read as files that grow: the rest of an unfinished line may still come.
    pub(super) fn log(&self, face: &SourceFace, reads: Reads) -> Result<Box<dyn Log>> {
        let format = self.format(face);
        let registry = self.layout.source(face.name);
        let local = |place| -> Result<Box<dyn Log>> {
            let options = LocalOptions {
                registers: reads != Reads::Look,
                ..LocalOptions::new(format)
            };
            Ok(Box::new(LocalLog::open(place, &registry, options)?))
        };
        match &self.location(face.name)?.place {
            Place::File(path) => local(crate::platform_local::Place::File(path.clone())),
            Place::Dir(path) => local(crate::platform_local::Place::Dir(path.clone())),
            Place::Parquet(files) | Place::Bulk(files) => Err(Error::invalid(format!(
                "source `{}`: {files} is a bounded input and cannot be followed: run `batch`, or bind a file (file:), a directory (dir:) or \
                 a topic (kafka://)",
                face.name
            ))),
            Place::Kafka { brokers, topic } => self.kafka(brokers, topic, format, face.name, reads),
        }
    }

    #[cfg(feature = "kafka")]
    fn was_staged(&self) -> Result<bool> {
        #[cfg(feature = "parquet")]
        return super::backfill::was_staged(self);
        #[cfg(not(feature = "parquet"))]
        Ok(false)
    }

    #[cfg(feature = "kafka")]
    fn kafka(&self, brokers: &str, topic: &str, format: Format, source: &str, reads: Reads) -> Result<Box<dyn Log>> {
        use crate::platform_kafka::{KafkaLog, KafkaOptions, Ownership};
        let mut options = KafkaOptions::new(format);
        let name = format!("rufous-{}-{}-{source}", self.plan.job(), self.layout.instance());
        options.properties = self.settings.kafka.all()?;
        options.prefetch = self.shares.prefetch as u64;
        options.timeout = self.patience.unwrap_or(options.timeout);
        let own = self.settings.sources.get(source);
        if let Some(own) = own {
            options.properties.extend(own.kafka.all()?);
        }
        // Code that began beside other code (P40) must not take its partitions away.
        let version = match self.was_staged()? {
            true => format!("-{}", self.plan.fingerprint()),
            false => String::new(),
        };
        match reads {
            Reads::Shared => {
                // The directory's own mark: another data directory is another member. Processes that share the state may share the
                // directory as well: each start of one is a new member.
                let member = if self.state.is_shared() {
                    // In all groups of a job the processes have one order, so partitions of several sources that go together come to
                    // one process: the members of a group are sorted by this name.
                    let own = || format!("rufous-{:08x}-{}", self.start, std::process::id());
                    options.properties.entry("client.id".into()).or_insert_with(own);
                    None
                } else {
                    let mark = super::member::mark(&self.layout.source(source))?;
                    Some(format!("{name}-{mark}{version}"))
                };
                options.ownership = Ownership::Group { member };
                options.group = own.and_then(|o| o.group.clone()).unwrap_or(name);
                options.group.push_str(&version);
            }
            Reads::All | Reads::Look => options.group = format!("{name}-archive"),
        }
        Ok(Box::new(KafkaLog::open(brokers, topic, options)?))
    }

    #[cfg(not(feature = "kafka"))]
    fn kafka(&self, _: &str, _: &str, _: Format, _: &str, _: Reads) -> Result<Box<dyn Log>> {
        Err(Error::invalid("this binary was built without the feature `kafka`"))
    }

    /// Whether the log of a source gives its records a time. Where its location is not said, the manifests know: another spec
    /// than theirs would be taken for new code.
    ///
    /// # Errors
    /// When neither a location nor a manifest says it.
    #[cfg(feature = "parquet")]
    pub(super) fn has_time(&self, face: &SourceFace) -> Result<bool> {
        if let Some(location) = self.locations.get(face.name) {
            return Ok(matches!(location.place, Place::Kafka { .. }));
        }
        let newest = self.manifests.newest(0)?;
        let Some(spec) = newest.as_ref().and_then(|m| m.cut_specs.get(face.name)) else {
            return Ok(false);
        };
        for has_time in [true, false] {
            if face.cut_spec(has_time).text() == *spec {
                return Ok(has_time);
            }
        }
        Err(Error::invalid(format!(
            "source `{}` was cut by `{spec}`, and this code cuts it otherwise: add `--source {}=LOCATION`, which says how",
            face.name, face.name
        )))
    }

    /// How this code cuts a source.
    ///
    /// # Errors
    /// Those of [`has_time`](Self::has_time).
    #[cfg(feature = "parquet")]
    pub(super) fn cut_spec(&self, face: &SourceFace) -> Result<String> {
        Ok(face.cut_spec(self.has_time(face)?).text())
    }

    /// The archive of a source as this code cuts it.
    #[cfg(feature = "parquet")]
    pub(super) fn archive(&self, face: &SourceFace) -> Result<Arc<crate::store_archive::ParquetArchive>> {
        self.archive_cut(face.name, &self.cut_spec(face)?)
    }

    /// The same for an archiver, which waits by itself for a place that does not answer: until it does, the archive of the
    /// source's first spec stands for this code's, and no other spec can be written into it.
    #[cfg(feature = "parquet")]
    pub(super) fn archive_to_write(&self, face: &SourceFace) -> Result<Arc<crate::store_archive::ParquetArchive>> {
        match self.archive(face) {
            Err(e) if e.kind() == crate::core::ErrorKind::TryAgain => {
                tracing::warn!(source = face.name, "the archive does not answer yet: {e}");
                Ok(Arc::new(self.archive_named(face.name, face.name)?))
            }
            found => found,
        }
    }

    /// The archive of a source under a cut spec: the first spec's is named like the source.
    #[cfg(feature = "parquet")]
    pub(super) fn archive_cut(&self, source: &str, spec: &str) -> Result<Arc<crate::store_archive::ParquetArchive>> {
        Ok(Arc::new(self.archived().cut(source, spec)?))
    }

    #[cfg(feature = "parquet")]
    pub(super) fn archive_named(&self, source: &str, name: &str) -> Result<crate::store_archive::ParquetArchive> {
        self.archived().named(source, name)
    }

    /// Where archives lie.
    #[cfg(feature = "parquet")]
    pub(super) fn archived(&self) -> super::archived::Archived {
        super::archived::Archived {
            layout: self.layout.clone(),
            settings: self.settings.archive.clone(),
        }
    }

    #[cfg(not(feature = "parquet"))]
    pub(super) fn archive_to_write(&self, _: &SourceFace) -> Result<Arc<dyn crate::store_api::Archive>> {
        Err(Error::invalid(
            "this binary was built without the feature `parquet`: run `stream --no-archive`",
        ))
    }

    /// What a live process of this code goes by, and whether that is a staged line.
    pub(super) fn followed(&self) -> Result<(Arc<dyn ManifestLog>, bool)> {
        #[cfg(feature = "parquet")]
        return super::backfill::followed(self);
        #[cfg(not(feature = "parquet"))]
        Ok((self.manifests.clone(), false))
    }

    /// The rows of a store in a namespace; empty when nothing was ever read into it.
    pub(super) fn rows(&self, namespace: &str, store: &str) -> Result<crate::store_api::ProgressRows> {
        let until = self.deadline().into();
        match self.state.read(namespace, &until)? {
            Some(reader) => reader.snapshot_until(&until)?.partitions(store),
            None => Ok(crate::store_api::ProgressRows::default()),
        }
    }

    /// The namespace of the current manifest, or the one that a first run will make.
    pub(super) fn namespace(&self, manifests: &dyn ManifestLog) -> Result<String> {
        Ok(self.namespace_of(manifests.newest(0)?.as_ref()))
    }

    /// The namespace of a manifest; `None`: there is none yet.
    pub(super) fn namespace_of(&self, manifest: Option<&Manifest>) -> String {
        let said = manifest.and_then(|m| m.realtime_namespace.clone());
        said.unwrap_or_else(|| self.plan.fingerprint().to_string())
    }

    /// Until when something that is asked now is waited for, where that was said.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.patience.and_then(|patience| Instant::now().checked_add(patience))
    }

    /// Refuses to go on while a process may write the state: of a server the user says that none does.
    ///
    /// # Errors
    /// `Closed`, unless `stopped` or the state is of one process, which is asked otherwise.
    pub(super) fn check_stopped(&self, stopped: bool) -> Result<()> {
        if stopped || !self.state.is_shared() {
            return Ok(());
        }
        Err(Error::closed(
            "the realtime state is in a server that several processes may write, and each would go on as it began: stop all of them, \
             say this again with --stopped, then start them",
        ))
    }

    /// What the keeper of the state may hold.
    pub(super) fn state_memory(&self) -> Memory {
        let tables = super::sinks::table_memory(self);
        Memory {
            store: self.shares.store.saturating_sub(tables),
            tables,
        }
    }

    pub(super) fn client(&self) -> Client {
        let state = self.state.clone();
        Client::new(ClientParts {
            job: self.plan.job().to_string(),
            manifests: self.manifests.clone(),
            generations: self.generations.clone() as Arc<dyn GenerationStore>,
            realtime: Arc::new(move |namespace: &str, until: &Until| state.read(namespace, until)),
        })
    }
}

/// The directory of a job, where it is told to be.
fn offline(settings: &Settings, layout: &Layout, job: &str) -> Result<Arc<dyn rufous_place::Place>> {
    let Some(location) = settings.offline.location.as_deref() else {
        return Ok(Arc::new(rufous_place::Local::new(layout.job(job))));
    };
    match ArchivePlace::parse(location, "offline")? {
        ArchivePlace::Dir(dir) => {
            let dir = dir.join(layout.instance()).join("jobs").join(job);
            Ok(Arc::new(rufous_place::Local::new(dir)))
        }
        ArchivePlace::S3(url) => {
            let url = format!("{url}/{}/jobs/{job}", layout.instance());
            offline_in_s3(&url, &settings.offline.options, layout)
        }
    }
}

#[cfg(feature = "s3")]
fn offline_in_s3(url: &str, options: &Options, layout: &Layout) -> Result<Arc<dyn rufous_place::Place>> {
    let remote = rufous_place::s3::open(url, &options.all()?, "offline")?;
    Ok(Arc::new(remote.spool_in(layout.root().join("tmp"))))
}

#[cfg(not(feature = "s3"))]
fn offline_in_s3(url: &str, _: &Options, _: &Layout) -> Result<Arc<dyn rufous_place::Place>> {
    Err(Error::invalid(format!(
        "{url}: this binary was built without the feature `s3`"
    )))
}
