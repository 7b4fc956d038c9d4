//! What a derive is given: a struct and its fields, or a clear refusal.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Fields, Generics, Ident, Index, Member, Path, Type, parse_quote};

/// A struct with at least one field.
pub(crate) struct Struct {
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    /// Whether the fields have names.
    pub(crate) named: bool,
    pub(crate) fields: Vec<Field>,
}

/// A field of a [`Struct`].
pub(crate) struct Field {
    pub(crate) member: Member,
    pub(crate) ty: Type,
    /// Its name as text, without `r#`; the number of a tuple struct's field.
    pub(crate) name: String,
    pub(crate) attributes: Vec<Attribute>,
}

impl Struct {
    /// `instead` tells the author of an enum or a union what to write.
    pub(crate) fn read(input: DeriveInput, derive: &str, instead: &str) -> syn::Result<Self> {
        let refuse = |what: &str| {
            Err(syn::Error::new(
                input.ident.span(),
                format!("#[derive({derive})] {what}"),
            ))
        };
        let data = match input.data {
            Data::Struct(data) => data,
            Data::Enum(_) => return refuse(&format!("works on structs, and this is an enum: {instead}")),
            Data::Union(_) => return refuse(&format!("works on structs, and this is a union: {instead}")),
        };
        if data.fields.is_empty() {
            return refuse("needs at least one field");
        }
        let named = matches!(data.fields, Fields::Named(_));
        let fields = data.fields.into_iter().enumerate().map(|(i, field)| Field {
            name: field.ident.as_ref().map_or_else(|| i.to_string(), unraw),
            member: field
                .ident
                .map_or_else(|| Member::Unnamed(Index::from(i)), Member::Named),
            ty: field.ty,
            attributes: field.attrs,
        });
        Ok(Self {
            fields: fields.collect(),
            named,
            name: input.ident,
            generics: input.generics,
        })
    }

    /// What `write` makes of each field's member and type.
    pub(crate) fn each(&self, write: impl Fn(&Member, &Type) -> TokenStream) -> Vec<TokenStream> {
        self.fields
            .iter()
            .map(|field| write(&field.member, &field.ty))
            .collect()
    }

    /// The generics with `bound` on every type parameter, as the derives of the standard library do.
    pub(crate) fn bounded(&self, bound: &Path) -> Generics {
        let mut generics = self.generics.clone();
        generics
            .type_params_mut()
            .for_each(|parameter| parameter.bounds.push(parse_quote!(#bound)));
        generics
    }
}

fn unraw(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_string).unwrap_or(text)
}

/// For generated code about a field: errors are shown at its type, but names (`self` above all) resolve as in the rest of
/// the generated code, also when a macro wrote the type.
pub(crate) fn at(ty: &Type) -> Span {
    Span::call_site().located_at(ty.span())
}
