//! Aggregators made of aggregators.

use std::marker::PhantomData;

use super::Aggregator;
use crate::semigroup::Monoid;

/// [`Aggregator::map_output`].
#[derive(Clone, Copy, Debug)]
pub struct MapOutput<A, F> {
    inner: A,
    f: F,
}
impl<A, F> MapOutput<A, F> {
    pub(super) fn new(inner: A, f: F) -> Self {
        Self { inner, f }
    }
}
impl<A: Aggregator, O, F: Fn(A::Output) -> O> Aggregator for MapOutput<A, F> {
    type Item = A::Item;
    type State = A::State;
    type Output = O;
    #[inline]
    fn prepare(&self, item: &A::Item) -> A::State {
        self.inner.prepare(item)
    }
    #[inline]
    fn absorb(&self, state: &mut A::State, item: &A::Item) {
        self.inner.absorb(state, item);
    }
    fn present(&self, state: &A::State) -> O {
        (self.f)(self.inner.present(state))
    }
}

macro_rules! inputs {
    ($(#[$doc:meta])* $name:ident, $made:ty, |$item:ident| $lent:expr $(, $sized:ident)?) => {
        $(#[$doc])*
        pub struct $name<A, T: ?Sized, F> {
            inner: A,
            f: F,
            item: PhantomData<fn(&T)>,
        }
        impl<A, T: ?Sized, F> $name<A, T, F> {
            pub(super) fn new(inner: A, f: F) -> Self {
                Self { inner, f, item: PhantomData }
            }
        }
        impl<A: Clone, T: ?Sized, F: Clone> Clone for $name<A, T, F> {
            fn clone(&self) -> Self {
                Self::new(self.inner.clone(), self.f.clone())
            }
        }
        impl<A: Aggregator, T: ?Sized, F: Fn(&T) -> $made> Aggregator for $name<A, T, F>
        $(where A::Item: $sized)?
        {
            type Item = T;
            type State = A::State;
            type Output = A::Output;
            #[inline]
            fn prepare(&self, item: &T) -> A::State {
                let $item = (self.f)(item);
                self.inner.prepare($lent)
            }
            #[inline]
            fn absorb(&self, state: &mut A::State, item: &T) {
                let $item = (self.f)(item);
                self.inner.absorb(state, $lent);
            }
            fn present(&self, state: &A::State) -> A::Output {
                self.inner.present(state)
            }
        }
    };
}
inputs!(
    /// [`Aggregator::map_input`].
    MapInput, A::Item, |item| &item, Sized
);
inputs!(
    /// [`Aggregator::project`].
    Project, &A::Item, |item| item
);

/// [`Aggregator::filter`].
#[derive(Clone, Copy, Debug)]
pub struct Filter<A, F> {
    inner: A,
    keep: F,
}
impl<A, F> Filter<A, F> {
    pub(super) fn new(inner: A, keep: F) -> Self {
        Self { inner, keep }
    }
}
impl<A, F> Aggregator for Filter<A, F>
where
    A: Aggregator,
    A::State: Monoid,
    F: Fn(&A::Item) -> bool,
{
    type Item = A::Item;
    type State = A::State;
    type Output = A::Output;
    #[inline]
    fn prepare(&self, item: &A::Item) -> A::State {
        if (self.keep)(item) {
            self.inner.prepare(item)
        } else {
            A::State::zero()
        }
    }
    #[inline]
    fn absorb(&self, state: &mut A::State, item: &A::Item) {
        if (self.keep)(item) {
            self.inner.absorb(state, item);
        }
    }
    fn present(&self, state: &A::State) -> A::Output {
        self.inner.present(state)
    }
}

macro_rules! joins {
    ($first:ident $fi:tt $(, $n:ident $i:tt)+) => {
        /// All of them over the same items, their states and answers side by side.
        impl<$first: Aggregator, $($n: Aggregator<Item = $first::Item>),+> Aggregator for ($first, $($n),+) {
            type Item = $first::Item;
            type State = ($first::State, $($n::State),+);
            type Output = ($first::Output, $($n::Output),+);
            #[inline]
            fn prepare(&self, item: &Self::Item) -> Self::State {
                (self.$fi.prepare(item), $(self.$i.prepare(item)),+)
            }
            #[inline]
            fn absorb(&self, state: &mut Self::State, item: &Self::Item) {
                self.$fi.absorb(&mut state.$fi, item);
                $(self.$i.absorb(&mut state.$i, item);)+
            }
            fn present(&self, state: &Self::State) -> Self::Output {
                (self.$fi.present(&state.$fi), $(self.$i.present(&state.$i)),+)
            }
        }
    };
}
joins!(A 0, B 1);
joins!(A 0, B 1, C 2);
joins!(A 0, B 1, C 2, D 3);
joins!(A 0, B 1, C 2, D 3, E 4);
joins!(A 0, B 1, C 2, D 3, E 4, F 5);
