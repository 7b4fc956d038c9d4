//! One read's view: rows and cells of one point in time, and a manifest that belongs to them (section 8 of the protocol).

use std::collections::BTreeMap;
use std::sync::Arc;

use rufous_core::{Error, ErrorKind, Forgetter, HopSize, Reach, Result, SourcePartition, StoreFace, Timestamp};
use rufous_store_api::{Cell, KeyRange, Manifest, Progress, Snapshot, StoreGeneration};

use crate::answer::{Basis, key_text};
use crate::check::{Checked, check};
use crate::client::Client;
use crate::missing::Missing;
use crate::raw::Visit;

/// How often a read starts over because the namespace changed under it.
const RESTARTS: usize = 3;

/// Why a read through a view failed: it decides what is tried next.
pub(crate) enum Fail {
    /// A file of the generation is gone (P25): start over with the newest manifest.
    Generation(Error),
    /// The owner of the realtime state fell silent.
    Realtime(Error),
    /// Nothing to try.
    Final(Error),
}

impl Fail {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Generation(e) | Self::Realtime(e) | Self::Final(e) => e,
        }
    }
    fn generation(e: Error) -> Self {
        if e.kind() == ErrorKind::TryAgain {
            Self::Generation(e)
        } else {
            Self::Final(e)
        }
    }
    fn realtime(e: Error) -> Self {
        if e.kind() == ErrorKind::TryAgain {
            Self::Realtime(e)
        } else {
            Self::Final(e)
        }
    }
}

/// The progress rows of one snapshot; a cell names its partition by its place in here.
pub(crate) type Rows = Vec<(SourcePartition, Progress)>;
/// The sum of one key in canonical bytes; `None`: surely absent.
pub(crate) type Sum = Result<Option<Vec<u8>>>;

/// The realtime half: taken first, before the manifest that it is read with.
struct Taken {
    namespace: Option<String>,
    snapshot: Option<Box<dyn Snapshot>>,
    rows: Rows,
    silent: Option<String>,
}

/// Everything that one read of one store sees.
pub(crate) struct View {
    client: Client,
    face: StoreFace,
    accept_holes: bool,
    pub(crate) manifest: Arc<Manifest>,
    taken: Taken,
    counted: Vec<bool>,
    pub(crate) bad: Vec<Missing>,
    pub(crate) basis: Basis,
}

fn take(client: &Client, store: &str, namespace: Option<&str>) -> Result<Taken> {
    let mut taken = Taken {
        namespace: namespace.map(Into::into),
        snapshot: None,
        rows: Vec::new(),
        silent: None,
    };
    let Some(namespace) = namespace else { return Ok(taken) };
    let read = || -> Result<Option<(Box<dyn Snapshot>, Rows)>> {
        let Some(reader) = (client.parts().realtime)(namespace)? else {
            return Ok(None);
        };
        let snapshot = reader.snapshot()?;
        let rows = snapshot.partitions(store)?;
        Ok(Some((snapshot, rows)))
    };
    match read() {
        Ok(None) => {}
        Ok(Some((snapshot, rows))) => {
            taken.namespace = Some(snapshot.namespace().into());
            (taken.snapshot, taken.rows) = (Some(snapshot), rows);
        }
        Err(e) if e.kind() == ErrorKind::TryAgain => taken.silent = Some(e.to_string()),
        Err(e) => return Err(e.at(format_args!("store `{store}`"))),
    }
    Ok(taken)
}

