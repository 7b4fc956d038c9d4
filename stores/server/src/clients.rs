//! Who asks, and how much of him at once: one client that asks without end keeps nobody else out.
//!
//! A client is a token, where requests have tokens, else an address. It is known when a connection is made or a token compared, so a
//! request costs one count and no search. What he may have of each thing that all share is a [`Share`] of it, counted by itself: who
//! has all his streams open still gets answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use axum::Router;

use crate::options::ServerOptions;
use crate::problem::Problem;

/// Addresses that are remembered before those without a connection are forgotten: more than there may be connections.
const SWEEP: usize = 4096;

tokio::task_local! {
    /// Whose request a handler answers; what is read for all who watch is nobody's.
    static ASKING: Option<Client>;
}

/// Answers a request of this client.
pub(crate) async fn asking<R>(client: Option<Client>, answer: impl Future<Output = R>) -> R {
    ASKING.scope(client, answer).await
}

/// A place of the client whose request is being answered; `None`: nobody's, or one who is not counted.
///
/// # Errors
/// 429 when the client has all of his.
pub(crate) fn own_place(share: Share) -> Result<Option<Place>, Problem> {
    let of_asking = |client: &Option<Client>| client.as_ref().map(|c| c.place(share)).transpose();
    ASKING.try_with(of_asking).unwrap_or(Ok(None))
}

/// What a client may have a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Requests at a time, until their answers are taken.
    Requests,
    /// The same of `/readyz` and `/metrics`: who asks too much is still watched over.
    Operation,
    /// Streams of events.
    Streams,
    /// Watched windows, counted for who began to watch them.
    Windows,
    /// Places of the queue of long reads.
    Long,
    /// Places of the queue of lists as Arrow.
    Bulk,
    /// Connections of an address.
    Connections,
}

const SHARES: usize = Share::Connections as usize + 1;

impl Share {
    /// How many a client has.
    fn most(self, options: &ServerOptions) -> usize {
        // Where there is nothing to be had it is not the client who has too much.
        let half = |all: usize| all.div_ceil(2).max(1);
        match self {
            Self::Requests => options.requests_per_client,
            Self::Operation => options.requests_per_client.div_ceil(4),
            Self::Streams => half(options.streams),
            Self::Windows => half(options.watched_windows),
            Self::Long => half(options.long_queue),
            Self::Bulk => half(options.bulk_queue),
            Self::Connections => half(options.connections),
        }
    }
    /// What is too much, and what it is a part of.
    fn refusal(self, most: usize) -> Problem {
        let (detail, limit) = match self {
            Self::Requests => ("requests of this client are under way already", "the limit is"),
            Self::Operation => (
                "looks at the server by this client are under way already",
                "the limit is a quarter of",
            ),
            Self::Streams => (
                "streams of events of this client are open already",
                "the limit is half of",
            ),
            Self::Windows => (
                "questions about windows are watched by this client already",
                "the limit is half of",
            ),
            Self::Long => ("long reads of this client wait already", "the limit is half of"),
            Self::Bulk => ("lists as Arrow of this client wait already", "the limit is half of"),
            Self::Connections => ("connections of this client are open already", "the limit is half of"),
        };
        Problem::flooding(format!("{most} {detail}"), limit, self.option())
    }
    fn option(self) -> &'static str {
        match self {
            Self::Requests | Self::Operation => "requests_per_client",
            Self::Streams => "streams",
            Self::Windows => "watched_windows",
            Self::Long => "long_queue",
            Self::Bulk => "bulk_queue",
            Self::Connections => "connections",
        }
    }
}

