//! Why persisted state does not rest on `hyperloglogplus` or `probabilistic-collections`: the laws that every sketch here
//! keeps, run on theirs, where they have the operation. Each test asserts what was found, so that a release that mends it
//! shows up. The table in the crate's documentation has these figures.

mod common;

use std::hash::{BuildHasher, DefaultHasher};

use common::{Rng, hll};
use hyperloglogplus::{HyperLogLog as _, HyperLogLogPlus};
use probabilistic_collections::hyperloglog::HyperLogLog as Collected;
use rufous_algebra::{Codec, Hll, Monoid, Semigroup};

/// The same keys always: with a hasher of random keys no two sketches have the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct Fixed;
impl BuildHasher for Fixed {
    type Hasher = DefaultHasher;
    fn build_hasher(&self) -> DefaultHasher {
        DefaultHasher::new()
    }
}

type Plus = HyperLogLogPlus<u64, Fixed>;

const TRIALS: usize = 150;

/// What the laws need of a contender.
trait Contender: Sized {
    fn of(items: &[u64]) -> Self;
    fn merged(&self, other: &Self) -> Self;
    fn bytes(&self) -> Vec<u8>;
}

impl Contender for Hll<14> {
    fn of(items: &[u64]) -> Self {
        hll(items.iter().copied())
    }
    fn merged(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.combine(other);
        sum
    }
    fn bytes(&self) -> Vec<u8> {
        self.to_bytes()
    }
}

impl Contender for Plus {
    fn of(items: &[u64]) -> Self {
        let mut sketch = Self::new(14, Fixed).unwrap();
        items.iter().for_each(|x| sketch.insert(x));
        sketch
    }
    fn merged(&self, other: &Self) -> Self {
        // It cannot be cloned but through its bytes.
        let mut sum: Self = serde_json::from_slice(&self.bytes()).unwrap();
        sum.merge(other).unwrap();
        sum
    }
    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap()
    }
}

impl Contender for Collected<u64, Fixed> {
    fn of(items: &[u64]) -> Self {
        let mut sketch = Self::with_hasher(0.01, Fixed);
        items.iter().for_each(|x| sketch.insert(x));
        sketch
    }
    fn merged(&self, other: &Self) -> Self {
        let mut sum: Self = serde_json::from_slice(&self.bytes()).unwrap();
        sum.merge(other);
        sum
    }
    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap()
    }
}

/// How many of the trials break: commutativity, associativity, identity, homomorphism, idempotence, same input same bytes.
fn violations<C: Contender>() -> [usize; 6] {
    let mut rng = Rng(11);
    let mut counts = [0; 6];
    for _ in 0..TRIALS {
        let mut items = || -> Vec<u64> {
            let size = [0, 1, 20, 400, 3_000, 9_000][rng.below(6)];
            (0..size).map(|_| rng.next() % 20_000).collect()
        };
        let [x, y, z] = [items(), items(), items()];
        let [a, b, c] = [&x, &y, &z].map(|items| C::of(items));
        let both = [x.as_slice(), &y].concat();
        let broken = [
            a.merged(&b).bytes() != b.merged(&a).bytes(),
            a.merged(&b).merged(&c).bytes() != a.merged(&b.merged(&c)).bytes(),
            a.merged(&C::of(&[])).bytes() != a.bytes(),
            C::of(&both).bytes() != a.merged(&b).bytes(),
            a.merged(&a).bytes() != a.bytes(),
            C::of(&x).bytes() != a.bytes(),
        ];
        counts
            .iter_mut()
            .zip(broken)
            .for_each(|(n, broken)| *n += usize::from(broken));
    }
    counts
}

/// Laws on bytes: ours keeps all; bytes of `hyperloglogplus` are no function of its state.
#[test]
fn laws_on_bytes() {
    assert_eq!(violations::<Hll<14>>(), [0; 6]);
    let plus = violations::<Plus>();
    println!("hyperloglogplus: {plus:?} of {TRIALS}");
    assert!(
        plus.iter().all(|n| *n > TRIALS / 10),
        "hyperloglogplus keeps a law now: {plus:?}"
    );
    let collected = violations::<Collected<u64, Fixed>>();
    println!("probabilistic-collections: {collected:?} of {TRIALS}");
    assert_eq!(collected, [0; 6], "registers and a fixed hasher");
}

/// `probabilistic-collections` answers infinity once no register is empty; ours is within its bounds.
#[test]
fn infinity() {
    let items: Vec<u64> = (0..50_000).collect();
    assert_eq!(<Collected<u64, Fixed>>::of(&items).len(), f64::INFINITY);
    assert!(<Hll<14>>::of(&items).estimate().contains(50_000.0));
}

/// Sketches of different hashers merge to a wrong answer without an error; here the hash is part of the type.
#[test]
fn different_hashers() {
    let mut a: HyperLogLogPlus<u64, std::hash::RandomState> = HyperLogLogPlus::new(14, Default::default()).unwrap();
    let mut b: HyperLogLogPlus<u64, std::hash::RandomState> = HyperLogLogPlus::new(14, Default::default()).unwrap();
    (0..50_000).for_each(|i| {
        a.insert(&i);
        b.insert(&i);
    });
    a.merge(&b).unwrap();
    assert!(a.count() > 90_000.0, "the same 50,000 items twice: {}", a.count());
}

/// Bytes of one item: 5 of ours, more than 100 of theirs.
#[test]
fn small_states() {
    let mut one = <Plus>::of(&[1]);
    one.count();
    assert_eq!(<Hll<14>>::of(&[1]).bytes().len(), 5);
    assert_eq!(Hll::<14>::zero().to_bytes().len(), 1);
    assert!(one.bytes().len() > 100, "{}", one.bytes().len());
    assert!(<Collected<u64, Fixed>>::of(&[1]).bytes().len() > 1_000);
}

/// One flipped bit: ours is an error or another value; theirs may panic on use.
#[test]
fn damaged_bytes() {
    let (ours, theirs) = (<Hll<14>>::of(&[1, 2, 3]).bytes(), <Plus>::of(&[1, 2, 3]).bytes());
    let mut panics = 0;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for bit in 0..theirs.len() * 8 {
        let mut damaged = theirs.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let outcome = std::panic::catch_unwind(|| {
            if let Ok(mut sketch) = serde_json::from_slice::<Plus>(&damaged) {
                (0..30_000).for_each(|i: u64| sketch.insert(&i));
                sketch.count();
            }
        });
        panics += usize::from(outcome.is_err());
    }
    std::panic::set_hook(hook);
    for bit in 0..ours.len() * 8 {
        let mut damaged = ours.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(mut sketch) = Hll::<14>::decode(&damaged) {
            (0..30_000u64).for_each(|i| sketch.insert(&i));
            sketch.estimate();
        }
    }
    println!(
        "hyperloglogplus: {panics} panics of {} damaged inputs",
        theirs.len() * 8
    );
    assert!(
        panics > 0 || !cfg!(debug_assertions),
        "hyperloglogplus survives damage now"
    );
}
