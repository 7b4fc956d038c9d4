//! What time a store says it is: each of its answers has a `Date`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// Nothing was said yet.
const UNSAID: i64 = i64::MIN;

/// The newest date that was answered and not taken yet, in seconds.
#[derive(Clone, Debug)]
pub(crate) struct Dates(Arc<AtomicI64>);

impl Dates {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(UNSAID)))
    }
    /// What was said since this was last asked: the middle of that second.
    pub(crate) fn take(&self) -> Option<SystemTime> {
        let seconds = u64::try_from(self.0.swap(UNSAID, Relaxed)).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_millis(500))
    }
    fn note(&self, header: &[u8]) {
        let date = std::str::from_utf8(header).ok();
        if let Some(at) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) {
            self.0.store(at.timestamp().as_second(), Relaxed);
        }
    }
}

impl HttpConnector for Dates {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Noted {
            inner: ReqwestConnector::default().connect(options)?,
            dates: self.clone(),
        }))
    }
}

#[derive(Debug)]
struct Noted {
    inner: HttpClient,
    dates: Dates,
}

#[async_trait]
impl HttpService for Noted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.inner.execute(request).await?;
        if let Some(date) = answer.headers().get("date") {
            self.dates.note(date.as_bytes());
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9110; what is no date says nothing, and takes nothing back; what was told once is not told again.
    #[test]
    fn dates_are_read() {
        let dates = Dates::new();
        let told: [(&[&str], Option<u128>); 5] = [
            (&["soon"], None),
            (&["Sun, 06 Nov 1994 08:49:37 GMT"], Some(784_111_777)),
            (&["Sun, 06 Nov 1994 08:49:37 GMT", "\u{0}"], Some(784_111_777)),
            (
                &["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"],
                Some(784_111_778),
            ),
            (&[], None),
        ];
        for (headers, wanted) in told {
            headers.iter().for_each(|header| dates.note(header.as_bytes()));
            let said = dates
                .take()
                .map(|at| at.duration_since(UNIX_EPOCH).unwrap().as_millis());
            assert_eq!(said, wanted.map(|s| s * 1_000 + 500), "{headers:?}");
        }
        dates.note(b"\xff");
        assert_eq!(dates.take(), None);
    }
}
