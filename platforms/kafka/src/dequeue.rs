//! Whole batches off librdkafka's queue. The safe wrapper takes one message a call, which costs twice the CPU (and has no
//! call for a topic's id); so this file, and only this one, speaks to the C library.
#![allow(
    unsafe_code,
    reason = "rdkafka has no batch dequeue, no assignment without a group member, no leader epochs, no topic id"
)]

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr as Resp, RDKafkaType};
use rdkafka::{ClientConfig, TopicPartitionList};
use rdkafka_sys as sys;
use rufous_core::{Error, RecordBatch, Result};
use rufous_realtime::Position;

use crate::glance::Glance;
use crate::group::Change;
use crate::secret::Secrets;
use crate::trouble::Troubles;

/// So often a seek is tried, and so long it may take.
const TRIES: usize = 20;
const SEEK_MS: c_int = 500;
/// No partition in particular (`RD_KAFKA_PARTITION_UA`).
const ANY: i32 = -1;
/// At most so many messages a dequeue.
const BATCH: usize = 4096;

/// The queue on which a consumer's messages and errors arrive.
pub(crate) struct Queue {
    /// After `queue` in `drop`, which gives the reference back while the client lives.
    client: Arc<Client<Troubles>>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    topic: CString,
    taken: Vec<*mut sys::rd_kafka_message_t>,
}

// SAFETY: librdkafka's handles may be used from any thread; `taken` is empty between calls, and `&mut self` keeps two
// threads from filling it at once.
unsafe impl Send for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // While the client closes, the group may still speak: the callback answers for itself from here on. What it said
        // and nobody answered must be answered too, or closing waits for ever.
        self.client.context().close();
        // SAFETY: the client lives; null gives up what is assigned.
        unsafe { sys::rd_kafka_assign(self.client.native_ptr(), ptr::null()) };
        if self.fatal().is_some() {
            // To close a client after a fatal error takes for ever, at the cost of a core (librdkafka 2.12). It is left
            // as it is: it reads nothing, and such errors are rare.
            std::mem::forget(Arc::clone(&self.client));
        }
        // SAFETY: `queue` is the reference that `rd_kafka_queue_get_consumer` gave us; it is given back once, here, before
        // the client that it belongs to can go.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

