//! A connection whose client must take what is written to it: one that takes nothing, or a byte now and then, is closed, and its
//! answers are dropped.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Fails a write that waits for longer than `most`, and the time that what was taken meanwhile needs at the least rate.
pub(crate) struct Patience<S> {
    inner: S,
    most: Duration,
    /// Bytes a second.
    rate: u64,
    /// There since a write had to wait, until all is written.
    waits: Option<Waits>,
}

struct Waits {
    since: Instant,
    taken: u64,
    /// There while one waits.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<S> Patience<S> {
    pub(crate) fn new(inner: S, most: Duration, rate: usize) -> Self {
        Self {
            inner,
            most,
            rate: (rate as u64).max(1),
            waits: None,
        }
    }

    fn judge<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        taken: impl FnOnce(&T) -> usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = polled {
            if let (Some(waits), Ok(done)) = (&mut self.waits, &done) {
                waits.taken = waits.taken.saturating_add(taken(done) as u64);
                waits.sleep = None;
            }
            return Poll::Ready(done);
        }
        let waits = self.waits.get_or_insert_with(|| Waits {
            since: Instant::now(),
            taken: 0,
            sleep: None,
        });
        let earned = Duration::from_millis(waits.taken.saturating_mul(1000) / self.rate);
        let until = waits.since.checked_add(self.most.saturating_add(earned));
        let until = until.unwrap_or_else(|| Instant::now() + self.most);
        let sleep = waits
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(sleep.as_mut().poll(cx));
        let slow = "the client takes nothing, or too little";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, slow)))
    }

    /// All is written.
    fn rest<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waits = None;
        }
        self.judge(polled, |_| 0, cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(polled, |n| *n, cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.judge(polled, |n| *n, cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.rest(polled, cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.rest(polled, cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A client that takes some bytes at a time, with a pause after each time.
    struct Client {
        at_a_time: usize,
        pause: Duration,
        pauses: Option<Pin<Box<Sleep>>>,
    }

    impl AsyncWrite for Client {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            if let Some(pauses) = &mut self.pauses {
                ready!(pauses.as_mut().poll(cx));
            }
            self.pauses = Some(Box::pin(tokio::time::sleep(self.pause)));
            Poll::Ready(Ok(buf.len().min(self.at_a_time)))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn write(bytes: usize, rate: usize, at_a_time: usize, pause: Duration) -> io::Result<()> {
        let client = Client {
            at_a_time,
            pause,
            pauses: None,
        };
        let mut server = Patience::new(client, Duration::from_millis(300), rate);
        let answer = vec![1; bytes];
        let mut left = answer.as_slice();
        while !left.is_empty() {
            let n = poll_fn(|cx| Pin::new(&mut server).poll_write(cx, left)).await?;
            left = &left[n..];
        }
        poll_fn(|cx| Pin::new(&mut server).poll_flush(cx)).await
    }

    /// A byte now and then is not enough: patience begins anew with the next answer, not with the next byte.
    #[tokio::test]
    async fn who_takes_too_little_is_let_go() {
        let began = Instant::now();
        let e = write(2000, 1 << 20, 1, Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let nothing = write(1000, 1 << 20, 16, Duration::from_secs(3600)).await;
        assert_eq!(nothing.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// Who takes as much as he must is waited for, however long the answer is.
    #[tokio::test]
    async fn who_takes_enough_is_waited_for() {
        let began = Instant::now();
        write(800, 1, 8, Duration::from_millis(10)).await.unwrap();
        assert!(began.elapsed() > Duration::from_millis(600), "{:?}", began.elapsed());
    }
}
