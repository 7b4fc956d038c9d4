//! What steps of one running instance share: state that one step fills and another reads.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};

/// Shared state by the place of a store, while an instance is made.
#[derive(Default)]
pub(crate) struct Rooms(RefCell<HashMap<usize, Arc<dyn Any + Send + Sync>>>);

impl Rooms {
    /// The state of a store: made by whoever asks first.
    ///
    /// # Errors
    /// Only for a bug of ours: two steps want state of different types.
    pub(super) fn of<R: Send + 'static>(&self, store: usize, make: impl FnOnce() -> R) -> Result<Arc<Mutex<R>>> {
        let mut rooms = self.0.borrow_mut();
        let room = rooms
            .entry(store)
            .or_insert_with(|| Arc::new(Mutex::new(make())))
            .clone();
        room.downcast().map_err(|_| {
            Error::bug(format!(
                "steps that share the state of store number {store} disagree on its type"
            ))
        })
    }
}
