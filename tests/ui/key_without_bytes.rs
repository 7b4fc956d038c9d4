//! A struct as a key, without the derive.
use rufous::prelude::*;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Page {
    site: u32,
    path: String,
}

const VIEWS: Store<Page, u64> = Store::new("views");

fn main() {
    let _ = VIEWS;
}
