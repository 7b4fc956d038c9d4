//! Panics of a job's functions, caught. A job's closures, times, monoids and codecs are foreign code: what panics in them is
//! the fault of one record and must not end the process that reads the others.
//!
//! What cannot be caught: a stack overflow, a panic while another one unwinds (in a `Drop`), and any panic in a program that
//! is built with `panic = "abort"`. They end the process; state is read again from the last commit.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many guards this thread is inside of.
    static GUARDS: Cell<u32> = const { Cell::new(0) };
    /// Where the last guarded panic began, if the hook of [`keep_quiet`] is there to see it.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The longest message that is kept, in bytes: a panic may quote the whole record.
const LONGEST: usize = 1000;

/// What a panic said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    message: String,
}

impl Panicked {
    /// The message, with the line of code where it is known.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the job's function panicked: {}", self.message)
    }
}

/// Calls `f` and catches its panic. Whatever `f` was changing is in an unknown state then: the caller must drop it or set it
/// up anew, and not look into it.
///
/// # Errors
/// When `f` panicked.
pub fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Panicked> {
    GUARDS.set(GUARDS.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(f));
    GUARDS.set(GUARDS.get() - 1);
    result.map_err(|payload| Panicked {
        message: message(payload, PLACE.take()),
    })
}

fn message(payload: Box<dyn Any + Send>, place: Option<String>) -> String {
    let mut text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_string(),
            Err(payload) => {
                // Dropping a foreign value could panic again, and nobody would catch that.
                std::mem::forget(payload);
                "a value that is not text".to_string()
            }
        },
    };
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str(" ...");
    }
    match place {
        Some(place) => format!("{text} ({place})"),
        None => text,
    }
}

/// For programs: panics that a guard catches are no longer written to the standard error, whoever caught them reports them;
/// all others go to the hook that was there before. Libraries do not call this: the hook is the program's.
pub fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if GUARDS.get() > 0 {
                let place = info.location().map(ToString::to_string);
                PLACE.with_borrow_mut(|p| *p = place);
            } else {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 16: text, formatted text and foreign values; the guard is usable again afterwards, also inside another.
    #[test]
    fn messages_of_all_kinds_are_kept() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("while dropped");
            }
        }
        assert_eq!(catch(|| 3), Ok(3));
        assert_eq!(
            catch(|| panic!("plain")).map_err(|p| p.message),
            Err::<(), _>("plain".into())
        );
        let long = "\u{e4}".repeat(5000);
        let got = catch(|| panic!("{long}")).map_err(|p| p.message.len());
        assert_eq!(got, Err::<(), _>(LONGEST + 4));
        let got = catch(|| std::panic::panic_any(Bomb)).unwrap_err();
        assert_eq!(got.to_string(), "the job's function panicked: a value that is not text");
        let nested = catch(|| catch(|| panic!("inner")).map_err(|p| p.message));
        assert_eq!(nested, Ok(Err::<(), _>("inner".to_string())));
        assert_eq!(GUARDS.get(), 0);
    }
}
