//! Checked reads: many who ask while a job streams, publishes, computes its history anew and is killed. An answer says up to which offset
//! of each partition it reaches; afterwards the log itself is read, and each answer must be the plain count of exactly those records.

use std::path::Path;
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rufous::client::RawStoreClient;
use rufous::core::{ErrorKind, SourcePartition, key};
use rufous::prelude::Codec;
use serde_json::{Value, json};

use super::feed::Feed;
use super::logged::{Positions, positions};
use super::place::Place;
use super::{PARTITIONS, word};
use crate::kafka::{self, process, unique_name};
use crate::run::Random;

/// Different words of the log.
const WORDS: u64 = 997;
/// Between two kills of the live process.
const LIFE: Duration = Duration::from_secs(4);

/// Kills, and switches, that there are at least.
const FAULTS: u64 = 2;

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// How many answers, over all who ask.
    pub answers: u64,
    /// Of the words that are produced and asked for.
    pub seed: u64,
    /// How long it may take at most.
    pub limit: Duration,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Answers that were checked, by who asked.
    pub answers: Vec<(&'static str, u64)>,
    /// The counts in them.
    pub values: u64,
    /// Questions that were refused, to be asked again.
    pub refused: u64,
    /// Kills of the live process.
    pub kills: u64,
    /// Batch runs; each publishes what was sealed by then, if anything was.
    pub publishes: u64,
    /// Switches to a history that was computed anew.
    pub switches: u64,
    /// Different manifests that answers rested on.
    pub manifests: u64,
    /// Different offsets that they rested on.
    pub cuts: u64,
}

/// One answer: of which words, up to where.
struct Answer {
    /// The manifest's number.
    manifest: u64,
    /// By partition.
    applied: Vec<u64>,
    /// Words by number, and how often each was there.
    counts: Vec<(u64, u64)>,
}

/// A job whose answers are served.
struct Served<'a> {
    place: &'a Place,
    url: String,
}