impl View {
    /// Takes the snapshot first, then checks it against `m`, then against the newest manifest, read after the snapshot. The
    /// view may still be bad: then no retry helps (P29).
    ///
    /// # Errors
    /// `InvalidRequest` when the store's schema is not the port's; `TryAgain` when namespaces keep changing; what the stores
    /// return.
    pub(crate) fn open(
        client: &Client,
        face: &StoreFace,
        accept_holes: bool,
        schema: &dyn Fn(&Manifest) -> Result<()>,
        mut m: Arc<Manifest>,
    ) -> Result<Self> {
        for _ in 0..=RESTARTS {
            let taken = take(client, face.name, m.realtime_namespace.as_deref())?;
            let look = |m: &Manifest| -> Result<Checked> {
                schema(m)?;
                Ok(check(m, &taken.rows, taken.silent.as_deref(), accept_holes))
            };
            if m.realtime_namespace == taken.namespace {
                let checked = look(&m)?;
                if checked.bad.is_empty() {
                    return Ok(Self::of(client, face, accept_holes, m, taken, checked));
                }
            }
            m = client.newest(m.number)?;
            if m.realtime_namespace == taken.namespace {
                let checked = look(&m)?;
                return Ok(Self::of(client, face, accept_holes, m, taken, checked));
            }
            tracing::debug!(
                store = face.name,
                manifest = m.number,
                "the namespace changed: a new snapshot is taken"
            );
        }
        Err(Error::try_again(format!(
            "store `{}`: the realtime namespace changed {} times during one read; try again",
            face.name,
            RESTARTS + 1
        )))
    }

    fn of(client: &Client, face: &StoreFace, accept_holes: bool, m: Arc<Manifest>, t: Taken, c: Checked) -> Self {
        let Checked { bad, counted, basis } = c;
        Self {
            client: client.clone(),
            face: *face,
            accept_holes,
            manifest: m,
            taken: t,
            counted,
            bad,
            basis,
        }
    }

    /// The owner fell silent between the check and the read of its cells: from here on the view has no realtime part.
    pub(crate) fn lose_realtime(&mut self, why: &Error) {
        self.taken.snapshot = None;
        let Checked { bad, counted, basis } = check(
            &self.manifest,
            &self.taken.rows,
            Some(&why.to_string()),
            self.accept_holes,
        );
        (self.bad, self.counted, self.basis) = (bad, counted, basis);
    }

    fn realtime(&self) -> Option<&dyn Snapshot> {
        self.taken.snapshot.as_deref().filter(|_| self.counted.contains(&true))
    }

    fn store(&self) -> Option<&StoreGeneration> {
        self.manifest.stores.get(self.face.name)
    }

    fn generation(&self) -> Option<&StoreGeneration> {
        self.store().filter(|g| !g.runs.is_empty())
    }

    /// Whether a cell belongs to the answer: its partition is sound, and the frontier leaves its batch to the realtime layer.
    fn counts(&self, cell: &Cell) -> Result<bool> {
        let i = cell.partition as usize;
        match (self.taken.rows.get(i), self.counted.get(i)) {
            (Some((p, _)), Some(counted)) => Ok(*counted && cell.batch >= self.manifest.frontier.of(p).batch),
            _ => Err(Error::corrupt(format!(
                "a cell of batch {} belongs to partition number {i}, which has no progress row",
                cell.batch.0
            ))),
        }
    }

    /// The cells that count, in the order in which they are summed: by batch, then partition.
    fn arrange(&self, cells: Vec<Cell>) -> Result<Vec<Cell>> {
        let mut kept = Vec::with_capacity(cells.len());
        for cell in cells {
            if self.counts(&cell)? {
                kept.push(cell);
            }
        }
        let place = |c: &Cell| self.taken.rows.get(c.partition as usize).map(|(p, _)| p);
        kept.sort_by(|a, b| a.batch.cmp(&b.batch).then_with(|| place(a).cmp(&place(b))));
        Ok(kept)
    }

