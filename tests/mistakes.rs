//! What the compiler says to mistakes in jobs: each case under `ui/` is wrong in one way, beside it stands the expected text.
//! After a change of wording: `TRYBUILD=overwrite cargo test -p rufous --test mistakes`, and read the diff.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
