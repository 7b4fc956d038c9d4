//! Reads of one store as canonical bytes: what the command line and the typed face work with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use rufous_core::{Error, ErrorKind, Result, SourcePartition, StoreFace};
use rufous_store_api::{GivenUp, Manifest};

use crate::answer::{Basis, Partial, RawAnswer, RawPartial, undecodable};
use crate::client::Client;
use crate::explain::RawExplained;
use crate::held::Moment;
use crate::missing::refuse;
use crate::terms::{Clock, Terms};
use crate::view::{Fail, Sum, View};

/// What is shown the pairs of a scan: key, value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// Rows of a list read, as (key, value), and what they rest on.
pub type RawRows = (Vec<(Vec<u8>, Vec<u8>)>, Basis);

/// Values that are kept before they are added up, in bytes: bounds the memory of a sum over many keys.
const PENDING_BYTES: usize = 1 << 20;

/// One store as bytes. Every read takes one snapshot and checks it; none returns a sum that lacks something, except
/// [`get_partial`](Self::get_partial), which says what.
///
/// All reads fail with: `CorruptData` (gap, misaligned layers, damaged bytes), `Incomplete` (a lost range), `TryAgain` (the
/// owner is silent, a switch is under way), `InvalidRequest` (the job has never run, the store holds other types, a key ends with
/// a hop that was dropped). Scans and lists of a windowed store leave hops out that were dropped.
#[derive(Clone)]
pub struct RawStoreClient {
    client: Client,
    face: StoreFace,
    schema: Arc<str>,
    terms: Terms,
    /// All reads are of this moment; `None`: each of its own.
    moment: Option<Arc<Moment>>,
}

impl RawStoreClient {
    pub(crate) fn new(client: Client, face: StoreFace) -> Self {
        Self {
            client,
            face,
            schema: face.schema().into(),
            terms: Terms::default(),
            moment: None,
        }
    }

    /// The same store at one moment.
    pub(crate) fn at(mut self, moment: Arc<Moment>) -> Self {
        self.moment = Some(moment);
        self
    }

    /// What is known of the store's types.
    pub fn face(&self) -> &StoreFace {
        &self.face
    }

    /// Answers without ranges that were lost (P31); [`Coverage::holes`](crate::Coverage::holes) lists them.
    #[must_use]
    pub fn accept_holes(mut self) -> Self {
        self.terms.accept_holes = true;
        self
    }

    /// Answers only what holds everything below these offsets ("read my writes"): those of a commit, or of a
    /// [`Token`](crate::Token) of an earlier answer, for answers may go back in time when the realtime state is rebuilt (P30). A read
    /// that has applied less is `TryAgain` and names partition, offset demanded and offset applied. What the offline part covers is
    /// applied. Demands add up.
    #[must_use]
    pub fn at_least(mut self, offsets: &BTreeMap<SourcePartition, u64>) -> Self {
        self.terms.demand(offsets);
        self
    }

    /// A read that is not done by then is `TryAgain` and says what it waited for, or did; one that begins later is refused at once. The
    /// earliest of several counts.
    #[must_use]
    pub fn until(mut self, deadline: Instant) -> Self {
        self.terms.end(deadline);
        self
    }

    /// A read is `TryAgain` soon after `given_up` has become true: nobody waits for its answer any more.
    #[must_use]
    pub fn unless(self, given_up: Arc<AtomicBool>) -> Self {
        self.unless_all_left(Arc::new(move || given_up.load(Relaxed)))
    }

    /// The same for a read that several wait for: it is asked now and then, on the thread that reads, whether all of them have gone.
    #[must_use]
    pub fn unless_all_left(mut self, given_up: GivenUp) -> Self {
        self.terms.give_up(given_up);
        self
    }

    pub(crate) fn check_schema(&self, m: &Manifest) -> Result<()> {
        match m.stores.get(self.face.name) {
            Some(g) if *g.schema != *self.schema && !self.face.reads(&g.schema) => Err(Error::invalid(format!(
                "store `{}` holds `{}`, the port asks for `{}`: use the job's own port",
                self.face.name, g.schema, self.schema
            ))),
            _ => Ok(()),
        }
    }

    /// Opens a view and lets `body` read it; starts over once when a file of the generation is gone (P25), unless the manifest is
    /// held.
    pub(crate) fn read<T>(&self, partial: bool, body: &mut dyn FnMut(&View) -> Result<T, Fail>) -> Result<(T, View)> {
        self.read_keys(None, partial, body)
    }

    /// The same of these keys.
    fn read_keys<T>(
        &self,
        keys: Option<&[Vec<u8>]>,
        partial: bool,
        body: &mut dyn FnMut(&View) -> Result<T, Fail>,
    ) -> Result<(T, View)> {
        let at = |e: Error| e.at(format_args!("store `{}`", self.face.name));
        let clock = self.terms.begin().map_err(at)?;
        clock.until().during(|| self.read_by(&clock, keys, partial, body))
    }

