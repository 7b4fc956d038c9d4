//! `Record`: fields read by name.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
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
    let mut taken = std::collections::HashSet::new();
    for field in &mut s.fields {
        rename(field)?;
        if !taken.insert(field.name.clone()) {
            let what = format!("another field already reads `{}`", field.name);
            return Err(Error::new_spanned(&field.member, what));
        }
    }
    Ok(s)
}

/// Takes the name from `#[record(rename = "column")]`.
fn rename(field: &mut Field) -> syn::Result<()> {
    let Field { attributes, name, .. } = field;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("record")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("rename") {
                return Err(meta.error("unknown option: write `#[record(rename = \"column\")]`"));
            }
            let column: LitStr = meta.value()?.parse()?;
            if column.value().is_empty() {
                return Err(Error::new(
                    column.span(),
                    "the name of a JSON field or column cannot be empty",
                ));
            }
            *name = column.value();
            Ok(())
        })?;
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
        }
    }
}
