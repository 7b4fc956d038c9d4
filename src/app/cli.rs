//! The command line.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::settings::{LOG_FORMATS, ON_BAD};
use crate::client::Token;
use crate::core::{Error, Result, Timestamp};

pub(super) fn command<A: clap::Args>() -> Command {
    let sub = |name: &'static str, about: &'static str| A::augment_args(common(Command::new(name).about(about)));
    // clap puts the name of the program file in its place.
    Command::new("job")
        .about("A Rufous job: live, in bulk, or both; one exact answer")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            dead_letters(live(sub(
                "stream",
                "Run live, from the committed offsets on; archives as well",
            )))
            .arg(flag("no-archive", "Leave the archive to an `archive` process")),
        )
        .subcommand(live(sub("archive", "Only archive: the log into Parquet files")))
        .subcommand(span(upkeep(bulk(sub(
            "batch",
            "Extend the offline store by the batches that are sealed, and compare them with the live part",
        )))))
        .subcommand(backfill(bulk(sub(
            "backfill",
            "Compute history anew in a line of its own, beside the live job; goes on where it was stopped",
        ))))
        .subcommand(
            sub("switch", "Make the staged line current: one publish").arg(flag(
                "behind",
                "Though the new code has not caught up: answers go back in time until it has",
            )),
        )
        .subcommand(
            sub(
                "sweep",
                "Delete files of the archive that no index names: what crashed archivers leave",
            )
            .arg(
                Arg::new("older-than-hours")
                    .long("older-than-hours")
                    .value_name("N")
                    .default_value("24")
                    .value_parser(value_parser!(u32))
                    .help("Leave younger files alone: an archiver may be about to name them"),
            )
            .arg(flag("dry-run", "Only show them")),
        )
        .subcommand(
            reads(sub("get", "Merged value of keys"))
                .arg(
                    Arg::new("keys")
                        .value_name("KEY")
                        .num_args(0..)
                        .help("Keys; parts of a key with commas between"),
                )
                .arg(
                    Arg::new("under")
                        .long("under")
                        .value_name("PREFIX")
                        .action(ArgAction::Append)
                        .help("All keys whose first parts are these"),
                ),
        )
        .subcommand(
            reads(sub("top", "Largest values")).arg(
                Arg::new("n")
                    .short('n')
                    .default_value("10")
                    .value_parser(value_parser!(usize))
                    .help("How many"),
            ),
        )
        .subcommand(serve(sub("serve", "Answer over HTTP: /openapi.json says what can be asked")))
        .subcommand(
            reads(sub("scan", "Keys of a store in order, each with its whole value"))
                .arg(
                    Arg::new("under")
                        .value_name("PREFIX")
                        .help("Only keys whose first parts are these"),
                )
                .arg(
                    Arg::new("after")
                        .long("after")
                        .value_name("KEY")
                        .help("Only keys behind this one"),
                )
                .arg(
                    Arg::new("limit")
                        .long("limit")
                        .value_name("N")
                        .value_parser(value_parser!(u64).range(1..))
                        .help("So many at most; a last line says whether there are more [default: all]"),
                ),
        )
        .subcommand(tumbling(window(
            reads(sub(
                "window",
                "Sums over a window of event time, with what the window truly covers",
            )),
            true,
        )))
        .subcommand(window(
            reads(sub(
                "explain-answer",
                "Of what the answer for a key is made: each value that was merged, by layer, run, partition and batch",
            )),
            false,
        ))
        .subcommand(
            sub(
                "reconcile",
                "Compare the live part with what a batch run added; exit code 4 when they differ, 3 when it cannot be known",
            )
            .arg(
                Arg::new("batch")
                    .long("batch")
                    .value_name("B")
                    .allow_hyphen_values(true)
                    .conflicts_with("generation")
                    .help("Of the runs that cover this batch: its number, or a time in it"),
            )
            .arg(
                Arg::new("generation")
                    .long("generation")
                    .value_name("N")
                    .value_parser(value_parser!(u64))
                    .help("Of which run [default: the newest]"),
            )
            .arg(
                Arg::new("store")
                    .long("store")
                    .value_name("NAME")
                    .help("Only this store"),
            ),
        )
        .subcommand(
            sub("explain", "Show graph, plan, and why it is so")
                .arg(flag("dot", "As a picture in the DOT language"))
                .arg(memory("Memory of the process, as given to `stream`")),
        )
        .subcommand(
            sub(
                "rebuild",
                "Set the realtime state aside, so that the next `stream` makes it again from the log",
            )
            .arg(flag("delete", "Delete it instead of keeping it beside"))
            .arg(stopped("Where the state is in a server: no process of the job runs")),
        )
        .subcommand(
            sub(
                "views",
                "Show the current generation in PostgreSQL: a table a store, and views of the whole answer",
            )
            .arg(
                Arg::new("database")
                    .long("database")
                    .value_name("URL")
                    .help("postgres://USER@HOST:PORT/DATABASE [default: [views] location of the settings]"),
            ),
        )
        .subcommand(
            sub(
                "batches",
                "What became of each batch: open, sealed, archived, published, dropped; its offsets, records and time",
            )
            .arg(
                Arg::new("last")
                    .long("last")
                    .value_name("N")
                    .value_parser(value_parser!(usize))
                    .help("Only the last N of each partition"),
            ),
        )
        .subcommand(sub(
            "generations",
            "List what is published, and what a rollback could reach",
        ))
        .subcommand(
            sub("rollback", "Make an older generation the current one again").arg(
                Arg::new("to")
                    .long("to")
                    .value_name("N")
                    .value_parser(value_parser!(u64))
                    .help("Which [default: the one before the current]"),
            ),
        )
        .subcommand(
            sub(
                "gc",
                "Delete manifests and files of generations that nobody can read any more",
            )
            .arg(keep())
            .arg(grace())
            .arg(stopped("Also the realtime state, in a server, of code that no generation names: no process of that code runs"))
            .arg(flag("dry-run", "Only show them")),
        )
        .subcommand(super::sinks::command(&sub))
        .subcommand(
            sub("config", "Show the settings that count, and who said them")
                .arg(flag("all", "Also those that nobody said, with their defaults and the names to say them by")),
        )
        .subcommand(
            sub("doctor", "Check that all can be reached and fits together; each line says what to do")
                .arg(
                    Arg::new("verbose")
                        .short('v')
                        .long("verbose")
                        .action(ArgAction::SetTrue)
                        .help("Each setting and who said it, first"),
                )
                .arg(
                    Arg::new("min-free")
                        .long("min-free")
                        .value_name("SIZE")
                        .value_parser(super::doctor::parse_size)
                        .help("Fail when less is free where the job writes: 10GiB [default: 256MiB]"),
                )
                .arg(flag(
                    "checksums",
                    "Read every byte of the current generation, and not only whether each file is there and as long as it was",
                ))
                .arg(timeout(
                    "Wait so long at most for each answer of a broker, a server or a store of objects [default: as each is set]",
                )),
        )
        .subcommand(
            Command::new("completions")
                .about("Print what makes a shell complete the commands, with the names of stores")
                .arg(
                    Arg::new("shell")
                        .value_name("SHELL")
                        .required(true)
                        .value_parser(super::completions::SHELLS)
                        .help("For instance: source <(word-count completions bash)"),
                )
                .arg(flag("json", "As one JSON object, and errors as JSON")),
        )
}

