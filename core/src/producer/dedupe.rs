//! Records once per id.

use std::any::TypeId;
use std::sync::Arc;

use rufous_algebra::{Codec, DecodeError};

use super::{Producer, node, step, tracing};
use crate::batch::BatchId;
use crate::data::Data;
use crate::erased::{self, ChunkType, Extent, LastSeen};
use crate::evidence::StoreFace;
use crate::forget::Forgets;
use crate::graph::{Contract, Make, NodeKind, Scan, Sum};
use crate::key::AsKey;
use crate::port::Store;

/// An id that occurred last so far behind that nobody asks for it.
fn last_seen(_: &[u8], value: &[u8]) -> Result<BatchId, DecodeError> {
    let last = LastSeen::decode(value)?;
    Ok(BatchId(last.get().copied().unwrap_or(i64::MIN)))
}

impl<T: Data + ?Sized> Producer<T> {
    /// The records whose id did not occur in the batch of the record or the `batches` before it (O21). Whether an id *occurred*
    /// counts, not whether its record was let through. `store` keeps when each id of a partition occurred last.
    ///
    /// Ids that nobody can ask for any more are left out where runs are merged.
    ///
    /// An id in another partition is another id: a producer's retries keep the partition. Records that reach one partition twice
    /// count once; those that were sent to two do not, unless [`in_log_order`](Self::in_log_order) stands before: then all partitions
    /// are one, whose number in the store is 0. An input without batches is one batch.
    ///
    /// ```
    /// use rufous_core::producer::LastSeen;
    /// use rufous_core::{Job, Source, Store};
    ///
    /// const PAYMENTS: Source<str> = Source::new("payments");
    /// const IDS: Store<(u32, String), LastSeen> = Store::new("payment-ids");
    /// const ACCOUNTS: Store<String, u64> = Store::new("accounts");
    ///
    /// let once = PAYMENTS.read()
    ///     .dedupe_by(IDS, 24, |p| p.split(' ').next().unwrap_or("").to_string())
    ///     .keyed(|p, out| out.emit(p, 1))
    ///     .sum_by_key(ACCOUNTS);
    /// assert_eq!(Job::new("payments", once).plan()?.stores().len(), 2);
    /// # Ok::<(), rufous_core::Error>(())
    /// ```
    #[track_caller]
    pub fn dedupe_by<Q: AsKey + 'static>(
        self,
        store: Store<(u32, Q::Key), LastSeen>,
        batches: u32,
        id: impl Fn(&T) -> Q + Send + Sync + 'static,
    ) -> Self {
        let face = StoreFace {
            forgets: Some(Forgets::behind(u64::from(batches), last_seen)),
            ..StoreFace::of(store)
        };
        let id = Arc::new(id);
        let (records, ids) = (ChunkType::of::<T::Chunk>(), ChunkType::keyed::<LastSeen>());
        let find = |extent| {
            let id = id.clone();
            move || erased::ids::<T, Q, _>(id.clone(), extent)
        };
        let (apart, together) = (find(Extent::Partition), find(Extent::All));
        let found =
            step::<((u32, Q::Key), LastSeen)>(self.node.clone(), "ids", Contract::FlatMap, (records, ids), apart);
        let combine: Make = Arc::new(|_| erased::combine_stage::<LastSeen>());
        let sum = Sum {
            word: "sum-by-key",
            store: face,
            types: (TypeId::of::<(u32, Q::Key)>(), TypeId::of::<LastSeen>()),
            takes: ids,
            make: Arc::new(|_| erased::sum_stage::<LastSeen>("sum-by-key")),
            combine: Some(combine),
            in_order: false,
            single: None,
        };
        let sum = node::<((u32, Q::Key), LastSeen)>(NodeKind::Sum(sum), ids, vec![tracing(found)]);
        let dedupe = Scan {
            word: "dedupe-by",
            store: face,
            takes: records,
            make: Arc::new(move |standing| erased::dedupe::<T, Q, _>(face, standing, batches, id.clone())),
            grouped: false,
            approximate: false,
            note: format!("ids of {batches} batches"),
            traces: true,
            own_input: true,
            by_partition: Some(Arc::new(move |_| together())),
        };
        Self::of(node::<T>(NodeKind::Scan(dedupe), records, vec![sum, self.node]))
    }
}
