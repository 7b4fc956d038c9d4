//! A job binary: a function that builds a job becomes a program with every command.

#[cfg(feature = "parquet")]
mod archived;
#[cfg(feature = "parquet")]
mod backfill;
mod bad;
mod batches;
#[cfg(feature = "parquet")]
mod bulk;
mod cli;
mod completions;
mod config;
#[cfg(feature = "server")]
mod console;
mod doctor;
mod explain;
mod explain_answer;
mod follow;
mod gc;
mod generations;
#[cfg(feature = "parquet")]
mod inputs;
mod known;
mod location;
#[cfg(feature = "server")]
mod logged;
#[cfg(feature = "kafka")]
mod member;
mod metrics;
mod monitor;
mod open;
mod order;
mod out;
mod own;
#[cfg(feature = "server")]
mod processes;
mod progress;
mod read;
mod rebuild;
mod reconcile;
#[cfg(feature = "parquet")]
mod recut;
mod reports;
mod said;
mod scan;
#[cfg(feature = "server")]
mod serve;
mod settings;
mod sinks;
mod state;
mod unreached;
#[cfg(feature = "parquet")]
mod upkeep;
mod views;
mod window;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::client::Client;
use crate::core::service::Serves;
use crate::core::sink::SinkTo;
use crate::core::{Error, Job, Key, Plan, Result, Service, Services, Sink, Sinks, Source};

use location::Location;
use settings::{Flagged, Layers, Ports, Settings};

/// A job binary without arguments of its own.
pub enum NoArgs {}

/// A function that builds a job: `fn() -> Job`, or `fn(&Args) -> Job` with `Args: clap::Args`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make a job that a binary can run",
    label = "expected `fn() -> Job`, or `fn(&Args) -> Job` where `Args` derives `clap::Args`",
    note = "a sum or a write is made a job by `Job::new(\"name\", sum)`",
    note = "a `Job<InOrder>` has no binary, for a live log keeps no order across partitions: run it on `Memory`"
)]
pub trait JobFn<A> {
    /// The arguments that the command line takes for the job.
    type Args: clap::Args;
    /// Builds the job.
    fn build(&self, args: &Self::Args) -> Job;
}

impl<F: Fn() -> Job> JobFn<NoArgs> for F {
    type Args = ();
    fn build(&self, (): &()) -> Job {
        self()
    }
}

impl<A: clap::Args, F: Fn(&A) -> Job> JobFn<A> for F {
    type Args = A;
    fn build(&self, args: &A) -> Job {
        self(args)
    }
}

/// A job and where its sources are unless settings or the command line say otherwise.
///
/// ```no_run
/// # use rufous::prelude::*;
/// # const LINES: Source<str> = Source::new("lines");
/// # fn word_count() -> Job { unimplemented!() }
/// fn main() -> std::process::ExitCode {
///     App::new(word_count).source(LINES, "file:lines.txt").main()
/// }
/// ```
#[must_use = "an app does nothing until `.main()`"]
pub struct App<Args> {
    job: Box<dyn Fn(&Args) -> Job>,
    defaults: BTreeMap<&'static str, String>,
    services: Services,
    sinks: Sinks,
}