/// Who asks: gives an answer, or that it was refused for now.
type Ask = dyn FnMut(&mut Random) -> Result<Option<Answer>>;
type Asker = fn(&Served<'_>) -> Result<Box<Ask>>;

/// Runs it, and checks every answer. `program`: the path of `job-word-count`.
///
/// # Errors
/// With the first answer that is not the count of the records that it names; with an error of a read other than "try again".
pub fn reads(program: &Path, how: &Reads, say: &mut dyn FnMut(String)) -> Result<Seen> {
    let (broker, topic) = (kafka::shared()?, unique_name("reads"));
    let feed = Feed::start(broker, &topic, how.seed, 20)?;
    let place = Place::new(program, broker.addr(), &topic)?;
    let stream = || place.spawn(&["stream", "--commit-ms", "100"], &[]);
    let mut live = stream()?;
    let start = Instant::now();
    while place
        .client()?
        .raw(place.store())
        .get(&key::to_bytes(word(0).as_str()))
        .is_err()
    {
        ensure!(
            start.elapsed() < how.limit,
            "nothing can be read; the log:\n{}",
            place.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let port = rufous_test_servers::free_port()?;
    let mut server = place.spawn(&["serve", "--listen", &port.to_string()], &[])?;
    let served = Served {
        place: &place,
        url: format!("http://127.0.0.1:{port}"),
    };
    while http(&format!("{}/healthz", served.url), None).is_err() {
        let ended = server.try_wait()?;
        ensure!(
            ended.is_none() && start.elapsed() < how.limit,
            "nothing is served ({ended:?}); the log:\n{}",
            place.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let (mut seen, asked, stop) = (Seen::default(), AtomicU64::new(0), AtomicBool::new(false));
    let (refused, answers) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let done = std::thread::scope(|scope| -> Result<()> {
        let askers: [(&'static str, Asker); 6] = [
            ("single keys in process", single),
            ("several keys in process", several),
            ("lists in process", lists),
            ("two reads of one moment", moment),
            ("single keys over HTTP", single_by_http),
            ("several keys over HTTP", several_by_http),
        ];
        let mut seeds = Random(how.seed | 1);
        let threads = askers.map(|(name, of)| {
            let (served, asked, stop, refused, answers) = (&served, &asked, &stop, &refused, &answers);
            let seed = seeds.number();
            scope.spawn(move || -> Result<()> {
                let (mut ask, mut random) = (of(served)?, Random(seed | 1));
                let mut own = Vec::new();
                while !stop.load(Relaxed) {
                    match ask(&mut random).with_context(|| format!("{name}: after {} answers", own.len()))? {
                        Some(answer) => {
                            asked.fetch_add(1, Relaxed);
                            own.push(answer);
                        }
                        None => {
                            refused.fetch_add(1, Relaxed);
                        }
                    }
                }
                answers.lock().map_err(|_| anyhow!("poisoned"))?.push((name, own));
                Ok(())
            })
        });
        let mut killed = Instant::now();
        let beside = || -> Result<()> {
            // Quick answers are no reason to leave the faults out.
            let is_due =
                |seen: &Seen| asked.load(Relaxed) < how.answers || seen.kills < FAULTS || seen.switches < FAULTS;
            while is_due(&seen) && start.elapsed() < how.limit {
                turn(&place, &feed, &mut live, &mut killed, &mut seen, &stream)?;
                if threads.iter().any(|t| t.is_finished()) {
                    break;
                }
            }
            Ok(())
        };
        let done = { beside }();
        stop.store(true, Relaxed);
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a reader panicked"))??;
        }
        done
    });
    drop(feed);
    place.stop(live)?;
    process::stop(&mut server)?;
    done.with_context(|| format!("the log:\n{}", place.log()))?;
    seen.refused = refused.into_inner();
    let answers = answers.into_inner().map_err(|_| anyhow!("poisoned"))?;
    check(&positions(broker, &topic)?, &answers, &mut seen)?;
    say(format!("{seen:?}"));
    Ok(seen)
}

/// What happens beside the readers: an hour goes by, a run publishes; every few turns history is computed anew, and the line switched
/// to; and the live process is killed in between.
fn turn(
    place: &Place,
    feed: &Feed,
    live: &mut Child,
    killed: &mut Instant,
    seen: &mut Seen,
    stream: &dyn Fn() -> Result<Child>,
) -> Result<()> {
    feed.quiet()?.advance(3_600_000);
    std::thread::sleep(Duration::from_millis(300));
    place.run(&["batch"])?;
    seen.publishes += 1;
    if killed.elapsed() > LIFE {
        if let Some(status) = live.try_wait()? {
            bail!("`stream` ended by itself: {status}");
        }
        process::kill(live)?;
        *live = stream()?;
        (*killed, seen.kills) = (Instant::now(), seen.kills + 1);
    }
    if seen.publishes.is_multiple_of(4) {
        place.run(&["backfill", "--new"])?;
        place.run(&["switch"])?;
        seen.switches += 1;
    }
    Ok(())
}

fn asker(served: &Served<'_>) -> Result<RawStoreClient> {
    Ok(served.place.client()?.raw(served.place.store()))
}

/// A read's answer; `None` where it may be asked again.
fn unless_refused<T>(read: rufous::Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(e) if e.kind() == ErrorKind::TryAgain => Ok(None),
        Err(e) => bail!("{e}"),
    }
}

fn applied(of: impl Fn(&SourcePartition) -> u64) -> Vec<u64> {
    let partitions = 0..PARTITIONS as u32;
    partitions.map(|p| of(&SourcePartition::new("lines", p))).collect()
}

fn count(value: Option<&[u8]>) -> Result<u64> {
    value.map_or(Ok(0), |bytes| u64::decode(bytes).map_err(|e| anyhow!("{e}")))
}

fn single(served: &Served<'_>) -> Result<Box<Ask>> {
    let client = asker(served)?;
    Ok(Box::new(move |random| {
        let n = random.below(WORDS);
        let Some(a) = unless_refused(client.get(&key::to_bytes(word(n).as_str())))? else {
            return Ok(None);
        };
        Ok(Some(Answer {
            manifest: a.token.manifest(),
            applied: applied(|p| a.token.offsets().get(p).copied().unwrap_or(0)),
            counts: vec![(n, count(a.value.as_deref())?)],
        }))
    }))
}

fn several(served: &Served<'_>) -> Result<Box<Ask>> {
    let client = asker(served)?;
    Ok(Box::new(move |random| {
        let words: Vec<u64> = (0..20).map(|_| random.below(WORDS)).collect();
        let keys: Vec<Vec<u8>> = words.iter().map(|n| key::to_bytes(word(*n).as_str())).collect();
        let (mut counts, mut rest) = (Vec::new(), None);
        for (n, read) in words.iter().zip(client.multi_get(&keys)) {
            let Some(a) = unless_refused(read)? else {
                return Ok(None);
            };
            counts.push((*n, count(a.value.as_deref())?));
            let token = a.token.clone();
            ensure!(
                *rest.get_or_insert(token) == a.token,
                "answers of one read rest on different cuts"
            );
        }
        let token = rest.context("no answer")?;
        Ok(Some(Answer {
            manifest: token.manifest(),
            applied: applied(|p| token.offsets().get(p).copied().unwrap_or(0)),
            counts,
        }))
    }))
}

fn lists(served: &Served<'_>) -> Result<Box<Ask>> {
    let client = asker(served)?;
    let bytes: Vec<Vec<u8>> = (0..WORDS).map(|n| key::to_bytes(word(n).as_str())).collect();
    Ok(Box::new(move |_| {
        let Some((rows, basis)) = unless_refused(client.under(&[]))? else {
            return Ok(None);
        };
        // A word that is not listed is surely absent.
        let rows: std::collections::BTreeMap<_, _> = rows.into_iter().collect();
        let counts = bytes.iter().enumerate();
        let counts = counts.map(|(n, key)| Ok((n as u64, count(rows.get(key).map(Vec::as_slice))?)));
        Ok(Some(Answer {
            manifest: basis.token.manifest(),
            applied: applied(|p| basis.token.offsets().get(p).copied().unwrap_or(0)),
            counts: counts.collect::<Result<_>>()?,
        }))
    }))
}

/// A key, and all of them, through one snapshot: they agree, whatever was published between the two.
fn moment(served: &Served<'_>) -> Result<Box<Ask>> {
    let (client, store) = (served.place.client()?, served.place.store());
    Ok(Box::new(move |random| {
        let n = random.below(WORDS);
        let Some(snapshot) = unless_refused(client.snapshot())? else {
            return Ok(None);
        };
        let key = key::to_bytes(word(n).as_str());
        let Some(a) = unless_refused(snapshot.raw(store).get(&key))? else {
            return Ok(None);
        };
        std::thread::sleep(Duration::from_millis(random.below(50)));
        let Some(b) = unless_refused(snapshot.raw(store).sum_under(&key))? else {
            return Ok(None);
        };
        ensure!(a == b, "two reads of one snapshot differ: {a:?}, {b:?}");
        Ok(Some(Answer {
            manifest: a.token.manifest(),
            applied: applied(|p| a.token.offsets().get(p).copied().unwrap_or(0)),
            counts: vec![(n, count(a.value.as_deref())?)],
        }))
    }))
}

/// A reply's JSON; `None` where it says that it may be asked again.
fn http(url: &str, body: Option<Value>) -> Result<Option<Value>> {
    // A thread asks over one connection.
    thread_local!(static AGENT: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into());
    let mut reply = AGENT.with(|agent| match body {
        None => agent.get(url).call(),
        Some(body) => agent
            .post(url)
            .header("content-type", "application/json")
            .send(body.to_string()),
    })?;
    let text = reply.body_mut().read_to_string()?;
    match reply.status().as_u16() {
        200 => Ok(Some(serde_json::from_str(&text)?)),
        503 => Ok(None),
        status => bail!("{status}: {text}"),
    }
}

fn of_json(reply: &Value, counts: Vec<(u64, u64)>) -> Result<Answer> {
    let token = &reply["token"];
    Ok(Answer {
        manifest: token["manifest"].as_u64().context("a token without a manifest")?,
        applied: applied(|p| token["offsets"][p.to_string()].as_u64().unwrap_or(0)),
        counts,
    })
}

fn count_of_json(value: &Value) -> Result<u64> {
    match value {
        Value::Null => Ok(0),
        n => n.as_u64().with_context(|| format!("{n} is no count")),
    }
}

fn single_by_http(served: &Served<'_>) -> Result<Box<Ask>> {
    let url = format!("{}/v1/stores/counts/keys", served.url);
    Ok(Box::new(move |random| {
        let n = random.below(WORDS);
        let Some(reply) = http(&format!("{url}/{}", word(n)), None)? else {
            return Ok(None);
        };
        let value = reply.get("value").context("no value")?;
        of_json(&reply, vec![(n, count_of_json(value)?)]).map(Some)
    }))
}

fn several_by_http(served: &Served<'_>) -> Result<Box<Ask>> {
    let url = format!("{}/v1/stores/counts/get", served.url);
    Ok(Box::new(move |random| {
        let words: Vec<u64> = (0..20).map(|_| random.below(WORDS)).collect();
        let keys: Vec<String> = words.iter().map(|n| word(*n)).collect();
        let Some(reply) = http(&url, Some(json!({ "keys": keys })))? else {
            return Ok(None);
        };
        let rows = reply["answers"]
            .as_array()
            .with_context(|| format!("no answers: {reply}"))?;
        ensure!(
            rows.len() == words.len(),
            "{} of {} keys were answered",
            rows.len(),
            words.len()
        );
        let counts = words
            .iter()
            .zip(rows)
            .map(|(n, row)| Ok((*n, count_of_json(row.get("value").context("no value")?)?)));
        of_json(&reply, counts.collect::<Result<_>>()?).map(Some)
    }))
}

/// Every answer against the log.
fn check(log: &Positions, answers: &[(&'static str, Vec<Answer>)], seen: &mut Seen) -> Result<()> {
    let (mut manifests, mut cuts) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for (name, answers) in answers {
        let mut before: Option<&Answer> = None;
        for (i, answer) in answers.iter().enumerate() {
            for (n, got) in &answer.counts {
                let expected = log.count(&word(*n), &answer.applied);
                ensure!(
                    *got == expected,
                    "{name}, answer {i} of manifest {}: {} is {got}, and {expected} times below {:?}",
                    answer.manifest,
                    word(*n),
                    answer.applied
                );
            }
            if let Some(before) = before {
                let back = before.applied.iter().zip(&answer.applied).any(|(a, b)| b < a);
                ensure!(
                    !back,
                    "{name}, answer {i}: {:?} came after {:?}",
                    answer.applied,
                    before.applied
                );
            }
            before = Some(answer);
            manifests.insert(answer.manifest);
            cuts.insert(&answer.applied);
        }
        seen.answers.push((name, answers.len() as u64));
        seen.values += answers.iter().map(|a| a.counts.len() as u64).sum::<u64>();
    }
    (seen.manifests, seen.cuts) = (manifests.len() as u64, cuts.len() as u64);
    Ok(())
}
