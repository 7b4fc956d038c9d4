//! What a derive is given: a struct and its fields, or a clear refusal.
//!
//! `#[algebra(..)]` on the struct: `crate = path`, where `Codec` and the others are found (`::rufous`). On a field:
//! `with = Way` (it is summed that way, not its own), `default` or `default = value` (older bytes may lack it).

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Expr, Fields, Generics, Ident, Index, Member, Path, Type, parse_quote};

/// A struct with at least one field.
pub(crate) struct Struct {
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    /// Whether the fields have names.
    pub(crate) named: bool,
    pub(crate) fields: Vec<Field>,
    /// The crate whose `__private` the generated code names.
    pub(crate) root: Path,
}

/// A field of a [`Struct`].
pub(crate) struct Field {
    pub(crate) member: Member,
    pub(crate) ty: Type,
    /// Its name as text, without `r#`; the number of a tuple struct's field.
    pub(crate) name: String,
    pub(crate) attributes: Vec<Attribute>,
    /// `#[algebra(with = Way)]`.
    pub(crate) with: Option<Type>,
    /// `#[algebra(default)]`.
    pub(crate) default: Option<Missing>,
}

/// What a field is when the bytes are older than it.
pub(crate) enum Missing {
    /// `default`: the zero of its monoid.
    Zero,
    /// `default = value`.
    Value(Box<Expr>),
}

impl Struct {
    /// `instead` tells the author of an enum or a union what to write.
    pub(crate) fn read(input: DeriveInput, derive: &str, instead: &str) -> syn::Result<Self> {
        let refuse = |what: &str| Err(Error::new(input.ident.span(), format!("#[derive({derive})] {what}")));
        let data = match input.data {
            Data::Struct(data) => data,
            Data::Enum(_) => return refuse(&format!("works on structs, and this is an enum: {instead}")),
            Data::Union(_) => return refuse(&format!("works on structs, and this is a union: {instead}")),
        };
        if data.fields.is_empty() {
            return refuse("needs at least one field");
        }
        let named = matches!(data.fields, Fields::Named(_));
        let fields = data.fields.into_iter().enumerate().map(|(i, field)| {
            let (with, default) = field_options(&field.attrs)?;
            Ok(Field {
                name: field.ident.as_ref().map_or_else(|| i.to_string(), unraw),
                member: field
                    .ident
                    .map_or_else(|| Member::Unnamed(Index::from(i)), Member::Named),
                ty: field.ty,
                attributes: field.attrs,
                with,
                default,
            })
        });
        Ok(Self {
            fields: fields.collect::<syn::Result<_>>()?,
            named,
            name: input.ident,
            generics: input.generics,
            root: root(&input.attrs)?,
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

/// The crate of `#[algebra(crate = path)]`.
fn root(attributes: &[Attribute]) -> syn::Result<Path> {
    let mut root = parse_quote!(::rufous);
    for attribute in attributes.iter().filter(|a| a.path().is_ident("algebra")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("unknown option of a struct: write `#[algebra(crate = path)]`"));
            }
            root = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        })?;
    }
    Ok(root)
}

fn field_options(attributes: &[Attribute]) -> syn::Result<(Option<Type>, Option<Missing>)> {
    let (mut with, mut default) = (None, None);
    for attribute in attributes.iter().filter(|a| a.path().is_ident("algebra")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("with") {
                with = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("default") {
                default = Some(match meta.value() {
                    Ok(value) => Missing::Value(value.parse()?),
                    Err(_) => Missing::Zero,
                });
            } else {
                let known =
                    "unknown option of a field: `with = Way` sums it that way, `default` reads bytes without it";
                return Err(meta.error(known));
            }
            Ok(())
        })?;
    }
    Ok((with, default))
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