    fn read_by<T>(
        &self,
        clock: &Clock,
        keys: Option<&[Vec<u8>]>,
        partial: bool,
        body: &mut dyn FnMut(&View) -> Result<T, Fail>,
    ) -> Result<(T, View)> {
        let at = |e: Error| e.at(format_args!("store `{}`", self.face.name));
        let late = |e: Error| clock.late(e, "a look at the newest manifest");
        let mut manifest = match &self.moment {
            Some(moment) => moment.manifest.clone(),
            None => self.client.manifest().map_err(late)?,
        };
        let mut again = self.moment.is_none();
        loop {
            let schema = |m: &Manifest| self.check_schema(m);
            let mut view = match &self.moment {
                Some(moment) => View::within(&self.client, &self.face, &self.terms, clock.clone(), &schema, moment)?,
                None => {
                    let clock = clock.clone();
                    View::open(&self.client, &self.face, &self.terms, clock, &schema, keys, manifest)?
                }
            };
            let mut lost = false;
            loop {
                if !partial && !view.bad.is_empty() {
                    return Err(refuse(self.face.name, &view.bad));
                }
                if let Some(behind) = self.terms.behind(&view.basis.coverage, &view.manifest) {
                    return Err(at(behind));
                }
                match body(&view) {
                    Ok(found) => return Ok((found, view)),
                    Err(Fail::Realtime(e)) if !lost => {
                        lost = true;
                        view.lose_realtime(&e);
                    }
                    Err(Fail::Generation(e)) if again => {
                        tracing::debug!(store = self.face.name, error = %e, "a file is gone: the newest manifest is asked");
                        again = false;
                        manifest = self.client.newest(view.manifest.number).map_err(late)?;
                        break;
                    }
                    Err(Fail::Generation(e)) if self.moment.is_some() => {
                        let number = view.manifest.number;
                        let why = format!("{e}; this snapshot reads manifest {number} and no other: take a new one");
                        return Err(at(Error::try_again(why).caused_by(e)));
                    }
                    Err(fail) => return Err(at(fail.into_error())),
                }
            }
        }
    }

    /// The whole answer for one key.
    ///
    /// # Errors
    /// As said at [`RawStoreClient`].
    pub fn get(&self, key: &[u8]) -> Result<RawAnswer> {
        let keys = [key.to_vec()];
        let (found, view) = self.read_keys(Some(&keys), false, &mut |v| v.values(&keys))?;
        Ok(view.basis.answer(one(found)?))
    }

    /// For each key, in order, its whole answer; all of one snapshot and one manifest.
    pub fn multi_get(&self, keys: &[Vec<u8>]) -> Vec<Result<RawAnswer>> {
        if keys.is_empty() {
            return Vec::new();
        }
        match self.read_keys(Some(keys), false, &mut |v| v.values(keys)) {
            Ok((found, view)) => found.into_iter().map(|v| Ok(view.basis.answer(v?))).collect(),
            Err(e) => {
                let mut all: Vec<_> = keys.iter().map(|_| Err(Error::new(e.kind(), e.to_string()))).collect();
                all[0] = Err(e); // The first one keeps the cause.
                all
            }
        }
    }

    /// What is known of one key, and what is missing.
    ///
    /// # Errors
    /// `InvalidRequest`, or damaged bytes. What makes a whole read fail is listed in [`Partial::missing`].
    pub fn get_partial(&self, key: &[u8]) -> Result<RawPartial> {
        let keys = [key.to_vec()];
        let (found, view) = self.read_keys(Some(&keys), true, &mut |v| v.values(&keys))?;
        let View { bad, basis, .. } = view;
        Ok(Partial {
            so_far: one(found)?,
            coverage: basis.coverage,
            missing: bad,
        })
    }

    /// The answer that [`get`](Self::get) gives, with each value that was merged, in the order of merging, and those that were left
    /// out.
    ///
    /// # Errors
    /// As said at [`RawStoreClient`]: what is no whole answer is not explained, the error says what it lacks.
    pub fn explain_answer(&self, key: &[u8]) -> Result<RawExplained> {
        let keys = [key.to_vec()];
        let (found, view) = self.read(false, &mut |view| Ok((view.values(&keys)?, view.parts(key)?)))?;
        let (found, parts) = found;
        Ok(RawExplained {
            answer: view.basis.answer(one(found)?),
            parts,
            face: self.face,
            key: key.to_vec(),
        })
    }

    /// Calls `f` with every key that begins with `prefix` and its whole value, ascending by key. Nothing is shown before the
    /// checks have passed; of the cells below the prefix as many are held as may be (`Client::live_bytes`), the generation is streamed.
    ///
    /// # Errors
    /// The first of `f`, or as said at [`RawStoreClient`]; what was shown before an error is exact but not all.
    pub fn scan(&self, prefix: &[u8], f: &mut Visit<'_>) -> Result<Basis> {
        let mut caller: Option<Error> = None;
        let done = self.read(false, &mut |view| {
            let mut shown = false;
            let scanned = view.scan(prefix, None, &mut |key, value| {
                shown = true;
                f(key, value).map_err(|e| {
                    let stop = Error::new(e.kind(), e.to_string());
                    caller = Some(e);
                    stop
                })
            });
            // What was shown cannot be taken back: no second attempt.
            scanned.map_err(|fail| if shown { Fail::Final(fail.into_error()) } else { fail })
        });
        match (caller, done) {
            (Some(e), _) => Err(e),
            (None, done) => done.map(|(_, view)| view.basis),
        }
    }

