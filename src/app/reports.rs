//! Comparisons that are kept: `reconciled/<n>.json` in the place of the job's generations, `n` the manifest whose run
//! was compared. Report only (protocol section 9): nobody decides anything by them, and they may be deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rufous_place::{Listed, Place, TEMPORARY};

use crate::client::reconcile::report::Report;
use crate::core::Result;

const DIR: &str = "reconciled";

pub(super) struct Reports {
    place: Arc<dyn Place>,
}

impl Reports {
    pub(super) fn of(place: &Arc<dyn Place>) -> Self {
        Self { place: place.clone() }
    }

    fn path(number: u64) -> String {
        format!("{DIR}/{number}.json")
    }

    /// The report on a run. What cannot be read as one is none: it is made again.
    pub(super) fn get(&self, number: u64) -> Result<Option<Report>> {
        let found = self.place.read(&Self::path(number))?;
        Ok(found.and_then(|bytes| Report::decode(&bytes)))
    }

    /// Puts it in the place of an older one of the same run.
    pub(super) fn put(&self, report: &Report) -> Result<()> {
        let bytes = report.encode()?;
        self.place.put(&Self::path(report.manifest), &mut |file| {
            file.write_all(&bytes)
                .map_err(|e| crate::core::Error::try_again(format!("a report cannot be written: {e}")).caused_by(e))
        })
    }

    /// Reports in the order of these runs; a store far away is asked for all of them at once.
    #[cfg(feature = "server")]
    pub(super) fn get_many(&self, numbers: &[u64]) -> Result<Vec<Option<Report>>> {
        let paths: Vec<String> = numbers.iter().map(|n| Self::path(*n)).collect();
        let found = self.place.read_many(&paths)?.into_iter();
        Ok(found.map(|bytes| Report::decode(&bytes?)).collect())
    }

    /// The files of reports, by the runs that they are on.
    pub(super) fn files(&self) -> Result<BTreeMap<u64, Listed>> {
        let number = |file: &Listed| {
            let name = file.path.strip_prefix(DIR)?.strip_prefix('/')?;
            let number = name.strip_suffix(".json")?.parse::<u64>().ok();
            number.filter(|n| Self::path(*n) == file.path)
        };
        let files = self.place.list(&format!("{DIR}/"))?.into_iter();
        Ok(files.filter_map(|file| Some((number(&file)?, file))).collect())
    }

    /// The runs that there are reports on, newest first.
    pub(super) fn numbers(&self) -> Result<Vec<u64>> {
        Ok(self.files()?.into_keys().rev().collect())
    }

    /// Deletes those on runs that are below the lowest manifest that is there, and what processes left that ended
    /// while they wrote one, when it is so old.
    pub(super) fn tidy(&self, lowest: u64, grace: Duration) -> Result<()> {
        let now = SystemTime::now();
        for file in self.place.list(&format!("{DIR}/"))? {
            let aged = now.duration_since(file.changed).is_ok_and(|age| age >= grace);
            if aged
                && file
                    .path
                    .strip_prefix(DIR)
                    .is_some_and(|name| name.starts_with(&format!("/{TEMPORARY}")))
            {
                self.place.delete(&file.path)?;
            }
        }
        for number in self.numbers()?.into_iter().filter(|n| *n < lowest) {
            self.place.delete(&Self::path(number))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Timestamp;

    /// A report takes the place of an older one; those on deleted manifests go; foreign files stay and are no reports.
    #[test]
    fn reports_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let place: Arc<dyn Place> = Arc::new(rufous_place::Local::new(dir.path()));
        let reports = Reports::of(&place);
        assert_eq!(reports.numbers().unwrap(), [] as [u64; 0]);
        let report = |n, at| Report::new(n, "a..b".into(), Timestamp(at), Vec::new());
        for n in [2, 9, 10] {
            reports.put(&report(n, 1)).unwrap();
        }
        reports.put(&report(9, 2)).unwrap();
        assert_eq!(reports.get(9).unwrap(), Some(report(9, 2)));
        assert_eq!(reports.get(8).unwrap(), None);
        std::fs::write(dir.path().join("reconciled/note.txt"), "mine").unwrap();
        std::fs::write(dir.path().join("reconciled/11.json"), "{").unwrap();
        assert_eq!(reports.get(11).unwrap(), None);
        std::fs::write(dir.path().join("reconciled/.tmp-1"), "{").unwrap();
        reports.tidy(10, Duration::from_secs(60)).unwrap();
        assert!(
            dir.path().join("reconciled/.tmp-1").exists(),
            "somebody may write it now"
        );
        reports.tidy(10, Duration::ZERO).unwrap();
        assert!(!dir.path().join("reconciled/.tmp-1").exists());
        assert_eq!(reports.numbers().unwrap(), [11, 10]);
        assert!(dir.path().join("reconciled/note.txt").exists());
    }
}