impl Queue {
    /// A consumer without commits or delivery events of its own: everything it says arrives in [`Queue::drain`]. `in_group`:
    /// it will subscribe.
    pub(crate) fn open(
        config: &ClientConfig,
        brokers: &str,
        topic: &str,
        in_group: bool,
        secrets: Secrets,
    ) -> Result<Self> {
        let topic =
            CString::new(topic).map_err(|_| Error::invalid(format!("a topic's name has no zero byte: {topic:?}")))?;
        // Not as a cause: librdkafka quotes values that it refuses.
        let refused = |e: rdkafka::error::KafkaError, secrets: &Secrets| {
            let e = secrets.refusal(&e);
            Error::invalid(format!(
                "kafka at {brokers}: {e}; check the source's address and properties"
            ))
        };
        let native = config.create_native_config().map_err(|e| refused(e, &secrets))?;
        // SAFETY: `native` holds a live configuration until `Client::new` takes it over. The callbacks are functions of
        // this file; `Client::new` sets as their opaque value the `Troubles` that it keeps as long as the client.
        unsafe {
            sys::rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
            sys::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
            if in_group {
                sys::rd_kafka_conf_set_rebalance_cb(native.ptr(), Some(on_rebalance));
            }
        }
        let client = Client::new(
            config,
            native,
            RDKafkaType::RD_KAFKA_CONSUMER,
            Troubles::new(secrets.clone()),
        )
        .map_err(|e| refused(e, &secrets))?;
        // SAFETY: the client lives. The main queue is forwarded to the consumer's, so that callbacks run in `drain`.
        let queue = unsafe {
            sys::rd_kafka_poll_set_consumer(client.native_ptr());
            sys::rd_kafka_queue_get_consumer(client.native_ptr())
        };
        let queue = NonNull::new(queue).ok_or_else(|| Error::bug("librdkafka gave no consumer queue"))?;
        Ok(Self {
            client: Arc::new(client),
            queue,
            topic,
            taken: Vec::with_capacity(BATCH),
        })
    }
    /// The client, for metadata and watermarks.
    pub(crate) fn client(&self) -> &Arc<Client<Troubles>> {
        &self.client
    }
    /// Joins the group for the topic; partitions come by the callback.
    pub(crate) fn subscribe(&mut self) -> Result<(), Code> {
        // SAFETY: the list is made and destroyed here, the name is ended by a zero byte, and librdkafka copies both.
        unsafe {
            let topics = sys::rd_kafka_topic_partition_list_new(1);
            sys::rd_kafka_topic_partition_list_add(topics, self.topic.as_ptr(), ANY);
            let answer = sys::rd_kafka_subscribe(self.client.native_ptr(), topics);
            sys::rd_kafka_topic_partition_list_destroy(topics);
            ok(answer)
        }
    }
    /// Replaces the assignment. When this returns, messages of the one before will not be dequeued any more: librdkafka
    /// raised the version of each stopped partition and drops messages of an older version.
    ///
    /// librdkafka then asks the brokers whether the log still is what was read (P42): an assignment alone does not ask, a
    /// seek does. Positions without an epoch are not asked for.
    pub(crate) fn assign_at(&mut self, positions: &[Position]) -> Result<(), Code> {
        let rk = self.client.native_ptr();
        // SAFETY: both lists are made, filled and destroyed here; names and numbers are copied. `add` returns an element
        // that lives until the next `add`; `i` is below the list's count, also when elements behind it are gone.
        unsafe {
            let all = sys::rd_kafka_topic_partition_list_new(c_int::try_from(positions.len()).unwrap_or(0));
            let asked = sys::rd_kafka_topic_partition_list_new(0);
            for p in positions {
                let (Ok(partition), Ok(offset)) = (i32::try_from(p.partition), i64::try_from(p.offset)) else {
                    continue;
                };
                for (list, wanted) in [(all, true), (asked, p.leader_epoch >= 0 && offset > 0)] {
                    if wanted {
                        let at = sys::rd_kafka_topic_partition_list_add(list, self.topic.as_ptr(), partition);
                        (*at).offset = offset;
                        sys::rd_kafka_topic_partition_set_leader_epoch(at, p.leader_epoch);
                    }
                }
            }
            let mut answer = ok(sys::rd_kafka_assign(rk, all));
            // A partition that is not fetched yet refuses to seek: it is asked again, a few times.
            for _ in 0..TRIES {
                if answer.is_err() || (*asked).cnt == 0 {
                    break;
                }
                let error = sys::rd_kafka_seek_partitions(rk, asked, SEEK_MS);
                if !error.is_null() {
                    answer = ok(sys::rd_kafka_error_code(error));
                    sys::rd_kafka_error_destroy(error);
                }
                for i in (0..(*asked).cnt).rev() {
                    let at = (*asked).elems.add(usize::try_from(i).unwrap_or(0));
                    if ok((*at).err) != Err(Code::State) {
                        sys::rd_kafka_topic_partition_list_del_by_idx(asked, i);
                    }
                }
                if (*asked).cnt > 0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            sys::rd_kafka_topic_partition_list_destroy(asked);
            sys::rd_kafka_topic_partition_list_destroy(all);
            answer
        }
    }
    /// The end of a partition that is being read, as the last fetch told it; no question is asked.
    pub(crate) fn seen_end(&self, partition: u32) -> Option<u64> {
        let partition = i32::try_from(partition).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client lives, the name is ended by a zero byte, both places are ours.
        let answer = unsafe {
            let rk = self.client.native_ptr();
            sys::rd_kafka_get_watermark_offsets(rk, self.topic.as_ptr(), partition, &mut low, &mut high)
        };
        ok(answer).ok()?;
        u64::try_from(high).ok()
    }
    /// What broke the client for good, if anything did.
    pub(crate) fn fatal(&self) -> Option<(Code, String)> {
        let mut why = [0 as c_char; 512];
        // SAFETY: the client lives, and what is written into `why` ends with a zero byte.
        unsafe {
            let code = sys::rd_kafka_fatal_error(self.client.native_ptr(), why.as_mut_ptr(), why.len());
            ok(code)
                .err()
                .map(|code| (code, text(why.as_ptr()).unwrap_or_default()))
        }
    }
    /// Makes the client fail as a fenced or broken one does.
    #[cfg(test)]
    pub(crate) fn fail(&self, code: Resp) {
        // SAFETY: the client lives, and the reason is ended by a zero byte.
        unsafe { sys::rd_kafka_test_fatal_error(self.client.native_ptr(), code, c"a test".as_ptr()) };
    }
    /// Starts a commit and forgets it: no callback is configured, so the answer is dropped inside librdkafka.
    pub(crate) fn commit(&self, positions: &TopicPartitionList) -> Result<(), Code> {
        // SAFETY: as for `assign`; 1 means asynchronous.
        ok(unsafe { sys::rd_kafka_commit(self.client.native_ptr(), positions.ptr(), 1) })
    }
    /// Gives up what is assigned: the group goes on.
    pub(crate) fn give_up(&self) {
        // SAFETY: the client lives; null gives up what is assigned.
        unsafe { sys::rd_kafka_assign(self.client.native_ptr(), ptr::null()) };
    }
    /// Commits, and waits for the group's answer: it refuses those who are no members of the present generation.
    pub(crate) fn commit_and_ask(&self, positions: &TopicPartitionList, timeout: Duration) -> Result<(), Code> {
        let ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX).max(1);
        let rk = self.client.native_ptr();
        // SAFETY: the client lives, and librdkafka copies the list. Without a callback the answer is an event of our queue; event and
        // queue are destroyed once, and librdkafka keeps a reference of its own to the queue while the answer is out.
        unsafe {
            let queue = sys::rd_kafka_queue_new(rk);
            let asked = sys::rd_kafka_commit_queue(rk, positions.ptr(), queue, None, ptr::null_mut());
            let answer = ok(asked).and_then(|()| {
                let event = sys::rd_kafka_queue_poll(queue, ms);
                if event.is_null() {
                    return Err(Code::OperationTimedOut);
                }
                let answer = ok(sys::rd_kafka_event_error(event));
                sys::rd_kafka_event_destroy(event);
                answer
            });
            sys::rd_kafka_queue_destroy(queue);
            answer
        }
    }
    /// Takes what is there, at most [`BATCH`] messages; waits for the first at most `timeout`. Returns how many it took.
    pub(crate) fn drain(&mut self, timeout: Duration, mut each: impl FnMut(&Message<'_>)) -> usize {
        // librdkafka waits until the array is full or the time is over: so wait for one, then take the rest.
        self.take(0, BATCH);
        if self.taken.is_empty() && !timeout.is_zero() {
            let ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX).max(1);
            self.take(ms, 1);
            if !self.taken.is_empty() {
                self.take(0, BATCH);
            }
        }
        let taken = self.taken.len();
        let mut glance = None;
        for message in self.taken.drain(..) {
            let Some(message) = NonNull::new(message) else { continue };
            let mut message = Message {
                raw: message,
                glance: Glance::NONE,
                _life: PhantomData,
            };
            if message.error().is_none() {
                // SAFETY: live until it is destroyed below, from a consumer's queue, and no error.
                message.glance = *glance.get_or_insert_with(|| unsafe { Glance::at(message.raw.as_ptr()) });
            }
            each(&message);
            // SAFETY: the message was dequeued by us, is destroyed once, and nothing borrowed from it outlives `each`.
            unsafe { sys::rd_kafka_message_destroy(message.raw.as_ptr()) };
        }
        taken
    }
    fn take(&mut self, timeout_ms: c_int, most: usize) {
        let room = most.min(self.taken.capacity() - self.taken.len());
        // SAFETY: the spare capacity has at least `room` slots for pointers; librdkafka fills the first `n <= room` of them
        // (-1: none, on an error, which then also arrives as a message) with messages that are ours to destroy.
        unsafe {
            let to = self.taken.as_mut_ptr().add(self.taken.len());
            let n = sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), timeout_ms, to, room);
            self.taken
                .set_len(self.taken.len() + usize::try_from(n).unwrap_or(0).min(room));
        }
    }
}