/// Of a server nobody but the user knows whether processes write it.
pub(super) fn stopped(help: &'static str) -> Arg {
    flag("stopped", help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn common(c: Command) -> Command {
    c.arg(Arg::new("data").long("data").value_name("DIR").value_parser(value_parser!(PathBuf)).help("Where all state lives [default: data]"))
        .arg(Arg::new("instance").long("instance").value_name("NAME").help("So the same job can run twice, side by side [default: main]"))
        .arg(
            Arg::new("realtime")
                .long("realtime")
                .value_name("URL")
                .help("Where the realtime state is: postgres://USER@HOST:PORT/DATABASE or redis://HOST:PORT/DATABASE, which several processes share; with a password by RUFOUS_REALTIME, or as { env = \"VARIABLE\" } [default: below --data]"),
        )
        .arg(Arg::new("settings").long("settings").value_name("FILE").value_parser(value_parser!(PathBuf)).help("Settings [default: rufous.toml, if it is there]"))
        .arg(
            Arg::new("source")
                .long("source")
                .value_name("NAME=LOCATION")
                .action(ArgAction::Append)
                .help("Where a source is: file:PATH, dir:PATH, kafka://HOST:PORT/TOPIC, bulk:PLACE or parquet:PLACE (a path, or s3://BUCKET/PREFIX); +text, +jsonl, +csv or +tsv for the format"),
        )
        .arg(
            Arg::new("log-format")
                .long("log-format")
                .value_name("FORMAT")
                .value_parser(LOG_FORMATS)
                .help("How the log on standard error is written: text [default] or json; RUFOUS_LOG sets the level"),
        )
        .arg(
            Arg::new("set")
                .long("set")
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .help("Any setting, as in --set sources.lines.location=file:lines.txt; `config --all` lists them"),
        )
        .arg(flag("json", "One JSON object a line, and errors as JSON"))
}

fn bad_records(c: Command) -> Command {
    c.arg(
        Arg::new("on-bad-record")
            .long("on-bad-record")
            .value_name("POLICY")
            .value_parser(ON_BAD)
            .help(
                "What happens to a record that cannot be read, or that makes the job's functions panic: fail [default], skip \
                 (counted and reported), or dead-letter (the same, and it is sent to `--dead-letters`)",
            ),
    )
}

fn dead_letters(c: Command) -> Command {
    c.arg(
        Arg::new("dead-letters")
            .long("dead-letters")
            .value_name("SOURCE=PLACE")
            .action(ArgAction::Append)
            .help("Where the bad records of a source are sent: kafka://HOST:PORT/TOPIC or file:PATH"),
    )
}

fn live(c: Command) -> Command {
    bad_records(c)
        .arg(flag("until-end", "Stop at the end that the log has now"))
        .arg(
            Arg::new("monitor")
                .long("monitor")
                .value_name("ADDRESS")
                .num_args(0..=1)
                .default_missing_value("127.0.0.1:9464")
                .help("Serve /metrics, /healthz and /readyz there: HOST:PORT, or PORT on the loopback device; port 0 takes any"),
        )
        .arg(
            Arg::new("commit-ms")
                .long("commit-ms")
                .value_name("N")
                .default_value("1000")
                .value_parser(value_parser!(u64))
                .help("Commit every N milliseconds"),
        )
        .arg(memory(
            "Memory of the process: maps, reading ahead, archiver, store [default: 1GiB]",
        ))
}

fn memory(help: &'static str) -> Arg {
    Arg::new("memory").long("memory").value_name("SIZE").help(help)
}

fn bulk(c: Command) -> Command {
    bad_records(c)
        .arg(
            Arg::new("threads")
                .long("threads")
                .value_name("N")
                .default_value("0")
                .value_parser(value_parser!(usize))
                .help("Threads; 0: one a core"),
        )
        .arg(
            Arg::new("nice")
                .long("nice")
                .value_name("N")
                .default_value("10")
                .value_parser(value_parser!(i32).range(0..=19))
                .help("How far others on this machine come first, so that records and reads need not wait; 0: nobody does"),
        )
        .arg(memory(
            "Memory of the process; sums that outgrow it go to files for a while [default: 1GiB]",
        ))
        .arg(flag("dry-run", "Only show what would be read, and how far it goes"))
}

fn keep() -> Arg {
    Arg::new("keep")
        .long("keep")
        .value_name("N")
        .value_parser(value_parser!(u64))
        .help("So many generations before the current one stay: for a rollback, and to compare their batches [default: 1]")
}

fn grace() -> Arg {
    Arg::new("grace-minutes")
        .long("grace-minutes")
        .value_name("N")
        .value_parser(value_parser!(u32))
        .help("Leave what a reader could have begun with so long ago [default: 60]")
}

fn upkeep(c: Command) -> Command {
    c.arg(keep())
        .arg(grace())
        .arg(flag(
            "no-gc",
            "Do not delete manifests and files of generations that nobody can read any more",
        ))
        .arg(flag(
            "no-reconcile",
            "Do not compare what was published with the live part",
        ))
        .arg(
            flag(
                "fail-on-drift",
                "Exit code 4 when they differ; what was published stays published",
            )
            .conflicts_with("no-reconcile"),
        )
}

fn span(c: Command) -> Command {
    let time = |name: &'static str, help: &'static str| {
        let parse = |text: &str| Timestamp::parse(text).map_err(|e| e.to_string());
        Arg::new(name)
            .long(name)
            .value_name("TIME")
            .value_parser(parse)
            .help(help)
    };
    c.arg(time(
        "since",
        "Only records whose event time is this or later; of bounded inputs (2024-01-31, or 2024-01-31T07:00:00Z)",
    ))
    .arg(time(
        "until",
        "Only records whose event time is before this; over an archive: only batches before the one that holds it",
    ))
}

fn backfill(c: Command) -> Command {
    c.arg(
        Arg::new("part-rows")
            .long("part-rows")
            .value_name("N")
            .default_value("20000000")
            .value_parser(value_parser!(u64).range(1..))
            .help("Publish in the line after about so many records, at the end of a batch: what is published is never done again"),
    )
    .arg(
        Arg::new("rate")
            .long("rate")
            .value_name("N")
            .value_parser(value_parser!(u64).range(1..))
            .help("At most so many records a second"),
    )
    .arg(flag("new", "Begin a new line, though one is unfinished"))
}

fn reads(c: Command) -> Command {
    c.arg(
        Arg::new("store")
            .long("store")
            .value_name("NAME")
            .help("Which store, if the job has several"),
    )
    .arg(flag("accept-holes", "Answer without lost ranges, and list them"))
    .arg(
        Arg::new("at-least")
            .long("at-least")
            .value_name("TOKEN")
            .value_parser(token)
            .help("Only answers that hold all that an earlier one did: its token, as text or as JSON"),
    )
    .arg(timeout(
        "Give up after so long, and say what was waited for [default: as long as it takes]",
    ))
}

fn timeout(help: &'static str) -> Arg {
    Arg::new("timeout-ms")
        .long("timeout-ms")
        .value_name("N")
        .value_parser(value_parser!(u64).range(1..))
        .help(help)
}

/// As `explain-answer` prints it, or as it is in an object.
fn token(text: &str) -> std::result::Result<Token, String> {
    let found = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text).map_err(|e| e.to_string()),
        false => text.parse::<Token>().map_err(|e| e.to_string()),
    };
    found.map_err(|e| format!("{e}: give the token of an answer"))
}

