//! Questions about single keys, answered many at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rufous_client::RawStoreClient;
use tokio::sync::oneshot;

use crate::metrics::Metrics;
use crate::pool::{Get, caught, waited};
use crate::problem::Problem;
use crate::reply::{Reply, Rests, put_pair};

/// A question about one key.
pub(crate) struct Question {
    pub(crate) key: Vec<u8>,
    pub(crate) reply: oneshot::Sender<Result<Reply, Problem>>,
}

/// What a read on the thread that asks may take: for so long at most it does not see that its client has gone.
const SOON: Duration = Duration::from_millis(20);

/// Answers one on the thread that asks; one that cannot be answered soon comes back, and is then read anew.
pub(crate) fn answer_here(raw: &RawStoreClient, get: Get<Question>, metrics: &Metrics) -> Option<Get<Question>> {
    let soon = Instant::now() + SOON;
    if get.deadline <= soon {
        return Some(get);
    }
    let raw = raw.clone().until(soon);
    let keys = [get.question.key.clone()];
    let found = caught(&metrics.panics, || Ok(read(&raw, &keys).pop()));
    let reply = match found {
        Ok(Some(reply)) => reply,
        Ok(None) => Err(Problem::bug("a key was asked and not answered")),
        Err(problem) => Err(problem),
    };
    if reply.is_err() && Instant::now() >= soon {
        return Some(get);
    }
    metrics.read_together(1);
    // Who asked may be gone.
    let _ = get.question.reply.send(reply);
    None
}

/// Answers them by one read, which ends when all who asked have gone; what is late or was given up before is left out.
pub(crate) fn answer(raw: &RawStoreClient, gets: Vec<Get<Question>>, metrics: &Metrics) {
    let now = Instant::now();
    let (mut asked, mut last) = (Vec::with_capacity(gets.len()), now);
    for Get { question, deadline } in gets {
        if question.reply.is_closed() {
            continue;
        }
        if deadline <= now {
            let _ = question.reply.send(Err(waited()));
            continue;
        }
        last = last.max(deadline);
        asked.push(question);
    }
    if asked.is_empty() {
        return;
    }
    // Neighbours in the store are neighbours in the call, and a key that many ask for is read once.
    asked.sort_by(|a, b| a.key.cmp(&b.key));
    let mut keys: Vec<Vec<u8>> = asked.iter().map(|q| q.key.clone()).collect();
    keys.dedup();
    metrics.read_together(asked.len());
    let asked = Arc::new(Mutex::new(asked));
    let (all, panics) = (asked.clone(), &metrics.panics);
    // One who stays is enough.
    let raw = raw.clone().until(last).unless_all_left(Arc::new(move || {
        let left = |question: &Question| question.reply.is_closed();
        all.lock().unwrap_or_else(PoisonError::into_inner).iter().all(left)
    }));
    let replies = caught(panics, || Ok(read(&raw, &keys)));
    let asked = std::mem::take(&mut *asked.lock().unwrap_or_else(PoisonError::into_inner));
    let mut asked = asked.into_iter().peekable();
    for (i, key) in keys.iter().enumerate() {
        while let Some(question) = asked.next_if(|q| q.key == *key) {
            let reply = match &replies {
                Ok(replies) => match replies.get(i) {
                    Some(reply) => reply.clone(),
                    None => Err(Problem::bug("a key was asked and not answered")),
                },
                Err(problem) => Err(problem.clone()),
            };
            // Who asked may be gone.
            let _ = question.reply.send(reply);
        }
    }
}

fn read(raw: &RawStoreClient, keys: &[Vec<u8>]) -> Vec<Result<Reply, Problem>> {
    // All answers of one read rest on the same.
    let mut rests: Option<Rests> = None;
    let mut pair = Vec::new();
    let mut one = |key: &[u8], answer: rufous_core::Result<rufous_client::RawAnswer>| -> Result<Reply, Problem> {
        let answer = answer?;
        if rests.is_none() {
            rests = Some(Rests::of(&answer)?);
        }
        let Some(rests) = &rests else {
            return Err(Problem::bug("an answer rests on nothing"));
        };
        pair.clear();
        put_pair(&mut pair, raw.face(), key, answer.value.as_deref())?;
        Ok(rests.reply(&pair))
    };
    let answers = raw.multi_get(keys);
    keys.iter().zip(answers).map(|(key, answer)| one(key, answer)).collect()
}
