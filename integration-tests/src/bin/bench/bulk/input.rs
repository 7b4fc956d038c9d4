//! Seeded Parquet files, and what every answer must be, kept in plain arrays.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::realtime::generate::{Law, Ranks, SplitMix, spell};

const FILES: u64 = 8;
/// Rows of a row group: what the common writers make of it.
const GROUP: usize = 1_000_000;
pub(super) const CAMPAIGNS: u32 = 2_000;
pub(super) const USERS: u64 = 1_000_000;

/// Files in a directory and the answers.
pub(super) struct Words {
    pub(super) dir: PathBuf,
    /// How often each rank is there.
    pub(super) counts: Vec<u64>,
}

pub(super) struct Ads {
    pub(super) dir: PathBuf,
    /// Rows and cost of each campaign, and how many different users.
    pub(super) sums: Vec<(u64, i64, u64)>,
}

pub(super) struct Clicks {
    pub(super) dir: PathBuf,
    /// Rows and cost by `campaign/size of a hop/its number`.
    pub(super) sums: HashMap<String, (u64, i64)>,
    /// The rate of each campaign from each of its hours on, in a file of its own.
    pub(super) rates: PathBuf,
    /// Rows, and the sum of cost times rate as of the click, by campaign.
    pub(super) rated: Vec<(u64, i64)>,
}

/// Campaigns of clicks.
const CLICKED: u32 = 500;
/// When the clicks begin.
const START: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;
const HOURS: i64 = 7 * 24;

/// The rate of a campaign in an hour since the start, and when it begins to hold: each campaign at a minute of its own.
fn rate(campaign: u32, hour: i64) -> (i64, i64) {
    let from = START + hour * HOUR + i64::from(campaign % 60) * 60_000;
    (from, (i64::from(campaign) * 31 + hour * 17) % 1_000)
}

/// The rate as of an instant, by its definition: the last one that began before it or just then.
fn rate_at(campaign: u32, at: i64) -> i64 {
    let (first, _) = rate(campaign, 0);
    let hour = (at - first).div_euclid(HOUR).min(HOURS - 1);
    if hour < 0 { 0 } else { rate(campaign, hour).1 }
}

/// Writes the rates of all campaigns.
fn rates(path: &Path) -> Result<()> {
    let field = |name| Field::new(name, DataType::Int64, false);
    let schema = Arc::new(Schema::new(vec![field("campaign"), field("since"), field("rate")]));
    let mut out = writer(path, &schema)?;
    for hour in 0..HOURS {
        let all = (0..CLICKED).map(|c| (i64::from(c), rate(c, hour)));
        let columns: [Vec<i64>; 3] = [
            all.clone().map(|(c, _)| c).collect(),
            all.clone().map(|(_, (from, _))| from).collect(),
            all.map(|(_, (_, rate))| rate).collect(),
        ];
        let columns = columns.map(|c| Arc::new(Int64Array::from(c)) as ArrayRef);
        out.write(&RecordBatch::try_new(schema.clone(), columns.into())?)?;
    }
    out.close()?;
    Ok(())
}

fn writer(path: &Path, schema: &Arc<Schema>) -> Result<ArrowWriter<File>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP));
    Ok(ArrowWriter::try_new(
        File::create(path)?,
        schema.clone(),
        Some(properties.build()),
    )?)
}

/// Writes `rows` in [`FILES`] files of batches that `make` fills.
fn write(dir: &Path, rows: u64, schema: Schema, make: &mut dyn FnMut(usize) -> Result<Vec<ArrayRef>>) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let schema = Arc::new(schema);
    for file in 0..FILES {
        let mut left = rows / FILES + u64::from(file < rows % FILES);
        let mut out = writer(&dir.join(format!("part-{file}.parquet")), &schema)?;
        while left > 0 {
            let n = left.min(65_536);
            out.write(&RecordBatch::try_new(schema.clone(), make(n as usize)?)?)?;
            left -= n;
        }
        out.close()?;
    }
    Ok(())
}

/// One word a row.
pub(super) fn words(dir: &Path, rows: u64, law: Law) -> Result<Words> {
    let (mut ranks, mut counts) = (Ranks::new(law, 11), vec![0; law.keys() as usize]);
    let schema = Schema::new(vec![Field::new("word", DataType::Utf8, false)]);
    write(dir, rows, schema, &mut |n| {
        let (mut text, mut offsets) = (Vec::new(), vec![0]);
        for _ in 0..n {
            let rank = ranks.draw();
            counts[rank as usize] += 1;
            spell(rank, &mut text);
            offsets.push(i32::try_from(text.len())?);
        }
        let offsets = arrow_buffer::OffsetBuffer::new(offsets.into());
        Ok(vec![Arc::new(StringArray::try_new(offsets, text.into(), None)?)])
    })?;
    Ok(Words {
        dir: dir.into(),
        counts,
    })
}

