//! A type has one tier: what is exact is not approximate as well.
use rufous_algebra::{ApproxLaws, Estimate, Exact, Semigroup, Commutative, Tiered};

#[derive(Clone)]
struct Sum(u64);
impl Semigroup for Sum {
    fn combine(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}
impl Commutative for Sum {}
impl Tiered for Sum {
    type Tier = Exact;
}
impl ApproxLaws for Sum {
    type Query = ();
    fn answer(&self, _: &()) -> Option<Estimate> {
        None
    }
}

fn main() {}