impl<Args: clap::Args> App<Args> {
    /// A binary for this job.
    pub fn new<A, F: JobFn<A, Args = Args> + 'static>(job: F) -> Self {
        Self {
            job: Box::new(move |args| job.build(args)),
            defaults: BTreeMap::new(),
            services: Services::new(),
            sinks: Sinks::new(),
        }
    }
    /// Where a source is when neither `--source` nor the settings say: `file:PATH`, `dir:PATH`, `kafka://HOST:PORT/TOPIC`,
    /// `bulk:PLACE` or `parquet:PLACE`, with `+text`, `+jsonl`, `+csv` or `+tsv` for the [format](crate::Format).
    pub fn source<T: ?Sized>(mut self, port: Source<T>, location: &str) -> Self {
        self.defaults.insert(port.name(), location.to_string());
        self
    }
    /// Binds a service: `versions(rows, complete_until)`, `remote(..)`, `now(..)` of [`service`](crate::core::service).
    pub fn service<K: Key, V: Clone + Send + 'static>(mut self, port: Service<K, V>, to: impl Serves<K, V>) -> Self {
        self.services.bind(port, to);
        self
    }
    /// Binds a sink: `topic("kafka://HOST:PORT/TOPIC")`, `files("DIR")`, `table()` of [`sink`](crate::core::sink), which the live part
    /// writes, or `each_generation()`, which batch runs write. The type of the
    /// binding says whether records come exactly once or at least once. `location` in `[sinks.NAME]` of the settings puts topic or
    /// files elsewhere.
    pub fn sink<T: 'static>(mut self, port: Sink<T>, to: impl SinkTo<T>) -> Self {
        self.sinks.bind(port, &to);
        self
    }
    /// Parses the command line and runs the command. Errors go to standard error; the exit code follows their kind.
    pub fn main(self) -> ExitCode {
        // What a job's functions do to a record is reported with the record; everything else keeps its hook.
        crate::core::panics::keep_quiet();
        // Also who is refused before his command is known gets what he asked for.
        if asks_for_json() {
            out::as_json();
        }
        if let Err(e) = own::check::<Args>() {
            progress::report(&e);
            return ExitCode::from(e.kind().exit_code());
        }
        let matches = match cli::command::<Args>().try_get_matches() {
            Ok(matches) => matches,
            Err(e) => return usage(&e),
        };
        match self.run(&matches) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                progress::report(&e);
                ExitCode::from(e.kind().exit_code())
            }
        }
    }

    fn run(&self, matches: &clap::ArgMatches) -> Result<()> {
        let none = || Error::invalid("no command: try --help");
        let (name, mut sub) = matches.subcommand().ok_or_else(none)?;
        if name == "completions" {
            if sub.get_flag("json") {
                out::as_json();
            }
            let shell: &String = sub.get_one("shell").ok_or_else(none)?;
            return completions::completions::<Args>(shell, &self.stores());
        }
        let mut word = "";
        if name == "sink" {
            (word, sub) = sub.subcommand().ok_or_else(none)?;
        }
        if sub.get_flag("json") {
            out::as_json();
        }
        let mut plan = self.plan(sub)?;
        plan.bind_all(&self.services)?;
        let ports = Ports::of(&plan);
        let mut said = self.program_says(&ports);
        said.extend(said::said(sub, &plan)?);
        if name == "doctor" {
            return doctor::doctor(sub, plan, self.sinks.clone(), &said, &ports);
        }
        let file: Option<&PathBuf> = sub.get_one("settings");
        let layers = Layers::of_process(file.map(PathBuf::as_path), &said, &ports)?;
        if name == "config" {
            layers.apply(&mut plan)?;
            config::config(&layers, sub.get_flag("all"), None);
            return Ok(());
        }
        let mut settings = Settings::of(layers);
        // Who reads objects reads them on standard error, too.
        if out::is_json() && settings.layers.get(&["log", "format"]).is_none() {
            settings.log.format = settings::LogFormat::Json;
        }
        progress::log_to_stderr(&settings.log, name)?;
        settings.apply(&mut plan)?;
        let mut sinks = self.sinks.clone();
        settings.move_sinks(&mut sinks)?;
        plan.write_in_bulk(&sinks)?;
        let writes = plan.identify_writes();
        if name == "stream" && !plan.sinks().is_empty() {
            sinks.of(&plan)?;
        }
        let refused = match writes {
            Err(e) if name == "stream" => return Err(e),
            writes => writes.err().map(|e| e.to_string()),
        };
        let mut context = open::Context::new(&plan, &settings, name, cli::archives(sub))?;
        context.sinks = sinks;
        context.refused_writes = refused;
        match name {
            "stream" => write::stream(&context, &cli::Live::read(sub)),
            "archive" => write::archive(&context, &cli::Live::read(sub)),
            "batch" => write::batch(&context, &cli::Bulk::read(sub), &cli::Upkeep::read(sub)),
            #[cfg(feature = "parquet")]
            "backfill" => backfill::backfill(&context, &cli::Backfill::read(sub)),
            #[cfg(feature = "parquet")]
            "switch" => backfill::switch(&context, sub.get_flag("behind")),
            "sweep" => write::sweep(&context, &cli::Sweep::read(sub)),
            "generations" => generations::generations(&context),
            "rollback" => generations::rollback(&context, sub.get_one("to").copied()),
            "gc" => gc::gc(&context, &cli::Gc::read(sub)),
            "get" => read::get(&context, &cli::Get::read(sub)?),
            "top" => read::top(&context, &cli::Top::read(sub)),
            "scan" => scan::scan(
                &context,
                &scan::Scan {
                    reads: cli::Reads::read(sub),
                    under: sub.get_one("under").cloned(),
                    after: sub.get_one("after").cloned(),
                    limit: sub.get_one("limit").copied().unwrap_or(u64::MAX),
                },
            ),
            "batches" => batches::batches(&context, sub.get_one("last").copied()),
            "window" => window::window(&context, &cli::WindowArgs::read(sub)),
            #[cfg(feature = "server")]
            "serve" => serve::serve(&context),
            #[cfg(not(feature = "server"))]
            "serve" => Err(Error::invalid("this binary was built without the feature `server`")
                .repaired_by("build it with `rufous = { .., features = [\"server\"] }`")),
            "explain-answer" => explain_answer::explain_answer(&context, &cli::WindowArgs::read(sub)),
            "views" => views::views(&context),
            "reconcile" => reconcile::reconcile(&context, &cli::Reconcile::read(sub)),
            "rebuild" => rebuild::rebuild(&context, sub.get_flag("delete"), sub.get_flag("stopped")),
            "sink" => sinks::Asked(word, sub).run(&context),
            "explain" => explain::explain(&context, &cli::Explain::read(sub)),
            other => Err(Error::bug(format!("command `{other}` has no implementation"))),
        }
    }

    /// Where ports are unless somebody says otherwise. What is bound beside the job's own ports is refused where it matters.
    fn program_says(&self, ports: &Ports) -> Vec<Flagged> {
        let main = |section: &str, name: &str, at: &str| Flagged::main(&[section, name, "location"], at);
        let sources = self
            .defaults
            .iter()
            .filter(|(name, _)| ports.sources.iter().any(|s| s == *name));
        let sinks = self
            .sinks
            .places()
            .filter(|(name, _)| ports.sinks.iter().any(|s| s == name));
        let sinks = sinks.map(|(name, at)| main("sinks", name, at));
        sources
            .map(|(name, at)| main("sources", name, at))
            .chain(sinks)
            .collect()
    }

    /// The stores of the job as it is without arguments; none where it needs some.
    fn stores(&self) -> Vec<&'static str> {
        let none = Args::augment_args(clap::Command::new("job")).no_binary_name(true);
        let matches = none.try_get_matches_from(std::iter::empty::<&str>()).ok();
        let args = matches.and_then(|m| Args::from_arg_matches(&m).ok());
        let plan = args.and_then(|args| (self.job)(&args).plan().ok());
        plan.map_or_else(Vec::new, |plan| plan.stores().iter().map(|s| s.name).collect())
    }

    fn plan(&self, matches: &clap::ArgMatches) -> Result<Plan> {
        let args = Args::from_arg_matches(matches).map_err(|e| Error::invalid(e.to_string()))?;
        (self.job)(&args).arguments(cli::resolved::<Args>(matches)?).plan()
    }
}

