//! Lines of generations (P40). The job's own manifests are one log; a line that is being built beside them is another log over the
//! same runs. One publish makes a staged line the current one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rufous_core::{Error, Result};

use crate::manifest::{Manifest, ManifestLog, Published};

/// Publishes may collide with a batch run's this often.
const MAX_CONFLICTS: usize = 5;

/// Makes the newest manifest of a staged line the current one of the job: line, generation and namespace change together. The
/// drop permission of the namespace that was current stays as it is, so a rollback is one publish.
///
/// # Errors
/// `InvalidRequest` when the staged line reaches less far than cells may have been dropped already (P22): extend it first.
pub fn switch(main: &dyn ManifestLog, staged: &dyn ManifestLog) -> Result<Manifest> {
    for _ in 0..MAX_CONFLICTS {
        let Some(new) = staged.newest(0)? else {
            return Err(Error::invalid("the staged line is empty: run `backfill` first"));
        };
        let next = match main.newest(0)? {
            None => Manifest { number: 0, ..new },
            Some(base) if base.line == new.line => {
                return Err(Error::invalid(format!(
                    "line `{}` is the current one already (manifest {})",
                    base.line, base.number
                )));
            }
            // One state in one namespace is cut in one way (P8).
            Some(base) if base.realtime_namespace == new.realtime_namespace && base.cut_specs != new.cut_specs => {
                return Err(Error::invalid(format!(
                    "line `{}` is cut by {:?}, what is current by {:?}, and both are of the same code: begin a new line with \
                     `backfill --new`, with the sources bound where they are read live",
                    new.line, new.cut_specs, base.cut_specs
                )));
            }
            Some(base) => {
                let next = switched(new, &base);
                next.check_follows(&base).map_err(|why| {
                    Error::invalid(format!("line `{}`: {why}: run `backfill` to extend it", next.line))
                })?;
                next
            }
        };
        if main.publish(&next)? == Published::Done {
            return Ok(next);
        }
    }
    Err(Error::try_again(format!(
        "other runs published {MAX_CONFLICTS} times during the switch"
    )))
}

fn switched(new: Manifest, base: &Manifest) -> Manifest {
    let mut drop_before = base.drop_before.clone();
    for (namespace, frontier) in &new.drop_before {
        // The owner of the current namespace follows the job's own log alone; that of another one followed the staged line.
        if base.realtime_namespace.as_ref() == Some(namespace) {
            continue;
        }
        let allowed = drop_before.entry(namespace.clone()).or_default();
        for (p, cut) in &frontier.0 {
            if allowed.of(p).batch <= cut.batch {
                allowed.0.insert(p.clone(), *cut);
            }
        }
    }
    Manifest {
        number: base.number + 1,
        drop_before,
        ..new
    }
}

/// The manifests that a process of one version of the code goes by: those of its staged line until a switch makes its
/// namespace the current one, and the job's own from then on.
pub struct Followed {
    main: Arc<dyn ManifestLog>,
    staged: Arc<dyn ManifestLog>,
    namespace: String,
    switched: AtomicBool,
}

impl Followed {
    /// For the code whose cells are in this namespace.
    pub fn new(main: Arc<dyn ManifestLog>, staged: Arc<dyn ManifestLog>, namespace: &str) -> Self {
        Self {
            main,
            staged,
            namespace: namespace.into(),
            switched: AtomicBool::new(false),
        }
    }
}

