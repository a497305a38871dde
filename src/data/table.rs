//! The target table: where each target is now. Replaced whole by the resolver, read by every shard.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::sys::Endpoint;

/// The endpoint of each target, in the order of the configuration; `None` while a name has no address.
pub type Endpoints = Vec<Option<Endpoint>>;

/// The table as both planes hold it.
#[derive(Clone, Debug)]
pub struct Table(Arc<ArcSwap<Endpoints>>);

impl Table {
    /// A table with these endpoints.
    pub fn new(endpoints: Endpoints) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(endpoints)))
    }

    /// The endpoints now.
    pub fn load(&self) -> Arc<Endpoints> {
        self.0.load_full()
    }

    /// Puts `endpoint` in place for target `index`.
    pub fn set(&self, index: usize, endpoint: Endpoint) {
        self.0.rcu(|endpoints| {
            let mut endpoints = Endpoints::clone(endpoints);
            endpoints[index] = Some(endpoint.clone());
            endpoints
        });
    }

    /// A reader that costs one atomic load while nothing changes.
    pub(super) fn reader(&self) -> Reader {
        Reader { cache: arc_swap::Cache::new(Arc::clone(&self.0)), seen: None }
    }
}

/// One shard's view of the table.
#[derive(Debug)]
pub(super) struct Reader {
    cache: arc_swap::Cache<Arc<ArcSwap<Endpoints>>, Arc<Endpoints>>,
    seen: Option<Arc<Endpoints>>,
}

impl Reader {
    /// The endpoints, if they changed since the last call.
    pub(super) fn changed(&mut self) -> Option<Arc<Endpoints>> {
        let now = self.cache.load();
        if self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, now)) {
            return None;
        }
        self.seen = Some(Arc::clone(now));
        self.seen.clone()
    }
}
