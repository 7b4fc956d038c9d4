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
pub trait Chunk<T: ?Sized + 'static>: Default + Clone + Send + 'static {
    /// How many records there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Forgets them and keeps the space.
    fn clear(&mut self);
    /// Appends a copy.
    fn add(&mut self, item: &T);
    /// The records in order.
    fn iter(&self) -> impl Iterator<Item = &T>;
}

impl<T: Clone + Send + 'static> Data for T {
    type Chunk = Vec<T>;
}

impl<T: Clone + Send + 'static> Chunk<T> for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }
    fn clear(&mut self) {
        Vec::clear(self);
    }
    fn add(&mut self, item: &T) {
        self.push(item.clone());
    }
    #[inline]
    fn iter(&self) -> impl Iterator<Item = &T> {
        <[T]>::iter(self)
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

impl Chunk<str> for TextChunk {
    fn len(&self) -> usize {
        self.ends.len()
    }
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
    fn add(&mut self, item: &str) {
        self.push(item);
    }
    #[inline]
    fn iter(&self) -> impl Iterator<Item = &str> {
        let mut from = 0;
        self.ends.iter().map(move |&end| {
            let text = &self.text[from..end as usize];
            from = end as usize;
            text
        })
    }
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

impl<V> KeyedChunk<V> {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.values.clear();
    }
    #[inline]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |&end| {
            let key = &self.bytes[from..end as usize];
            from = end as usize;
            key
        })
    }
}
