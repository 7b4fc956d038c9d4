//! What was said of every setting, and by whom: flag, then environment, then file, then what `main` says, then the default.

use std::collections::BTreeMap;
use std::path::Path;

use super::file;
use super::names::{Found, NAMES, Name, PORT, find, meant_variable, squeezed, variable};
use super::secret::Env;
use super::value::{Origin, Said, Value, check};
use crate::core::{Error, Plan, Result, nearest};

/// A value that the command line or the program says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) struct Flagged {
    pub(in crate::app) path: Vec<String>,
    pub(in crate::app) value: String,
    pub(in crate::app) origin: Origin,
}

impl Flagged {
    /// By a flag of its own.
    pub(in crate::app) fn flag(path: &[&str], value: impl Into<String>, flag: &str) -> Self {
        Self {
            path: path.iter().map(ToString::to_string).collect(),
            value: value.into(),
            origin: Origin::Flag(format!("--{flag}")),
        }
    }
    /// By the program.
    pub(in crate::app) fn main(path: &[&str], value: impl Into<String>) -> Self {
        Self {
            origin: Origin::Main,
            ..Self::flag(path, value, "")
        }
    }
    /// `--set NAME=VALUE`.
    ///
    /// # Errors
    /// When there is no name or no value.
    pub(in crate::app) fn set(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok(Self {
                path: name.trim().split('.').map(str::to_string).collect(),
                value: value.trim().to_string(),
                origin: Origin::Flag("--set".into()),
            }),
            // It may be a secret.
            _ => Err(Error::invalid("`--set`: no name, or no `=` behind it")
                .repaired_by("write --set NAME=VALUE, for instance --set sources.lines.location=file:lines.txt")),
        }
    }
}

/// Names that the job gives.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Ports {
    pub(in crate::app) job: String,
    pub(in crate::app) sources: Vec<String>,
    pub(in crate::app) sinks: Vec<String>,
}

impl Ports {
    pub(in crate::app) fn of(plan: &Plan) -> Self {
        Self {
            job: plan.job().to_string(),
            sources: plan.sources().iter().map(|s| s.name.to_string()).collect(),
            sinks: plan.sinks().iter().map(|(name, _)| name.to_string()).collect(),
        }
    }
    /// Stores and steps are looked up in the plan, where each gets what was said of it.
    fn check(&self, path: &[String], origin: &Origin) -> Result<()> {
        let (kind, known) = match path.first().map(String::as_str) {
            Some("sources") => ("source", &self.sources),
            Some("sinks") => ("sink", &self.sinks),
            _ => return Ok(()),
        };
        match path.get(1) {
            Some(name) if !known.contains(name) => {
                Err(no_port(&self.job, kind, name, known).at(format_args!("{}", origin.place())))
            }
            _ => Ok(()),
        }
    }
}

/// A port that the job does not have, with the nearest that it has.
pub(in crate::app) fn no_port(job: &str, kind: &str, name: &str, known: &[impl AsRef<str>]) -> Error {
    let names: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let has = if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    };
    let e = Error::invalid(format!("job `{job}` has no {kind} `{name}` (it has: {has})"));
    match nearest(name, names.into_iter()) {
        Some(meant) => e.repaired_by(format!("did you mean `{meant}`?")),
        None => e,
    }
}

/// Every setting that was said, each with the one who counts.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Layers(BTreeMap<Vec<String>, (Value, Origin, &'static Name)>);

/// A variable and its value; `None`: that is no text.
pub(in crate::app) type Variable = (String, Option<String>);

/// Where a process finds itself.
pub(in crate::app) struct Around<'a> {
    pub(in crate::app) variables: Vec<Variable>,
    /// The file that is named, or `rufous.toml` if it is there.
    pub(in crate::app) file: Option<&'a Path>,
}

impl<'a> Around<'a> {
    /// Variables of the process. A name that is no text is none of ours.
    pub(in crate::app) fn process(file: Option<&'a Path>) -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())))
                .collect(),
            file,
        }
    }
}

