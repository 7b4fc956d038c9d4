//! As much of settings and places as can be had: a fault of one of them hides none of the others.

use clap::ArgMatches;

use super::checks::Found;
use super::{Checks, Options, run};
use crate::app::open::Context;
use crate::app::settings::{Flagged, Layers, LogFormat, Ports, Settings};
use crate::app::{config, out, progress};
use crate::core::{Error, Plan, Result, Sinks};

impl Options {
    pub(in crate::app) fn read(m: &ArgMatches) -> Self {
        Self {
            verbose: m.get_flag("verbose"),
            min_free: m.get_one("min-free").copied(),
            checksums: m.get_flag("checksums"),
            patience: m.get_one("timeout-ms").copied().map(std::time::Duration::from_millis),
            probes: true,
        }
    }
}

/// The command.
///
/// # Errors
/// The worst that was found, of its kind.
pub(in crate::app) fn doctor(m: &ArgMatches, plan: Plan, sinks: Sinks, said: &[Flagged], ports: &Ports) -> Result<()> {
    let options = Options::read(m);
    let mut print = |found: Found| found.print();
    let mut checks = Checks::new(&mut print);
    let file: Option<&std::path::PathBuf> = m.get_one("settings");
    let mut wrong = Vec::new();
    let layers = Layers::of_process_but(file.map(std::path::PathBuf::as_path), said, ports, &mut |e| {
        wrong.push(e);
        Ok(())
    })?;
    if options.verbose {
        config::config(&layers, false, Some("setting"));
    }
    let mut settings = Settings::of(layers);
    if out::is_json() && settings.layers.get(&["log", "format"]).is_none() {
        settings.log.format = LogFormat::Json;
    }
    wrong.extend(progress::log_to_stderr(&settings.log, "doctor").err());
    if let Some(patience) = options.patience {
        settings.wait_at_most(patience);
    }
    examine(&settings, wrong, plan, sinks, &options, &mut checks);
    checks.done()
}

/// What was refused of the settings is said first: all that follows goes without it.
fn examine(
    settings: &Settings,
    mut wrong: Vec<Error>,
    mut plan: Plan,
    mut sinks: Sinks,
    options: &Options,
    checks: &mut Checks<'_>,
) {
    wrong.extend(settings.apply(&mut plan).err());
    wrong.extend(settings.move_sinks(&mut sinks).err());
    wrong.extend(plan.write_in_bulk(&sinks).err());
    let refused = plan.identify_writes().err();
    if !wrong.is_empty() {
        wrong.into_iter().for_each(|e| checks.fail("settings", e));
        checks.warn("settings", "what follows goes without what was refused");
    }
    match Context::as_far_as_it_goes(&plan, settings, options.patience, checks) {
        Ok(mut context) => {
            context.sinks = sinks;
            context.refused_writes = refused.map(|e| e.to_string());
            run(&context, options, checks);
        }
        Err(e) => {
            checks.fail("instance", e);
            checks.skip(
                "everything else",
                "groups, directories and rows have the name of the instance in theirs",
            );
        }
    }
}
