//! The job as it was written: what does not change while the server runs.

use serde_json::{Value, json};

use crate::app::location::Place;
use crate::app::open::Context;
use crate::app::settings::secret;
use crate::core::{Drawn, SourceFace, StoreFace};
use crate::server::Records;

/// Whom a server lets do and see what.
#[derive(Clone, Copy)]
pub(in crate::app) struct Rights {
    /// It has tokens of those who may change something.
    pub(in crate::app) acts: bool,
    /// Who is shown records and the log.
    pub(in crate::app) records: Records,
}

pub(super) fn job(context: &Context<'_>, rights: Rights) -> Value {
    let records = match rights.records {
        Records::All => "all",
        Records::Admin => "admin",
        Records::None => "none",
    };
    let plan = context.plan;
    let nodes: Vec<Value> = { plan.drawn().iter().enumerate() }
        .map(|(place, drawn)| node(context, place, drawn))
        .collect();
    let edges: Vec<Value> = { plan.drawn().iter().enumerate() }
        .flat_map(|(place, drawn)| drawn.inputs.iter().map(move |from| edge(*from, place, plan.drawn())))
        .collect();
    json!({
        "job": plan.job(), "instance": context.layout.instance(), "fingerprint": plan.fingerprint(),
        "version": env!("CARGO_PKG_VERSION"), "actions": rights.acts, "records": records,
        "graph": { "nodes": nodes, "edges": edges },
        "sources": plan.sources().iter().map(|face| source(context, face)).collect::<Vec<_>>(),
        "stores": plan.stores().iter().map(store).collect::<Vec<_>>(),
    })
}

fn node(context: &Context<'_>, place: usize, drawn: &Drawn) -> Value {
    let about = drawn.about.as_str();
    let of_kind = |kind: &[&str]| (kind.contains(&drawn.kind) && !about.is_empty()).then_some(about);
    let store = of_kind(&["sum", "scan", "remember"]).filter(|name| context.plan.store(name).is_some());
    let (source, sink) = (of_kind(&["source"]), of_kind(&["write"]));
    let label = match (about, drawn.names.first()) {
        ("", Some(name)) => format!("{} {name}", drawn.word),
        ("", None) => drawn.word.to_string(),
        (about, _) => format!("{} {about}", drawn.word),
    };
    let mut detail = Vec::new();
    if let Some(name) = source {
        detail.push(place_of(context, name));
    }
    if let Some(face) = store.and_then(|name| context.plan.store(name)) {
        detail.push(face.schema());
    } else if !drawn.output.is_empty() {
        detail.push(format!("-> {}", drawn.output));
    }
    if let Some(binding) = sink.and_then(|name| context.sinks.get(name)) {
        detail.push(format!("{}: {}", binding.place, crate::app::sinks::promised(binding)));
    }
    for more in [&drawn.note, &drawn.at] {
        if !more.is_empty() {
            detail.push(more.clone());
        }
    }
    json!({
        "id": place.to_string(), "kind": drawn.kind, "name": drawn.names.first(), "label": label, "detail": detail.join("; "),
        "store": store, "source": source, "sink": sink, "ends": !drawn.goes_on,
    })
}

fn edge(from: usize, to: usize, all: &[Drawn]) -> Value {
    let label = all
        .get(from)
        .map(|drawn| drawn.output.as_str())
        .filter(|output| !output.is_empty());
    json!({ "from": from.to_string(), "to": to.to_string(), "label": label })
}

/// Where a source is, unless that would show a password.
fn place_of(context: &Context<'_>, source: &str) -> String {
    match context.locations.get(source).map(ToString::to_string) {
        Some(location) if secret::in_url(&location) => crate::core::secret::HIDDEN.into(),
        Some(location) => location,
        None => "not bound".into(),
    }
}

fn source(context: &Context<'_>, face: &SourceFace) -> Value {
    let place = context.locations.get(face.name).map(|l| &l.place);
    let has_time = matches!(place, Some(Place::Kafka { .. }));
    json!({
        "name": face.name, "event_time": face.timed, "cut": face.cut_spec(has_time).text(), "log": place_of(context, face.name),
        "format": context.format(face).to_string(),
    })
}

fn store(face: &StoreFace) -> Value {
    let windows = face.windows.map(|w| {
        let hops: Vec<_> = w.sizes().iter().map(ToString::to_string).collect();
        json!({ "hops": hops, "zone": w.grid().ok().map(|grid| grid.zone().to_string()), "text": w.text() })
    });
    let value = face.value.schema();
    json!({
        "name": face.name, "key": face.key.schema(), "value": value, "sketch": face.value.native().is_none() && is_sketch(&value),
        "windows": windows,
    })
}

/// Whether a schema is one of a sketch, whose answers are estimates with bounds.
fn is_sketch(schema: &str) -> bool {
    const SKETCHES: [&str; 18] = [
        "hll",
        "bloom",
        "cms",
        "heavy-hitters",
        "log-histogram",
        "minhash",
        "kmv",
        "bottom-k",
        "top-k",
        "sample",
        "weighted-sample",
        "latest",
        "cpc",
        "theta",
        "tuple",
        "kll",
        "req",
        "t-digest",
    ];
    schema
        .split(['/', '<'])
        .next()
        .is_some_and(|word| SKETCHES.contains(&word))
}