fn serve(c: Command) -> Command {
    let file = |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("FILE").help(help);
    c.arg(
        Arg::new("listen")
            .long("listen")
            .value_name("ADDRESS")
            .help("HOST:PORT, or PORT on the loopback device; port 0 takes any [default: 127.0.0.1:8080]"),
    )
    .arg(file(
        "token-file",
        "Who asks must send a token of this file, one a line; RUFOUS_SERVE_TOKENS may hold them in its place",
    ))
    .arg(file(
        "admin-token-file",
        "Who changes something at the console must send a token of this file; RUFOUS_SERVE_ADMIN_TOKENS may hold them in its place",
    ))
    .arg(flag("insecure", "Serve other machines without a token"))
    .arg(file("tls-certificate", "Speak TLS: the chain of certificates, as PEM"))
    .arg(file("tls-key", "The key of the certificate, as PEM"))
}

/// With `required`, one of those that say which.
fn window(c: Command, required: bool) -> Command {
    let time = |text: &str| Timestamp::parse(text).map_err(|e| e.to_string());
    c.arg(
        Arg::new("keys")
            .value_name("KEY")
            .num_args(1..)
            .required(true)
            .help("Keys; parts of a key with commas between"),
    )
    .arg(
        Arg::new("last")
            .long("last")
            .value_name("LENGTH")
            .help("So long before the end: 30s, 5m, 24h, 7d"),
    )
    .arg(
        Arg::new("last-hops")
            .long("last-hops")
            .value_name("N:SIZE")
            .help("The last hops of a size up to the end: 3:month is this month so far and the two before"),
    )
    .arg(
        Arg::new("since")
            .long("since")
            .value_name("TIME")
            .value_parser(time)
            .help("From there on"),
    )
    .group(
        clap::ArgGroup::new("window")
            .args(["last", "last-hops", "since"])
            .required(required),
    )
    .arg(
        Arg::new("end")
            .long("end")
            .value_name("END")
            .default_value("now")
            .help("Where the window ends: now, sealed (where the newest sealed batch ends), or a time"),
    )
}

