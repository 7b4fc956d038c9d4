//! The directory or bucket of the generations, and clients over it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rufous::client::{Client, ClientParts, OpenRealtime};
use rufous::core::Plan;
use rufous::store_api::{Layout, RealtimeReader, Until};
use rufous_store_offline::{Generations, Manifests};
use rufous_store_rocksdb::{RocksReader, RocksStore};

const JOB: &str = "word-count";

/// Settings of a bucket.
pub(crate) type Options = BTreeMap<String, String>;

/// Where manifests and generations lie.
pub(crate) struct Offline {
    pub(crate) layout: Layout,
    place: Arc<dyn rufous_place::Place>,
}

impl Offline {
    /// As the program finds them.
    pub(crate) fn of(data: &Path, bucket: Option<Options>) -> Result<Self> {
        let layout = Layout::new(data, "main")?;
        let place: Arc<dyn rufous_place::Place> = match bucket {
            None => Arc::new(rufous_place::Local::new(layout.job(JOB))),
            Some(options) => {
                let url = format!("s3://races/main/jobs/{JOB}");
                Arc::new(rufous_place::s3::open(&url, &options, "offline")?)
            }
        };
        Ok(Self { layout, place })
    }
    pub(crate) fn manifests(&self) -> Manifests {
        Manifests::on(self.place.clone(), "manifests")
    }
    fn client(&self, realtime: OpenRealtime) -> Client {
        Client::new(ClientParts {
            job: JOB.into(),
            manifests: Arc::new(self.manifests()),
            generations: Arc::new(Generations::on(self.place.clone(), "offline")),
            realtime,
        })
    }
    pub(crate) fn in_process(&self, store: &Arc<RocksStore>) -> Client {
        let store = store.clone();
        self.client(Arc::new(move |_: &str, _: &Until| {
            Ok(Some(store.clone() as Arc<dyn RealtimeReader>))
        }))
    }
    pub(crate) fn outside(&self, plan: &Plan) -> Result<Client> {
        let (layout, stores) = (self.layout.clone(), plan.stores().to_vec());
        Ok(self.client(Arc::new(move |namespace: &str, _: &Until| {
            let found = RocksReader::open(&layout.realtime(JOB, namespace), namespace, &stores)?;
            Ok(found.map(Arc::from))
        })))
    }
}
