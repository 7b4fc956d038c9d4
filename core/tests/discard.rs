//! What is read again after a discard must not be written twice.

use rufous_core::{BatchId, ChunkMeta, Job, Sink, Source, TextChunk};

const LINES: Source<str> = Source::new("lines");
const COPIES: Sink<String> = Sink::new("copies");

/// P12: everything read after a failed commit is dropped and read again; `Executor::discard` "forgets everything that was not
/// taken".
#[test]
fn discard_forgets_what_was_written() {
    let job = Job::new("j", LINES.read().map(|line| line.to_string()).write(COPIES));
    let plan = job.plan().unwrap();
    let mut run = plan.instantiate();
    let meta = ChunkMeta {
        source: 0,
        partition: 0,
        batch: BatchId(0),
    };
    let push = |run: &mut rufous_core::Executor| {
        let mut chunk = TextChunk::default();
        chunk.push("a");
        run.push(&meta, &mut chunk).unwrap();
    };
    push(&mut run);
    run.discard().unwrap();
    push(&mut run);
    assert_eq!(run.take_written(0).unwrap().len(), 1);
}