/// A message or an error, valid during a call of [`Queue::drain`].
pub(crate) struct Message<'a> {
    raw: NonNull<sys::rd_kafka_message_t>,
    glance: Glance,
    _life: PhantomData<&'a ()>,
}

impl Message<'_> {
    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: `drain` destroys the message after `self` is gone, and nothing changes it meanwhile.
        unsafe { self.raw.as_ref() }
    }
    /// `None`: a record; otherwise what went wrong, or the end of the partition.
    pub(crate) fn error(&self) -> Option<Code> {
        ok(self.raw().err).err()
    }
    /// The partition; `None` for an error that belongs to none.
    pub(crate) fn partition(&self) -> Option<u32> {
        let raw = self.raw();
        if raw.rkt.is_null() {
            None
        } else {
            u32::try_from(raw.partition).ok()
        }
    }
    /// The offset: of the record, or where the error happened (then maybe below 0: not known).
    pub(crate) fn offset(&self) -> i64 {
        self.raw().offset
    }
    /// The leader epoch of the record; `None` from brokers that have none.
    pub(crate) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: a live message.
        let epoch = unsafe { sys::rd_kafka_message_leader_epoch(self.raw.as_ptr()) };
        (epoch >= 0).then_some(epoch)
    }
    /// Milliseconds; `i64::MIN` when the record has no timestamp.
    pub(crate) fn time_ms(&self) -> i64 {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: a live message and a place for the kind.
        let ms = unsafe { sys::rd_kafka_message_timestamp(self.raw.as_ptr(), &mut kind) };
        // -1 is the protocol's own word for no timestamp; producers may send it.
        if kind == sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || ms == -1 {
            i64::MIN
        } else {
            ms
        }
    }
    /// The value, or an error's text; `None` for a null value.
    pub(crate) fn payload(&self) -> Option<&[u8]> {
        // SAFETY: librdkafka keeps `len` bytes at `payload` as long as the message.
        unsafe { bytes(self.raw().payload, self.raw().len) }
    }
    /// The key.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        // SAFETY: as for the payload.
        unsafe { bytes(self.raw().key, self.raw().key_len) }
    }
    /// Appends the headers to a batch as it stores them.
    pub(crate) fn push_headers(&self, batch: &mut RecordBatch) -> (rufous_core::Span, bool) {
        // SAFETY: as for the payload; errors have `Glance::NONE`.
        if unsafe { self.glance.no_headers(self.raw.as_ptr()) } {
            return (rufous_core::Span::NONE, false);
        }
        let mut headers = ptr::null_mut();
        // SAFETY: a live message; on success `headers` belongs to it and lives as long.
        if ok(unsafe { sys::rd_kafka_message_headers(self.raw.as_ptr(), &mut headers) }).is_err() || headers.is_null() {
            return (rufous_core::Span::NONE, false);
        }
        // SAFETY: `headers` is live.
        let count = unsafe { sys::rd_kafka_header_cnt(headers) };
        let mut all: Vec<(Cow<'_, str>, Option<&[u8]>)> = Vec::with_capacity(count);
        for i in 0..count {
            let (mut name, mut value, mut len) = (ptr::null::<c_char>(), ptr::null::<c_void>(), 0);
            // SAFETY: `i` is below the count. Name (ended by a zero byte) and value are kept with the headers, and so as
            // long as the message, which outlives `all`.
            unsafe {
                if ok(sys::rd_kafka_header_get_all(
                    headers, i, &mut name, &mut value, &mut len,
                ))
                .is_ok()
                    && !name.is_null()
                {
                    all.push((CStr::from_ptr(name).to_string_lossy(), bytes(value, len)));
                }
            }
        }
        batch.push_headers(all.iter().map(|(name, value)| (name.as_ref(), *value)))
    }
}

