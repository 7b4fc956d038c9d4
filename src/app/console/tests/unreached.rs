//! What the hand-over tells when a part of it does not answer.

use std::time::Instant;

use serde_json::json;

use super::*;
use crate::app::console::archives::tests::Lists;
use crate::app::generations::now;
use crate::core::{BatchId, Cut, SourcePartition};
use crate::store_api::{Cell, Progress, ProgressRows, RealtimeReader, Snapshot};

/// The rows of a live part that answers.
struct Row(Progress);
struct Rows(Progress);

impl RealtimeReader for Row {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(Rows(self.0.clone())))
    }
}

impl Snapshot for Rows {
    fn namespace(&self) -> &str {
        "n"
    }
    fn partitions(&self, _: &str) -> Result<ProgressRows> {
        Ok([(SourcePartition::new("lines", 0), self.0.clone())].into())
    }
    fn cells(&self, _: &str, _: &[Vec<u8>], _: &Frontier) -> Result<Vec<Vec<Cell>>> {
        Err(Error::bug("no cell is asked for"))
    }
    fn scan(&self, _: &str, _: &[u8], _: &Frontier, _: &mut dyn FnMut(&[u8], Cell) -> Result<()>) -> Result<()> {
        Err(Error::bug("no cell is asked for"))
    }
}

/// A live part at batch 9 of partition 0 that has let go of what is below batch 2, an archive up to batch 5, and a generation up to batch 3.
struct Over<'a> {
    bed: Bed<'a>,
    archive: Arc<Lists>,
}

impl<'a> Over<'a> {
    fn new(plan: &'a Plan, settings: &'a Settings) -> Self {
        let bed = Bed::new(plan, settings, true);
        let spec = plan.sources()[0].cut_spec(false).text();
        let mut m = bed.made(0);
        m.cut_specs = BTreeMap::from([("lines".into(), spec.clone())]);
        let cut = Cut {
            batch: BatchId(3),
            cut: 30,
            batch_before: BatchId(2),
        };
        m.frontier.0.insert(SourcePartition::new("lines", 0), cut);
        assert_eq!(bed.log().publish(&m).unwrap(), Published::Done);
        let mut row = Progress::standing_at(Cut::ORIGIN, String::new(), String::new(), spec.clone());
        (row.next, row.batch, row.retained_from) = (95, BatchId(9), BatchId(2));
        row.cuts = (2..=9).map(|b| (BatchId(b), b as u64 * 10)).collect();
        bed.seen.rows.put(plan.fingerprint(), Arc::new(Row(row)));
        let archive = Lists::begin(false);
        // Whether the generations say how it is cut or not.
        bed.seen.archives.put("lines", &spec, archive.clone());
        Self { bed, archive }
    }
    fn look(&self) -> Value {
        handover::handover(&self.bed.context, &self.bed.seen, None, None).unwrap()
    }
    /// Batches of partition 0, as `from`, `to` and state.
    fn runs(found: &Value) -> Vec<(i64, i64, String)> {
        let partitions = found["sources"][0]["partitions"].as_array().unwrap();
        let of_it = partitions.iter().find(|p| p["partition"] == 0).unwrap();
        let run = |r: &Value| {
            (
                r["from"].as_i64().unwrap(),
                r["to"].as_i64().unwrap(),
                r["state"].as_str().unwrap().to_string(),
            )
        };
        of_it["runs"].as_array().unwrap().iter().map(run).collect()
    }
}

fn are(runs: &[(i64, i64, &str)]) -> Vec<(i64, i64, String)> {
    runs.iter()
        .map(|(from, to, state)| (*from, *to, state.to_string()))
        .collect()
}

/// All of it, when everything answers.
const WHOLE: [(i64, i64, &str); 5] = [
    (0, 2, "dropped"),
    (2, 3, "published"),
    (3, 5, "archived"),
    (5, 9, "sealed"),
    (9, 10, "open"),
];

