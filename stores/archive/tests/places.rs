//! One archive, wherever it lies: the same names, bytes and answers in a directory and in object stores.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::memory::InMemory;
use object_store::path::Path as At;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, local::LocalFileSystem,
};
use rufous_core::{BatchId, ErrorKind};
use rufous_store_api::{Archive, IndexEntry};
use rufous_store_archive::{ParquetArchive, object_store};
use support::{entry, many, plain, read, sample};

fn on(store: Arc<dyn ObjectStore>, prefix: &str) -> ParquetArchive {
    ParquetArchive::on(store, "test://bucket", prefix, "clicks").unwrap()
}

/// A directory, a store in memory, and a directory as an object store.
fn places(dir: &Path) -> Vec<(&'static str, ParquetArchive)> {
    let files = LocalFileSystem::new_with_prefix(dir).unwrap();
    vec![
        (
            "directory",
            ParquetArchive::open(&dir.join("local/clicks"), "clicks").unwrap(),
        ),
        ("memory", on(Arc::new(InMemory::new()), "a/b c/clicks")),
        ("memory without prefix", on(Arc::new(InMemory::new()), "")),
        ("files", on(Arc::new(files), "remote/clicks")),
    ]
}

#[test]
fn write_commit_read() {
    let dir = tempfile::tempdir().unwrap();
    for (name, archive) in places(dir.path()) {
        archive.check().unwrap();
        assert!(archive.partitions().unwrap().is_empty(), "{name}");
        assert!(archive.index(4, 0).unwrap().is_empty(), "{name}");
        let file = archive.write(4, BatchId(-3), 100..120, &[(&sample(), 0..6)]).unwrap();
        let e = entry(100, 120, -3, vec![file.clone()]);
        assert!(archive.commit(4, 0, &e).unwrap(), "{name}");
        assert!(!archive.commit(4, 0, &e).unwrap(), "{name}: the number is taken");
        assert_eq!(archive.partitions().unwrap(), [4], "{name}");
        assert_eq!(archive.index(4, 0).unwrap(), [e], "{name}");
        assert_eq!(read(&archive, 4, &file).unwrap(), plain(&sample()), "{name}");
        let big = many(120, 50_000);
        let file = archive
            .write(4, BatchId(-3), 120..50_120, &[(&big, 0..50_000)])
            .unwrap();
        assert_eq!(read(&archive, 4, &file).unwrap(), plain(&big), "{name}");
    }
}

/// A record of ten megabytes, and one of no bytes at all.
#[test]
fn large_records() {
    let dir = tempfile::tempdir().unwrap();
    let mut r = rufous_core::RecordBatch::default();
    for (offset, n) in [(0, 10 << 20), (1, 0), (2, 10 << 20)] {
        let value = r.push_bytes(
            &(0..n)
                .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect::<Vec<_>>(),
        );
        r.entries.push(rufous_core::Entry::plain(offset, value));
    }
    for (name, archive) in places(dir.path()) {
        let file = archive.write(0, BatchId(1), 0..3, &[(&r, 0..3)]).unwrap();
        assert!(read(&archive, 0, &file).unwrap() == plain(&r), "{name}");
    }
}

