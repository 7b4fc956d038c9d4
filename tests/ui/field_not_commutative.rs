//! The same, two structs deep: the message points at the struct whose field it is.
use rufous::prelude::*;

#[derive(Clone, Monoid, Codec)]
struct Visits {
    n: u64,
    pages: Pages,
}

#[derive(Clone, Monoid, Codec)]
struct Pages {
    urls: Vec<String>,
}

const LINES: Source<str> = Source::new("lines");
const VISITS: Store<String, Visits> = Store::new("visits");

fn main() {
    let one = |url: &str| Visits { n: 1, pages: Pages { urls: vec![url.into()] } };
    let sums = LINES.read().keyed(move |line, out| out.emit(line, one(line))).sum_by_key(VISITS);
    let _job: Job = Job::new("visits", sums);
}
