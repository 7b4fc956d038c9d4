//! Every name of a setting: its kind, its default, what it is for, and which flag or variable says the same.

use crate::core::nearest;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Kind {
    Text,
    /// A text that may hold a password: the location of a server.
    Url,
    /// A whole number, at least this.
    Number(u64),
    /// `true` or `false`.
    Switch,
    /// Texts; commas between them on the command line and in the environment.
    Texts,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Text of a name that others give: a secret if the name says so.
    Named,
}

impl Kind {
    /// For people.
    pub(in crate::app) fn show(self) -> String {
        match self {
            Self::Text | Self::Named => "a text".into(),
            Self::Url => "the location of a server".into(),
            Self::Number(0) => "a whole number".into(),
            Self::Number(least) => format!("a whole number, at least {least}"),
            Self::Switch => "true or false".into(),
            Self::Texts => "a list of texts".into(),
            Self::Choice(of) => format!("one of {}", of.join(", ")),
        }
    }
}

/// A port or step stands here.
pub(in crate::app) const PORT: &str = "NAME";
/// Any text stands here, to the end: the names are those of librdkafka, or of an object store.
pub(in crate::app) const ANY: &str = "OPTION";

/// A setting that exists.
#[derive(Debug)]
pub(in crate::app) struct Name {
    /// With [`PORT`] and [`ANY`] for what the job, or somebody else, names.
    pub(in crate::app) path: &'static [&'static str],
    pub(in crate::app) kind: Kind,
    /// As it is said; empty: there is none, or it depends.
    pub(in crate::app) default: &'static str,
    pub(in crate::app) about: &'static str,
    /// The flag that says the same, by the id that the command line gives it.
    pub(in crate::app) flag: Option<&'static str>,
    /// A variable of its own, beside the one that follows from the name.
    pub(in crate::app) variable: Option<&'static str>,
}

const fn name(path: &'static [&'static str], kind: Kind, default: &'static str, about: &'static str) -> Name {
    Name {
        path,
        kind,
        default,
        about,
        flag: None,
        variable: None,
    }
}

impl Name {
    const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }
    const fn variable(mut self, variable: &'static str) -> Self {
        self.variable = Some(variable);
        self
    }
    /// As people write it.
    pub(in crate::app) fn show(&self) -> String {
        self.path.join(".")
    }
    /// The variable that says it: `RUFOUS_SOURCES__NAME__LOCATION`; of one level `RUFOUS__DATA`.
    pub(in crate::app) fn by_variable(&self) -> String {
        variable(&self.path.iter().map(ToString::to_string).collect::<Vec<_>>())
    }
}

/// The variable of a path.
pub(in crate::app) fn variable(path: &[String]) -> String {
    let levels: Vec<_> = path
        .iter()
        .map(|level| level.to_ascii_uppercase().replace(['-', '.'], "_"))
        .collect();
    match &levels[..] {
        [one] => format!("RUFOUS__{one}"),
        all => format!("RUFOUS_{}", all.join("__")),
    }
}

pub(in crate::app) const ON_BAD: [&str; 3] = ["fail", "skip", "dead-letter"];
pub(in crate::app) const RECORDS: [&str; 3] = ["all", "admin", "none"];
pub(in crate::app) const LOG_FORMATS: [&str; 2] = ["text", "json"];

use Kind::{Choice, Named, Number, Switch, Text, Texts, Url};