/// P18: of many who commit one number, one wins, in every place.
#[test]
fn one_committer_wins() {
    let dir = tempfile::tempdir().unwrap();
    for (name, archive) in places(dir.path()) {
        for number in 0..10 {
            let entries: Vec<_> = (0..4)
                .map(|i| IndexEntry {
                    topic_id: format!("{i}"),
                    ..entry(number, number + 1, 1, vec![])
                })
                .collect();
            let won: Vec<bool> = std::thread::scope(|s| {
                let threads: Vec<_> = entries
                    .iter()
                    .map(|e| s.spawn(|| archive.commit(0, number, e).unwrap()))
                    .collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let winners: Vec<_> = entries.iter().zip(&won).filter(|(_, w)| **w).map(|(e, _)| e).collect();
            assert_eq!(winners.len(), 1, "{name}");
            assert_eq!(&archive.index(0, number).unwrap()[0], winners[0], "{name}");
        }
    }
}

/// The end of an index, and the entry of an offset, are found for every length.
#[test]
fn last_and_find() {
    let dir = tempfile::tempdir().unwrap();
    for (name, archive) in places(dir.path()) {
        assert_eq!(archive.last(0, 0).unwrap(), None, "{name}");
        assert_eq!(archive.find(0, 7).unwrap(), 0, "{name}");
        let mut all = Vec::new();
        for n in 0..40u64 {
            // Ranges of 3 offsets, now and then none.
            let from = all.last().map_or(10, |e: &IndexEntry| e.to);
            let e = entry(from, from + if n % 7 == 3 { 0 } else { 3 }, 1, vec![]);
            assert!(archive.commit(0, n, &e).unwrap());
            all.push(e.clone());
            for from in [0, n / 2, n] {
                assert_eq!(archive.last(0, from).unwrap(), Some((n, e.clone())), "{name}");
            }
            assert_eq!(archive.last(0, n + 1).unwrap(), None, "{name}");
        }
        assert_eq!(archive.index(0, 0).unwrap(), all, "{name}");
        assert_eq!(archive.index(0, 33).unwrap(), all[33..], "{name}");
        for offset in 0..150 {
            let expected = all.iter().take_while(|e| e.to <= offset).count();
            assert_eq!(
                archive.find(0, offset).unwrap(),
                expected as u64,
                "{name}: offset {offset}"
            );
        }
    }
}

/// P19, in an object store: what is not named goes, what is named stays.
#[test]
fn orphans_of_an_object_store_go() {
    let dir = tempfile::tempdir().unwrap();
    for (name, archive) in places(dir.path()) {
        let write = || archive.write(0, BatchId(1), 0..9, &[(&many(0, 9), 0..9)]).unwrap();
        let (named, orphan) = (write(), write());
        assert!(archive.commit(0, 0, &entry(0, 9, 1, vec![named.clone()])).unwrap());
        assert!(
            archive.orphans(Duration::from_secs(3_600)).unwrap().is_empty(),
            "{name}"
        );
        let found = archive.orphans(Duration::ZERO).unwrap();
        assert!(
            found.len() == 1 && found[0].name.ends_with(&orphan.path) && found[0].bytes > 500,
            "{name}: {found:?}"
        );
        assert_eq!(archive.sweep(Duration::ZERO).unwrap(), found, "{name}");
        assert!(archive.orphans(Duration::ZERO).unwrap().is_empty(), "{name}");
        assert_eq!(read(&archive, 0, &named).unwrap().len(), 9, "{name}");
        assert_eq!(read(&archive, 0, &orphan).unwrap_err().kind(), ErrorKind::CorruptData);
    }
}

/// An archive is used, made and dropped inside an async runtime.
#[test]
fn inside_an_async_runtime() {
    let store = Arc::new(InMemory::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let archive = on(store, "clicks");
        assert!(archive.commit(0, 0, &entry(0, 9, 1, vec![])).unwrap());
        assert_eq!(archive.index(0, 0).unwrap().len(), 1);
    });
}

/// The same index bytes in a bucket as in a directory.
#[test]
fn bytes_are_the_same_everywhere() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let (local, remote) = (
        ParquetArchive::open(dir.path(), "clicks").unwrap(),
        on(store.clone(), "p"),
    );
    let e = entry(5, 9, 1, vec![]);
    for archive in [&local, &remote] {
        assert!(archive.commit(3, 0, &e).unwrap());
    }
    let get = async { store.get(&At::from("p/index/3/0.json")).await.unwrap().bytes().await };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(
        runtime.block_on(get).unwrap(),
        std::fs::read(dir.path().join("index/3/0.json")).unwrap()
    );
}

/// A store that does not know the condition, and overwrites.
#[derive(Debug)]
struct Ignores(InMemory);

impl std::fmt::Display for Ignores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ignores")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Ignores {
    async fn put_opts(&self, at: &At, payload: PutPayload, mut o: PutOptions) -> object_store::Result<PutResult> {
        o.mode = PutMode::Overwrite;
        self.0.put_opts(at, payload, o).await
    }
    async fn put_multipart_opts(
        &self,
        at: &At,
        o: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(at, o).await
    }
    async fn get_opts(&self, at: &At, o: GetOptions) -> object_store::Result<GetResult> {
        self.0.get_opts(at, o).await
    }
    fn delete_stream(
        &self,
        at: futures_util::stream::BoxStream<'static, object_store::Result<At>>,
    ) -> futures_util::stream::BoxStream<'static, object_store::Result<At>> {
        self.0.delete_stream(at)
    }
    fn list(&self, prefix: Option<&At>) -> futures_util::stream::BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.0.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&At>) -> object_store::Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }
    async fn copy_opts(&self, from: &At, to: &At, o: CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, o).await
    }
}

/// P18: without exclusive creation nobody may archive; the question leaves nothing behind, and reading goes on.
#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let store = Arc::new(Ignores(InMemory::new()));
    let archive = on(store.clone(), "clicks");
    for refused in [
        archive.check().unwrap_err(),
        archive.commit(0, 0, &entry(0, 9, 1, vec![])).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
        let text = refused.to_string();
        assert!(
            text.contains("source `clicks`") && text.contains("test://bucket does not honour conditional puts"),
            "{text}"
        );
    }
    assert!(archive.index(0, 0).unwrap().is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let left = runtime.block_on(async { store.0.list_with_delimiter(Some(&At::from("clicks"))).await.unwrap() });
    assert!(left.objects.is_empty() && left.common_prefixes.is_empty(), "{left:?}");
}
