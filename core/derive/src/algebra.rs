//! `Semigroup`, `Monoid`, `Group`, and the markers that hold when they hold for every field.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Path, parse_quote};

use crate::input::{Field, Struct, at};

pub(crate) fn read(input: DeriveInput, derive: &str) -> syn::Result<Struct> {
    let instead = "there is no one way to add two cases of it. Write `impl Semigroup` by hand and check it with \
        `laws::check`, or use a struct with a field for each case";
    Struct::read(input, derive, instead)
}

/// `Semigroup`, `Commutative`, `Idempotent`, `Tiered`.
pub(crate) fn semigroup(s: &Struct) -> TokenStream {
    let root = &s.root;
    semigroup_with(s, &parse_quote!(#root::__private::Semigroup))
}

/// `Monoid`, `Group` if every field is one, and what [`semigroup`] gives.
pub(crate) fn monoid(s: &Struct) -> TokenStream {
    let group = group_if(s);
    let monoid = monoid_with(s);
    quote!(#monoid #group)
}

/// `Group`, which every field must be, and what [`monoid`] gives.
pub(crate) fn group(s: &Struct) -> TokenStream {
    let root = &s.root;
    let monoid = monoid_with(s);
    let generics = s.bounded(&parse_quote!(#root::__private::Group));
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let negate = s.fields.iter().map(|field| {
        let (m, ty) = (&field.member, &field.ty);
        match &field.with {
            None => quote_spanned!(at(ty)=> <#ty as #root::__private::Group>::negate(&mut self.#m);),
            Some(way) => {
                let what = "a field that is summed `with` another way has no inverse: derive `Monoid`";
                syn::Error::new_spanned(way, what).to_compile_error()
            }
        }
    });
    quote! {
        #monoid
        #[automatically_derived]
        impl #ig #root::__private::Group for #name #tg #wc {
            #[inline]
            fn negate(&mut self) {
                #(#negate)*
            }
        }
    }
}

/// How a field is summed: a function of the field's own semigroup, or of the way it names.
pub(crate) fn call(s: &Struct, field: &Field, law: &str, function: &str) -> TokenStream {
    let (root, ty) = (&s.root, &field.ty);
    let law = syn::Ident::new(law, at(ty));
    let function = syn::Ident::new(function, at(ty));
    match &field.with {
        None => quote_spanned!(at(ty)=> <#ty as #root::__private::#law>::#function),
        Some(way) => quote_spanned!(at(way)=> <#way as #root::__private::With<#ty>>::#function),
    }
}

fn monoid_with(s: &Struct) -> TokenStream {
    let root = &s.root;
    let bound = parse_quote!(#root::__private::Monoid);
    let semigroup = semigroup_with(s, &bound);
    let generics = s.bounded(&bound);
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let members: Vec<_> = s.fields.iter().map(|field| &field.member).collect();
    let zero = s.fields.iter().map(|field| call(s, field, "Monoid", "zero"));
    let is_zero = s.fields.iter().map(|field| call(s, field, "Monoid", "is_zero"));
    quote! {
        #semigroup
        #[automatically_derived]
        impl #ig #root::__private::Monoid for #name #tg #wc {
            #[inline]
            fn zero() -> Self {
                Self { #(#members: #zero()),* }
            }
            #[inline]
            fn is_zero(&self) -> bool {
                #(#is_zero(&self.#members))&&*
            }
        }
    }
}

/// `bound` is what type parameters must be: all impls of one derive ask for the same.
fn semigroup_with(s: &Struct, bound: &Path) -> TokenStream {
    let root = &s.root;
    let generics = s.bounded(bound);
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let members: Vec<_> = s.fields.iter().map(|field| &field.member).collect();
    let combine = s.fields.iter().map(|field| call(s, field, "Semigroup", "combine"));
    let combine_owned = s
        .fields
        .iter()
        .map(|field| call(s, field, "Semigroup", "combine_owned"));
    let times = s.fields.iter().map(|field| call(s, field, "Semigroup", "times"));
    let heap_bytes = s.fields.iter().filter(|field| field.with.is_none()).map(|field| {
        let (m, t) = (&field.member, &field.ty);
        quote_spanned!(at(t)=> + <#t as #root::__private::Semigroup>::heap_bytes(&self.#m))
    });
    let by_parts = s.fields.iter().map(|field| match (&field.with, &field.ty) {
        (Some(_), _) => quote!(false),
        (None, ty) => quote_spanned!(at(ty)=> <#ty as #root::__private::Semigroup>::BY_PARTS),
    });
    let commutative = marker(s, bound, &parse_quote!(Commutative), &parse_quote!(IsCommutative));
    let idempotent = marker(s, bound, &parse_quote!(Idempotent), &parse_quote!(IsIdempotent));
    let tiered = tiered(s, bound);
    quote! {
        #[automatically_derived]
        impl #ig #root::__private::Semigroup for #name #tg #wc {
            const BY_PARTS: bool = #(#by_parts)&&*;
            #[inline]
            fn combine(&mut self, other: &Self) {
                #(#combine(&mut self.#members, &other.#members);)*
            }
            #[inline]
            fn combine_owned(&mut self, other: Self) {
                #(#combine_owned(&mut self.#members, other.#members);)*
            }
            #[inline]
            fn heap_bytes(&self) -> usize {
                0 #(#heap_bytes)*
            }
            #[inline]
            fn times(self, n: ::core::num::NonZeroU64) -> Self {
                Self { #(#members: #times(self.#members, n)),* }
            }
        }
        #commutative
        #idempotent
        #tiered
    }
}

/// The type whose laws a field has: its own, or those of the way it is summed.
fn lawful(s: &Struct, field: &Field) -> TokenStream {
    let (root, ty) = (&s.root, &field.ty);
    match &field.with {
        None => quote!(#ty),
        Some(way) => quote!(#root::__private::Summed<#ty, #way>),
    }
}

/// Adds `for<'f> Each<'f, T>: evidence` for every field's type `T`. A bound `T: Law` would be an error where it is false; with
/// a lifetime of its own the bound is only looked at where the impl is used.
fn evident(s: &Struct, bound: &Path, evidence: impl Fn(&Field) -> TokenStream) -> syn::Generics {
    let root = &s.root;
    let mut generics = s.bounded(bound);
    let predicates = &mut generics.make_where_clause().predicates;
    for field in &s.fields {
        let (lawful, evidence) = (lawful(s, field), evidence(field));
        predicates.push(parse_quote!(for<'f> #root::__private::Each<'f, #lawful>: #root::__private::#evidence));
    }
    generics
}

/// An impl that holds when the evidence does for every field.
fn marker(s: &Struct, bound: &Path, law: &Path, evidence: &Path) -> TokenStream {
    let root = &s.root;
    let generics = evident(s, bound, |_| quote!(#evidence));
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    quote! {
        #[automatically_derived]
        impl #ig #root::__private::#law for #name #tg #wc {}
    }
}

/// The weakest tier of the fields.
fn tiered(s: &Struct, bound: &Path) -> TokenStream {
    let root = &s.root;
    let generics = evident(s, bound, |_| quote!(HasTier));
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let tiers = s.fields.iter().map(|field| {
        let lawful = lawful(s, field);
        quote!(<#root::__private::Each<'static, #lawful> as #root::__private::HasTier>::Tier)
    });
    let weakest = tiers.reduce(|a, b| quote!(<#a as #root::__private::Tier>::And<#b>));
    quote! {
        #[automatically_derived]
        impl #ig #root::__private::Tiered for #name #tg #wc {
            type Tier = #weakest;
        }
    }
}

/// As [`marker`], but the evidence also does the work: the bound does not say that a field's type is a `Group`.
fn group_if(s: &Struct) -> TokenStream {
    let root = &s.root;
    // A way of summing has no inverse, so there is no group.
    if s.fields.iter().any(|field| field.with.is_some()) {
        return TokenStream::new();
    }
    let generics = evident(s, &parse_quote!(#root::__private::Monoid), |field| {
        let ty = &field.ty;
        quote!(IsGroup<#ty>)
    });
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let negate = s.each(|m, t| {
        quote_spanned! {at(t)=>
            <#root::__private::Each<'_, #t> as #root::__private::IsGroup<#t>>::negate(&mut self.#m);
        }
    });
    quote! {
        #[automatically_derived]
        impl #ig #root::__private::Group for #name #tg #wc {
            #[inline]
            fn negate(&mut self) {
                #(#negate)*
            }
        }
    }
}
