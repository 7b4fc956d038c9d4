//! Bytes from before a field was added end there: what follows must have been added, too.
use rufous_derive::Codec;

#[derive(Codec)]
#[algebra(crate = rufous_algebra)]
struct Visits {
    count: u64,
    #[algebra(default)]
    bounces: u64,
    users: u64,
}

fn main() {}