/// Whether `--json` stands on the command line, whatever else does.
fn asks_for_json() -> bool {
    let mut args = std::env::args_os().skip(1).take_while(|arg| arg != "--");
    args.any(|arg| arg == "--json")
}

/// Help, version, or what the command line cannot mean.
fn usage(e: &clap::Error) -> ExitCode {
    let code = u8::try_from(e.exit_code()).unwrap_or(2);
    if code == 0 || !out::is_json() {
        // A reader that closed its end is no error.
        let _ = e.print();
    } else {
        out::complaint(out::usage(&e.to_string(), code));
    }
    ExitCode::from(code)
}

impl App<()> {
    /// The client that `get`, `top` and `window` read with, for a program beside the job's own. Settings are those of the environment and of `rufous.toml`;
    /// the data directory is `data` if it is given, else that of the settings. Where the job never ran, each read says so.
    ///
    /// ```no_run
    /// # use rufous::prelude::*;
    /// # const LINES: Source<str> = Source::new("lines");
    /// # const COUNTS: Store<String, u64> = Store::new("counts");
    /// # fn word_count() -> Job { unimplemented!() }
    /// let client = App::new(word_count).client(None)?;
    /// println!("{:?}", client.store(COUNTS)?.get("whale")?.value);
    /// # Ok::<(), rufous::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the job cannot be planned, or the settings cannot be read or do not fit it.
    pub fn client(&self, data: Option<&Path>) -> Result<Client> {
        let mut plan = (self.job)(&()).plan()?;
        let ports = Ports::of(&plan);
        let mut said = self.program_says(&ports);
        if let Some(dir) = data {
            let dir = said::text(dir.as_os_str(), "the data directory of `client`")?;
            said.push(Flagged::flag(&["data"], dir, "data"));
        }
        let settings = Settings::of(Layers::of_process(None, &said, &ports)?);
        settings.apply(&mut plan)?;
        let context = open::Context::new(&plan, &settings, "get", false)?;
        Ok(context.client())
    }
}