/// Of an archive that errs the rest is told, and what it does not say is unknown: no batch is called unarchived for it. What it said
/// before is told as of then.
#[test]
fn an_archive_that_errs_hides_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, settings) = (plan(), settings(dir.path()));
    for heard_before in [false, true] {
        let over = Over::new(&plan, &settings);
        let before = now().0;
        if heard_before {
            let found = over.look();
            assert_eq!((Over::runs(&found), &found["unreached"]), (are(&WHOLE), &json!([])));
        }
        over.archive.fails.store(true, Relaxed);
        over.bed.seen.archives.age();
        let found = over.look();
        let [unreached] = &found["unreached"].as_array().unwrap()[..] else {
            panic!("{found}");
        };
        assert_eq!(
            (&unreached["part"], &unreached["source"]),
            (&json!("archive"), &json!("lines"))
        );
        assert!(
            unreached["why"]
                .as_str()
                .unwrap()
                .contains("the bucket does not answer"),
            "{unreached}"
        );
        assert!(
            unreached["unknown"].as_str().unwrap().contains("archived"),
            "{unreached}"
        );
        let p = &found["sources"][0]["partitions"][0];
        assert_eq!(
            (&found["manifest"], &p["applied"], &p["frontier"], &p["holes"]),
            (&json!(0), &json!(95), &json!(3), &json!(0))
        );
        if heard_before {
            assert!(unreached["as_of_ms"].as_i64() >= Some(before), "{unreached}");
            let wanted = [
                (0, 2, "dropped"),
                (2, 3, "published"),
                (3, 5, "archived"),
                (5, 10, "unknown"),
            ];
            assert_eq!((Over::runs(&found), &p["archived"]), (are(&wanted), &json!(50)));
        } else {
            assert!(unreached["as_of_ms"].is_null(), "{unreached}");
            let wanted = [(2, 3, "published"), (3, 10, "unknown")];
            assert_eq!((Over::runs(&found), &p["archived"]), (are(&wanted), &Value::Null));
        }
        // It is asked again by and by, and answers.
        over.archive.fails.store(false, Relaxed);
        assert_ne!(over.look()["unreached"], json!([]), "not at once");
        over.bed.seen.archives.age();
        let found = over.look();
        assert_eq!((Over::runs(&found), &found["unreached"]), (are(&WHOLE), &json!([])));
        std::fs::remove_dir_all(&over.bed.root).unwrap();
    }
}

/// One that is slow is waited for a moment, by the first who looks, and told when it has answered.
#[test]
fn a_slow_archive_is_waited_for_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, settings) = (plan(), settings(dir.path()));
    let over = Over::new(&plan, &settings);
    over.archive.slow.store(4_000, Relaxed);
    let begun = Instant::now();
    let found = over.look();
    assert!(begun.elapsed() < Duration::from_millis(3_500), "{:?}", begun.elapsed());
    let why = found["unreached"][0]["why"].as_str().unwrap();
    assert!(why.contains("no answer since 2 s"), "{why}");
    let wanted = are(&[(2, 3, "published"), (3, 10, "unknown")]);
    assert_eq!(Over::runs(&found), wanted);
    let again = Instant::now();
    assert_eq!(Over::runs(&over.look()), wanted);
    assert!(again.elapsed() < Duration::from_secs(1), "{:?}", again.elapsed());
    while over.look()["unreached"] != json!([]) {
        assert!(begun.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(Over::runs(&over.look()), are(&WHOLE));
}

/// Where the generations do not answer what is live is told, and no batch is called unpublished for it.
#[test]
fn generations_that_do_not_answer_hide_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, mut settings) = (plan(), settings(dir.path()));
    settings.sources.entry("lines".into()).or_default().location = Some("file:lines.txt".into());
    for heard_before in [false, true] {
        let over = Over::new(&plan, &settings);
        over.bed.seen.archives.put("lines", "", over.archive.clone());
        if heard_before {
            over.bed
                .seen
                .archives
                .put("lines", &plan.sources()[0].cut_spec(false).text(), over.archive.clone());
            assert_eq!(Over::runs(&over.look()), are(&WHOLE));
        }
        over.bed.place.fails.store(true, Relaxed);
        let found = over.look();
        let unreached = &found["unreached"][0];
        assert_eq!(
            (&unreached["part"], &unreached["source"]),
            (&json!("generations"), &Value::Null)
        );
        assert!(
            unreached["why"].as_str().unwrap().contains("no generations today"),
            "{unreached}"
        );
        assert_eq!(found["unreached"].as_array().unwrap().len(), 1, "{found}");
        let p = &found["sources"][0]["partitions"][0];
        assert_eq!((&p["applied"], &p["archived"]), (&json!(95), &json!(50)));
        if heard_before {
            let wanted = [
                (0, 2, "dropped"),
                (2, 3, "published"),
                (3, 9, "unknown"),
                (9, 10, "open"),
            ];
            assert_eq!((Over::runs(&found), &found["manifest"]), (are(&wanted), &json!(0)));
        } else {
            let wanted = [(0, 9, "unknown"), (9, 10, "open")];
            assert_eq!((Over::runs(&found), &found["manifest"]), (are(&wanted), &Value::Null));
            // What was lost is in the manifest, and so is which live state is the current one.
            assert!(p["holes"].is_null(), "{p}");
            assert!(
                unreached["unknown"].as_str().unwrap().contains("which live state"),
                "{unreached}"
            );
            assert!(
                found["covered_until"].is_null() && unreached["as_of_ms"].is_null(),
                "{found}"
            );
        }
        std::fs::remove_dir_all(&over.bed.root).unwrap();
    }
}