fn tumbling(c: Command) -> Command {
    c.arg(
        Arg::new("every")
            .long("every")
            .value_name("SIZE")
            .help("One window after the other in place of one: 5m, 1h, 1d, calendar-day, week, month, quarter, year"),
    )
    .arg(flag("aligned", "Refuse a window that would be rounded to hops"))
}

pub(super) struct Live {
    pub(super) until_end: bool,
    pub(super) no_archive: bool,
    pub(super) commit_interval: Duration,
}

/// Whether an archiver runs in the process.
pub(super) fn archives(m: &ArgMatches) -> bool {
    !matches!(m.try_get_one::<bool>("no-archive"), Ok(Some(true)))
}

impl Live {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            until_end: m.get_flag("until-end"),
            no_archive: !archives(m),
            commit_interval: Duration::from_millis(m.get_one::<u64>("commit-ms").copied().unwrap_or(1000).max(1)),
        }
    }
}

#[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only bulk runs ask"))]
pub(super) struct Bulk {
    pub(super) threads: usize,
    pub(super) nice: i32,
    pub(super) dry_run: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
}

impl Bulk {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            threads: m.get_one("threads").copied().unwrap_or(0),
            nice: m.get_one("nice").copied().unwrap_or(0),
            dry_run: m.get_flag("dry-run"),
            // `backfill` has no such flags.
            since: m.try_get_one("since").ok().flatten().copied(),
            until: m.try_get_one("until").ok().flatten().copied(),
        }
    }
}