/// All of them, in the order in which they are shown.
pub(in crate::app) static NAMES: &[Name] = &[
    name(&["data"], Text, "data", "Where all state lives").flag("data"),
    name(
        &["instance"],
        Text,
        "main",
        "So the same job can run twice, side by side",
    )
    .flag("instance"),
    name(&["memory"], Text, "1GiB", "Of the process").flag("memory"),
    name(
        &["log", "level"],
        Text,
        "",
        "What is logged: a level, or directives; info for what runs, warn for what asks, unless it is said",
    )
    .variable("RUFOUS_LOG"),
    name(
        &["log", "format"],
        Choice(&LOG_FORMATS),
        "text",
        "How the log on standard error is written",
    )
    .flag("log-format"),
    name(&["sources", PORT, "location"], Text, "", "Where a source is").flag("source"),
    name(
        &["sources", PORT, "on_bad_record"],
        Choice(&ON_BAD),
        "fail",
        "What happens to a record that cannot be read",
    )
    .flag("on-bad-record"),
    name(
        &["sources", PORT, "dead_letters"],
        Text,
        "",
        "Where bad records are sent",
    )
    .flag("dead-letters"),
    name(
        &["sources", PORT, "kafka", "group"],
        Text,
        "",
        "The consumer group; one of job, instance and source unless it is said",
    ),
    name(
        &["sources", PORT, "kafka", "properties", ANY],
        Named,
        "",
        "Of librdkafka, for this source alone",
    ),
    name(
        &["sources", PORT, "options", ANY],
        Named,
        "",
        "Of the object store that it lies in",
    ),
    name(
        &["stores", PORT, "memory_mib"],
        Number(0),
        "",
        "What its combining map may hold before it is flushed",
    ),
    name(
        &["steps", PORT, "memory_mib"],
        Number(0),
        "",
        "The same of the combiner before a named step",
    ),
    name(
        &["sinks", PORT, "location"],
        Text,
        "",
        "Where a sink is in place of where the program says",
    ),
    name(
        &["sinks", PORT, "mark_from_state"],
        Switch,
        "false",
        "Of a topic whose mark is gone: what the state has gone past was written",
    ),
    name(
        &["kafka", "properties", ANY],
        Named,
        "",
        "Of librdkafka, for every source and sink",
    ),
    name(&["monitor", "address"], Text, "", "Where a running job can be seen").flag("monitor"),
    name(
        &["monitor", "stalled_after_ms"],
        Number(0),
        "30000",
        "A loop that did not come round for so long is stuck",
    ),
    name(
        &["monitor", "silent_after_ms"],
        Number(0),
        "15000",
        "A log that gave no sign of life for so long is silent",
    ),
    name(
        &["serve", "listen"],
        Text,
        "127.0.0.1:8080",
        "Where the reads are served over HTTP",
    )
    .flag("listen"),
    name(
        &["serve", "token_file"],
        Text,
        "",
        "Who asks must send a token of this file",
    )
    .flag("token-file"),
    name(&["serve", "tokens"], Named, "", "The tokens themselves, one a line").variable("RUFOUS_SERVE_TOKENS"),
    name(
        &["serve", "admin_token_file"],
        Text,
        "",
        "Who changes something at the console must send a token of this file",
    )
    .flag("admin-token-file"),
    name(
        &["serve", "admin_tokens"],
        Named,
        "",
        "The tokens themselves, one a line",
    )
    .variable("RUFOUS_SERVE_ADMIN_TOKENS"),
    name(
        &["serve", "records"],
        Choice(&RECORDS),
        "",
        "Who is shown bad and late records and the log: `admin` where there are such tokens, else `all`",
    ),
    name(
        &["serve", "insecure"],
        Switch,
        "false",
        "Other machines are served without a token",
    )
    .flag("insecure"),
    name(
        &["serve", "tls_certificate"],
        Text,
        "",
        "The chain of certificates, as PEM",
    )
    .flag("tls-certificate"),
    name(&["serve", "tls_key"], Text, "", "The file of its key, as PEM").flag("tls-key"),
    name(&["serve", "workers"], Number(1), "2", "Threads that speak HTTP"),
    name(
        &["serve", "readers"],
        Number(1),
        "2",
        "Threads that read single keys and small batches",
    ),
    name(
        &["serve", "long_readers"],
        Number(1),
        "2",
        "Threads that read lists, sums and large batches",
    ),
    name(
        &["serve", "queue"],
        Number(1),
        "4096",
        "Reads of single keys and small batches that may wait",
    ),
    name(&["serve", "long_queue"], Number(1), "64", "Long reads that may wait"),
    name(
        &["serve", "bulk_readers"],
        Number(1),
        "2",
        "Threads that send whole lists as Arrow",
    ),
    name(&["serve", "bulk_queue"], Number(1), "16", "Whole lists that may wait"),
    name(
        &["serve", "bulk_ms"],
        Number(1),
        "600000",
        "How long a whole list may take",
    ),
    name(&["serve", "body_bytes"], Number(1), "1048576", "Bytes of a body"),
    name(
        &["serve", "head_bytes"],
        Number(8192),
        "16384",
        "Bytes of a request's line and headers",
    ),
    name(
        &["serve", "uri_bytes"],
        Number(1),
        "8192",
        "Bytes of a path with its question",
    ),
    name(&["serve", "keys"], Number(1), "10000", "Keys of a request"),
    name(&["serve", "key_bytes"], Number(1), "4096", "Bytes of a key as text"),
    name(&["serve", "rows"], Number(1), "10000", "Rows of an answer"),
    name(&["serve", "connections"], Number(1), "1024", "Connections at a time"),
    name(
        &["serve", "answer_bytes"],
        Number(1),
        "268435456",
        "Bytes of answers that may wait for their clients",
    ),
    name(
        &["serve", "requests"],
        Number(1),
        "512",
        "Requests at a time, until their answers are taken",
    ),
    name(
        &["serve", "requests_per_client"],
        Number(1),
        "128",
        "Requests and streams of one client at a time: of a token, or else of an address",
    ),
    name(&["serve", "streams"], Number(1), "256", "Streams of events at a time"),
    name(
        &["serve", "watched_windows"],
        Number(1),
        "64",
        "Different questions about windows that are watched at a time",
    ),
    name(
        &["serve", "live_bytes"],
        Number(1),
        "268435456",
        "Bytes of realtime state that a read of a list, a sum or windows may hold",
    ),
    name(
        &["serve", "head_ms"],
        Number(1),
        "10000",
        "How long a head may take to come, and a connection be idle",
    ),
    name(
        &["serve", "body_ms"],
        Number(1),
        "10000",
        "How long a body may take to come",
    ),
    name(
        &["serve", "request_ms"],
        Number(1),
        "30000",
        "How long a request may take",
    ),
    name(
        &["serve", "write_ms"],
        Number(1),
        "30000",
        "How long a client may keep its answer waiting",
    ),
    name(
        &["serve", "write_rate"],
        Number(1),
        "16384",
        "Bytes of its answer that a client takes a second at least",
    ),
    name(
        &["serve", "watch_ms"],
        Number(1),
        "250",
        "How often a watched question is read",
    ),
    name(
        &["serve", "heartbeat_ms"],
        Number(1),
        "15000",
        "How often a stream of events without news says that it lives",
    ),
    name(
        &["serve", "last_answers_ms"],
        Number(1),
        "5000",
        "How long the end waits for answers on their way",
    ),
    name(
        &["archive", "location"],
        Text,
        "",
        "Where archives are, unless below the data directory",
    ),
    name(
        &["archive", "options", ANY],
        Named,
        "",
        "Of the object store that they lie in",
    ),
    name(
        &["offline", "location"],
        Text,
        "",
        "Where generations are, unless below the data directory",
    ),
    name(
        &["offline", "options", ANY],
        Named,
        "",
        "Of the object store that they lie in",
    ),
    name(
        &["offline", "keep"],
        Number(0),
        "1",
        "So many generations before the current one stay",
    )
    .flag("keep"),
    name(
        &["offline", "grace_minutes"],
        Number(0),
        "60",
        "What a reader could have begun with so long ago stays",
    )
    .flag("grace-minutes"),
    name(
        &["realtime", "location"],
        Url,
        "",
        "The server that has the realtime state, unless it is below the data directory",
    )
    .flag("realtime")
    .variable("RUFOUS_REALTIME"),
    name(
        &["realtime", "schema"],
        Text,
        "rufous",
        "Of PostgreSQL: what holds all tables",
    ),
    name(
        &["realtime", "connections"],
        Number(1),
        "8",
        "Of PostgreSQL: how many this process has at most",
    ),
    name(
        &["realtime", "connect_timeout_ms"],
        Number(1),
        "",
        "How long a server may take to let this process in; 10000 of PostgreSQL, 5000 of Redis",
    ),
    name(
        &["realtime", "answer_timeout_ms"],
        Number(1),
        "",
        "How long it may take to answer; 30000 of PostgreSQL, 10000 of Redis",
    ),
    name(
        &["realtime", "accept_volatile"],
        Switch,
        "false",
        "Of Redis: though it may forget what it acknowledged",
    ),
    name(
        &["realtime", "root_certificates"],
        Text,
        "",
        "Of Redis over TLS: a file of certificates in place of the system's",
    ),
    name(
        &["views", "location"],
        Url,
        "",
        "The database that shows generations to SQL",
    )
    .flag("database"),
    name(
        &["views", "schema"],
        Text,
        "",
        "As that of the realtime state, unless it is said",
    ),
    name(&["views", "stores"], Texts, "", "Which stores; all, unless it is said"),
    name(
        &["views", "keep"],
        Number(0),
        "1",
        "How many generations keep their tables beside the one that is shown",
    ),
];

