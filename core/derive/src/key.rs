//! `Key`: the bytes of a tuple of the fields.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, parse_quote};

use crate::input::{Struct, at};

pub(crate) fn read(input: DeriveInput) -> syn::Result<Struct> {
    let instead = "a key of cases is a struct with a number for the case, which then leads the order. Or write `impl Key` \
        by hand: a tag byte, then the fields of the case";
    Struct::read(input, "Key", instead)
}

pub(crate) fn write(s: &Struct) -> TokenStream {
    let generics = s.bounded(&parse_quote!(::rufous::__private::Key));
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let encode = s.each(|m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::AsKey>::encode_key(&self.#m, out);));
    let decode = s.each(|m, t| quote_spanned!(at(t)=> #m: <#t as ::rufous::__private::Key>::decode_key(bytes)?));
    let again =
        s.each(|m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Key>::decode_key_into(&mut self.#m, bytes)?;));
    let parts = s.each(|m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Key>::parts(&self.#m, out);));
    let parse = s.each(|m, t| quote_spanned!(at(t)=> #m: <#t as ::rufous::__private::Key>::parse_parts(parts)?));
    let prefix = s.each(|_, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Key>::encode_prefix(parts, out)?;));
    let columns = s.each(|_, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Key>::columns(out);));
    let schemas = s.each(|_, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Key>::schema()));
    // The schema says what the bytes mean, and these are the bytes of a tuple; of one field, the field's own.
    let schema = match schemas.as_slice() {
        [one] => quote!(#one),
        more => quote!(::std::format!("({})", [#(#more),*].join(","))),
    };
    quote! {
        #[automatically_derived]
        impl #ig ::rufous::__private::AsKey for #name #tg #wc {
            type Key = Self;
            #[inline]
            fn encode_key(&self, out: &mut ::std::vec::Vec<u8>) {
                #(#encode)*
            }
        }
        #[automatically_derived]
        impl #ig ::rufous::__private::KeyOf<#name #tg> for #name #tg #wc {}
        #[automatically_derived]
        impl #ig ::rufous::__private::KeyOf<&#name #tg> for #name #tg #wc {}
        #[automatically_derived]
        impl #ig ::rufous::__private::Key for #name #tg #wc {
            #[inline]
            fn decode_key(bytes: &mut &[u8]) -> ::core::result::Result<Self, ::rufous::__private::KeyError> {
                ::core::result::Result::Ok(Self { #(#decode),* })
            }
            #[inline]
            fn decode_key_into(
                &mut self,
                bytes: &mut &[u8],
            ) -> ::core::result::Result<(), ::rufous::__private::KeyError> {
                #(#again)*
                ::core::result::Result::Ok(())
            }
            fn schema() -> ::std::string::String {
                #schema
            }
            fn parts(&self, out: &mut ::std::vec::Vec<::rufous::__private::serde_json::Value>) {
                #(#parts)*
            }
            fn columns(out: &mut ::std::vec::Vec<::rufous::__private::KeyColumn>) {
                #(#columns)*
            }
            fn parse_parts(parts: &mut &[&str]) -> ::core::result::Result<Self, ::rufous::__private::KeyError> {
                ::core::result::Result::Ok(Self { #(#parse),* })
            }
            fn encode_prefix(
                parts: &mut &[&str],
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), ::rufous::__private::KeyError> {
                #(#prefix)*
                ::core::result::Result::Ok(())
            }
        }
    }
}