/// What `batch` does behind its publish.
#[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only bulk runs ask"))]
pub(super) struct Upkeep {
    pub(super) gc: bool,
    pub(super) reconcile: bool,
    pub(super) fail_on_drift: bool,
}

impl Upkeep {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            gc: !m.get_flag("no-gc"),
            reconcile: !m.get_flag("no-reconcile"),
            fail_on_drift: m.get_flag("fail-on-drift"),
        }
    }
}

#[cfg_attr(
    not(feature = "parquet"),
    expect(dead_code, reason = "without it there is no archive")
)]
pub(super) struct Sweep {
    pub(super) older_than: Duration,
    pub(super) dry_run: bool,
}

impl Sweep {
    pub(super) fn read(m: &ArgMatches) -> Self {
        let hours = m.get_one::<u32>("older-than-hours").copied().unwrap_or(24);
        Self {
            older_than: Duration::from_secs(u64::from(hours) * 3_600),
            dry_run: m.get_flag("dry-run"),
        }
    }
}

pub(super) struct Gc {
    /// No process runs that would write a namespace of a server.
    pub(super) stopped: bool,
    pub(super) dry_run: bool,
}

impl Gc {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            stopped: m.get_flag("stopped"),
            dry_run: m.get_flag("dry-run"),
        }
    }
}

pub(super) struct Reads {
    pub(super) store: Option<String>,
    pub(super) accept_holes: bool,
    /// What must have been applied.
    pub(super) at_least: Option<Token>,
    pub(super) deadline: Option<Instant>,
}

