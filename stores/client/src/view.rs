//! One read's view: rows and cells of one point in time, and a manifest that belongs to them (section 8 of the protocol).

mod slices;

use std::sync::Arc;

use rufous_core::{
    Error, ErrorKind, Forgetter, Frontier, HopSize, Reach, Result, SourcePartition, StoreFace, Timestamp,
};
use rufous_store_api::{Cell, First, KeyRange, Manifest, Snapshot, StoreGeneration};

use crate::answer::{Basis, key_text};
use crate::cache::{GenerationName, Sums};
use crate::check::{Checked, check};
use crate::client::Client;
use crate::explain::Parts;
use crate::held::Moment;
use crate::missing::Missing;
use crate::raw::Visit;
use crate::taken::{Held, Taken};
use crate::terms::{Clock, Terms};
use slices::{Live, from_on, start_of};

/// How often a read starts over because the namespace changed under it.
const RESTARTS: usize = 3;
/// Keys that are asked for between two looks at the clock, where a read has a deadline.
const KEYS_A_LOOK: usize = 4096;
/// What a cell that is held costs besides its bytes.
const CELL_BYTES: usize = 64;

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
}

/// The sum of one key in canonical bytes; `None`: surely absent.
pub(crate) type Sum = Result<Option<Vec<u8>>>;

/// A cell in a range of keys: the place of the range, the key, the cell.
pub(crate) type LiveCell = (usize, Vec<u8>, Cell);

/// What is shown the sums in ranges of keys: the place of the range, the key, the sum.
pub(crate) type Show<'a> = dyn FnMut(usize, &[u8], Result<&[u8]>) -> Result<()> + 'a;

/// Everything that one read of one store sees.
pub(crate) struct View {
    client: Client,
    face: StoreFace,
    accept_holes: bool,
    clock: Clock,
    pub(crate) manifest: Arc<Manifest>,
    taken: Taken,
    counted: Vec<bool>,
    pub(crate) bad: Vec<Missing>,
    pub(crate) basis: Basis,
}

