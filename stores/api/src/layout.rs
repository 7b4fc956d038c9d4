//! The data directory:
//!
//! ```text
//! <data>/<instance>/jobs/<job>/manifests/<n>.json
//! <data>/<instance>/jobs/<job>/realtime/<namespace>/
//! <data>/<instance>/jobs/<job>/tables/
//! <data>/<instance>/jobs/<job>/processes/
//! <data>/<instance>/jobs/<job>/offline/<store>/
//! <data>/<instance>/jobs/<job>/offline/sinks/<sink>/
//! <data>/<instance>/jobs/<job>/sinks/<sink>/
//! <data>/<instance>/jobs/<job>/released/<sink>/
//! <data>/<instance>/jobs/<job>/lines/<line>/manifests/<n>.json
//! <data>/<instance>/archive/<source>/
//! <data>/<instance>/sources/<source>/
//! ```

use std::path::{Path, PathBuf};

use rufous_core::{Error, Result};

/// Where the state of an instance lives.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The directory of `instance` (`a-z`, `0-9`, `-`) below `data`.
    ///
    /// # Errors
    /// When the instance's name has other characters.
    pub fn new(data: &Path, instance: &str) -> Result<Self> {
        if instance.is_empty() || !instance.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Err(Error::invalid(format!(
                "instance `{instance}`: names are made of a-z, 0-9 and '-'"
            )));
        }
        Ok(Self {
            root: data.join(instance),
        })
    }
    /// The instance's name.
    pub fn instance(&self) -> &str {
        self.root.file_name().and_then(|n| n.to_str()).unwrap_or_default()
    }
    /// The instance's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// Everything of a job.
    pub fn job(&self, job: &str) -> PathBuf {
        self.root.join("jobs").join(job)
    }
    /// The manifests of a job.
    pub fn manifests(&self, job: &str) -> PathBuf {
        self.job(job).join("manifests")
    }
    /// The lines of generations of a job that are not current yet, one directory each: manifests of their own over the same
    /// offline directory.
    pub fn lines(&self, job: &str) -> PathBuf {
        self.job(job).join("lines")
    }
    /// The manifests of a staged line of a job.
    pub fn line(&self, job: &str, line: &str) -> PathBuf {
        self.lines(job).join(line).join("manifests")
    }
    /// A realtime namespace of a job.
    pub fn realtime(&self, job: &str, namespace: &str) -> PathBuf {
        self.job(job).join("realtime").join(namespace)
    }
    /// The tables that a job writes: beside its namespaces, which come and go with its code.
    pub fn tables(&self, job: &str) -> PathBuf {
        self.job(job).join("tables")
    }
    /// The processes of a job that run on this machine: a note and a socket each.
    pub fn processes(&self, job: &str) -> PathBuf {
        self.job(job).join("processes")
    }
    /// The generations of a job: one directory a store below it.
    pub fn offline(&self, job: &str) -> PathBuf {
        self.job(job).join("offline")
    }
    /// The archive of a source; it serves all jobs that read it.
    pub fn archive(&self, source: &str) -> PathBuf {
        self.root.join("archive").join(source)
    }
    /// What is remembered of a source itself: which file is which partition.
    pub fn source(&self, source: &str) -> PathBuf {
        self.root.join("sources").join(source)
    }
}