impl Layers {
    /// All layers of this process; `file` is the one that is named.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub(in crate::app) fn of_process(file: Option<&Path>, said: &[Flagged], ports: &Ports) -> Result<Self> {
        Self::load(&Around::process(file), said, ports)
    }
    /// The same, as [`gather`](Self::gather) does it.
    ///
    /// # Errors
    /// What `wrong` gave back.
    pub(in crate::app) fn of_process_but(
        file: Option<&Path>,
        said: &[Flagged],
        ports: &Ports,
        wrong: &mut dyn FnMut(Error) -> Result<()>,
    ) -> Result<Self> {
        Self::gather(&Around::process(file), said, ports, wrong)
    }
    /// All layers, the least first. `said` is what the program and the command line say.
    ///
    /// # Errors
    /// `InvalidRequest` with the place, the name and the nearest one that is known.
    pub(in crate::app) fn load(around: &Around<'_>, said: &[Flagged], ports: &Ports) -> Result<Self> {
        Self::gather(around, said, ports, &mut Err)
    }
    /// The same; `wrong` is told each refusal, and says whether that is the end. What was refused is as if nobody had said it.
    ///
    /// # Errors
    /// What `wrong` gave back.
    pub(in crate::app) fn gather(
        around: &Around<'_>,
        said: &[Flagged],
        ports: &Ports,
        wrong: &mut dyn FnMut(Error) -> Result<()>,
    ) -> Result<Self> {
        let of = |wanted: &str| {
            let found = around.variables.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone())
        };
        let mut layers = Self::default();
        let (main, flags): (Vec<_>, Vec<_>) = said.iter().partition(|f| f.origin == Origin::Main);
        for said in main {
            let done = layers.say(&said.path, file::inline(&said.value), said.origin.clone(), ports, &of);
            done.or_else(&mut *wrong)?;
        }
        let in_file = file::read(around.file);
        for said in in_file.or_else(|e| wrong(e).map(|()| Vec::new()))? {
            let done = layers.say(&said.path, said.said, said.origin, ports, &of);
            done.or_else(&mut *wrong)?;
        }
        let mut by_variable: BTreeMap<Vec<String>, (&str, &str)> = BTreeMap::new();
        for (name, value) in &around.variables {
            let mut variable = || -> Result<()> {
                let Some(path) = path_of(name)? else { return Ok(()) };
                let value = value.as_ref().ok_or_else(|| {
                    Error::invalid(format!("variable {name}: its value is no UTF-8"))
                        .repaired_by("set it to a text, or unset it")
                })?;
                if value.is_empty() {
                    return Ok(());
                }
                if let Ok(Found::Setting(_, whole)) = find(&path) {
                    one_value(&mut by_variable, whole, name, value)?;
                }
                layers.say(&path, file::inline(value), Origin::Variable(name.clone()), ports, &of)
            };
            variable().or_else(&mut *wrong)?;
        }
        for said in flags {
            let done = layers.say(&said.path, file::inline(&said.value), said.origin.clone(), ports, &of);
            done.or_else(&mut *wrong)?;
        }
        Ok(layers)
    }

    fn say(&mut self, path: &[String], said: Said, origin: Origin, ports: &Ports, env: &Env<'_>) -> Result<()> {
        let unknown = |why: String| Error::invalid(format!("{}: {why}", origin.place()));
        match find(path) {
            Ok(Found::Setting(name, whole)) => {
                ports.check(&whole, &origin)?;
                let value = check(&whole, name.kind, said, &origin, env)?;
                self.0.insert(whole, (value, origin, name));
                Ok(())
            }
            Ok(Found::Section) if said == Said::Other("a table") => ports.check(path, &origin),
            Ok(Found::Section) => {
                let shown = path.join(".");
                Err(
                    unknown(format!("`{shown}` is a section, and no setting")).repaired_by(format!(
                        "name one of its settings (`config --all` lists those of `{shown}.`)"
                    )),
                )
            }
            Err(_) if path.first().is_some_and(|p| p == "kafka") && path.get(1).is_some_and(|p| p == "group") => Err(
                unknown("[kafka] has a `group`, but a group belongs to one source".into())
                    .repaired_by("write it to [sources.NAME.kafka]"),
            ),
            Err(wrong) => {
                let shown = match &origin {
                    Origin::Variable(_) => path.join("."),
                    _ => path.iter().take(wrong.known + 1).cloned().collect::<Vec<_>>().join("."),
                };
                let e = unknown(format!("there is no setting `{shown}`"));
                let levels = |meant: &str| meant.split('.').map(str::to_string).collect::<Vec<_>>();
                Err(match (wrong.nearest, &origin) {
                    (Some(meant), Origin::Variable(_)) => {
                        e.repaired_by(format!("did you mean {} (`{meant}`)?", variable(&levels(&meant))))
                    }
                    (Some(meant), _) => e.repaired_by(format!("did you mean `{meant}`?")),
                    (None, _) => e.repaired_by("`config --all` lists all that there are"),
                })
            }
        }
    }

    /// What counts for a setting.
    pub(in crate::app) fn get(&self, path: &[&str]) -> Option<&Value> {
        self.said(path).map(|(value, _)| value)
    }
    /// The same with the one who said it.
    pub(in crate::app) fn said(&self, path: &[&str]) -> Option<(&Value, &Origin)> {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        self.0.get(&path).map(|(value, origin, _)| (value, origin))
    }
    /// All below a section, by what stands there.
    pub(in crate::app) fn below<'a>(&'a self, section: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.0.iter().filter_map(move |(path, (value, ..))| {
            let inside = path.len() > section.len() && path.iter().zip(section).all(|(a, b)| a == b);
            path.get(section.len())
                .filter(|_| inside)
                .map(|next| (next.as_str(), value))
        })
    }
    /// Every setting that was said, in the order of [`NAMES`].
    pub(in crate::app) fn all(&self) -> Vec<(String, &Value, &Origin, &'static Name)> {
        let place = |name: &'static Name| NAMES.iter().position(|n| std::ptr::eq(n, name));
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|(path, (value, origin, name))| (path.join("."), value, origin, *name))
            .collect();
        all.sort_by_key(|(_, _, _, name)| place(name));
        all
    }
}

