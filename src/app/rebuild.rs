//! `rebuild`: the realtime state begins again, and is filled from the log (P32).

use super::open::Context;
use crate::core::Result;

#[cfg(feature = "rocksdb")]
pub(super) fn rebuild(context: &Context<'_>, delete: bool) -> Result<()> {
    use crate::core::Error;
    use crate::store_api::ManifestLog;
    use crate::store_rocksdb::damage::{set_aside, suspect};
    let namespace = context.namespace(&*context.manifests)?;
    let dir = context.layout.realtime(context.plan.job(), &namespace);
    let mark = suspect(&dir)?;
    let Some(aside) = set_aside(&dir)? else {
        println!("{} is not there: nothing to rebuild", dir.display());
        return Ok(());
    };
    if let Some(mark) = mark {
        println!("it was damaged: {}", mark.reason);
    }
    if delete {
        std::fs::remove_dir_all(&aside).map_err(|e| Error::io("cannot delete", &aside, e))?;
        println!("deleted the realtime state {}", dir.display());
    } else {
        println!(
            "the realtime state is kept in {}; delete it when all is well",
            aside.display()
        );
    }
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

#[cfg(not(feature = "rocksdb"))]
pub(super) fn rebuild(_: &Context<'_>, _: bool) -> Result<()> {
    Err(crate::core::Error::invalid(
        "this binary was built without the feature `rocksdb`: it has no realtime state",
    ))
}