    /// The offline value first, then the cells.
    fn sum(&self, key: &[u8], offline: Option<&[u8]>, cells: &[Cell]) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        let mut parts = offline.into_iter().chain(cells.iter().map(|c| c.value.as_slice()));
        let any = self.face.value.sum(&mut parts, &mut out).map_err(|e| {
            let key = key_text(&self.face, key);
            Error::corrupt(format!("the parts of key {key} cannot be added: {e}")).caused_by(e)
        })?;
        Ok(any.then_some(out))
    }

    fn whole_list<T>(&self, what: &str, found: Vec<T>, asked: usize) -> Result<Vec<T>, Fail> {
        if found.len() == asked {
            return Ok(found);
        }
        let n = found.len();
        Err(Fail::Final(Error::bug(format!(
            "the {what} part answered {n} of {asked} keys"
        ))))
    }

    /// Per size up to where hops are gone.
    pub(crate) fn dropped(&self) -> Vec<(HopSize, Timestamp)> {
        self.store().map(StoreGeneration::dropped_hops).unwrap_or_default()
    }

    /// Knows which hops are gone; `None`: none are.
    fn gone(&self) -> Result<Option<Forgetter>, Fail> {
        let reach = Reach {
            batch: None,
            dropped: self.dropped(),
        };
        self.face.forgetter(&reach).map_err(Fail::Final)
    }

    /// A hop that is gone is no absence: parts of it may be left.
    fn is_kept(&self, gone: Option<&Forgetter>, key: &[u8]) -> Result<()> {
        let Some(hop) = gone.and_then(|gone| gone.dropped(key)) else {
            return Ok(());
        };
        Err(Error::invalid(format!(
            "hop {hop} of key {} was dropped: hops of {} are kept for a time, and the newest sealed batch is further on; ask for \
             larger hops",
            key_text(&self.face, key),
            hop.size()
        )))
    }

    /// The sums of these keys, in order. A key whose bytes are damaged is an error of its own.
    pub(crate) fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<Sum>, Fail> {
        let cells = match self.realtime() {
            Some(s) => s
                .cells(self.face.name, keys, &self.manifest.frontier)
                .map_err(Fail::realtime)?,
            None => vec![Vec::new(); keys.len()],
        };
        let offline = match self.generation() {
            Some(g) => self
                .client
                .parts()
                .generations
                .get(&self.face, g, keys)
                .map_err(Fail::generation)?,
            None => vec![None; keys.len()],
        };
        let cells = self.whole_list("realtime", cells, keys.len())?;
        let offline = self.whole_list("offline", offline, keys.len())?;
        let gone = self.gone()?;
        let mut sums = Vec::with_capacity(keys.len());
        for ((key, offline), cells) in keys.iter().zip(offline).zip(cells) {
            let sum = self
                .is_kept(gone.as_ref(), key)
                .and_then(|()| self.arrange(cells))
                .and_then(|cells| self.sum(key, offline.as_deref(), &cells));
            sums.push(sum.map_err(|e| e.at(format_args!("store `{}`", self.face.name))));
        }
        Ok(sums)
    }

    /// Calls `f` with every key that begins with `prefix` and its sum, ascending by key; not with those of hops that are gone.
    pub(crate) fn scan(&self, prefix: &[u8], f: &mut Visit<'_>) -> Result<(), Fail> {
        let gone = self.gone()?;
        let mut cells: BTreeMap<Vec<u8>, Vec<Cell>> = BTreeMap::new();
        if let Some(s) = self.realtime() {
            let mut collect = |key: &[u8], cell: Cell| {
                if self.counts(&cell)? {
                    cells.entry(key.to_vec()).or_default().push(cell);
                }
                Ok(())
            };
            s.scan(self.face.name, prefix, &self.manifest.frontier, &mut collect)
                .map_err(Fail::realtime)?;
        }
        let mut live = cells.into_iter().peekable();
        let mut emit = |key: &[u8], offline: Option<&[u8]>, cells: Vec<Cell>| -> Result<()> {
            if gone.as_ref().is_some_and(|gone| gone.dropped(key).is_some()) {
                return Ok(());
            }
            match self.sum(key, offline, &self.arrange(cells)?)? {
                Some(value) => f(key, &value),
                None => Ok(()),
            }
        };
        if let Some(g) = self.generation() {
            let mut last: Option<Vec<u8>> = None;
            let mut merge = |key: &[u8], value: &[u8]| -> Result<()> {
                if last.as_deref().is_some_and(|last| last >= key) || !key.starts_with(prefix) {
                    let key = key_text(&self.face, key);
                    return Err(Error::corrupt(format!("the generation holds key {key} out of order")));
                }
                last.get_or_insert_default().clear();
                last.get_or_insert_default().extend_from_slice(key);
                while let Some((k, cells)) = live.next_if(|(k, _)| k.as_slice() < key) {
                    emit(&k, None, cells)?;
                }
                let same = live
                    .next_if(|(k, _)| k.as_slice() == key)
                    .map_or_else(Vec::new, |(_, cells)| cells);
                emit(key, Some(value), same)
            };
            let done = self.client.parts().generations.scan(&self.face, g, prefix, &mut merge);
            done.map_err(Fail::generation)?;
        }
        for (key, cells) in live {
            emit(&key, None, cells).map_err(Fail::Final)?;
        }
        Ok(())
    }

    /// Calls `f` with every key that lies in one of `ranges` and its sum, with the place of the range, ascending by key. A key
    /// whose bytes are damaged is an error of its own. The ranges ascend and share no key.
    pub(crate) fn ranges(
        &self,
        ranges: &[KeyRange],
        f: &mut dyn FnMut(usize, &[u8], Result<&[u8]>) -> Result<()>,
    ) -> Result<(), Fail> {
        let mut cells: Vec<(usize, Vec<u8>, Cell)> = Vec::new();
        if let Some(s) = self.realtime() {
            let mut collect = |place: usize, key: &[u8], cell: Cell| {
                cells.push((place, key.to_vec(), cell));
                Ok(())
            };
            s.ranges(self.face.name, ranges, &self.manifest.frontier, &mut collect)
                .map_err(Fail::realtime)?;
            // Those of one key come by batch: they stay in order.
            cells.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        }
        let mut live = cells.into_iter().peekable();
        let mut parts = Vec::new();
        let mut emit = |place: usize, key: &[u8], offline: Option<&[u8]>, cells: &mut Vec<Cell>| -> Result<()> {
            let at = |e: Error| e.at(format_args!("store `{}`", self.face.name));
            let sum = match (offline, cells.is_empty()) {
                (Some(value), true) => return f(place, key, Ok(value)),
                _ => self.arrange(std::mem::take(cells)),
            };
            match sum.and_then(|cells| self.sum(key, offline, &cells)) {
                Ok(Some(sum)) => f(place, key, Ok(&sum)),
                Ok(None) => Ok(()),
                Err(e) => f(place, key, Err(at(e))),
            }
        };
        if let Some(g) = self.generation() {
            let mut last: (usize, Vec<u8>) = Default::default();
            let mut merge = |place: usize, key: &[u8], value: &[u8]| -> Result<()> {
                let inside = ranges.get(place).is_some_and(|r| *r.start <= *key && *key < *r.end);
                // No key is empty below the first one.
                if !inside || (last.0, last.1.as_slice()) >= (place, key) && !last.1.is_empty() {
                    let key = key_text(&self.face, key);
                    return Err(Error::corrupt(format!("the generation holds key {key} out of order")));
                }
                last.0 = place;
                last.1.clear();
                last.1.extend_from_slice(key);
                let before = |l: &(usize, Vec<u8>, Cell)| (l.0, l.1.as_slice()) < (place, key);
                while let Some((at, k, cell)) = live.next_if(before) {
                    parts.push(cell);
                    while let Some((_, _, cell)) = live.next_if(|l| (l.0, &l.1) == (at, &k)) {
                        parts.push(cell);
                    }
                    emit(at, &k, None, &mut parts)?;
                }
                while let Some((_, _, cell)) = live.next_if(|l| (l.0, l.1.as_slice()) == (place, key)) {
                    parts.push(cell);
                }
                emit(place, key, Some(value), &mut parts)
            };
            let done = self
                .client
                .parts()
                .generations
                .ranges(&self.face, g, ranges, &mut merge);
            done.map_err(Fail::generation)?;
        }
        while let Some((at, k, cell)) = live.next() {
            parts.push(cell);
            while let Some((_, _, cell)) = live.next_if(|l| (l.0, &l.1) == (at, &k)) {
                parts.push(cell);
            }
            emit(at, &k, None, &mut parts).map_err(Fail::Final)?;
        }
        Ok(())
    }
}
