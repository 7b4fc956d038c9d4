//! A plain key-value store of the kit.
//!
//! ```text
//! rufous-store:{NAME}:meta     hash   format (1), schema
//! rufous-store:{NAME}:values   hash   canonical key bytes -> canonical value bytes
//! ```

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::marker::PhantomData;
use std::sync::LazyLock;
use std::time::Duration;

use redis::{Cmd, Script, Value};
use rufous_algebra::{Codec, Semigroup};
use rufous_core::{Error, Key, Result, key};
use rufous_store_api::{MergeableStore, ReadableStore, WritableStore};

use crate::names;
use crate::options::RedisOptions;
use crate::server::{Server, bytes, list, text};

static SWAP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("kit/swap.lua")));

const FORMAT: &str = "1";
/// Keys of one command.
const AT_ONCE: usize = 10_000;
/// How often an addition is tried again that met another one, and the longest pause between.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Values by key in Redis, which any number of processes read, write and add to.
///
/// Additions compare and set: what is added is added once, whoever else adds to the same key, and the answer is what was there just
/// before, `None` if there was nothing. Server and rights are those of [`RedisRealtime`](crate::RedisRealtime).
pub struct RedisStore<K, V> {
    server: Server,
    /// `values`, whole.
    key: String,
    prefix: String,
    /// For messages.
    place: String,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Key, V: Codec> RedisStore<K, V> {
    /// Opens the store of this name; it is empty when it is not there.
    ///
    /// # Errors
    /// `InvalidRequest` when the URL is none, the server refuses the user, may lose or evict what it holds, or the store holds other
    /// keys or values; `TryAgain` when the server does not answer in time.
    pub fn open(url: &str, options: &RedisOptions, name: &str) -> Result<Self> {
        let server = Server::new(url, options)?;
        server.promises()?;
        let place = format!("store {name} in {}", server.location());
        let prefix = names::store(name);
        let schema = format!("{} -> {}", K::schema(), V::schema());
        let meta = format!("{prefix}meta");
        let set = |field: &str, value: &str| {
            let mut cmd = redis::cmd("HSETNX");
            cmd.arg(&meta).arg(field).arg(value);
            cmd
        };
        let mut get = redis::cmd("HMGET");
        get.arg(&meta).arg("format").arg("schema");
        let what = format!("open {place}");
        let answers = server.pipeline(&what, &[set("format", FORMAT), set("schema", &schema), get])?;
        let found = answers.last().and_then(list).ok_or_else(|| server.odd(&what))?;
        match (found.first().and_then(text), found.get(1).and_then(text)) {
            (Some(FORMAT), Some(found)) if found == schema => {}
            (Some(FORMAT), Some(found)) => {
                return Err(Error::invalid(format!(
                    "{place} was written as `{found}`, and is opened as `{schema}`: give it another name"
                )));
            }
            (found, _) => {
                return Err(Error::invalid(format!(
                    "{place} has format {}, this build reads {FORMAT}: use the build that wrote it",
                    found.unwrap_or("none")
                )));
            }
        }
        Ok(Self {
            key: format!("{prefix}values"),
            prefix,
            place,
            server,
            types: PhantomData,
        })
    }

    /// Where it lies, without a password.
    pub fn location(&self) -> String {
        self.place.clone()
    }

    fn cmd(&self, name: &str) -> Cmd {
        let mut cmd = redis::cmd(name);
        cmd.arg(&self.key);
        cmd
    }

    /// The bytes of some keys.
    fn read(&self, keys: &[Vec<u8>]) -> Result<Vec<Value>> {
        let what = format!("read {}", self.place);
        let mut cmds = Vec::new();
        for keys in keys.chunks(AT_ONCE) {
            let mut cmd = self.cmd("HMGET");
            cmd.arg(keys);
            cmds.push(cmd);
        }
        let mut all = Vec::with_capacity(keys.len());
        for answer in self.server.pipeline(&what, &cmds)? {
            match answer {
                Value::Array(values) => all.extend(values),
                _ => return Err(self.server.odd(&what)),
            }
        }
        match all.len() == keys.len() {
            true => Ok(all),
            false => Err(self.server.odd(&what)),
        }
    }

    fn value(&self, key: &[u8], found: &Value) -> Result<Option<V>> {
        let found = match found {
            Value::Nil => return Ok(None),
            found => bytes(found).unwrap_or_default(),
        };
        let value = V::decode(found).map_err(|e| {
            Error::corrupt(format!(
                "{}: key {} holds bytes that are no value: {e}; put another value, or delete the key",
                self.place,
                key.escape_ascii()
            ))
        });
        value.map(Some)
    }
}

/// The same error for every key of a request.
fn each<T>(count: usize, e: &Error) -> impl Iterator<Item = Result<T>> {
    let (kind, text) = (e.kind(), e.to_string());
    (0..count).map(move |_| Err(Error::new(kind, text.as_str())))
}

impl<K: Key, V: Codec> ReadableStore<K, V> for RedisStore<K, V> {
    fn multi_get(&self, keys: &[K]) -> Vec<Result<Option<V>>> {
        let keys: Vec<Vec<u8>> = keys.iter().map(key::to_bytes).collect();
        match self.read(&keys) {
            Ok(found) => keys
                .iter()
                .zip(found)
                .map(|(key, found)| self.value(key, &found))
                .collect(),
            Err(e) => each(keys.len(), &e).collect(),
        }
    }
}

impl<K: Key, V: Codec> WritableStore<K, V> for RedisStore<K, V> {
    fn multi_put(&self, pairs: Vec<(K, Option<V>)>) -> Vec<Result<()>> {
        let count = pairs.len();
        let of = |(key, value): &(K, Option<V>)| (key::to_bytes(key), value.as_ref().map(Codec::to_bytes));
        // The last of a key.
        let last: HashMap<Vec<u8>, Option<Vec<u8>>> = pairs.iter().map(of).collect();
        let (set, deleted): (Vec<_>, Vec<_>) = last.iter().partition(|(_, value)| value.is_some());
        let mut cmds = Vec::new();
        for pairs in set.chunks(AT_ONCE) {
            let mut cmd = self.cmd("HSET");
            for (key, value) in pairs {
                cmd.arg(key.as_slice()).arg(value.as_deref().unwrap_or_default());
            }
            cmds.push(cmd);
        }
        for pairs in deleted.chunks(AT_ONCE) {
            let mut cmd = self.cmd("HDEL");
            for (key, _) in pairs {
                cmd.arg(key.as_slice());
            }
            cmds.push(cmd);
        }
        match self.server.pipeline(&format_args!("write to {}", self.place), &cmds) {
            Ok(_) => (0..count).map(|_| Ok(())).collect(),
            Err(e) => each(count, &e).collect(),
        }
    }
}

/// Additions to one key.
struct Adds {
    key: Vec<u8>,
    /// Which pairs, in the order given.
    pairs: Vec<usize>,
}

impl<K: Key, V: Codec + Semigroup> MergeableStore<K, V> for RedisStore<K, V> {
    fn multi_merge(&self, pairs: Vec<(K, V)>) -> Vec<Result<Option<V>>> {
        let mut places: HashMap<Vec<u8>, usize> = HashMap::with_capacity(pairs.len());
        let mut left: Vec<Adds> = Vec::new();
        for (i, (key, _)) in pairs.iter().enumerate() {
            let key = key::to_bytes(key);
            let place = *places.entry(key).or_insert_with_key(|key| {
                left.push(Adds {
                    key: key.clone(),
                    pairs: Vec::new(),
                });
                left.len() - 1
            });
            if let Some(adds) = left.get_mut(place) {
                adds.pairs.push(i);
            }
        }
        drop(places);
        let mut answers: Vec<Option<Result<Option<V>>>> = pairs.iter().map(|_| None).collect();
        for attempt in 0..ATTEMPTS {
            if left.is_empty() {
                break;
            }
            if attempt > 0 {
                // Whoever was quicker will come again: pauses that differ keep them apart.
                let jitter = RandomState::new().build_hasher().finish() % 256;
                std::thread::sleep(PAUSE * attempt.min(10) / 10 * jitter as u32 / 256);
            }
            let mut behind = Vec::new();
            while !left.is_empty() {
                let some: Vec<Adds> = left.drain(..left.len().min(AT_ONCE)).collect();
                self.add(&pairs, some, &mut answers, &mut behind);
            }
            left = behind;
        }
        let busy = Error::try_again(format!("{}: others added to it {ATTEMPTS} times meanwhile", self.place));
        for i in left.iter().flat_map(|adds| &adds.pairs) {
            if let Some(answer) = answers.get_mut(*i) {
                *answer = each(1, &busy).next();
            }
        }
        let missing = || Err(Error::bug(format!("{}: an addition has no answer", self.place)));
        answers.into_iter().map(|a| a.unwrap_or_else(missing)).collect()
    }
}

impl<K: Key, V: Codec + Semigroup> RedisStore<K, V> {
    /// Adds to some keys, each if it holds what was read; the others are `behind`.
    fn add(
        &self,
        pairs: &[(K, V)],
        some: Vec<Adds>,
        answers: &mut [Option<Result<Option<V>>>],
        behind: &mut Vec<Adds>,
    ) {
        let mut fail = |adds: &Adds, e: &Error| {
            for (i, e) in adds.pairs.iter().zip(each(adds.pairs.len(), e)) {
                if let Some(answer) = answers.get_mut(*i) {
                    *answer = Some(e);
                }
            }
        };
        let keys: Vec<Vec<u8>> = some.iter().map(|adds| adds.key.clone()).collect();
        let found = match self.read(&keys) {
            Ok(found) => found,
            Err(e) => return some.iter().for_each(|adds| fail(adds, &e)),
        };
        // Per key: what each pair finds, and the sum.
        let mut sums = Vec::with_capacity(some.len());
        for (adds, found) in some.into_iter().zip(found) {
            let mut sum = match self.value(&adds.key, &found) {
                Ok(sum) => sum,
                Err(e) => {
                    fail(&adds, &e);
                    continue;
                }
            };
            let mut before = Vec::with_capacity(adds.pairs.len());
            for (_, value) in adds.pairs.iter().filter_map(|i| pairs.get(*i)) {
                before.push(sum.clone());
                match &mut sum {
                    Some(sum) => sum.combine(value),
                    None => sum = Some(value.clone()),
                }
            }
            if let Some(sum) = sum {
                sums.push((adds, found, sum.to_bytes(), before));
            }
        }
        let what = format!("add to {}", self.place);
        let answer = self.server.script(&what, &SWAP, &self.prefix, &|cmd| {
            for (adds, found, sum, _) in &sums {
                let found = bytes(found);
                cmd.arg(&adds.key)
                    .arg(u8::from(found.is_some()))
                    .arg(found.unwrap_or_default())
                    .arg(sum);
            }
        });
        let done = answer.and_then(|answer| match answer {
            Value::Array(done) if done.len() == sums.len() => Ok(done),
            _ => Err(self.server.odd(&what)),
        });
        let done = match done {
            Ok(done) => done,
            Err(e) => return sums.iter().for_each(|(adds, ..)| fail(adds, &e)),
        };
        for ((adds, _, _, before), done) in sums.into_iter().zip(done) {
            if done != Value::Int(1) {
                behind.push(adds);
                continue;
            }
            for (i, before) in adds.pairs.iter().zip(before) {
                if let Some(answer) = answers.get_mut(*i) {
                    *answer = Some(Ok(before));
                }
            }
        }
    }
}
