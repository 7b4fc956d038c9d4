//! `#[derive(Monoid, Semigroup, Group, Codec, Key, Record)]`: everything is done field by field, so a struct of monoids is a
//! monoid, and a struct of keys is a key.
//!
//! - [`macro@Monoid`] and [`macro@Semigroup`] make values that can be summed, with every law that all fields have;
//! - [`macro@Codec`] gives them the canonical bytes that a store keeps;
//! - [`macro@Key`] makes keys, [`macro@Record`] reads records by field name.
//!
//! Errors point at the field that lacks something. Enums are refused with what to write instead. Generated code names
//! everything by absolute paths through the `rufous` crate, so a user's own names cannot get in its way.

mod algebra;
mod codec;
mod input;
mod key;
mod record;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use input::Struct;

/// Reads the struct and writes the impls, or the error.
fn derive(
    input: TokenStream,
    read: impl FnOnce(DeriveInput) -> syn::Result<Struct>,
    write: impl FnOnce(&Struct) -> proc_macro2::TokenStream,
) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    read(input)
        .map_or_else(|error| error.to_compile_error(), |s| write(&s))
        .into()
}

/// `Semigroup` field by field; `Commutative` and `Idempotent` when every field is, and the weakest tier of the fields.
///
/// For structs with a field that has no zero; otherwise derive `Monoid` or `Group`, which include this. A struct has one of
/// the three.
#[proc_macro_derive(Semigroup, attributes(algebra))]
pub fn semigroup(input: TokenStream) -> TokenStream {
    derive(input, |input| algebra::read(input, "Semigroup"), algebra::semigroup)
}

/// `Semigroup` and `Monoid` field by field; `Commutative`, `Idempotent` and `Group` when every field is.
///
/// ```ignore
/// #[derive(Clone, Debug, PartialEq, Monoid, Codec)]
/// struct Visits { count: u64, last: Max<Timestamp>, users: Hll<12>, #[algebra(with = ways::Max)] peak: u64 }
/// ```
///
/// `Visits` is commutative, since its fields are; it is no group, since a maximum cannot be taken back. `with` sums a field
/// another way than its type does, and keeps the type as it is.
#[proc_macro_derive(Monoid, attributes(algebra))]
pub fn monoid(input: TokenStream) -> TokenStream {
    derive(input, |input| algebra::read(input, "Monoid"), algebra::monoid)
}

/// What `Monoid` gives, and `Group`: an error, at the field, when a field has no inverse.
#[proc_macro_derive(Group, attributes(algebra))]
pub fn group(input: TokenStream) -> TokenStream {
    derive(input, |input| algebra::read(input, "Group"), algebra::group)
}

/// `Codec` field by field: the fields as parts, in the order of declaration; those without a fixed width behind their length.
///
/// The schema text has the names of the struct and its fields: `Visits{count:u64,...}`. So renaming a field, as well as
/// removing or moving one, is a change that a store refuses at open. A field may be added at the end with
/// `#[algebra(default)]`: bytes from before then read as its zero (`default = value`: as that value), and the schema text
/// marks it, `bounces?:u64`. JSON is an object of the fields (of a tuple struct: an array). The first field is the
/// magnitude, by which `top` orders.
#[proc_macro_derive(Codec, attributes(algebra))]
pub fn codec(input: TokenStream) -> TokenStream {
    derive(input, codec::read, codec::write)
}

/// `Key` from the fields' keys: the same bytes and the same order as a tuple of the fields, or, for one field, as the field.
///
/// Also needs `Clone`, `PartialEq`, `Eq`, `PartialOrd` and `Ord`: derive these, so that the order is that of the fields, too.
#[proc_macro_derive(Key)]
pub fn key(input: TokenStream) -> TokenStream {
    derive(input, key::read, key::write)
}

/// `Record`: a struct read from JSON fields or columns (CSV, Parquet) with the names of its fields.
///
/// Fields are `bool`, integers, `f64`, `Timestamp`, `Text` (up to 24 bytes of text without allocation), `String`, or an
/// `Option` of these.
///
/// `#[record(name = "column")]` on a field reads another name. Dots lead into nested JSON objects and struct columns:
/// `#[record(name = "repo.name")]` reads `name` within `repo`. A backslash makes a dot, or a backslash, a part of the name:
/// `#[record(name = r"a\.b")]` reads a field called `a.b`. An `Option` may be missing or null, on every level; anything else
/// must be there. Also needs `Clone`.
#[proc_macro_derive(Record, attributes(record))]
pub fn record(input: TokenStream) -> TokenStream {
    derive(input, record::read, record::write)
}
