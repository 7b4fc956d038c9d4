//! The whole catalogue over one subject.

use std::collections::BTreeMap;
use std::fmt;

use super::case::Case;
use super::catalogue::catalogue;
use super::subject::{Reason, Subject};
use crate::error::ErrorKind;

/// What [`check`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The subject's name.
    pub subject: String,
    /// How many cases ran, with the expected answer.
    pub ran: usize,
    /// How many were refused, by reason.
    pub refused: BTreeMap<Reason, usize>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} cases ran", self.subject, self.ran)?;
        for (reason, n) in &self.refused {
            write!(f, ", {n} refused ({})", reason.text())?;
        }
        Ok(())
    }
}

/// Runs every case of the catalogue; `line` is told about each in one line.
///
/// # Panics
/// When an answer differs, a run fails, or a refusal is not as declared. All cases run before; the message has the
/// differences and the plan of each that failed.
pub fn check(subject: &dyn Subject, line: &mut dyn FnMut(&str)) -> Report {
    check_cases(subject, catalogue(), line)
}

/// [`check`] over cases of one's own.
///
/// # Panics
/// As there.
pub fn check_cases(subject: &dyn Subject, cases: impl IntoIterator<Item = Case>, line: &mut dyn FnMut(&str)) -> Report {
    let mut report = Report {
        subject: subject.name(),
        ran: 0,
        refused: BTreeMap::new(),
    };
    let mut failures = Vec::new();
    for case in cases {
        let name = case.name();
        let outcome = match subject.can(&case) {
            Ok(()) => answered(subject, &case).map(|()| {
                report.ran += 1;
                "same".to_string()
            }),
            Err(reason) => refused(subject, case, reason).map(|()| {
                *report.refused.entry(reason).or_default() += 1;
                format!("refused: {}", reason.text())
            }),
        };
        match outcome {
            Ok(outcome) => line(&format!("{}: {name}: {outcome}", report.subject)),
            Err(failure) => {
                line(&format!("{}: {name}: FAILED", report.subject));
                failures.push(failure);
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{}: {} cases failed\n{}",
        report.subject,
        failures.len(),
        failures.join("\n")
    );
    report
}

fn answered(subject: &dyn Subject, case: &Case) -> Result<(), String> {
    let plan = case
        .job()
        .plan()
        .map_err(|e| format!("{}: planning: {e}", case.name()))?;
    let outcome = match subject.run(case) {
        Ok(got) => case.expected.differences(&plan, &got),
        Err(e) => format!("    {e} ({})\n", e.kind()),
    };
    if outcome.is_empty() {
        return Ok(());
    }
    // The plans of deep jobs are as long as the jobs.
    let explained = plan.explain(None);
    let lines: Vec<&str> = explained.lines().take(60).collect();
    Err(format!(
        "{} ({}):\n{outcome}{}\n",
        case.name(),
        case.about(),
        lines.join("\n")
    ))
}

/// The subject must declare the reason. An error must be the promised one though no record can be read: who reads first
/// fails with another.
fn refused(subject: &dyn Subject, mut case: Case, reason: Reason) -> Result<(), String> {
    let name = case.name();
    if !subject.refusals().contains(&reason) {
        return Err(format!(
            "{name}: refused for {reason:?}, which the subject does not declare"
        ));
    }
    let Reason::Error(text) = reason else {
        return Ok(());
    };
    case.input.spoil();
    match subject.run(&case) {
        Ok(_) => Err(format!("{name}: ran, but it should be refused: {text}")),
        Err(e) if e.kind() == ErrorKind::InvalidRequest && e.to_string().contains(text) => Ok(()),
        Err(e) => Err(format!(
            "{name}: expected to be refused for `{text}`, got: {e} ({})",
            e.kind()
        )),
    }
}

#[cfg(test)]
mod tests;
