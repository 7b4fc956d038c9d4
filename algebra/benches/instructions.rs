//! Instructions of the hot loops, counted by callgrind: the same on a busy machine as on an idle one, so a change of a few
//! percent is a change of the code.
//!
//! `cargo bench -p rufous-algebra --bench instructions` runs each loop under valgrind, for few and for many operations; the
//! difference is what one operation costs. It prints the counts beside those of `benches/instructions.txt`; with `--save`
//! after `--` it writes that file.

use std::hint::black_box;
use std::process::Command;

use rufous_algebra::buffer::CombineMap;
use rufous_algebra::codec::merge_bytes;
use rufous_algebra::{Bloom, Codec, CountMin, ExactSum, HeavyHitters, Hll, MinHash, Quantiles, Semigroup};

/// One loop: what it does, and a function that does it `n` times.
type Loop = (&'static str, fn(u64));

const LOOPS: &[Loop] = &[
    ("hll p14 insert, dense", |n| {
        let mut sketch = hll(0..20_000);
        (0..n).for_each(|i| sketch.insert(&i));
        black_box(sketch);
    }),
    ("hll p14 insert, 10 items a sketch", |n| {
        (0..n / 10).for_each(|i| drop(black_box(hll(i << 32..(i << 32) + 10))));
    }),
    ("hll p14 merge, dense", |n| {
        let (mut a, b) = (hll(0..20_000), hll(10_000..30_000));
        (0..n / 100).for_each(|_| a.combine(black_box(&b)));
        black_box(a);
    }),
    ("hll p14 bytes x bytes, 10 items", |n| {
        let (a, b) = (hll(0..10).to_bytes(), hll(5..15).to_bytes());
        let mut sum = Vec::new();
        (0..n).for_each(|_| {
            sum.clear();
            let _ = black_box(merge_bytes::<Hll<14>>(&a, &b, &mut sum));
        });
    }),
    ("count-min 5 x 2719 insert, dense", |n| {
        let mut table = CountMin::<5, 2719>::default();
        (0..20_000u64).for_each(|i| table.insert(&i));
        (0..n).for_each(|i| table.insert(&i));
        black_box(table);
    }),
    ("bloom 1 % of 5e5 insert, dense", |n| {
        let mut filter = Bloom::<4_792_576, 7>::default();
        (0..20_000u64).for_each(|i| filter.insert(&i));
        (0..n).for_each(|i| filter.insert(&i));
        black_box(filter);
    }),
    ("heavy hitters 96, skewed insert", |n| {
        let mut hitters = HeavyHitters::<u64, 96>::default();
        (0..n).for_each(|i| hitters.insert(&(i.wrapping_mul(2_654_435_761) % (1 + i % 500))));
        black_box(hitters);
    }),
    ("minhash 256 insert, dense", |n| {
        let mut signature = MinHash::<256>::default();
        (0..20_000u64).for_each(|i| signature.insert(&i));
        (0..n).for_each(|i| signature.insert(&i));
        black_box(signature);
    }),
    ("exact sum of floats", |n| {
        let mut sum = ExactSum::default();
        (0..n).for_each(|i| sum.add(black_box(i as f64 * 0.1)));
        black_box(sum);
    }),
    ("combining map, 1,000 keys", |n| {
        let mut map = CombineMap::<u64>::default();
        (0..n).for_each(|i| map.combine(&(i % 1_000).to_le_bytes(), 1).unwrap_or(()));
        black_box(map.len());
    }),
    ("log-histogram insert", |n| {
        let mut histogram = Quantiles::default();
        (0..n as i64).for_each(|i| histogram.insert(i.wrapping_mul(2_654_435_761) >> (i & 31)));
        black_box(histogram);
    }),
];

/// Operations of the shorter run; the longer one has eleven times as many.
const FEW: u64 = 20_000;

fn hll(items: std::ops::Range<u64>) -> Hll<14> {
    let mut sketch = Hll::default();
    items.for_each(|i| sketch.insert(&i));
    sketch
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, run, index, n] = args.as_slice()
        && run == "--run"
    {
        let (index, n): (usize, u64) = (index.parse().expect("an index"), n.parse().expect("a number"));
        LOOPS[index].1(n);
        return;
    }
    let path = "benches/instructions.txt";
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let mut text =
        String::from("# instructions per operation, callgrind; merges of dense sketches count one in a hundred\n");
    for (i, (name, _)) in LOOPS.iter().enumerate() {
        let Some((few, many)) = count(i, FEW).zip(count(i, 11 * FEW)) else {
            println!("no counts: `valgrind` is not installed, or cannot run this program");
            return;
        };
        let each = (many - few) as f64 / (10 * FEW) as f64;
        let before = kept
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let change = before.map_or(String::new(), |b| {
            format!("{:+.1} % against the last", (each / b - 1.0) * 100.0)
        });
        println!("{name:<44} {each:>10.1}   {change}");
        text += &format!("{name:<44} {each:>10.1}\n");
    }
    if args.iter().any(|a| a == "--save") {
        std::fs::write(path, text).expect("the file beside this one");
    }
}

/// Instructions of a whole run of this program for one loop.
fn count(index: usize, n: u64) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", &index.to_string(), &n.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(' ').next()?.parse().ok()
}