impl ManifestLog for Followed {
    fn get(&self, number: u64) -> Result<Option<Manifest>> {
        if self.switched.load(Relaxed) {
            self.main.get(number)
        } else {
            self.staged.get(number)
        }
    }
    /// The first manifest after the switch comes whatever its number is: the numbers of the two logs have nothing in common.
    fn newest(&self, at_least: u64) -> Result<Option<Manifest>> {
        if self.switched.load(Relaxed) {
            return self.main.newest(at_least);
        }
        let current = self.main.newest(0)?;
        match current.filter(|m| m.realtime_namespace.as_ref() == Some(&self.namespace)) {
            Some(m) => {
                self.switched.store(true, Relaxed);
                Ok(Some(m))
            }
            None => self.staged.newest(at_least),
        }
    }
    fn publish(&self, manifest: &Manifest) -> Result<Published> {
        Err(Error::bug(format!(
            "a process that follows a line was to publish manifest {} in it",
            manifest.number
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use rufous_core::{BatchId, Cut, Frontier, SourcePartition, Timestamp};

    use super::*;

    #[derive(Default)]
    struct Log(Mutex<BTreeMap<u64, Manifest>>);

    impl ManifestLog for Log {
        fn get(&self, number: u64) -> Result<Option<Manifest>> {
            Ok(self.0.lock().unwrap().get(&number).cloned())
        }
        fn newest(&self, at_least: u64) -> Result<Option<Manifest>> {
            let log = self.0.lock().unwrap();
            Ok(log.range(at_least..).next_back().map(|(_, m)| m.clone()))
        }
        fn publish(&self, m: &Manifest) -> Result<Published> {
            let mut log = self.0.lock().unwrap();
            if log.contains_key(&m.number) {
                return Ok(Published::Conflict);
            }
            log.insert(m.number, m.clone());
            Ok(Published::Done)
        }
    }

    fn frontier(batch: i64) -> Frontier {
        let cut = Cut {
            batch: BatchId(batch),
            cut: batch as u64 * 10,
            batch_before: BatchId(batch - 1),
        };
        Frontier(BTreeMap::from([(SourcePartition::new("s", 0), cut)]))
    }

    fn manifest(number: u64, (line, namespace): (&str, &str), reach: i64, drops: &[(&str, i64)]) -> Manifest {
        Manifest {
            format: 1,
            number,
            job: "j".into(),
            line: line.into(),
            fingerprint: namespace.into(),
            cut_specs: BTreeMap::new(),
            realtime_namespace: Some(namespace.into()),
            stores: BTreeMap::new(),
            frontier: frontier(reach),
            drop_before: drops.iter().map(|(n, b)| (n.to_string(), frontier(*b))).collect(),
            holes: Vec::new(),
            input: Vec::new(),
            created_at: Timestamp(0),
            covered_until: String::new(),
            window: None,
            not_repeatable: Vec::new(),
            sinks: BTreeMap::new(),
        }
    }

    fn log(manifests: impl IntoIterator<Item = Manifest>) -> Log {
        Log(Mutex::new(manifests.into_iter().map(|m| (m.number, m)).collect()))
    }

    /// P24, P40: the same code in a new line keeps its namespace and its permission; other code brings its own, and that of
    /// the code before stays, so that a rollback is allowed.
    #[test]
    fn one_publish_switches() {
        let main = || log([manifest(7, ("a", "old"), 9, &[("old", 8)])]);
        let same = log([manifest(3, ("b", "old"), 9, &[("old", 9)])]);
        let m = switch(&main(), &same).unwrap();
        assert_eq!((m.number, &*m.line), (8, "b"));
        assert_eq!(m.drop_before, BTreeMap::from([("old".to_string(), frontier(8))]));

        let other = log([manifest(3, ("b", "new"), 5, &[("new", 4)])]);
        let m = switch(&main(), &other).unwrap();
        let both = [("old".to_string(), frontier(8)), ("new".to_string(), frontier(4))];
        assert_eq!(m.drop_before, BTreeMap::from(both));
        assert_eq!(m.realtime_namespace.as_deref(), Some("new"));
    }

    /// P40: a process of new code goes by its line, and by the job's own manifests once they are of its namespace, though
    /// their numbers may be lower.
    #[test]
    fn what_new_code_follows() {
        let main = Arc::new(log([manifest(1, ("a", "old"), 9, &[])]));
        let staged = Arc::new(log([manifest(5, ("b", "new"), 5, &[])]));
        let followed = Followed::new(main.clone(), staged.clone(), "new");
        assert_eq!(followed.newest(0).unwrap().unwrap().number, 5);
        assert_eq!(followed.newest(6).unwrap(), None);
        staged.publish(&manifest(6, ("b", "new"), 6, &[])).unwrap();
        assert_eq!(followed.newest(6).unwrap().unwrap().number, 6);
        switch(&*main, &*staged).unwrap();
        let m = followed.newest(7).unwrap().unwrap();
        assert_eq!((m.number, &*m.line), (2, "b"));
        assert_eq!(followed.newest(3).unwrap(), None);
        main.publish(&manifest(3, ("b", "new"), 7, &[])).unwrap();
        assert_eq!(followed.newest(3).unwrap().unwrap().number, 3);
    }

    /// P22, P24: never below the permission; and a line is switched to once.
    #[test]
    fn what_cannot_be_switched_to() {
        let main = log([manifest(7, ("a", "old"), 9, &[("old", 8)])]);
        let behind = log([manifest(3, ("b", "old"), 7, &[("old", 6)])]);
        let e = switch(&main, &behind).unwrap_err().to_string();
        assert!(e.contains("s/0") && e.contains("backfill"), "{e}");
        let e = switch(&main, &log([])).unwrap_err().to_string();
        assert!(e.contains("empty"), "{e}");
        let whole = log([manifest(3, ("b", "old"), 9, &[("old", 9)])]);
        switch(&main, &whole).unwrap();
        let e = switch(&main, &whole).unwrap_err().to_string();
        assert!(e.contains("already"), "{e}");
    }
}
