//! What operators remember: the running values of keys (O7).
//!
//! The running value of a key is what the store holds of it plus all that is not committed yet. What was changed lately
//! is remembered here; other keys are asked for, those of a chunk at once.
//!
//! **What may be forgotten.** Two tables a domain: `young` has what was changed or asked for since the last turn, `old` what
//! was before. At a turn `old` is dropped and `young` takes its place. Turns happen only when deltas are taken out, and then
//! everything that was taken before is committed: two maps swap, and one chunk at most is on its way. A key in `old` was
//! changed last before the turn before, so that change is committed, and the store answers with it. After a failed commit
//! everything is forgotten (P12, O10).

use rufous_algebra::buffer::{CombineMap, Full, Hint};
use rufous_algebra::{Codec, Semigroup};
use xxhash_rust::xxh3::xxh3_64;

use super::stage::Context;
use crate::data::KeyedChunk;
use crate::error::{Error, Result};
use crate::evidence::StoreFace;
use crate::rules::{Rule, kept};

/// What operators ask of the platform: state that is committed. Values are canonical bytes, so it serves state of any kind.
pub trait OperatorState: Send {
    /// For each key, in order, its committed value; `None`: it has none. Of the keys that are asked for nothing is uncommitted.
    ///
    /// # Errors
    /// When the state cannot be read, or does not belong to the records that are being processed.
    fn values(&mut self, wanted: &Wanted<'_>) -> Result<Vec<Option<Vec<u8>>>>;
}

/// Keys whose state an operator needs.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The place of the operator's store in the plan.
    pub store: usize,
    /// The place in the plan of the source that the keys come from now.
    pub source: u32,
    /// Its partition. Others of the operator's domain may hold them, too ([`Plan::goes_with`](crate::Plan::goes_with)).
    pub partition: u32,
    /// Canonical bytes, each key once.
    pub keys: &'a [Vec<u8>],
}

/// Which of the partitions that an operator gets may hold one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// None but itself.
    Partition,
    /// Partition i of all its sources.
    Alike,
    /// All.
    All,
}

impl Extent {
    /// What the domain of a partition of a source is known by.
    #[inline]
    pub(super) fn domain(self, (source, partition): (u32, u32)) -> (u32, u32) {
        match self {
            Self::Partition => (source, partition),
            Self::Alike => (0, partition),
            Self::All => (0, 0),
        }
    }
    /// Its number among those of one source.
    #[inline]
    pub(super) fn number(self, partition: u32) -> u32 {
        self.domain((0, partition)).1
    }
}

/// Where an operator stands in its plan.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    /// The place of its store.
    pub(crate) store: usize,
    /// Which partitions are one domain.
    pub(crate) extent: Extent,
    /// How records meet themselves there.
    pub(crate) meets: Meets,
}

/// How a record may come to what reads the state of an operator and to what writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meets {
    /// It comes to one of them only.
    Not,
    /// What is read is what is written of it, and it comes in no other way.
    Loop,
    /// In several ways: then records run one by one.
    OneByOne,
}

/// What an operator remembers, for the executor.
pub(crate) trait Operator {
    /// Bytes of what was changed or asked for since the last turn, and of what was before.
    fn bytes(&self) -> (usize, usize);
    /// Forgets what was not touched since the last turn. Everything that was taken out before is committed.
    fn turn(&mut self);
    /// Forgets a partition of a source, or everything: what was not committed is read again.
    fn forget(&mut self, domain: Option<(u32, u32)>);
}

/// What is remembered of one domain.
pub(super) struct Known<V> {
    /// A source and a partition of it.
    domain: (u32, u32),
    pub(super) young: CombineMap<V>,
    pub(super) old: CombineMap<V>,
}

impl<V: Semigroup> Known<V> {
    /// What a key has; what was not asked for since the turn is young again.
    pub(super) fn read(&mut self, hash: u64, key: &[u8]) -> Result<Option<&V>> {
        if self.young.get_hashed(hash, key).is_none()
            && let Some(value) = self.old.get_hashed(hash, key)
        {
            let value = value.clone();
            self.young.fold(hash, key, value, |v| v, |_, _| ()).map_err(full)?;
        }
        Ok(self.young.get_hashed(hash, key))
    }
    /// Adds to what a key has. The key was prepared. What does not fit comes back.
    pub(super) fn add(&mut self, hash: u64, key: &[u8], value: V) -> std::result::Result<(), Full<V>> {
        let old = &self.old;
        let first = |item: V| match old.get_hashed(hash, key) {
            Some(before) => {
                let mut sum = before.clone();
                sum.combine_owned(item);
                sum
            }
            None => item,
        };
        let again = |sum: &mut V, item: V| sum.combine_owned(item);
        self.young.fold(hash, key, value, first, again)
    }
}

/// What is remembered of all domains, and what is needed to ask for the rest.
pub(super) struct Running<V> {
    face: StoreFace,
    standing: Standing,
    pub(super) domains: Vec<Known<V>>,
    /// Of the chunk that was prepared.
    pub(super) hashes: Vec<u64>,
    pub(super) hints: Vec<Hint>,
    /// What is remembered of a key that the store does not have: a key that is read and never added is asked for once.
    absent: Option<V>,
    /// Keys of a chunk that are not remembered.
    asked: CombineMap<u64>,
    missing: Vec<Vec<u8>>,
}

#[cold]
pub(super) fn full<I>(_: Full<I>) -> Error {
    Error::try_again("an operator remembers 4 GiB of keys: lower the memory budget so that it forgets some before")
}

