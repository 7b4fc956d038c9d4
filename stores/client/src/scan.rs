//! Reads of many keys that may end early: what lists, and what is asked for so many.

use rufous_core::{Error, Result};

use crate::answer::Basis;
use crate::raw::RawStoreClient;
use crate::view::Fail;

/// What is shown the pairs of a scan: what they rest on, key, value. It says whether another one is wanted.
pub type VisitWhile<'a> = dyn FnMut(&Basis, &[u8], &[u8]) -> Result<bool> + 'a;

impl RawStoreClient {
    /// Calls `f` with every key that begins with `prefix`, and lies behind `after`, and its whole value, ascending by key, until `f`
    /// wants no more; what lies up to `after` is not read. All rest on one basis, which is known from the first on. As [`scan`](Self::scan) else.
    ///
    /// # Errors
    /// The first of `f`, or as said at [`RawStoreClient`]; what was shown before an error is exact but not all.
    pub fn scan_while(&self, prefix: &[u8], after: Option<&[u8]>, f: &mut VisitWhile<'_>) -> Result<Basis> {
        let mut caller: Option<Error> = None;
        let done = self.read(false, &mut |view| {
            let (mut shown, mut enough) = (false, false);
            let mut show = |key: &[u8], value: &[u8]| {
                shown = true;
                match f(&view.basis, key, value) {
                    Ok(true) => Ok(()),
                    Ok(false) => {
                        enough = true;
                        // Who lists the pairs passes errors on, and nothing else: so it ends.
                        Err(Error::closed("enough was shown"))
                    }
                    Err(e) => {
                        let stop = Error::new(e.kind(), e.to_string());
                        caller = Some(e);
                        Err(stop)
                    }
                }
            };
            let scanned = view.scan(prefix, after, &mut show);
            match scanned {
                Err(_) if enough => Ok(()),
                // What was shown cannot be taken back: no second attempt.
                Err(fail) if shown => Err(Fail::Final(fail.into_error())),
                done => done,
            }
        });
        match (caller, done) {
            (Some(e), _) => Err(e),
            (None, done) => done.map(|(_, view)| view.basis),
        }
    }
}