/// Of two variables that say one setting the order in which a process has them would decide.
///
/// # Errors
/// `InvalidRequest` with both, where they say different things. Their values are not shown: they may be secrets.
fn one_value<'a>(
    said: &mut BTreeMap<Vec<String>, (&'a str, &'a str)>,
    path: Vec<String>,
    name: &'a str,
    value: &'a str,
) -> Result<()> {
    match said.get(&path) {
        Some((other, before)) if *before != value => {
            let (first, second) = (name.min(other), name.max(other));
            Err(Error::invalid(format!(
                "variables {first} and {second} say different things of `{}`",
                path.join(".")
            ))
            .repaired_by("unset one of them"))
        }
        _ => {
            said.insert(path, (name, value));
            Ok(())
        }
    }
}

/// The path that a variable says; `None`: it is none of ours. Levels are divided by `__`, and a name of one level has it in front.
///
/// # Errors
/// When it is nearly one of ours.
fn path_of(variable: &str) -> Result<Option<Vec<String>>> {
    let Some(rest) = variable.strip_prefix("RUFOUS_") else {
        return Ok(None);
    };
    if let Some(name) = NAMES.iter().find(|n| n.variable == Some(variable)) {
        return Ok(Some(name.path.iter().map(ToString::to_string).collect()));
    }
    if !rest.contains("__") && !rest.starts_with('_') {
        return one_level(variable, rest);
    }
    let rest = rest.strip_prefix('_').unwrap_or(rest).to_ascii_lowercase();
    let mut levels: Vec<String> = rest.split("__").map(str::to_string).collect();
    let is_port = |first: &str| {
        NAMES
            .iter()
            .any(|n| n.path.first() == Some(&first) && n.path.get(1) == Some(&PORT))
    };
    if levels.first().is_some_and(|first| is_port(first))
        && let Some(port) = levels.get_mut(1)
    {
        *port = port.replace('_', "-");
    }
    // Properties of librdkafka have dots, options of object stores do not.
    let names: Vec<&str> = levels.iter().map(String::as_str).collect();
    let above = match names[..] {
        ["kafka", "properties", ..] => 2,
        ["sources", _, "kafka", "properties", ..] => 4,
        _ => levels.len(),
    };
    for level in levels.iter_mut().skip(above) {
        *level = level.replace('_', ".");
    }
    Ok(Some(levels))
}

/// A variable without levels: others may use such names, unless it is nearly one of ours.
fn one_level(variable: &str, rest: &str) -> Result<Option<Vec<String>>> {
    let unknown = |meant: String| {
        Err(Error::invalid(format!("variable {variable}: there is no such setting"))
            .repaired_by(format!("did you mean {meant}?")))
    };
    let lower = rest.to_ascii_lowercase();
    // `RUFOUS_DATA` is where tests find their data.
    if NAMES.iter().any(|n| n.path == [lower.as_str()]) && lower != "data" {
        return unknown(format!("RUFOUS__{rest}"));
    }
    if let Some(levels) = squeezed(&lower) {
        return unknown(super::names::variable(&levels));
    }
    let own: Vec<&str> = NAMES
        .iter()
        .filter_map(|n| n.variable.and_then(|v| v.strip_prefix("RUFOUS_")))
        .collect();
    match nearest(rest, own.into_iter()) {
        Some(meant) => unknown(format!("RUFOUS_{meant}")),
        None => Ok(None),
    }
}

/// Variables of our prefix that say nothing to a job: somebody may think that they do.
pub(in crate::app) fn unheard(variables: &[Variable]) -> Vec<(&str, Option<String>)> {
    let ours = variables
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|n| n.starts_with("RUFOUS_"));
    ours.filter(|name| matches!(path_of(name), Ok(None)))
        .map(|name| (name, meant_variable(name)))
        .collect()
}
