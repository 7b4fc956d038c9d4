//! Where the archives of a job lie: all that is needed to open one, also for a thread that outlives the look that began it.

use super::location::ArchivePlace;
use super::settings::PlaceSettings;
use crate::core::Result;
use crate::store_api::{Archive, Layout};
use crate::store_archive::ParquetArchive;

#[derive(Clone)]
pub(super) struct Archived {
    pub(super) layout: Layout,
    pub(super) settings: PlaceSettings,
}

impl Archived {
    /// The archive of a source under a cut spec: the first spec's is named like the source.
    ///
    /// # Errors
    /// When its place is none, or does not say which one it is.
    pub(super) fn cut(&self, source: &str, spec: &str) -> Result<ParquetArchive> {
        let first = self.named(source, source)?;
        let last = match first.partitions()?.first() {
            Some(partition) => first.last(*partition, 0)?,
            None => None,
        };
        match last {
            Some((_, entry)) if entry.cut_spec != spec => self.named(source, &super::recut::name(source, spec)),
            _ => Ok(first),
        }
    }

    /// That of this name. Nothing is asked yet.
    ///
    /// # Errors
    /// When its place is none.
    pub(super) fn named(&self, source: &str, name: &str) -> Result<ParquetArchive> {
        let place = self.settings.location.as_deref();
        match place.map(|l| ArchivePlace::parse(l, "archive")).transpose()? {
            None => ParquetArchive::open(&self.layout.archive(name), source),
            Some(ArchivePlace::Dir(dir)) => ParquetArchive::open(&dir.join(self.layout.instance()).join(name), source),
            Some(ArchivePlace::S3(url)) => self.in_s3(&format!("{url}/{}/{name}", self.layout.instance()), source),
        }
    }

    #[cfg(feature = "s3")]
    fn in_s3(&self, url: &str, source: &str) -> Result<ParquetArchive> {
        ParquetArchive::at(url, &self.settings.options.all()?, source)
    }

    #[cfg(not(feature = "s3"))]
    fn in_s3(&self, url: &str, _: &str) -> Result<ParquetArchive> {
        Err(crate::core::Error::invalid(format!(
            "{url}: this binary was built without the feature `s3`"
        )))
    }
}
