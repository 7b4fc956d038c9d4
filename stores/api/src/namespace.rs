//! Which realtime state of a server that many jobs share.

/// A namespace of an instance of a job: where several share a server, only all three names say which state is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceOf<'a> {
    /// The job.
    pub job: &'a str,
    /// Which of those that run side by side: [`Layout::instance`](crate::Layout::instance).
    pub instance: &'a str,
    /// The namespace: that of the manifest.
    pub namespace: &'a str,
}

impl<'a> NamespaceOf<'a> {
    /// Of this job and instance.
    pub const fn new(job: &'a str, instance: &'a str, namespace: &'a str) -> Self {
        Self {
            job,
            instance,
            namespace,
        }
    }
}