/// The topic's id, or `None` when the brokers are too old to have one.
/// Asks this broker: any of them knows, and the controller may be slow to find.
pub(crate) fn topic_id(
    client: &Client<Troubles>,
    broker: i32,
    topic: &str,
    timeout: Duration,
) -> Result<Option<String>, String> {
    let name = CString::new(topic).map_err(|e| e.to_string())?;
    let ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX).max(1);
    let rk = client.native_ptr();
    // SAFETY: `rk` lives. Each object made here is destroyed once at the end, the event before the queue; `topics` and
    // `result` belong to the event and are read before that. `rd_kafka_DescribeTopics` copies the names. All C strings are
    // checked for null before they are read.
    unsafe {
        let queue = sys::rd_kafka_queue_new(rk);
        let options = sys::rd_kafka_AdminOptions_new(rk, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let mut why = [0 as c_char; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(options, ms, why.as_mut_ptr(), why.len());
        sys::rd_kafka_AdminOptions_set_broker(options, broker, why.as_mut_ptr(), why.len());
        let mut names = [name.as_ptr()];
        let wanted = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        sys::rd_kafka_DescribeTopics(rk, wanted, options, queue);
        sys::rd_kafka_TopicCollection_destroy(wanted);
        sys::rd_kafka_AdminOptions_destroy(options);
        // The request ends by itself with an error after its timeout.
        let event = sys::rd_kafka_queue_poll(queue, ms.saturating_add(1000));
        let answer = if event.is_null() {
            Err("no answer".into())
        } else {
            read_topic_id(event)
        };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_queue_destroy(queue);
        answer
    }
}

/// # Safety
/// `event` must be a live event.
unsafe fn read_topic_id(event: *mut sys::rd_kafka_event_t) -> Result<Option<String>, String> {
    // SAFETY: by the caller; results, descriptions and ids belong to the event, and `i < count` guards the array.
    unsafe {
        match ok(sys::rd_kafka_event_error(event)) {
            Ok(()) => {}
            Err(Code::UnsupportedFeature | Code::UnsupportedVersion) => return Ok(None),
            Err(code) => return Err(text(sys::rd_kafka_event_error_string(event)).unwrap_or_else(|| code.to_string())),
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        if result.is_null() {
            return Err("an answer to another request".into());
        }
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if topics.is_null() || count == 0 {
            return Err("an empty answer".into());
        }
        let error = sys::rd_kafka_TopicDescription_error(*topics);
        if !error.is_null() && ok(sys::rd_kafka_error_code(error)).is_err() {
            return Err(text(sys::rd_kafka_error_string(error)).unwrap_or_default());
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(*topics);
        let zero = id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0);
        Ok(if zero {
            None
        } else {
            text(sys::rd_kafka_Uuid_base64str(id))
        })
    }
}

fn ok(code: Resp) -> Result<(), Code> {
    if code == Resp::RD_KAFKA_RESP_ERR_NO_ERROR {
        Ok(())
    } else {
        Err(code.into())
    }
}

/// # Safety
/// `len` bytes must be readable at `at` for as long as the result is used, unless `at` is null.
unsafe fn bytes<'a>(at: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: by the caller.
    (!at.is_null()).then(|| unsafe { std::slice::from_raw_parts(at.cast::<u8>(), len) })
}

/// # Safety
/// `at` must be null or a string ended by a zero byte.
unsafe fn text(at: *const c_char) -> Option<String> {
    // SAFETY: by the caller.
    (!at.is_null()).then(|| unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned())
}

/// Errors of the whole client. Runs inside `drain`, in the caller's thread.
unsafe extern "C" fn on_error(_: *mut sys::rd_kafka_t, code: c_int, reason: *const c_char, opaque: *mut c_void) {
    const KNOWN: [Code; 6] = [
        Code::AllBrokersDown,
        Code::Authentication,
        Code::SaslAuthenticationFailed,
        Code::SSL,
        Code::UnsupportedSASLMechanism,
        Code::ClusterAuthorizationFailed,
    ];
    let code = KNOWN
        .into_iter()
        .find(|known| *known as c_int == code)
        .unwrap_or(Code::Unknown);
    // SAFETY: `opaque` is the `Troubles` of the client, which lives as long as it; `reason` is live in the call.
    unsafe {
        let Some(troubles) = opaque.cast::<Troubles>().as_ref() else {
            return;
        };
        troubles.note(code, &text(reason).unwrap_or_default());
    }
}

/// The group gave or took partitions. Runs inside `drain`, in the caller's thread, or while the client closes.
unsafe extern "C" fn on_rebalance(
    rk: *mut sys::rd_kafka_t,
    what: Resp,
    partitions: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is the `Troubles` of the client, which lives as long as it; `rk` and the list of `cnt` elements are
    // live in the call. A null list gives up what is assigned.
    unsafe {
        let given = match partitions.as_ref() {
            Some(list) if what == Resp::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !list.elems.is_null() => {
                let all = std::slice::from_raw_parts(list.elems, usize::try_from(list.cnt).unwrap_or(0));
                Some(all.iter().filter_map(|p| u32::try_from(p.partition).ok()).collect())
            }
            Some(_) if what == Resp::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Some(Vec::new()),
            _ => None,
        };
        let change = match given {
            // Whoever works it off assigns positions or gives up what it has, and so answers the group.
            Some(given) => Change::Given(given),
            None => {
                let lost = sys::rd_kafka_assignment_lost(rk) != 0;
                if lost {
                    sys::rd_kafka_assign(rk, ptr::null());
                }
                Change::Taken { lost }
            }
        };
        // What is lost is answered already: nobody waits for this member.
        let asks = change != Change::Taken { lost: true };
        let heard = opaque.cast::<Troubles>().as_ref().is_some_and(|t| t.changed(change));
        if asks && !heard {
            sys::rd_kafka_assign(rk, ptr::null());
        }
    }
}

/// librdkafka's own log: for whoever turns on `debug` for this crate.
unsafe extern "C" fn on_log(rk: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    // SAFETY: both strings are live in the call; the opaque value of the client is its `Troubles` (null, before it is set).
    let (facility, line, troubles) = unsafe {
        let troubles = rk.as_ref().map(|rk| sys::rd_kafka_opaque(rk).cast::<Troubles>());
        (
            text(facility),
            text(line).unwrap_or_default(),
            troubles.and_then(|t| t.as_ref()),
        )
    };
    let line = troubles.map_or_else(String::new, |t| t.secrets.hide(&line));
    tracing::debug!(level, facility, "librdkafka: {line}");
}
