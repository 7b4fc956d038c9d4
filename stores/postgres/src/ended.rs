//! Ending what nobody waits for. A server does not notice by itself that a client has gone while a statement of his runs or waits: it goes
//! on until its own time-out, and reads that are given up one after the other would have all of the server.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio::time::timeout;
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a server may take to hear that a statement is to end, and then to end it, before it is told again: one that comes before its
/// statement has begun ends nothing.
const AGAIN: Duration = Duration::from_secs(1);

/// Has the server end what it does on a connection, and closes it. Until that has ended, `patience` at most, the connection keeps its place
/// in the pool: who asks and goes away again and again has no more statements at the server than the pool has places.
pub(crate) async fn end(object: Object, tls: Option<MakeRustlsConnect>, patience: Duration) {
    let token = object.cancel_token();
    {
        // Answers come in the order of the questions: with this one all others are there.
        let mut last = std::pin::pin!(object.simple_query(""));
        let told = async {
            loop {
                let cancel = async {
                    match tls.clone() {
                        Some(tls) => token.cancel_query(tls).await,
                        None => token.cancel_query(NoTls).await,
                    }
                };
                // One that was not heard is sent again.
                let _ = timeout(AGAIN, cancel).await;
                // Whether it answers or breaks: nothing runs there any more.
                if timeout(AGAIN, &mut last).await.is_ok() {
                    return;
                }
            }
        };
        if timeout(patience, told).await.is_err() {
            tracing::debug!("a statement that nobody waits for did not end: its connection is closed");
        }
    }
    drop(Object::take(object));
}