/// Every word once, in an order that says nothing.
pub(super) fn distinct(dir: &Path, keys: u64) -> Result<Words> {
    let schema = Schema::new(vec![Field::new("word", DataType::Utf8, false)]);
    // A step that shares no factor with the number of words goes through all of them.
    let gcd = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let step = (keys * 5 / 8..).find(|s| gcd(*s, keys) == 1).unwrap_or(1);
    let mut at = 0;
    write(dir, keys, schema, &mut |n| {
        let (mut text, mut offsets) = (Vec::new(), vec![0]);
        for _ in 0..n {
            at = (at + step) % keys;
            spell(at as u32, &mut text);
            offsets.push(i32::try_from(text.len())?);
        }
        let offsets = arrow_buffer::OffsetBuffer::new(offsets.into());
        Ok(vec![Arc::new(StringArray::try_new(offsets, text.into(), None)?)])
    })?;
    Ok(Words {
        dir: dir.into(),
        counts: vec![1; keys as usize],
    })
}

/// A campaign, a user and a cost in each row.
pub(super) fn ads(dir: &Path, rows: u64) -> Result<Ads> {
    let law = Law::Zipf {
        keys: CAMPAIGNS,
        s: 0.8,
    };
    let (mut ranks, mut random) = (Ranks::new(law, 5), SplitMix(17));
    let mut sums = vec![(0, 0, 0); CAMPAIGNS as usize];
    let row = USERS.div_ceil(64) as usize;
    let mut seen = vec![0_u64; CAMPAIGNS as usize * row];
    let field = |name| Field::new(name, DataType::Int64, false);
    let schema = Schema::new(vec![field("campaign"), field("user"), field("cost")]);
    write(dir, rows, schema, &mut |n| {
        let (mut campaigns, mut users, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            let (campaign, user, cost) = (ranks.draw(), random.below(USERS), random.below(10_000) as i64);
            let sum = &mut sums[campaign as usize];
            sum.0 += 1;
            sum.1 += cost;
            seen[campaign as usize * row + (user / 64) as usize] |= 1 << (user % 64);
            campaigns.push(i64::from(campaign));
            users.push(user as i64);
            costs.push(cost);
        }
        let array = |values| Arc::new(Int64Array::from(values)) as ArrayRef;
        Ok(vec![array(campaigns), array(users), array(costs)])
    })?;
    for (sum, seen) in sums.iter_mut().zip(seen.chunks(row)) {
        sum.2 = seen.iter().map(|bits| u64::from(bits.count_ones())).sum();
    }
    Ok(Ads { dir: dir.into(), sums })
}

/// A campaign, an instant and a cost in each row: a week that goes by in order, but each row up to ten minutes late.
pub(super) fn clicks(dir: &Path, rows: u64) -> Result<Clicks> {
    const WEEK: f64 = (HOURS * HOUR) as f64;
    let law = Law::Zipf { keys: CLICKED, s: 0.8 };
    let mut rated = vec![(0, 0); CLICKED as usize];
    let (mut ranks, mut random, mut done) = (Ranks::new(law, 23), SplitMix(29), 0_u64);
    let mut hops: HashMap<(u32, i64), (u64, i64)> = HashMap::new();
    let field = |name| Field::new(name, DataType::Int64, false);
    let schema = Schema::new(vec![field("campaign"), field("at"), field("cost")]);
    write(dir, rows, schema, &mut |n| {
        let (mut campaigns, mut ats, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            let (campaign, cost) = (ranks.draw(), random.below(10_000) as i64);
            let at = START + (done as f64 / rows as f64 * WEEK) as i64 - random.below(600_000) as i64;
            let sum = hops.entry((campaign, at.div_euclid(300_000))).or_default();
            *sum = (sum.0 + 1, sum.1 + cost);
            let sum = &mut rated[campaign as usize];
            *sum = (sum.0 + 1, sum.1 + cost * rate_at(campaign, at));
            done += 1;
            campaigns.push(i64::from(campaign));
            ats.push(at);
            costs.push(cost);
        }
        let array = |values| Arc::new(Int64Array::from(values)) as ArrayRef;
        Ok(vec![array(campaigns), array(ats), array(costs)])
    })?;
    let mut sums: HashMap<String, (u64, i64)> = HashMap::new();
    for ((campaign, minutes), (n, cost)) in hops {
        for (size, number) in [
            ("5m", minutes),
            ("1h", minutes.div_euclid(12)),
            ("1d", minutes.div_euclid(288)),
        ] {
            let sum = sums.entry(format!("{campaign}/{size}/{number}")).or_default();
            *sum = (sum.0 + n, sum.1 + cost);
        }
    }
    let rates = dir.with_extension("rates");
    self::rates(&rates)?;
    Ok(Clicks {
        dir: dir.into(),
        sums,
        rates,
        rated,
    })
}
