//! What may flow through a job, and the chunks it flows in.

/// What may flow: every `Clone + Send` type, and `str`. Nobody implements it by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot flow through a job",
    note = "records are owned, cloneable and may cross threads: `Clone + Send + 'static`"
)]
pub trait Data: Send + 'static {
    /// How about a thousand of them are kept.
    type Chunk: Chunk<Self>;
}

/// Records that pass from step to step in one go. A chunk belongs to one source partition and one batch.
pub trait Chunk<T: ?Sized + 'static>: AnyChunk + Default + Clone {
    /// Appends a copy.
    fn add(&mut self, item: &T);
    /// The records in order, without the first `from`.
    fn iter_from(&self, from: usize) -> impl Iterator<Item = &T>;
    /// The records in order.
    #[inline]
    fn iter(&self) -> impl Iterator<Item = &T> {
        self.iter_from(0)
    }
    /// Moves the records that `keep` says to `out`, which is empty, in order. What is left here is unspecified.
    fn move_some(&mut self, out: &mut Self, keep: impl FnMut(&T) -> bool);
}

/// What every chunk can do whatever it holds.
pub trait AnyChunk: std::any::Any + Send {
    /// How many records there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Forgets them and keeps the space.
    fn clear(&mut self);
}

impl<T: Clone + Send + 'static> Data for T {
    type Chunk = Vec<T>;
}

impl<T: Send + 'static> AnyChunk for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }
    fn clear(&mut self) {
        Vec::clear(self);
    }
}

impl<T: Clone + Send + 'static> Chunk<T> for Vec<T> {
    fn add(&mut self, item: &T) {
        self.push(item.clone());
    }
    #[inline]
    fn iter_from(&self, from: usize) -> impl Iterator<Item = &T> {
        self[from..].iter()
    }
    fn move_some(&mut self, out: &mut Self, keep: impl FnMut(&T) -> bool) {
        self.retain(keep);
        std::mem::swap(self, out);
    }
}

impl Data for str {
    type Chunk = TextChunk;
}

/// Texts end to end.
#[derive(Clone, Debug, Default)]
pub struct TextChunk {
    text: String,
    ends: Vec<u32>,
}

impl TextChunk {
    /// Appends a text. At most 4 GiB fit into one chunk; callers cut chunks at about a thousand records.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
    }
}

impl AnyChunk for TextChunk {
    fn len(&self) -> usize {
        self.ends.len()
    }
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

impl Chunk<str> for TextChunk {
    #[inline]
    fn add(&mut self, item: &str) {
        self.push(item);
    }
    #[inline]
    fn iter_from(&self, from: usize) -> impl Iterator<Item = &str> {
        let mut start = start_of(&self.ends, from);
        self.ends[from..].iter().map(move |&end| {
            let text = &self.text[start..end as usize];
            start = end as usize;
            text
        })
    }
    fn move_some(&mut self, out: &mut Self, mut keep: impl FnMut(&str) -> bool) {
        self.iter().filter(|t| keep(t)).for_each(|t| out.push(t));
    }
}

/// Where item `i` begins in an arena whose items end at `ends`.
#[inline]
pub(crate) fn start_of(ends: &[u32], i: usize) -> usize {
    i.checked_sub(1).map_or(0, |before| ends[before] as usize)
}

/// Pairs: the canonical bytes of all keys in one arena, the values beside them. Emitting a borrowed key copies its bytes
/// and builds no key.
#[derive(Clone, Debug)]
pub struct KeyedChunk<V> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<u32>,
    pub(crate) values: Vec<V>,
}

impl<V> Default for KeyedChunk<V> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            values: Vec::new(),
        }
    }
}

impl<V: Send + 'static> AnyChunk for KeyedChunk<V> {
    fn len(&self) -> usize {
        self.values.len()
    }
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.values.clear();
    }
}

impl<V> KeyedChunk<V> {
    /// The bytes of the keys, without the first `from`.
    #[inline]
    pub(crate) fn keys_from(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        let mut start = start_of(&self.ends, from);
        self.ends[from..].iter().map(move |&end| {
            let key = &self.bytes[start..end as usize];
            start = end as usize;
            key
        })
    }
    #[inline]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys_from(0)
    }
    /// The keys, if each of them has eight bytes, as all integers of 64 bits have.
    #[inline]
    pub(crate) fn words(&self) -> Option<&[[u8; 8]]> {
        let (words, rest) = self.bytes.as_chunks::<8>();
        let even = rest.is_empty() && words.len() == self.ends.len();
        // All ends are looked at: a loop that stops early is not done several at a time.
        let even = even
            && self
                .ends
                .iter()
                .zip(1..)
                .fold(true, |even, (end, i)| even & (*end == 8 * i));
        even.then_some(words)
    }
    /// Appends a pair whose key is in canonical bytes already.
    #[inline]
    pub(crate) fn push(&mut self, key: &[u8], value: V) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len() as u32);
        self.values.push(value);
    }
}

/// Pairs whose values are not known: what a step that sees keys alone needs of them.
pub(crate) trait AnyKeyed {
    /// The bytes of all keys, and where each ends.
    fn keys(&self) -> (&[u8], &[u32]);
    /// Copies the pairs whose flag is set to `out`, a chunk of the same type; says whether it is.
    fn copy(&self, flags: &[bool], out: &mut dyn std::any::Any) -> bool;
    /// Moves the pairs whose flag is set to `out`, an empty chunk of the same type; says whether it is.
    fn keep(&mut self, flags: &[bool], out: &mut dyn std::any::Any) -> bool;
}

impl<V: Clone + Send + 'static> AnyKeyed for KeyedChunk<V> {
    fn keys(&self) -> (&[u8], &[u32]) {
        (&self.bytes, &self.ends)
    }
    fn copy(&self, flags: &[bool], out: &mut dyn std::any::Any) -> bool {
        let Some(out) = out.downcast_mut::<Self>() else {
            return false;
        };
        for ((key, value), keep) in self.keys().zip(&self.values).zip(flags) {
            if *keep {
                out.push(key, value.clone());
            }
        }
        true
    }
    fn keep(&mut self, flags: &[bool], out: &mut dyn std::any::Any) -> bool {
        let Some(out) = out.downcast_mut::<Self>() else {
            return false;
        };
        let (mut start, mut written, mut kept) = (0, 0, 0);
        for (i, &keep) in flags.iter().enumerate() {
            let end = self.ends[i] as usize;
            if keep {
                self.bytes.copy_within(start..end, written);
                written += end - start;
                self.ends[kept] = written as u32;
                kept += 1;
            }
            start = end;
        }
        self.bytes.truncate(written);
        self.ends.truncate(kept);
        let mut flags = flags.iter();
        self.values.retain(|_| flags.next() == Some(&true));
        std::mem::swap(self, out);
        true
    }
}