    /// All keys that begin with `prefix`, ascending.
    ///
    /// # Errors
    /// As said at [`RawStoreClient`].
    pub fn under(&self, prefix: &[u8]) -> Result<RawRows> {
        let (rows, view) = self.read(false, &mut |view| {
            let mut rows = Vec::new();
            view.scan(prefix, None, &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                Ok(())
            })?;
            Ok(rows)
        })?;
        Ok((rows, view.basis))
    }

    /// The sum of all values whose key begins with `prefix`, in key order; `None`: surely no such key.
    ///
    /// # Errors
    /// As said at [`RawStoreClient`].
    pub fn sum_under(&self, prefix: &[u8]) -> Result<RawAnswer> {
        self.sum_where(prefix, &|_| true)
    }

    /// The sum of all values with `from <= key < to`.
    ///
    /// # Errors
    /// As said at [`RawStoreClient`].
    pub fn sum_range(&self, from: &[u8], to: &[u8]) -> Result<RawAnswer> {
        let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        self.sum_where(&from[..shared], &|key| from <= key && key < to)
    }

    fn sum_where(&self, prefix: &[u8], wanted: &dyn Fn(&[u8]) -> bool) -> Result<RawAnswer> {
        if self.face.windows.is_some() {
            return Err(Error::invalid(format!(
                "store `{}` holds each record once for every size of its hops, so a sum over its keys would count it several times: \
                 ask for a window (`Client::windows`, command `window`)",
                self.face.name
            )));
        }
        let (sum, view) = self.read(false, &mut |view| {
            let (mut pending, mut bytes) = (Vec::new(), 0);
            view.scan(prefix, None, &mut |key, value| {
                if wanted(key) {
                    bytes += value.len();
                    pending.push(value.to_vec());
                    if bytes > PENDING_BYTES && pending.len() > 1 {
                        let sum = self.add(&pending)?;
                        pending.clear();
                        bytes = 0;
                        pending.extend(sum);
                    }
                }
                Ok(())
            })?;
            self.add(&pending).map_err(Fail::Final)
        })?;
        Ok(view.basis.answer(sum))
    }

    fn add(&self, values: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        self.add_parts(&values.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// The sum of values of several keys, in this order; `None` of nothing.
    pub(crate) fn add_parts(&self, values: &[&[u8]]) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let any = self.face.value.sum(&mut values.iter().copied(), &mut out);
        let any =
            any.map_err(|e| Error::corrupt(format!("the values of several keys cannot be added: {e}")).caused_by(e))?;
        Ok(any.then_some(out))
    }

    /// The `n` keys with the largest values by [`ValueFace::magnitude`](rufous_core::ValueFace::magnitude), largest first;
    /// equal ones ascend by key.
    ///
    /// # Errors
    /// As said at [`RawStoreClient`].
    pub fn top(&self, n: usize) -> Result<RawRows> {
        self.top_under(&[], n)
    }

    /// [`top`](Self::top) of the keys that begin with `prefix`.
    ///
    /// # Errors
    /// As said at [`RawStoreClient`].
    pub fn top_under(&self, prefix: &[u8], n: usize) -> Result<RawRows> {
        if self.face.windows.is_some() {
            return Err(Error::invalid(format!(
                "store `{}` has hops of several sizes, so its largest keys are those of the largest hops: list the keys of one size \
                 (`under`), or ask for windows of the keys that count (`Client::windows`, command `window`)",
                self.face.name
            )));
        }
        let (rows, view) = self.read(false, &mut |view| {
            let mut top: Vec<(f64, Vec<u8>, Vec<u8>)> = Vec::new();
            view.scan(prefix, None, &mut |key, value| {
                let size = self
                    .face
                    .value
                    .magnitude(value)
                    .map_err(|e| undecodable(&self.face, key, &e))?;
                // Keys ascend: behind its equals.
                let at = top.partition_point(|(other, ..)| other.total_cmp(&size) != std::cmp::Ordering::Less);
                if at < n {
                    top.insert(at, (size, key.to_vec(), value.to_vec()));
                    top.truncate(n);
                }
                Ok(())
            })?;
            Ok(top.into_iter().map(|(_, key, value)| (key, value)).collect())
        })?;
        Ok((rows, view.basis))
    }
}

/// The answer to a question about one key.
fn one(found: Vec<Sum>) -> Sum {
    found
        .into_iter()
        .next()
        .unwrap_or_else(|| Err(Error::new(ErrorKind::Bug, "one key was asked, none was answered")))
}