/// What a path names.
pub(in crate::app) enum Found {
    /// A setting, by its whole path: what stands for [`ANY`] is one level.
    Setting(&'static Name, Vec<String>),
    /// A level above settings.
    Section,
}

/// No setting.
#[derive(Debug)]
pub(in crate::app) struct Unknown {
    /// How many levels are known.
    pub(in crate::app) known: usize,
    /// What was probably meant.
    pub(in crate::app) nearest: Option<String>,
}

fn fits(pattern: &str, level: &str) -> bool {
    pattern == PORT || pattern == ANY || pattern == level
}

/// Looks a path up.
///
/// # Errors
/// With the nearest path that there is, when there is none of this name.
pub(in crate::app) fn find(path: &[String]) -> Result<Found, Unknown> {
    let mut is_section = path.is_empty();
    let mut known = 0;
    for name in NAMES {
        let same = name.path.iter().zip(path).take_while(|(p, l)| fits(p, l)).count();
        known = known.max(same);
        if same == path.len() && same < name.path.len() {
            is_section = true;
        }
        if same < name.path.len() {
            continue;
        }
        let free = name.path.last() == Some(&ANY);
        if free || path.len() == same {
            let (head, tail) = path.split_at(same.saturating_sub(usize::from(free)));
            let mut whole = head.to_vec();
            if free {
                whole.push(tail.join("."));
            }
            return Ok(Found::Setting(name, whole));
        }
    }
    if is_section {
        return Ok(Found::Section);
    }
    Err(Unknown {
        known,
        nearest: meant(path, known),
    })
}

/// The nearest path, from the first level that is not known.
fn meant(path: &[String], known: usize) -> Option<String> {
    let (said, wrong) = (path.get(..known)?, path.get(known)?);
    let below = || {
        let under = |n: &&Name| n.path.len() > known && n.path.iter().zip(said).all(|(p, l)| fits(p, l));
        NAMES.iter().filter(under)
    };
    let next = below().filter_map(|n| n.path.get(known).copied());
    let meant = nearest(wrong, next.filter(|level| *level != PORT && *level != ANY))?;
    let mut whole = said.to_vec();
    whole.push(meant.to_string());
    // What stands behind it stays, if it is right there.
    let more = path.get(known + 1..).unwrap_or_default();
    let longer: Vec<String> = whole.iter().chain(more).cloned().collect();
    Some(match find(&longer) {
        Ok(_) => longer.join("."),
        Err(_) => whole.join("."),
    })
}

/// The levels of a setting whose variable is said with `_` where `__` belongs: `realtime_location`, `sources_lines_location`.
pub(in crate::app) fn squeezed(said: &str) -> Option<Vec<String>> {
    let several = NAMES.iter().filter(|name| name.path.len() > 1);
    several.into_iter().find_map(|name| divided(name.path, said))
}

/// Divides a text into levels of this path.
fn divided(path: &[&str], said: &str) -> Option<Vec<String>> {
    let (level, below) = path.split_first()?;
    let is_free = *level == PORT || *level == ANY;
    if below.is_empty() {
        let whole = (is_free && !said.is_empty()) || *level == said;
        return whole.then(|| vec![said.to_string()]);
    }
    said.match_indices('_').find_map(|(at, _)| {
        let (first, rest) = (said.get(..at)?, said.get(at + 1..)?);
        if first.is_empty() || !fits(level, first) {
            return None;
        }
        Some([vec![first.to_string()], divided(below, rest)?].concat())
    })
}

/// What was probably meant by a variable.
pub(in crate::app) fn meant_variable(said: &str) -> Option<String> {
    let all: Vec<String> = NAMES
        .iter()
        .flat_map(|n| n.variable.map(str::to_string).into_iter().chain([n.by_variable()]))
        .collect();
    nearest(said, all.iter().map(String::as_str)).map(str::to_string)
}
