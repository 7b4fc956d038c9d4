//! `rebuild`: the realtime state begins again, and is filled from the log (P32).

use super::open::Context;
use crate::core::Result;
use crate::store_api::ManifestLog;

pub(super) fn rebuild(context: &Context<'_>, delete: bool, stopped: bool) -> Result<()> {
    context.check_stopped(stopped)?;
    let namespace = context.namespace(&*context.manifests)?;
    let Some(done) = context.state.rebuild(&namespace, delete)? else {
        println!("{} is not there: nothing to rebuild", context.state.show(&namespace));
        return Ok(());
    };
    println!("{done}");
    let manifest = context.manifests.newest(0)?;
    let from = manifest
        .as_ref()
        .and_then(|m| m.drop_before.get(context.plan.fingerprint()))
        .map(|f| {
            f.0.iter()
                .map(|(p, cut)| format!("{p} from offset {}", cut.cut))
                .collect::<Vec<_>>()
        })
        .filter(|all| !all.is_empty())
        .map_or_else(|| "every partition from its start".into(), |all| all.join(", "));
    println!("the next `stream` reads {from}; until it has caught up, answers are as old as what it has read");
    Ok(())
}
