//! The tokens of a sparse sketch: a hash table that is sorted.
//!
//! Slots are uniform, so a slot scaled to the size of a table says where its token belongs there (its *home*), and the order
//! of homes is the order of slots. Tokens that collide stand behind one another in order (ordered linear probing; O. Amble and D.
//! Knuth, "Ordered hash tables", 1974). So an insert touches one cache line, and reading from the front gives the tokens
//! ascending: for merges and for bytes nothing is ever sorted.
//!
//! Every token stands at its home or behind it, hence what stands before the home of a slot is of smaller slots. Bytes from
//! elsewhere may hold slots that are anything but uniform: then the table is a sorted list with slower inserts, of the
//! same size.

use std::convert::Infallible;

use super::{SLOT_BITS, Token};

/// Of an empty place; the rank of a token is at least 1.
const EMPTY: Token = Token(0);

/// At most one token a slot, that of the highest rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    /// The homes, and behind them the tokens that were pushed over the end.
    table: Vec<Token>,
    len: u32,
    homes: u32,
}

impl Tokens {
    /// Empty, with room for so many tokens.
    fn with_homes(homes: usize) -> Self {
        // Never more than there are slots, so the numbers fit.
        let homes = homes.min(1 << SLOT_BITS);
        Self {
            table: vec![EMPTY; homes],
            len: 0,
            homes: homes as u32,
        }
    }

    /// Of so many tokens that ascend by slot; or the first error of theirs.
    pub(super) fn of_sorted<E>(n: usize, tokens: impl Iterator<Item = Result<Token, E>>) -> Result<Self, E> {
        let mut this = Self::with_homes((n * 4).div_ceil(3));
        let mut free = 0;
        for token in tokens {
            free = this.append(token?, free);
        }
        Ok(this)
    }

    /// Of tokens that ascend by slot.
    pub(super) fn of(tokens: &[Token]) -> Self {
        let Ok(this) = Self::of_sorted(tokens.len(), tokens.iter().map(|t| Ok::<_, Infallible>(*t)));
        this
    }

    /// Puts a token behind all others, not before place `free`; returns the place after it.
    #[inline]
    fn append(&mut self, token: Token, free: usize) -> usize {
        let at = self.home(token).max(free);
        match self.table.get_mut(at) {
            Some(place) => *place = token,
            None => self.table.push(token),
        }
        self.len += 1;
        at + 1
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ascending by slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = Token> + '_ {
        self.table.iter().copied().filter(|t| *t != EMPTY)
    }

    /// Calls `f` with every token, ascending by slot. Faster than [`iter`](Self::iter) for all of them.
    #[inline]
    pub(super) fn for_each(&self, mut f: impl FnMut(Token)) {
        // Places are empty at random, and a branch for each would be foreseen half of the time. So each is copied, and the
        // empty ones are overwritten.
        let mut some = [EMPTY; 32];
        for places in self.table.chunks(some.len()) {
            let mut n = 0;
            for &token in places {
                some[n] = token;
                n += usize::from(token != EMPTY);
            }
            some[..n].iter().for_each(|t| f(*t));
        }
    }

    /// Appends the tokens, ascending by slot.
    pub(super) fn append_to(&self, out: &mut Vec<Token>) {
        out.reserve(self.len());
        self.for_each(|t| out.push(t));
    }

    pub(super) fn to_vec(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.append_to(&mut tokens);
        tokens
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.table.capacity() * size_of::<Token>()
    }

    #[inline]
    fn home(&self, token: Token) -> usize {
        ((u64::from(token.slot()) * u64::from(self.homes)) >> SLOT_BITS) as usize
    }

    /// Adds a token, or raises the rank of its slot.
    #[inline]
    pub(super) fn insert(&mut self, token: Token) {
        // Three quarters: then a token stands a few places from its home, and few move for a new one.
        if self.len >= self.homes - self.homes / 4 {
            self.grow();
        }
        let mut at = self.home(token);
        while let Some(other) = self.table.get_mut(at) {
            if *other == EMPTY {
                *other = token;
                self.len += 1;
                return;
            }
            if other.slot() >= token.slot() {
                if other.slot() == token.slot() {
                    *other = token.max(*other);
                } else {
                    self.push_in(at, token);
                }
                return;
            }
            at += 1;
        }
        self.table.push(token);
        self.len += 1;
    }

