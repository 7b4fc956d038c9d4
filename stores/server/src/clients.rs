//! Who asks, and how much of him at once: one client that asks without end keeps nobody else out.
//!
//! A client is a token, where requests have tokens, else an address. It is known when a connection is made or a token compared, so a
//! request costs one count and no search.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use axum::Router;

use crate::options::ServerOptions;
use crate::problem::Problem;

/// Addresses that are remembered before those without a connection are forgotten: more than there may be connections.
const SWEEP: usize = 4096;

/// The places of one client among all requests.
#[derive(Clone)]
pub(crate) struct Client(Arc<Semaphore>);

/// Every client that is there.
pub(crate) struct Clients {
    most: usize,
    of_tokens: Vec<Client>,
    of_addresses: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
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
        let most = options.requests_per_client.min(Semaphore::MAX_PERMITS);
        // First those who read, then those who change something.
        let all = [&options.tokens, &options.admin];
        let tokens: usize = all.into_iter().flatten().map(crate::Tokens::count).sum();
        Self {
            most,
            of_tokens: (0..tokens).map(|_| Client(Arc::new(Semaphore::new(most)))).collect(),
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
        let places = Arc::new(Semaphore::new(self.most));
        known.insert(network, Arc::downgrade(&places));
        Client(places)
    }
    /// Who sent the token of this number.
    pub(crate) fn of_token(&self, token: usize) -> Option<&Client> {
        self.of_tokens.get(token)
    }
    /// A place, kept until the answer is taken or the stream ends.
    ///
    /// # Errors
    /// 429 when the client has all of his.
    pub(crate) fn place(&self, client: &Client) -> Result<OwnedSemaphorePermit, Problem> {
        client.0.clone().try_acquire_owned().map_err(|_| {
            let detail = format!(
                "{} requests and streams of this client are under way already",
                self.most
            );
            Problem::flooding(detail)
        })
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
            let _place = all.place(&a).ok().unwrap();
            assert_eq!(all.place(&b).is_err(), same, "{first} {second}");
        }
        for n in 0..2 * SWEEP {
            let [high, low] = u16::try_from(n).unwrap().to_be_bytes();
            drop(all.of_address(IpAddr::from([10, 1, high, low])));
        }
        assert!(all.of_addresses.lock().unwrap().len() <= SWEEP);
    }
}
