//! Whether a message has headers, without asking librdkafka, which allocates and frees half a kilobyte to say no: a third of
//! all that a job of small records costs.
//!
//! librdkafka keeps the size of the unread headers behind the public part of a message. The layout below is that of one
//! version, the one that is built with this crate. It is believed only when the library says that it is this version, and
//! when the public calls say the same of the first message of each dequeue as the fields around that size. Otherwise every
//! message is asked.
#![allow(
    unsafe_code,
    reason = "rd_kafka_message_headers allocates for each message without headers"
)]

use std::ffi::{c_int, c_void};

use rdkafka_sys as sys;

/// The version whose layout this is: 2.12.1.
const VERSION: c_int = 0x020c_01ff;
/// A count, the lengths of a name and of a value: less is no header.
const LEAST: i32 = 3;

/// `rd_kafka_msg_t` of rdkafka_msg.h as a consumer sees it.
#[repr(C)]
struct Inside {
    public: sys::rd_kafka_message_t,
    link: [*mut c_void; 2],
    flags: c_int,
    time_kind: c_int,
    time: i64,
    headers: *mut c_void,
    status: c_int,
    broker: i32,
    /// `rd_kafkap_bytes_t`: what was not read yet.
    unread: Bytes,
    leader_epoch: i32,
}

#[repr(C)]
struct Bytes {
    len: i32,
    data: *const c_void,
    rest: [u8; 1],
}

/// What may be known of a message at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glance(bool);

impl Glance {
    /// Nothing: each message is asked.
    pub(crate) const NONE: Self = Self(false);

    /// Compares the layout with what the library says of a message.
    ///
    /// # Safety
    /// `message` must be a live message without an error that was dequeued from a consumer.
    pub(crate) unsafe fn at(message: *mut sys::rd_kafka_message_t) -> Self {
        // SAFETY: no arguments.
        if unsafe { sys::rd_kafka_version() } != VERSION {
            return Self::NONE;
        }
        // SAFETY: the caller's message is live. In this version every message is the first field of a `rd_kafka_msg_t`, which
        // `Inside` mirrors in part: all that is read lies within it.
        unsafe {
            let inside = &*message.cast::<Inside>();
            let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            let time = sys::rd_kafka_message_timestamp(message, &mut kind);
            Self(
                inside.time == time
                    && inside.time_kind == kind as c_int
                    && inside.broker == sys::rd_kafka_message_broker_id(message)
                    && inside.leader_epoch == sys::rd_kafka_message_leader_epoch(message)
                    && inside.headers.is_null()
                    && inside.unread.len >= 0,
            )
        }
    }

    /// Whether the library need not be asked for headers: there are none.
    ///
    /// # Safety
    /// As for [`Glance::at`].
    #[inline]
    pub(crate) unsafe fn no_headers(self, message: *mut sys::rd_kafka_message_t) -> bool {
        // SAFETY: as in `at`, whose result `self` is.
        self.0 && unsafe { (*message.cast::<Inside>()).unread.len } < LEAST
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// The version that is built here is the one whose layout is known; otherwise small records cost a third more in silence.
    #[test]
    fn the_layout_is_that_of_the_library() {
        // SAFETY: no arguments.
        assert_eq!(
            unsafe { sys::rd_kafka_version() },
            VERSION,
            "compare rdkafka_msg.h and change VERSION"
        );
        assert_eq!(
            offset_of!(Inside, unread) + size_of::<Bytes>(),
            offset_of!(Inside, leader_epoch)
        );
    }
}
