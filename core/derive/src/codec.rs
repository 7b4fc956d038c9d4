//! `Codec`: the fields as parts, in order.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Error, parse_quote};

use crate::algebra::call;
use crate::input::{Field, Missing, Struct, at};

pub(crate) fn read(input: DeriveInput) -> syn::Result<Struct> {
    let instead = "write `impl Codec` by hand: a tag byte, then the fields of the case";
    let s = Struct::read(input, "Codec", instead)?;
    let mut added = s.fields.iter().skip_while(|field| field.default.is_none());
    if let Some(field) = added.find(|field| field.default.is_none()) {
        let what =
            "a field without `default` cannot follow one with it: bytes from before that field was added end there";
        return Err(Error::new_spanned(&field.ty, what));
    }
    if let Some(first) = s.fields.first().filter(|field| field.default.is_some()) {
        let what = "the first field cannot have a `default`: it was there from the beginning";
        return Err(Error::new_spanned(&first.ty, what));
    }
    Ok(s)
}

pub(crate) fn write(s: &Struct) -> TokenStream {
    let root = &s.root;
    let generics = s.bounded(&parse_quote!(#root::__private::Codec));
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let (merge, encode, decode) = (merge(s), encode(s), decode(s));
    let (schema, json) = (schema(s), json(s));
    let magnitude = &s.each(|m, t| quote_spanned!(at(t)=> <#t as #root::__private::Codec>::magnitude(&self.#m)))[0];
    let agrees = s.each(|m, t| quote_spanned!(at(t)=> <#t as #root::__private::Codec>::agrees(&self.#m, &other.#m)));
    quote! {
        #[automatically_derived]
        impl #ig #root::__private::Codec for #name #tg #wc {
            const MERGE: ::core::option::Option<#root::__private::Merge> = #merge;
            #[inline]
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                #encode
            }
            #[inline]
            fn decode(mut bytes: &[u8]) -> ::core::result::Result<Self, #root::__private::DecodeError> {
                #decode
            }
            fn schema() -> ::std::string::String {
                #schema
            }
            fn json(&self) -> #root::__private::serde_json::Value {
                #json
            }
            fn magnitude(&self) -> f64 {
                #magnitude
            }
            fn agrees(&self, other: &Self) -> bool {
                #(#agrees)&&*
            }
        }
    }
}

/// "Title: field name", for errors.
fn place(s: &Struct, field: &Field) -> String {
    format!("{}.{}", s.name, field.name)
}

/// Statements that leave in `written` how many added fields of `value` are written: the last of them is not its default.
fn count_written(s: &Struct, value: &TokenStream) -> TokenStream {
    let root = &s.root;
    let counts = (1usize..).zip(s.fields.iter().filter(|field| field.default.is_some())).map(|(i, field)| {
        let (m, t) = (&field.member, &field.ty);
        let is_default = match &field.default {
            Some(Missing::Value(default)) => quote_spanned! {at(t)=>
                <#t as #root::__private::Codec>::to_bytes(&#value.#m) == <#t as #root::__private::Codec>::to_bytes(&#default)
            },
            _ => {
                let is_zero = call(s, field, "Monoid", "is_zero");
                quote!(#is_zero(&#value.#m))
            }
        };
        quote!(if !(#is_default) { written = #i; })
    });
    quote! {
        let mut written = 0usize;
        #(#counts)*
    }
}

/// Trailing fields that have their default are left out: then bytes from before they were added are canonical, too.
fn encode(s: &Struct) -> TokenStream {
    let root = &s.root;
    let mut added = 0usize;
    let parts: Vec<_> = s
        .fields
        .iter()
        .map(|field| {
            let (m, t) = (&field.member, &field.ty);
            let put = quote_spanned!(at(t)=> #root::__private::put_part::<#t>(&self.#m, out););
            if field.default.is_none() {
                return put;
            }
            added += 1;
            quote!(if written >= #added { #put })
        })
        .collect();
    let written = (added > 0).then(|| count_written(s, &quote!(self)));
    quote!(#written #(#parts)*)
}

fn decode(s: &Struct) -> TokenStream {
    let root = &s.root;
    // A struct expression evaluates its fields in the order written, which is the order of the bytes.
    let fields = s.fields.iter().map(|field| {
        let (m, t, place) = (&field.member, &field.ty, place(s, field));
        let part = quote_spanned! {at(t)=>
            #root::__private::decode_part::<#t>(&mut bytes).map_err(|e| e.within(#place))?
        };
        let missing = match &field.default {
            None => return quote!(#m: #part),
            Some(Missing::Zero) => {
                let zero = call(s, field, "Monoid", "zero");
                quote!(#zero())
            }
            Some(Missing::Value(value)) => quote!(#value),
        };
        quote!(#m: if bytes.is_empty() { #missing } else { found += 1; #part })
    });
    let fields = quote!(let value = Self { #(#fields),* };);
    let (before, after) = match s.fields.iter().any(|field| field.default.is_some()) {
        false => (None, None),
        true => {
            let written = count_written(s, &quote!(value));
            let error = format!("{}: the last field written has its default", s.name);
            let after = quote! {
                #written
                if written != found {
                    return ::core::result::Result::Err(#root::__private::DecodeError::new(#error));
                }
            };
            (Some(quote!(let mut found = 0usize;)), Some(after))
        }
    };
    quote! {
        #before
        #fields
        #root::__private::nothing_left(bytes)?;
        #after
        ::core::result::Result::Ok(value)
    }
}

/// Part by part, when every field's type can; never with a default that is not the zero, which would have to be added.
fn merge(s: &Struct) -> TokenStream {
    let root = &s.root;
    if s.fields.iter().any(|field| field.default.is_some()) {
        return quote!(::core::option::Option::None);
    }
    let can = s.each(|_, t| quote_spanned!(at(t)=> <#t as #root::__private::Codec>::MERGE.is_some()));
    let parts = s.fields.iter().map(|field| {
        let (t, place) = (&field.ty, place(s, field));
        quote_spanned! {at(t)=>
            #root::__private::merge_parts::<#t>(&mut a, &mut b, out).map_err(|e| e.within(#place))?;
        }
    });
    quote! {
        if #(#can)&&* {
            ::core::option::Option::Some(|mut a, mut b, out| {
                #(#parts)*
                #root::__private::nothing_left(a)?;
                #root::__private::nothing_left(b)
            })
        } else {
            ::core::option::Option::None
        }
    }
}

/// `Name{field:schema,...}`, of a tuple struct `Name(schema,...)`. A field that older bytes may lack has a question mark.
fn schema(s: &Struct) -> TokenStream {
    let root = &s.root;
    let title = s.name.to_string();
    let schemas = s.each(|_, t| quote_spanned!(at(t)=> <#t as #root::__private::Codec>::schema()));
    let names = s.fields.iter().map(|field| {
        let mark = if field.default.is_some() { "?" } else { "" };
        match s.named {
            true => format!("{}{mark}:", field.name),
            false if mark.is_empty() => String::new(),
            false => format!("{mark}:"),
        }
    });
    let (open, close) = if s.named { ("{", "}") } else { ("(", ")") };
    quote!([#title, #open, &[#(::std::string::String::from(#names) + &#schemas),*].join(","), #close].concat())
}

/// An object of the fields, of a tuple struct an array.
fn json(s: &Struct) -> TokenStream {
    let root = &s.root;
    let values = s.each(|m, t| quote_spanned!(at(t)=> <#t as #root::__private::Codec>::json(&self.#m)));
    if s.named {
        let names = s.fields.iter().map(|field| &field.name);
        quote! {
            let mut object = #root::__private::serde_json::Map::new();
            #(object.insert(::std::string::String::from(#names), #values);)*
            #root::__private::serde_json::Value::Object(object)
        }
    } else {
        quote!(#root::__private::serde_json::Value::Array(::std::vec![#(#values),*]))
    }
}
