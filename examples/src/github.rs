//! GitHub's public events: fields of nested JSON, and a sum over what another sum emits.

use rufous::prelude::*;

/// An event, from the JSON lines of GH Archive. All else in the object is skipped.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Event {
    /// What happened, for instance `PushEvent`.
    #[record(name = "type")]
    pub kind: Text,
    /// Who did it.
    #[record(name = "actor.id")]
    pub actor: u64,
    /// Where: owner and name.
    #[record(name = "repo.name")]
    pub repo: Text,
    /// When.
    #[record(name = "created_at")]
    pub at: Timestamp,
}

/// All events; a batch is an hour of them.
pub const EVENTS: Source<Event> = Source::new("events")
    .batches(Batcher::of_hours(1))
    .batch_clock(Clock::Event)
    .timed_by(|event| event.at);
/// How many per repository and type.
pub const BY_REPO_TYPE: Store<(String, String), u64> = Store::new("events-by-repo-type");
/// How many per type.
pub const BY_TYPE: Store<String, u64> = Store::new("events-by-type");
/// Different actors per type.
pub const ACTORS: Store<String, Hll<14>> = Store::new("actors-by-type");

/// Events by repository and type, events by type, actors by type.
pub fn github() -> Job {
    let events = EVENTS.read();
    let by_repo_type = events
        .clone()
        .keyed(|event, out| out.emit((event.repo.as_str(), event.kind.as_str()), 1))
        .sum_by_key(BY_REPO_TYPE);
    // What the first sum adds, the second adds under a shorter key: it sees sums, not events.
    let by_type = by_repo_type
        .clone()
        .deltas()
        .map_keys(|(_, kind)| kind.clone())
        .sum_by_key(BY_TYPE);
    let actors = events
        .keyed(|event, out| out.emit(event.kind.as_str(), event.actor))
        .aggregate_by_key(ACTORS);
    Job::new("github", (by_repo_type, by_type, actors))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(repo: &str, kind: &str, actor: u64) -> Event {
        Event {
            kind: kind.into(),
            actor,
            repo: repo.into(),
            at: Timestamp(actor as i64),
        }
    }

    #[test]
    fn events_are_counted_twice_and_read_once() -> rufous::Result<()> {
        let events = [
            event("a/b", "PushEvent", 1),
            event("a/b", "PushEvent", 1),
            event("a/b", "WatchEvent", 2),
            event("c/d", "PushEvent", 3),
        ];
        let run = github().test().given(EVENTS, events).every_split()?;
        assert_eq!(run.get(BY_REPO_TYPE, ("a/b", "PushEvent")), Some(2));
        assert_eq!(run.all(BY_REPO_TYPE).len(), 3);
        assert_eq!(run.all(BY_TYPE), [("PushEvent".into(), 3), ("WatchEvent".into(), 1)]);
        let pushers = run.get(ACTORS, "PushEvent").expect("seen");
        assert_eq!(pushers.estimate().value.round(), 2.0);
        Ok(())
    }
}
