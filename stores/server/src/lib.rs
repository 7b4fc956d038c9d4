//! The client's reads over HTTP: one exact answer, with its coverage, to anyone who asks.
//!
//! ```text
//! GET  /v1/stores                            the stores, with the schemas of their keys and values
//! GET  /v1/stores/{store}                    one of them
//! GET  /v1/stores/{store}/keys/{key}         one key                     ?partial=true &accept_holes=true &at_least=TOKEN
//! POST /v1/stores/{store}/get                many keys                   {"keys": ["a", "b"], "accept_holes": false, "at_least": TOKEN}
//! GET  /v1/stores/{store}/keys               keys under a prefix         ?under=PREFIX &begins=TEXT &limit=100 &cursor=NEXT
//! GET  /v1/stores/{store}/sum                the sum over keys           ?under=PREFIX, or ?from=KEY&to=KEY
//! GET  /v1/stores/{store}/top                the largest values          ?n=10 &under=PREFIX
//! GET  /v1/stores/{store}/windows/{key}      sums over event time        ?last=7d, ?last_hops=3:month or ?since=TIME; &end=now &every=1d &aligned=true
//! POST /v1/stores/{store}/windows            the same of many keys       {"keys": ["a"], "window": {"last": "7d"}}
//! POST /v1/get                               keys of several stores      {"stores": {"counts": ["a"], "hours": ["x,1"]}}
//! GET  /v1/stores/{store}/explain/{key}      what an answer was made of  by layer, run or partition and batch, with bytes; of windows as above, hop by hop
//! GET  /v1/console/job                       what the job shows of itself: also live, samples, handover, generations, drift, health, log
//! POST /v1/console/plan, /v1/console/act     what an action would do; doing it, with a token of those who may
//! GET  /openapi.json                         all of this, for programs
//! GET  /                                     the console: a page for people
//! GET  /healthz /readyz /metrics             that it lives; that every store can be answered whole; what Prometheus asks
//! ```
//!
//! Keys are written as on the command line: parts with commas between, a comma or a backslash inside a text behind a backslash
//! where a key has several parts. In a path they are percent-encoded (`/` is `%2F`); the empty key can only be asked for in a body,
//! and so can `.` and `..`, which clients and proxies take out of a path.
//! An option that is not known is refused.
//!
//! # Answers
//!
//! A reply is of one realtime snapshot and one manifest, however many keys it has. It says what it rests on, in its body and in
//! its headers:
//!
//! | body | header | |
//! |---|---|---|
//! | `covered_until` | `rufous-covered-until` | the batch that the offline part reaches, and who is behind |
//! | `freshness` | `rufous-freshness` | the least of the greatest times applied; `null`, and no header, where there is none. A partition that nothing is written to holds it where its last record left it |
//! | `coverage` | | per partition frontier and offset applied; holes that were accepted (`rufous-holes` counts them) |
//! | `token` | `rufous-token` | manifest, fingerprint and offsets: what `at_least` takes, and anyone can compute the answer again by. One of more than 4096 bytes is in the body only |
//!
//! `value` is `null` where the key is surely absent. With `partial=true` the member is `so_far`, and `missing` lists what is not in
//! it: it has another name, so that nobody takes it for a value. In a batch a key whose bytes are damaged has an `error` of its own,
//! and `rufous-failed` counts them. Pages of a list are answers of their own, each with its token.
//!
//! In a reply about several stores (`POST /v1/get`) the headers are true of all: `rufous-holes` and `rufous-failed` are added up, each of the others is
//! there where all stores say the same.
//!
//! The entity tag is made of the token and the values, so a GET with `If-None-Match` gets 304 until either changes. It is weak:
//! `window.asked` of a window that ends now moves with the clock while the answer is the same.
//!
//! # Events
//!
//! `Accept: text/event-stream` makes of the question for a key, or for the windows of a key, a stream of events. The present answer comes
//! first, as an event `answer` whose data is the JSON that is answered else; then one whenever the answer changes: its value, or its
//! token, for what is covered is news as well. Its `id` is the token: who comes back with `Last-Event-ID` is not told again what he
//! has seen (of a window that ends now he is, since it moves with the clock). What is no whole answer is an event `problem`, and the stream goes
//! on; its `id` is empty, so the answer that comes after it is told whatever was seen before. All who watch a question share one read of it every [`watch_every`](ServerOptions::watch_every), or as often as it is read half of the
//! time; so many different questions about windows ([`watched_windows`](ServerOptions::watched_windows)) are watched, one read at a time. Who is slow misses what came in between,
//! never the newest, and holds up nobody. A comment every [`heartbeat`](ServerOptions::heartbeat) says that the stream lives.
//!
//! # Arrow
//!
//! `Accept: application/vnd.apache.arrow.stream` makes of a list or a batch an Arrow IPC stream. A list is whole (no pages, no limit of rows) and
//! of one moment, and is sent while it is read: a few record batches are in memory, however long it is. `key` is the key as text; `key_0`,
//! `key_1`, .. are its parts by type (hops and time buckets as text). A value that is an integer is `value`; any other is `value` as JSON text,
//! `estimate`, `lower` and `upper` where it is a sketch that has such, and `bytes`, its canonical bytes. In a batch `value` is null where
//! the key is surely absent, and `error` says which bytes are damaged. The metadata of the schema has `rufous.store`, `rufous.covered_until`,
//! `rufous.freshness`, `rufous.coverage` (JSON) and `rufous.token`. What fails on the way lacks the last chunk of HTTP, which
//! clients report as a body that was cut. Arrow's own mark of the end is missing as well, but readers of Arrow, pyarrow among them, take a stream
//! without it for whole: only HTTP keeps a part from being taken for the whole. So a list is refused where a body has no end of its own (HTTP/1.0,
//! which nginx speaks to servers unless it has `proxy_http_version 1.1`).
//!
//! # Errors
//!
//! `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail` (names key, store, partition, offsets or option), `kind`
//! (what the caller should do), `repair`.
//!
//! | status | `kind` | |
//! |---|---|---|
//! | 400, 405 | `invalid_request` | change the request; also when the job has never run |
//! | 401 | `invalid_request` | no token, or none that is known |
//! | 403 | `invalid_request` | an action, and no token of those who may change something |
//! | 404 | `invalid_request` | no such path or store; the nearest name is offered |
//! | 421 | `invalid_request` | `Host` is not this machine, and there are no tokens |
//! | 408 | `try_again` | the body did not come in time |
//! | 409 | `incomplete` | a range was lost. Not a 5xx: nothing gets better by asking again, but `accept_holes=true` is answered |
//! | 409 | `try_again` | an action whose plan is older than the state: plan it again |
//! | 413, 414 | `invalid_request` | beyond a limit, which is named. Heads that are too large are 431 or 414 before they are understood, and have no body |
//! | 429 | `try_again` | this client has as much under way as one may have, and others are answered: `retry-after` |
//! | 500 | `corrupt_data` | stored data contradicts itself: `detail` says where |
//! | 500 | `bug` | a mistake of ours; a panic is caught, counted and answered so |
//! | 503 | `try_again` | the owner is silent, offsets asked for are not applied yet, or there is too much to do: `retry-after` |
//! | 503 | `closed` | the server ends, or the state was closed |
//!
//! # Load
//!
//! Reads block, so they are done by threads of their own, behind a bounded queue; one that is full answers 503 at once, and a read
//! whose time was over while it waited is not begun. A thread takes all waiting questions about single keys of a store and answers
//! them by one read. Lists, sums and large batches have threads of their own, and so have
//! lists as Arrow, which last as long as their clients take. A window of some thousands of hops is a long read as well. What a list, a sum or a window would hold of the
//! realtime state has a limit ([`live_bytes`](ServerOptions::live_bytes)): lists and sums of more are read in slices, windows of more are refused. An answer keeps its place among the requests until it is taken, answers that wait for
//! their clients have a budget of bytes, and who takes less than [`write_rate`](ServerOptions::write_rate) is let go. One client, which is a token or else an
//! address, has so many requests at a time ([`requests_per_client`](ServerOptions::requests_per_client)), with a count of their own for `/readyz` and
//! `/metrics`, and half of the streams of events, of the windows that are watched, of the places where long reads and lists as Arrow wait, and, by its address, of the
//! connections; beyond that it gets 429, and others are answered. Every limit is in [`ServerOptions`]. A connection too many gets 503,
//! or with TLS is just closed: nothing can be said before the greeting. When a client goes away its read is given up, and so are those that the
//! end of the server does not wait for.
//!
//! # Who may ask
//!
//! Only this machine, unless there are [`Tokens`] (sent as `Authorization: Bearer TOKEN`) or somebody says
//! [`insecure`](ServerOptions::insecure). `/healthz` and the files of the console need no token (the console asks for one). TLS is the feature `tls`. Pages of other origins cannot read answers: there
//! is no CORS, and where nobody is asked for a token `Host` must be a loopback address or `localhost`, so a page whose name is bound anew to this
//! machine is refused as well.
//!
//! # Example
//!
//! ```no_run
//! use rufous_core::{Result, Store, StoreFace};
//! use rufous_server::{Served, Server, ServerOptions};
//!
//! const COUNTS: Store<String, u64> = Store::new("counts");
//!
//! fn serve(client: rufous_client::Client) -> Result<()> {
//!     let served = Served { job: "word-count".into(), instance: "main".into(), client, stores: vec![StoreFace::of(COUNTS)], observed: None };
//!     let bound = Server::new(served, ServerOptions::default())?.bind("127.0.0.1:8080")?;
//!     println!("serving {}", bound.url());
//!     bound.serve(std::future::pending())          // until the future is done: a signal, a channel
//! }
//! ```
//!
//! The server knows the client only, and no concrete store. Modules in reading order: [`server`] (what is served, the address),
//! `listen` and `patience` (connections), `guard` (what stands before every handler), `clients` (who asks, and how much of him), `routes` (a file a kind of question), `ask`
//! (what a request asks for), `pool` and `gets` (who reads), [`console`] (what the job shows of itself), `page` (the files of the page that shows it), `watch` (streams of events), `arrow`, `reply` and `problem` (what goes back), `sending` (until it is taken), [`options`], [`auth`].
#![forbid(unsafe_code)]

mod arrow;
mod ask;
pub mod auth;
mod clients;
pub mod console;
mod gets;
mod guard;
mod listen;
mod metrics;
pub mod options;
mod page;
mod patience;
mod pool;
mod problem;
mod reply;
mod routes;
mod sending;
pub mod server;
mod state;
#[cfg(feature = "tls")]
mod tls;
mod watch;

pub use auth::Tokens;
pub use console::Observed;
pub use options::{Records, ServerOptions, TlsFiles};
pub use server::{Bound, Served, Server};