/// One of those that a client has of a share, until it is dropped.
pub(crate) struct Place {
    of: Client,
    share: Share,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.count(self.share).1.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one client has of each share.
#[derive(Clone)]
pub(crate) struct Client(Arc<[(usize, AtomicUsize); SHARES]>);

impl Client {
    fn new(options: &ServerOptions) -> Self {
        let counts = [
            Share::Requests,
            Share::Operation,
            Share::Streams,
            Share::Windows,
            Share::Long,
            Share::Bulk,
            Share::Connections,
        ];
        Self(Arc::new(counts.map(|share| (share.most(options), AtomicUsize::new(0)))))
    }
    /// How many he may have, and how many he has.
    fn count(&self, share: Share) -> &(usize, AtomicUsize) {
        let [requests, operation, streams, windows, long, bulk, connections] = &*self.0;
        match share {
            Share::Requests => requests,
            Share::Operation => operation,
            Share::Streams => streams,
            Share::Windows => windows,
            Share::Long => long,
            Share::Bulk => bulk,
            Share::Connections => connections,
        }
    }
    /// A place, kept until it is dropped: when the answer is taken, the stream ends, the read begins, the connection closes.
    ///
    /// # Errors
    /// 429 when the client has all of his.
    pub(crate) fn place(&self, share: Share) -> Result<Place, Problem> {
        let (most, taken) = self.count(share);
        if taken.fetch_add(1, Ordering::Relaxed) < *most {
            return Ok(Place {
                of: self.clone(),
                share,
            });
        }
        taken.fetch_sub(1, Ordering::Relaxed);
        Err(share.refusal(*most))
    }
}

/// Every client that is there.
pub(crate) struct Clients {
    /// As many places has each.
    options: ServerOptions,
    of_tokens: Vec<Client>,
    of_addresses: Mutex<HashMap<IpAddr, Weak<[(usize, AtomicUsize); SHARES]>>>,
}

/// Whoever has an address of version 6 has all that begin alike.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

impl Clients {
    pub(crate) fn new(options: &ServerOptions) -> Self {
        // First those who read, then those who change something.
        let all = [&options.tokens, &options.admin];
        let tokens: usize = all.into_iter().flatten().map(crate::Tokens::count).sum();
        Self {
            options: options.clone(),
            of_tokens: (0..tokens).map(|_| Client::new(options)).collect(),
            of_addresses: Mutex::default(),
        }
    }
    /// Who made a connection: the same as long as one of his is open.
    pub(crate) fn of_address(&self, address: IpAddr) -> Client {
        // A count of places is whole whatever panicked beside it.
        let mut known = self.of_addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(address);
        if let Some(places) = known.get(&network).and_then(Weak::upgrade) {
            return Client(places);
        }
        if known.len() >= SWEEP {
            known.retain(|_, places| places.strong_count() > 0);
        }
        let client = Client::new(&self.options);
        known.insert(network, Arc::downgrade(&client.0));
        client
    }
    /// Who sent the token of this number.
    pub(crate) fn of_token(&self, token: usize) -> Option<&Client> {
        self.of_tokens.get(token)
    }
}

/// The routes as one connection asks them: requests know whose they are.
pub(crate) struct Addressed {
    router: TowerToHyperService<Router>,
    client: Client,
}

impl Addressed {
    pub(crate) fn new(router: Router, client: Client) -> Self {
        Self {
            router: TowerToHyperService::new(router),
            client,
        }
    }
}

impl Service<Request<Incoming>> for Addressed {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.client.clone());
        self.router.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(most: usize) -> Clients {
        Clients::new(&ServerOptions {
            requests_per_client: most,
            ..ServerOptions::default()
        })
    }

    /// One who comes by several connections, or by another address of his network, is one; he is forgotten when all are closed.
    #[test]
    fn an_address_is_one_client() {
        let all = clients(1);
        let of = |text: &str| all.of_address(text.parse().unwrap());
        for (first, second, same) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.2", "::ffff:10.0.0.2", true),
            ("10.0.0.3", "10.0.0.4", false),
            ("2001:db8::1", "2001:db8::ffff", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            let (a, b) = (of(first), of(second));
            let _place = a.place(Share::Requests).ok().unwrap();
            assert_eq!(b.place(Share::Requests).is_err(), same, "{first} {second}");
        }
        for n in 0..2 * SWEEP {
            let [high, low] = u16::try_from(n).unwrap().to_be_bytes();
            drop(all.of_address(IpAddr::from([10, 1, high, low])));
        }
        assert!(all.of_addresses.lock().unwrap().len() <= SWEEP);
    }
}
