//! `rebuild`: the realtime state begins again, and is filled from the log (P32).

use serde_json::json;

use super::open::Context;
use super::out;
use crate::core::Result;
use crate::store_api::ManifestLog;

pub(super) fn rebuild(context: &Context<'_>, delete: bool, stopped: bool) -> Result<()> {
    context.check_stopped(stopped)?;
    let namespace = context.namespace(&*context.manifests)?;
    let Some(done) = context.state.rebuild(&namespace, delete)? else {
        out::say(
            || format!("{} is not there: nothing to rebuild", context.state.show(&namespace)),
            || json!({ "event": "rebuilt", "namespace": namespace, "done": null }),
        );
        return Ok(());
    };
    let manifest = context.manifests.newest(0)?;
    let allowed = manifest
        .as_ref()
        .and_then(|m| m.drop_before.get(context.plan.fingerprint()));
    let from: Vec<_> = allowed.into_iter().flat_map(|f| &f.0).collect();
    out::say(
        || {
            let named = from.iter().map(|(p, cut)| format!("{p} from offset {}", cut.cut));
            let from = match from.is_empty() {
                true => "every partition from its start".into(),
                false => named.collect::<Vec<_>>().join(", "),
            };
            format!(
                "{done}\nthe next `stream` reads {from}; until it has caught up, answers are as old as what it has read"
            )
        },
        || {
            let from = from
                .iter()
                .map(|(p, cut)| json!({ "source": p.source, "partition": p.partition, "offset": cut.cut }));
            json!({ "event": "rebuilt", "namespace": namespace, "done": done, "from": from.collect::<Vec<_>>() })
        },
    );
    Ok(())
}
