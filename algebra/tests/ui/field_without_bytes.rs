//! A field whose type has no bytes.
use rufous_derive::Codec;

struct Page;

#[derive(Codec)]
#[algebra(crate = rufous_algebra)]
struct Visits {
    count: u64,
    page: Page,
}

fn main() {}