impl<V: Semigroup + Codec> Running<V> {
    pub(super) fn new(face: StoreFace, standing: Standing) -> Self {
        Self {
            face,
            standing,
            domains: Vec::new(),
            hashes: Vec::new(),
            hints: Vec::new(),
            absent: None,
            asked: CombineMap::default(),
            missing: Vec::new(),
        }
    }

    /// Remembers keys that the store does not have as this value, the zero.
    pub(super) fn remembering_absent(mut self, zero: V) -> Self {
        self.absent = Some(zero);
        self
    }

    /// The number of the domain of a partition, for keys that begin with it.
    pub(super) fn number(&self, partition: u32) -> u32 {
        self.standing.extent.number(partition)
    }

    /// Whether two partitions of sources are of one domain.
    pub(super) fn are_one(&self, one: (u32, u32), other: (u32, u32)) -> bool {
        self.standing.extent.domain(one) == self.standing.extent.domain(other)
    }

    /// The domain of a partition, if anything is remembered of it.
    pub(super) fn known(&self, source: u32, partition: u32) -> Option<usize> {
        let domain = self.standing.extent.domain((source, partition));
        self.domains.iter().position(|d| d.domain == domain)
    }

    /// The domain of a chunk.
    fn domain(&mut self, cx: &Context) -> usize {
        if let Some(at) = self.known(cx.meta.source, cx.meta.partition) {
            return at;
        }
        self.domains.push(Known {
            domain: self.standing.extent.domain((cx.meta.source, cx.meta.partition)),
            young: CombineMap::default(),
            old: CombineMap::default(),
        });
        self.domains.len() - 1
    }

    /// Hashes the keys of a chunk from record `from` on, and asks for the state of those that are not remembered. Returns the
    /// domain.
    pub(super) fn prepare<I>(&mut self, cx: &mut Context, chunk: &KeyedChunk<I>, from: usize) -> Result<usize> {
        let at = self.domain(cx);
        self.hashes.clear();
        self.hashes.extend(chunk.keys_from(from).map(xxh3_64));
        self.missing.clear();
        self.asked.clear();
        let Some(known) = self.domains.get(at) else {
            return Err(Error::bug("an operator without a domain"));
        };
        known.young.look_ahead(&self.hashes, &mut self.hints);
        for (key, &hash) in chunk.keys_from(from).zip(&self.hashes) {
            if known.young.get_hashed(hash, key).is_some()
                || known.old.get_hashed(hash, key).is_some()
                || self.asked.get_hashed(hash, key).is_some()
            {
                continue;
            }
            self.asked.fold(hash, key, 0, |n| n, |_, _| ()).map_err(full)?;
            self.missing.push(key.to_vec());
        }
        if !self.missing.is_empty() {
            self.ask(cx, at)?;
        }
        Ok(at)
    }

    #[cold]
    fn ask(&mut self, cx: &mut Context, at: usize) -> Result<()> {
        for key in &self.missing {
            self.is_nowhere_else(at, key)?;
        }
        let Some(state) = &mut cx.state else { return Ok(()) };
        let values = state.values(&Wanted {
            store: self.standing.store,
            source: cx.meta.source,
            partition: cx.meta.partition,
            keys: &self.missing,
        })?;
        if values.len() != self.missing.len() {
            return Err(Error::bug("an operator was not told of all its keys"));
        }
        let Some(known) = self.domains.get_mut(at) else {
            return Ok(());
        };
        for (key, value) in self.missing.iter().zip(values) {
            let value =
                match value {
                    Some(bytes) => Some(V::decode(&bytes).map_err(|e| {
                        Error::corrupt(format!("store `{}`: state of an operator: {e}", self.face.name))
                    })?),
                    None => self.absent.clone(),
                };
            let Some(value) = value else { continue };
            known
                .young
                .fold(xxh3_64(key), key, value, |v| v, |_, _| ())
                .map_err(full)?;
        }
        Ok(())
    }

    /// O2: a key in two domains has no running value.
    fn is_nowhere_else(&self, at: usize, key: &[u8]) -> Result<()> {
        if !kept(Rule::OneDomain) {
            return Ok(());
        }
        let others = self.domains.iter().enumerate().filter(|(i, _)| *i != at);
        let hash = xxh3_64(key);
        for (_, other) in others {
            if other.young.get_hashed(hash, key).is_some() || other.old.get_hashed(hash, key).is_some() {
                let here = self.domains.get(at).map_or(0, |d| d.domain.1);
                return Err(in_two_domains(&self.face, key, here, other.domain.1));
            }
        }
        Ok(())
    }
}

/// O2: what to say of a key that two partitions have.
pub fn in_two_domains(face: &StoreFace, key: &[u8], one: u32, other: u32) -> Error {
    let key = face.key.text(key).unwrap_or_else(|e| format!("(no key: {e})"));
    let (low, high) = (one.min(other), one.max(other));
    Error::invalid(format!(
        "key `{key}` of `{}` came from partitions {low} and {high}, but the job says `.within_partition()`: write the records of \
         a key to one partition (by the key that the operator uses), or say `.in_log_order()`",
        face.name
    ))
}

impl<V: Semigroup + Codec> Operator for Running<V> {
    fn bytes(&self) -> (usize, usize) {
        let young = self.domains.iter().map(|d| d.young.bytes()).sum();
        let old = self.domains.iter().map(|d| d.old.bytes()).sum();
        (young, old)
    }
    fn turn(&mut self) {
        for known in &mut self.domains {
            known.old.clear();
            std::mem::swap(&mut known.young, &mut known.old);
        }
    }
    fn forget(&mut self, domain: Option<(u32, u32)>) {
        match domain {
            Some(of) => {
                let gone = self.standing.extent.domain(of);
                self.domains.retain(|d| d.domain != gone);
            }
            None => self.domains.clear(),
        }
    }
}
