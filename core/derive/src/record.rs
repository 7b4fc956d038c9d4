//! `Record`: fields read by name.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{DeriveInput, Error, LitStr, parse_quote};

use crate::input::{Field, Struct, at};

pub(crate) fn read(input: DeriveInput) -> syn::Result<Struct> {
    let instead = "read a struct of the fields that the cases have, `Option` for those that may be missing, and match on it \
        in the job";
    let mut s = Struct::read(input, "Record", instead)?;
    if !s.named {
        let what = "#[derive(Record)] needs named fields: they are the names of the JSON fields or columns to read";
        return Err(Error::new(s.name.span(), what));
    }
    let mut taken: Vec<String> = Vec::new();
    for field in &mut s.fields {
        name(field)?;
        if let Some(other) = taken.iter().find(|other| overlap(other, &field.name)) {
            let what = if *other == field.name {
                format!("another field already reads `{other}`")
            } else {
                format!(
                    "`{}` and `{other}`, which another field reads: one of them lies within the other",
                    field.name
                )
            };
            return Err(Error::new_spanned(&field.member, what));
        }
        taken.push(field.name.clone());
    }
    Ok(s)
}

/// Whether two paths are the same, or one leads on from the other. A path is written in one way only.
fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Takes the name from `#[record(name = "column")]`; `rename` is its older word.
fn name(field: &mut Field) -> syn::Result<()> {
    let Field { attributes, name, .. } = field;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") && !meta.path.is_ident("rename") {
                return Err(meta.error("unknown option: write `#[record(name = \"column\")]`"));
            }
            let column: LitStr = meta.value()?.parse()?;
            check(&column.value()).map_err(|what| Error::new(column.span(), what))?;
            *name = column.value();
            Ok(())
        })?;
    }
    Ok(())
}

/// Whether a name is a path: names that are not empty, with dots between; a backslash stands before a dot or a backslash.
fn check(path: &str) -> Result<(), String> {
    let mut empty = true;
    let mut rest = path.chars();
    while let Some(c) = rest.next() {
        if c == '.' && empty {
            break;
        }
        if c == '\\' && !matches!(rest.next(), Some('.' | '\\')) {
            return Err(format!(
                "a backslash in the name of a JSON field or column makes the next dot or backslash a part of it; write two for \
                 a backslash: `{path}`"
            ));
        }
        empty = c == '.';
    }
    if empty {
        return Err("the name of a JSON field or column cannot be empty; dots lead into nested fields".into());
    }
    Ok(())
}

pub(crate) fn write(s: &Struct) -> TokenStream {
    let mut generics = s.bounded(&parse_quote!(::rufous::__private::FieldValue));
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::core::clone::Clone));
        parameter.bounds.push(parse_quote!(::core::marker::Send));
        parameter.bounds.push(parse_quote!('static));
    }
    let (name, (ig, tg, wc)) = (&s.name, generics.split_for_impl());
    let fields = s.fields.iter().map(|Field { name, ty, .. }| {
        quote_spanned! {at(ty)=>
            ::rufous::__private::Field {
                name: #name,
                ty: <#ty as ::rufous::__private::FieldValue>::TYPE,
                optional: <#ty as ::rufous::__private::FieldValue>::OPTIONAL,
            }
        }
    });
    let values = s
        .fields
        .iter()
        .enumerate()
        .map(|(i, Field { member, ty, .. })| quote_spanned!(at(ty)=> #member: row.get::<#ty>(#i)?));
    let columns = columns(s);
    quote! {
        #[automatically_derived]
        impl #ig ::rufous::__private::Record for #name #tg #wc {
            const FIELDS: &'static [::rufous::__private::Field] = &[#(#fields),*];
            #[inline]
            fn from_row(
                row: &::rufous::__private::Row<'_>,
            ) -> ::core::result::Result<Self, ::rufous::__private::RecordError> {
                ::core::result::Result::Ok(Self { #(#values),* })
            }
            #columns
        }
    }
}

/// `from_columns`: each field's values by a loop of its own, then the records from all of them.
fn columns(s: &Struct) -> TokenStream {
    let members: Vec<_> = s.fields.iter().map(|field| &field.member).collect();
    let values: Vec<_> = (0..members.len()).map(|i| format_ident!("values_{i}")).collect();
    let read = s
        .fields
        .iter()
        .zip(&values)
        .enumerate()
        .map(|(i, (Field { ty, .. }, values))| {
            quote_spanned! {at(ty)=>
                let ::core::option::Option::Some(#values) =
                    <#ty as ::rufous::__private::FieldValue>::from_column(columns, #i)
                else {
                    return false;
                };
            }
        });
    let Some((first, rest)) = values.split_first() else {
        return TokenStream::new();
    };
    let zipped = rest
        .iter()
        .fold(quote!(#first.into_iter()), |zipped, next| quote!(#zipped.zip(#next)));
    let pattern = rest
        .iter()
        .fold(quote!(#first), |pattern, next| quote!((#pattern, #next)));
    quote! {
        fn from_columns(
            columns: &::rufous::__private::ColumnBatch,
            out: &mut ::std::vec::Vec<Self>,
        ) -> bool {
            #(#read)*
            out.extend(#zipped.map(|#pattern| Self { #(#members: #values),* }));
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(input: DeriveInput) -> Result<Vec<String>, String> {
        let names = |s: Struct| s.fields.into_iter().map(|f| f.name).collect();
        read(input).map(names).map_err(|e| e.to_string())
    }

    /// What is written is what is read, and a path is written in one way only.
    #[test]
    fn paths_are_kept_as_written() {
        let read = names(parse_quote! {
            struct Event {
                r#type: String,
                #[record(name = "repo.name")]
                repo: String,
                #[record(name = "repo.name2")]
                other: String,
                #[record(name = r"repo\.name.x\\")]
                odd: String,
            }
        });
        assert_eq!(read.unwrap(), ["type", "repo.name", "repo.name2", r"repo\.name.x\\"]);
    }

    #[test]
    fn paths_that_are_refused() {
        let refused = |name: &str, why: &str| {
            let e = names(parse_quote!(
                struct R {
                    #[record(name = #name)]
                    a: u8,
                }
            ))
            .unwrap_err();
            assert!(e.contains(why), "{name}: {e}");
        };
        for empty in ["", ".", "a.", ".a", "a..b"] {
            refused(empty, "cannot be empty");
        }
        for backslash in [r"a\b", r"a\", r"\"] {
            refused(backslash, "makes the next dot or backslash a part of it");
        }
    }

    /// A field cannot be a value and an object that other fields lie within.
    #[test]
    fn paths_that_overlap() {
        let two = |a: &str, b: &str| {
            names(parse_quote!(
                struct R {
                    #[record(name = #a)]
                    a: u8,
                    #[record(name = #b)]
                    b: u8,
                }
            ))
        };
        assert!(two("x", "x").unwrap_err().contains("another field already reads `x`"));
        assert!(two("x.y", "x").unwrap_err().contains("`x` and `x.y`"));
        assert!(
            two("x", "x.y.z")
                .unwrap_err()
                .contains("one of them lies within the other")
        );
        assert!(two("x.y", "x.z").is_ok() && two("x", "xy").is_ok() && two("x", r"x\.y").is_ok());
    }

    #[test]
    fn unknown_options_are_refused() {
        let e = names(parse_quote!(
            struct R {
                #[record(named = "x")]
                a: u8,
            }
        ))
        .unwrap_err();
        assert!(e.contains("write `#[record(name ="), "{e}");
    }
}
