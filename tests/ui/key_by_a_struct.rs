//! The same at the step that makes the keys.
use rufous::prelude::*;

#[derive(Clone)]
struct Page {
    path: String,
}

const LINES: Source<str> = Source::new("lines");

fn main() {
    let pages = LINES.read().map(|line| Page { path: line.into() });
    let _ = pages.key_by(|page| page.clone());
}
