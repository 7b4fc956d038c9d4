//! `Codec`: the fields' bytes in order.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, parse_quote};

use crate::input::{Struct, at};

pub(crate) fn read(input: DeriveInput) -> syn::Result<Struct> {
    Struct::read(
        input,
        "Codec",
        "write `impl Codec` by hand: a tag byte, then the fields of the case",
    )
}

pub(crate) fn write(s: &Struct) -> TokenStream {
    let generics = s.bounded(&parse_quote!(::rufous::__private::Codec));
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let encode = s.each(|m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Codec>::encode(&self.#m, out);));
    // A struct expression evaluates its fields in the order written, which is the order of the bytes.
    let decode = s.each(|m, t| quote_spanned!(at(t)=> #m: <#t as ::rufous::__private::Codec>::decode(bytes)?));
    let (schema, json) = (schema(s), json(s));
    let magnitude = &s.each(|m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Codec>::magnitude(&self.#m)))[0];
    quote! {
        #[automatically_derived]
        impl #ig ::rufous::__private::Codec for #name #tg #wc {
            #[inline]
            fn encode(&self, out: &mut ::std::vec::Vec<u8>) {
                #(#encode)*
            }
            #[inline]
            fn decode(bytes: &mut &[u8]) -> ::core::result::Result<Self, ::rufous::__private::DecodeError> {
                ::core::result::Result::Ok(Self { #(#decode),* })
            }
            fn schema() -> ::std::string::String {
                #schema
            }
            fn json(&self) -> ::rufous::__private::serde_json::Value {
                #json
            }
            fn magnitude(&self) -> f64 {
                #magnitude
            }
        }
    }
}

/// `Name{field:schema,...}`, of a tuple struct `Name(schema,...)`.
fn schema(s: &Struct) -> TokenStream {
    let title = s.name.to_string();
    let schemas = s.each(|_, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Codec>::schema()));
    if s.named {
        let names = s.fields.iter().map(|field| format!("{}:", field.name));
        quote!(::std::format!("{}{{{}}}", #title, [#(::std::string::String::from(#names) + &#schemas),*].join(",")))
    } else {
        quote!(::std::format!("{}({})", #title, [#(#schemas),*].join(",")))
    }
}

/// An object of the fields, of a tuple struct an array.
fn json(s: &Struct) -> TokenStream {
    let values = s.each(|m, t| quote_spanned!(at(t)=> <#t as ::rufous::__private::Codec>::json(&self.#m)));
    if s.named {
        let names = s.fields.iter().map(|field| &field.name);
        quote! {
            let mut object = ::rufous::__private::serde_json::Map::new();
            #(object.insert(::std::string::String::from(#names), #values);)*
            ::rufous::__private::serde_json::Value::Object(object)
        }
    } else {
        quote!(::rufous::__private::serde_json::Value::Array(::std::vec![#(#values),*]))
    }
}