impl Reads {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            store: m.get_one("store").cloned(),
            accept_holes: m.get_flag("accept-holes"),
            at_least: m.get_one("at-least").cloned(),
            deadline: m
                .get_one::<u64>("timeout-ms")
                .and_then(|ms| Instant::now().checked_add(Duration::from_millis(*ms))),
        }
    }
}

pub(super) struct Get {
    pub(super) reads: Reads,
    pub(super) keys: Vec<String>,
    pub(super) under: Vec<String>,
}

impl Get {
    pub(super) fn read(m: &ArgMatches) -> Result<Self> {
        let many = |name: &str| {
            m.get_many::<String>(name)
                .into_iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
        };
        let (keys, under) = (many("keys"), many("under"));
        if keys.is_empty() && under.is_empty() {
            return Err(Error::invalid("nothing asked: give keys, or `--under PREFIX`"));
        }
        Ok(Self {
            reads: Reads::read(m),
            keys,
            under,
        })
    }
}

#[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only bulk runs ask"))]
pub(super) struct Backfill {
    pub(super) bulk: Bulk,
    pub(super) part_rows: u64,
    pub(super) rate: Option<u64>,
    pub(super) new: bool,
}

#[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only bulk runs ask"))]
impl Backfill {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            bulk: Bulk::read(m),
            part_rows: m.get_one("part-rows").copied().unwrap_or(u64::MAX),
            rate: m.get_one("rate").copied(),
            new: m.get_flag("new"),
        }
    }
}

pub(super) struct Reconcile {
    pub(super) batch: Option<String>,
    pub(super) manifest: Option<u64>,
    pub(super) store: Option<String>,
}

impl Reconcile {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            batch: m.get_one("batch").cloned(),
            manifest: m.get_one("generation").copied(),
            store: m.get_one("store").cloned(),
        }
    }
}

pub(super) struct Explain {
    pub(super) dot: bool,
}

impl Explain {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self { dot: m.get_flag("dot") }
    }
}

pub(super) struct WindowArgs {
    pub(super) reads: Reads,
    pub(super) keys: Vec<String>,
    pub(super) last: Option<String>,
    pub(super) last_hops: Option<String>,
    pub(super) since: Option<Timestamp>,
    pub(super) end: String,
    pub(super) every: Option<String>,
    pub(super) aligned: bool,
}

impl WindowArgs {
    /// Whether a window is asked for.
    pub(super) fn says_window(&self) -> bool {
        self.last.is_some() || self.last_hops.is_some() || self.since.is_some()
    }
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            reads: Reads::read(m),
            keys: m.get_many("keys").into_iter().flatten().cloned().collect(),
            last: m.get_one("last").cloned(),
            last_hops: m.get_one("last-hops").cloned(),
            since: m.get_one("since").copied(),
            end: m.get_one::<String>("end").cloned().unwrap_or_else(|| "now".into()),
            // `explain-answer` has no such flags.
            every: m.try_get_one("every").ok().flatten().cloned(),
            aligned: matches!(m.try_get_one("aligned"), Ok(Some(true))),
        }
    }
}

pub(super) struct Top {
    pub(super) reads: Reads,
    pub(super) n: usize,
}

impl Top {
    pub(super) fn read(m: &ArgMatches) -> Self {
        Self {
            reads: Reads::read(m),
            n: m.get_one("n").copied().unwrap_or(10),
        }
    }
}

/// The job's own arguments as text, defaults included: a part of its fingerprint.
///
/// # Errors
/// `InvalidRequest` with the argument that is no text: two of them could look alike.
pub(super) fn resolved<A: clap::Args>(m: &ArgMatches) -> Result<String> {
    let own = A::augment_args(Command::new("args"));
    let mut text = Vec::new();
    for arg in own.get_arguments() {
        let id = arg.get_id().as_str();
        if let Ok(Some(values)) = m.try_get_raw(id) {
            let values: Result<Vec<_>> = values
                .map(|v| super::said::text(v, format_args!("argument `{id}` of the job")))
                .collect();
            text.push(format!("{id}={}", values?.join(",")));
        }
    }
    text.sort();
    Ok(text.join(" "))
}
