//! `Semigroup`, `Monoid`, and the markers that hold when they hold for every field.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Path, parse_quote};

use crate::input::{Struct, at};

pub(crate) fn read(input: DeriveInput, derive: &str) -> syn::Result<Struct> {
    let instead = "there is no one way to add two cases of it. Write `impl Semigroup` by hand and check it with \
        `laws::check`, or use a struct with a field for each case";
    Struct::read(input, derive, instead)
}

/// `Semigroup`, `Commutative`, `Idempotent`.
pub(crate) fn semigroup(s: &Struct) -> TokenStream {
    semigroup_with(s, &parse_quote!(::rufous::__private::Semigroup))
}

/// `Monoid`, `Group`, and what [`semigroup`] gives.
pub(crate) fn monoid(s: &Struct) -> TokenStream {
    let bound = parse_quote!(::rufous::__private::Monoid);
    let (semigroup, group) = (semigroup_with(s, &bound), group(s, &bound));
    let generics = s.bounded(&bound);
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let zero = s.each(|m, t| quote_spanned!(at(t)=> #m: <#t as ::rufous::__private::Monoid>::zero()));
    let is_zero = s.each(|m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Monoid>::is_zero(&self.#m)));
    quote! {
        #semigroup
        #group
        #[automatically_derived]
        impl #ig ::rufous::__private::Monoid for #name #tg #wc {
            #[inline]
            fn zero() -> Self {
                Self { #(#zero),* }
            }
            #[inline]
            fn is_zero(&self) -> bool {
                #(#is_zero)&&*
            }
        }
    }
}

/// `bound` is what type parameters must be: all impls of one derive ask for the same.
fn semigroup_with(s: &Struct, bound: &Path) -> TokenStream {
    let generics = s.bounded(bound);
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let combine = s
        .each(|m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Semigroup>::combine(&mut self.#m, &other.#m);));
    let combine_owned = s.each(
        |m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Semigroup>::combine_owned(&mut self.#m, other.#m);),
    );
    let times = s.each(|m, t| quote_spanned!(at(t)=> #m: <#t as ::rufous::__private::Semigroup>::times(self.#m, n)));
    let commutative = marker(s, bound, &parse_quote!(Commutative), &parse_quote!(IsCommutative));
    let idempotent = marker(s, bound, &parse_quote!(Idempotent), &parse_quote!(IsIdempotent));
    quote! {
        #[automatically_derived]
        impl #ig ::rufous::__private::Semigroup for #name #tg #wc {
            #[inline]
            fn combine(&mut self, other: &Self) {
                #(#combine)*
            }
            #[inline]
            fn combine_owned(&mut self, other: Self) {
                #(#combine_owned)*
            }
            #[inline]
            fn times(self, n: ::core::num::NonZeroU64) -> Self {
                Self { #(#times),* }
            }
        }
        #commutative
        #idempotent
    }
}

/// An impl that holds when `for<'f> Each<'f, T>: evidence` does for every field's type `T`. A bound `T: Law` would be an
/// error where it is false; with a lifetime of its own the bound is only looked at where the impl is used.
fn marker(s: &Struct, bound: &Path, law: &Path, evidence: &Path) -> TokenStream {
    let mut generics = s.bounded(bound);
    let predicates = &mut generics.make_where_clause().predicates;
    for field in &s.fields {
        let ty = &field.ty;
        predicates.push(parse_quote! {
            for<'f> ::rufous::algebra::derive_support::Each<'f, #ty>: ::rufous::algebra::derive_support::#evidence
        });
    }
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    quote! {
        #[automatically_derived]
        impl #ig ::rufous::algebra::#law for #name #tg #wc {}
    }
}

/// As [`marker`], but the evidence also does the work: the bound does not say that a field's type is a `Group`.
fn group(s: &Struct, bound: &Path) -> TokenStream {
    let mut generics = s.bounded(bound);
    let predicates = &mut generics.make_where_clause().predicates;
    for field in &s.fields {
        let ty = &field.ty;
        predicates.push(parse_quote! {
            for<'f> ::rufous::algebra::derive_support::Each<'f, #ty>: ::rufous::algebra::derive_support::IsGroup<#ty>
        });
    }
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let negate = s.each(|m, t| {
        quote_spanned! {at(t)=>
            <::rufous::algebra::derive_support::Each<'_, #t> as ::rufous::algebra::derive_support::IsGroup<#t>>::negate(&mut self.#m);
        }
    });
    quote! {
        #[automatically_derived]
        impl #ig ::rufous::algebra::Group for #name #tg #wc {
            #[inline]
            fn negate(&mut self) {
                #(#negate)*
            }
        }
    }
}
