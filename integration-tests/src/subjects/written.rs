//! Sinks of the catalogue that are a part of each generation (O22).

use std::collections::BTreeMap;

use rufous_core::sink::{Encode, SinkPlace, SinkTo, Sinks};
use rufous_core::testing::{Answers, Case, SinkPort};
use rufous_core::{Error, Plan, Promise, Result};
use rufous_store_api::records::{Records, verify};

use super::bed::Bed;

/// Records as the catalogue compares them: as `Debug` text.
struct Generations(Encode);

impl<T> SinkTo<T> for Generations {
    fn promise(&self) -> Promise {
        Promise::ExactlyOnce
    }
    fn place(&self) -> SinkPlace {
        SinkPlace::Generations
    }
    fn encode(&self) -> Encode {
        self.0
    }
    fn schema(&self) -> String {
        "debug".into()
    }
}

/// Has bulk runs write all sinks of a case.
pub(super) fn in_bulk(case: &Case, plan: &mut Plan) -> Result<()> {
    let mut sinks = Sinks::new();
    for port in case.sinks() {
        let to = Generations(port.encode());
        match *port {
            SinkPort::Texts(port) => sinks.bind(port, &to),
            SinkPort::Numbers(port) => sinks.bind(port, &to),
            SinkPort::Pairs(port) => sinks.bind(port, &to),
            SinkPort::Sales(port) => sinks.bind(port, &to),
        }
    }
    plan.write_in_bulk(&sinks)
}

/// Adds what the newest generation has of each sink, which is read to its last byte.
pub(super) fn answers(case: &Case, bed: &Bed, mut answers: Answers) -> Result<Answers> {
    let newest = bed.state.manifests.newest(0)?;
    let manifest = newest.ok_or_else(|| Error::bug("nothing is published"))?;
    for port in case.sinks() {
        let Some(generation) = manifest.sinks.get(port.name()) else {
            return Err(Error::bug(format!(
                "generation {} has no sink `{}`",
                manifest.number,
                port.name()
            )));
        };
        verify(&*bed.state.generations, port.name(), generation)?;
        let mut records = Records::open(&*bed.state.generations, port.name(), generation, None)?;
        let mut counted = BTreeMap::new();
        while let Some((_, record)) = records.next_record()? {
            let text = String::from_utf8_lossy(record).into_owned();
            *counted.entry(text).or_default() += 1;
        }
        answers = answers.with_sink(port.name(), counted);
    }
    Ok(answers)
}