impl View {
    /// `keys`: those that will be asked for, where that is known. Takes the snapshot first, then checks it against `m`, then against the newest manifest, read after the snapshot. The
    /// view may still be bad, or behind what is demanded: then no retry helps (P29).
    ///
    /// # Errors
    /// `InvalidRequest` when the store's schema is not the port's; `TryAgain` when namespaces keep changing; what the stores
    /// return.
    pub(crate) fn open(
        client: &Client,
        face: &StoreFace,
        terms: &Terms,
        clock: Clock,
        schema: &dyn Fn(&Manifest) -> Result<()>,
        keys: Option<&[Vec<u8>]>,
        mut m: Arc<Manifest>,
    ) -> Result<Self> {
        let at = |e: Error| e.at(format_args!("store `{}`", face.name));
        for _ in 0..=RESTARTS {
            let first = keys.map(|keys| First {
                store: face.name,
                keys,
                from: &m.frontier,
            });
            let namespace = m.realtime_namespace.as_deref();
            let taken = Taken::take(client, Some(face.name), first.as_ref(), namespace, &clock).map_err(at)?;
            let look = |m: &Manifest| -> Result<Checked> {
                schema(m)?;
                Ok(check(m, &taken.rows, taken.silent.as_deref(), terms.accept_holes))
            };
            if m.realtime_namespace == taken.namespace {
                let checked = look(&m)?;
                if checked.bad.is_empty() && terms.behind(&checked.basis.coverage, &m).is_none() {
                    return Ok(Self::of(client, face, terms, clock, m, taken, checked));
                }
            }
            m = client
                .newest(m.number)
                .map_err(|e| clock.late(e, "a look at the newest manifest"))?;
            clock.check("reading the newest manifest").map_err(at)?;
            if m.realtime_namespace == taken.namespace {
                let checked = look(&m)?;
                return Ok(Self::of(client, face, terms, clock, m, taken, checked));
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

    /// A view of a moment that is held: of its snapshot and its manifest, whatever came since.
    ///
    /// # Errors
    /// `InvalidRequest` when the store's schema is not the port's; what the stores return.
    pub(crate) fn within(
        client: &Client,
        face: &StoreFace,
        terms: &Terms,
        clock: Clock,
        schema: &dyn Fn(&Manifest) -> Result<()>,
        moment: &Moment,
    ) -> Result<Self> {
        let m = &moment.manifest;
        schema(m)?;
        let taken = moment.taken.of(face.name, &clock);
        let taken = taken.map_err(|e| e.at(format_args!("store `{}`", face.name)))?;
        let checked = check(m, &taken.rows, taken.silent.as_deref(), terms.accept_holes);
        Ok(Self::of(client, face, terms, clock, m.clone(), taken, checked))
    }

    fn of(
        client: &Client,
        face: &StoreFace,
        terms: &Terms,
        clock: Clock,
        m: Arc<Manifest>,
        t: Taken,
        c: Checked,
    ) -> Self {
        let Checked { bad, counted, basis } = c;
        Self {
            client: client.clone(),
            face: *face,
            accept_holes: terms.accept_holes,
            clock,
            manifest: m,
            taken: t,
            counted,
            bad,
            basis,
        }
    }

    pub(crate) fn nothing_held(&self) -> HeldBytes {
        HeldBytes {
            store: self.face.name,
            bytes: 0,
            most: self.client.live_bytes_of_a_list(),
        }
    }

    /// Goes on, unless it is too late.
    pub(crate) fn on_time(&self, doing: &str) -> Result<(), Fail> {
        self.clock.check(doing).map_err(Fail::Final)
    }

    /// What became of a read of the generation's files.
    fn of_files<T>(&self, read: Result<T>) -> Result<T, Fail> {
        self.failed(read, "a read of the files of the generation", Fail::Generation)
    }

    /// Asks the snapshot.
    fn of_cells<T>(&self, snapshot: &Held, f: impl FnOnce(&dyn Snapshot) -> Result<T>) -> Result<T, Fail> {
        let read = snapshot.ask(&self.clock, f);
        self.failed(read, "a question to the realtime state", Fail::Realtime)
    }

    fn failed<T>(&self, read: Result<T>, what: &str, again: fn(Error) -> Fail) -> Result<T, Fail> {
        read.map_err(|e| match e.kind() {
            ErrorKind::TryAgain if self.clock.was_told() => Fail::Final(e),
            ErrorKind::TryAgain if self.clock.is_over() => Fail::Final(self.clock.over(format_args!("{what} ({e})"))),
            ErrorKind::TryAgain => again(e),
            _ => Fail::Final(e),
        })
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

    fn realtime(&self) -> Option<&Held> {
        self.taken.snapshot.as_ref().filter(|_| self.counted.contains(&true))
    }

    fn store(&self) -> Option<&StoreGeneration> {
        self.manifest.stores.get(self.face.name)
    }

    pub(crate) fn generation(&self) -> Option<&StoreGeneration> {
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
        self.order(&mut kept);
        Ok(kept)
    }

    fn order(&self, cells: &mut [Cell]) {
        cells.sort_by(|a, b| {
            a.batch
                .cmp(&b.batch)
                .then_with(|| self.partition(a).cmp(&self.partition(b)))
        });
    }

    /// Those that count, and the rest, both in the order in which they are summed.
    pub(crate) fn divide(&self, cells: Vec<Cell>) -> Result<(Vec<Cell>, Vec<Cell>)> {
        let (mut kept, mut rest) = (Vec::new(), Vec::new());
        for cell in cells {
            if self.counts(&cell)? {
                kept.push(cell)
            } else {
                rest.push(cell)
            }
        }
        self.order(&mut kept);
        self.order(&mut rest);
        Ok((kept, rest))
    }

    /// Whose cell it is.
    pub(crate) fn partition(&self, cell: &Cell) -> Option<&SourcePartition> {
        self.taken.rows.get(cell.partition as usize).map(|(p, _)| p)
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
        // Between questions the clock is looked at.
        let at_once = if self.clock.is_looked_at() {
            KEYS_A_LOOK
        } else {
            keys.len()
        };
        let mut sums = Vec::with_capacity(keys.len());
        for keys in keys.chunks(at_once.max(1)) {
            self.on_time("a read of many keys")?;
            self.some_values(keys, &mut sums)?;
        }
        Ok(sums)
    }

    /// The values of these keys in a generation.
    pub(crate) fn offline(&self, g: &StoreGeneration, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Fail> {
        let found = self.of_files(self.client.parts().generations.get(&self.face, g, keys))?;
        self.whole_list("offline", found, keys.len())
    }

    /// The cells of these keys, as far as the frontier lets them through.
    pub(crate) fn cells(&self, keys: &[Vec<u8>], from: &Frontier) -> Result<Vec<Vec<Cell>>, Fail> {
        let found = match self.realtime() {
            Some(s) => self.of_cells(s, |s| s.cells(self.face.name, keys, from))?,
            None => vec![Vec::new(); keys.len()],
        };
        self.whole_list("realtime", found, keys.len())
    }

    fn some_values(&self, keys: &[Vec<u8>], sums: &mut Vec<Sum>) -> Result<(), Fail> {
        let cells = self.cells(keys, &self.manifest.frontier)?;
        let offline = match self.generation() {
            Some(g) => {
                let name = GenerationName::of(self.face.name, g);
                self.client.cache().get(name, keys, |keys| self.offline(g, keys))?
            }
            None => vec![None; keys.len()],
        };
        let gone = self.gone()?;
        for ((key, offline), cells) in keys.iter().zip(offline).zip(cells) {
            let sum = self
                .is_kept(gone.as_ref(), key)
                .and_then(|()| self.arrange(cells))
                .and_then(|cells| self.sum(key, offline.as_deref(), &cells));
            sums.push(sum.map_err(|e| e.at(format_args!("store `{}`", self.face.name))));
        }
        Ok(())
    }

    /// Calls `f` with every key that begins with `prefix` and its sum, ascending by key; not with those of hops that are gone,
    /// nor with those up to `after`, which are not read offline.
    pub(crate) fn scan(&self, prefix: &[u8], after: Option<&[u8]>, f: &mut Visit<'_>) -> Result<(), Fail> {
        let gone = self.gone()?;
        let start = start_of(prefix, after);
        let mut live = Live::of(self, prefix, &start)?;
        let mut emit = |key: &[u8], offline: Option<&[u8]>, cells: Vec<Cell>| -> Result<()> {
            self.clock.row("a scan")?;
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
            // Why the realtime part could not be read on.
            let mut broke: Option<Fail> = None;
            let mut merge = |key: &[u8], value: &[u8]| -> Result<()> {
                if last.as_deref().is_some_and(|last| last >= key) || !key.starts_with(prefix) {
                    let key = key_text(&self.face, key);
                    return Err(Error::corrupt(format!("the generation holds key {key} out of order")));
                }
                last.get_or_insert_default().clear();
                last.get_or_insert_default().extend_from_slice(key);
                let mut stop = |fail: Fail| {
                    broke = Some(fail);
                    Error::closed("the realtime part cannot be read on")
                };
                while let Some((k, cells)) = live.below(key).map_err(&mut stop)? {
                    emit(&k, None, cells)?;
                }
                emit(key, Some(value), live.of_key(key).map_err(stop)?)
            };
            let generations = &self.client.parts().generations;
            let read = match after {
                None => generations.scan(&self.face, g, prefix, &mut merge),
                Some(_) => {
                    let (range, rest) = from_on(prefix, &start);
                    let in_range = |merge: &mut Visit<'_>| {
                        generations.ranges(&self.face, g, &[range], &mut |_, key, value| merge(key, value))
                    };
                    in_range(&mut merge).and_then(|()| match rest {
                        None => Ok(()),
                        Some(rest) => generations.scan(&self.face, g, &rest, &mut |key, value| {
                            if key >= start.as_slice() {
                                merge(key, value)
                            } else {
                                Ok(())
                            }
                        }),
                    })
                }
            };
            if let Some(fail) = broke {
                return Err(fail);
            }
            self.of_files(read)?;
        }
        while let Some((key, cells)) = live.next()? {
            emit(&key, None, cells).map_err(Fail::Final)?;
        }
        Ok(())
    }

    /// Calls `f` with every key that lies in one of `ranges` and its sum, with the place of the range, ascending by key. A key
    /// whose bytes are damaged is an error of its own. The ranges ascend and share no key.
    pub(crate) fn ranges(&self, ranges: &[KeyRange], f: &mut Show<'_>) -> Result<(), Fail> {
        self.merged(ranges, self.live(ranges)?, f)
    }

    /// The cells in these ranges, ascending by range and key, and those of a key in the order in which they are summed.
    pub(crate) fn live(&self, ranges: &[KeyRange]) -> Result<Vec<LiveCell>, Fail> {
        let mut cells: Vec<LiveCell> = Vec::new();
        let mut held = self.nothing_held();
        if let Some(s) = self.realtime() {
            let mut collect = |place: usize, key: &[u8], cell: Cell| {
                self.clock.row("a read of ranges of the realtime state")?;
                held.add(key, &cell)?;
                cells.push((place, key.to_vec(), cell));
                Ok(())
            };
            self.of_cells(s, |s| {
                s.ranges(self.face.name, ranges, &self.manifest.frontier, &mut collect)
            })?;
            // Those of one key come by batch: they stay in order.
            cells.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        }
        Ok(cells)
    }

    /// Sums of neighbouring values of the generation that are kept; `None`: there is no generation, or none are.
    pub(crate) fn sums(&self) -> Option<Sums<'_>> {
        let name = GenerationName::of(self.face.name, self.generation()?);
        self.client.cache().sums(name)
    }

    /// As [`ranges`](Self::ranges), of cells that were read before.
    pub(crate) fn merged(&self, ranges: &[KeyRange], cells: Vec<LiveCell>, f: &mut Show<'_>) -> Result<(), Fail> {
        let mut live = cells.into_iter().peekable();
        let mut parts = Vec::new();
        let mut emit = |place: usize, key: &[u8], offline: Option<&[u8]>, cells: &mut Vec<Cell>| -> Result<()> {
            self.clock.row("a read of ranges")?;
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
            let generations = &self.client.parts().generations;
            self.of_files(generations.ranges(&self.face, g, ranges, &mut merge))?;
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

/// What a read holds of the realtime state, or of the values that were merged: windows, their explanation.
pub(crate) struct HeldBytes {
    store: &'static str,
    bytes: usize,
    most: usize,
}

impl HeldBytes {
    fn takes(&mut self, bytes: usize) -> bool {
        self.bytes += bytes + CELL_BYTES;
        self.bytes <= self.most
    }
    fn add(&mut self, key: &[u8], cell: &Cell) -> Result<()> {
        if self.takes(key.len() + cell.value.len()) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the realtime state of the windows that are asked for is larger than the {} bytes that a read may hold; ask for fewer keys or \
             windows, or let a batch be published, which empties the realtime state",
            self.most
        )))
    }
    /// Holds the parts of one hop.
    pub(crate) fn explain(&mut self, parts: &Parts) -> Result<()> {
        let left_out = parts.left_out.iter().map(|left| &left.part);
        let values = parts.merged.iter().chain(left_out).map(|part| part.value.len());
        let runs = parts.runs_without.iter().map(String::len);
        if values.chain(runs).all(|bytes| self.takes(bytes)) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "store `{}`: what the hops of the window are made of is larger than the {} bytes that an explanation may hold; ask for a shorter \
             window",
            self.store, self.most
        )))
    }
}

/// The first key behind all that begin with `prefix`; `None`: there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=kept)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}
