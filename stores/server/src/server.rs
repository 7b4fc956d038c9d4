//! A server: what it serves, the address it takes, its end.

use std::future::Future;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rufous_client::Client;
use rufous_core::{Error, Result, StoreFace};

use crate::console::Observed;
use crate::listen;
use crate::options::ServerOptions;
use crate::routes;
use crate::state::State;

/// What is served: the stores of one job.
#[derive(Clone)]
pub struct Served {
    /// The job's name.
    pub job: String,
    /// The instance of the job.
    pub instance: String,
    /// Reads its stores.
    pub client: Client,
    /// Those that may be asked.
    pub stores: Vec<StoreFace>,
    /// What the console shows of the job; `None`: there is none.
    pub observed: Option<Arc<dyn Observed>>,
}

/// A server that has no address yet.
pub struct Server {
    state: Arc<State>,
    more: Router,
}

impl Server {
    /// A server of these stores. Its reader threads begin at once.
    ///
    /// # Errors
    /// `TryAgain` when the system gives no threads.
    pub fn new(served: Served, options: ServerOptions) -> Result<Self> {
        Ok(Self {
            state: Arc::new(State::new(served, options)?),
            more: Router::new(),
        })
    }
    /// Its routes, for who speaks HTTP himself. Limits of connections and of time to send a head are those of who listens. Without tokens
    /// only a `Host` of this machine is answered, unless the options are [`insecure`](ServerOptions::insecure).
    pub fn router(&self) -> Router {
        routes::router(&self.state, self.more.clone())
    }
    /// Serves these routes as well, behind the same tokens and limits.
    #[must_use]
    pub fn with(mut self, more: Router) -> Self {
        self.more = self.more.merge(more);
        self
    }
    /// Takes an address: `HOST:PORT`, or `PORT` on the loopback device; port 0 takes any. Nothing is answered yet.
    ///
    /// # Errors
    /// `InvalidRequest` when it is none or is taken; when others than this machine reach it and neither tokens nor
    /// [`insecure`](ServerOptions::insecure) say that this is meant; when certificate or key cannot be used.
    pub fn bind(self, address: &str) -> Result<Bound> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::invalid(format!(
                "address `{address}`: {why}; name a free one: HOST:PORT, or PORT on the loopback device, or port 0"
            ))
        };
        let text = if !address.is_empty() && address.bytes().all(|b| b.is_ascii_digit()) {
            format!("127.0.0.1:{address}")
        } else {
            address.to_string()
        };
        let addresses: Vec<SocketAddr> = text.to_socket_addrs().map_err(|e| wrong(&e))?.collect();
        let options = &self.state.options;
        let closed = options.tokens.is_some() || options.insecure;
        if let Some(open) = addresses.iter().find(|a| !a.ip().is_loopback() && !closed) {
            return Err(Error::invalid(format!(
                "address `{address}`: whoever reaches {open} could read every store; give a file of tokens (`--token-file`), or say \
                 `--insecure` where another server asks who it is"
            )));
        }
        let tls = options.tls.as_ref().map(listen::tls).transpose()?;
        let listener = TcpListener::bind(addresses.as_slice()).map_err(|e| wrong(&e))?;
        let address = listener.local_addr().map_err(|e| wrong(&e))?;
        if !address.ip().is_loopback() {
            let tokens = options.tokens.is_some();
            tracing::warn!(%address, tokens, tls = tls.is_some(), "others than this machine reach this address");
        }
        Ok(Bound {
            server: self,
            listener,
            address,
            tls,
        })
    }
}

/// Answers that were cut hold what they read with until a thread of the runtime lets go of it, which is waited for so long, or until their
/// read ends. The process may end behind [`Bound::serve`], and a RocksDB that is closed while the process ends takes it down with a signal.
const LET_GO: Duration = Duration::from_secs(5);

/// A server with its address taken.
pub struct Bound {
    server: Server,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<listen::Tls>,
}

impl Bound {
    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// Where it answers.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
    /// Answers until `shutdown` is done, then finishes the answers on their way within
    /// [`last_answers`](ServerOptions::last_answers). It blocks, and has a runtime of its own. It returns when reads that were
    /// under way have ended, and what it served with is let go of.
    ///
    /// # Errors
    /// `TryAgain` when the system gives no threads or no socket.
    pub fn serve(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let failed = |e: std::io::Error| Error::try_again(format!("the server cannot start: {e}")).caused_by(e);
        self.listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.server.state.options.workers.max(1))
            .thread_name("rufous-http")
            .enable_all()
            .build()
            .map_err(failed)?;
        let router = self.server.router();
        let state = self.server.state;
        let done = runtime.block_on(listen::listen(self.listener, self.tls, router, state.clone(), shutdown));
        runtime.shutdown_timeout(LET_GO);
        state.end();
        done.map_err(failed)
    }
}