    /// Puts a token before those with greater slots, which move up to the next empty place.
    fn push_in(&mut self, at: usize, token: Token) {
        let mut carried = token;
        for place in &mut self.table[at..] {
            std::mem::swap(place, &mut carried);
            if carried == EMPTY {
                break;
            }
        }
        if carried != EMPTY {
            self.table.push(carried);
        }
        self.len += 1;
    }

    /// Most sketches are tiny: 4 homes, then 16, then twice as many each time.
    #[cold]
    fn grow(&mut self) {
        let homes = if self.homes == 0 {
            4
        } else {
            (2 * self.homes as usize).max(16)
        };
        let mut larger = Self::with_homes(homes);
        let mut free = 0;
        self.for_each(|token| free = larger.append(token, free));
        *self = larger;
    }

    /// Adds all tokens of another.
    pub(super) fn merge(&mut self, other: &Self) {
        // A few are put into their places; many are worth a pass over both.
        if other.len() * 8 <= self.len() || other.len() <= 4 {
            return other.iter().for_each(|t| self.insert(t));
        }
        let merged = merge_sorted(&self.to_vec(), &other.to_vec());
        *self = Self::of(&merged);
    }
}

/// Merges two ascending lists; of one slot the highest rank stays.
pub(super) fn merge_sorted(mine: &[Token], theirs: &[Token]) -> Vec<Token> {
    let mut merged = vec![EMPTY; mine.len() + theirs.len()];
    let (mut i, mut j, mut n) = (0, 0, 0);
    while let (Some(m), Some(t)) = (mine.get(i), theirs.get(j)) {
        merged[n] = if m.slot() == t.slot() { *m.max(t) } else { *m.min(t) };
        n += 1;
        // Which list goes on is random: counted, not branched.
        let (next_i, next_j) = (m.slot() <= t.slot(), t.slot() <= m.slot());
        i += usize::from(next_i);
        j += usize::from(next_j);
    }
    merged.truncate(n);
    merged.extend_from_slice(&mine[i..]);
    merged.extend_from_slice(&theirs[j..]);
    merged
}

/// Equal sets, whatever the tables.
impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}
impl Eq for Tokens {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Whatever comes in whatever order, also slots that are all neighbours or all at the end of the table: reading gives one
    /// token a slot, the highest rank, ascending; and the table stays in proportion to what it holds.
    #[test]
    fn tokens_are_kept_in_order() {
        let mut seed = 1u64;
        let mut random = |n: u32| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u32 % n
        };
        for round in 0..3_000 {
            let end = (1u32 << SLOT_BITS) - 1;
            let mut expected: BTreeMap<u32, u8> = BTreeMap::new();
            let (mut one, mut two) = (Tokens::default(), Tokens::default());
            for _ in 0..random(120) {
                let slot = match round % 4 {
                    0 => random(end),
                    1 => random(60),
                    2 => end - random(60),
                    _ => random(4) * (end / 4) + random(30),
                };
                let rank = 1 + random(39) as u8;
                let highest = expected.entry(slot).or_default();
                *highest = rank.max(*highest);
                let token = Token::new(slot, rank);
                if random(2) == 0 {
                    one.insert(token)
                } else {
                    two.insert(token)
                }
            }
            one.merge(&two);
            let expected: Vec<Token> = expected.iter().map(|(slot, rank)| Token::new(*slot, *rank)).collect();
            assert_eq!(one.iter().collect::<Vec<_>>(), expected);
            assert_eq!(one.len(), expected.len());
            assert_eq!(one, Tokens::of(&expected));
            assert!(one.table.len() <= 5 * one.len() + 16, "{} places", one.table.len());
        }
    }
}
