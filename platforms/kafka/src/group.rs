//! What the consumer group gave to this process. The group speaks through a callback inside of a dequeue; what it said is
//! worked off after it, in order.

use std::collections::BTreeSet;

/// What the group said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// These partitions are this process's, until they are taken.
    Given(Vec<u32>),
    /// All partitions were taken; another assignment follows.
    Taken {
        /// The group went on without this member: a session timeout, or no poll for too long. Nothing rests on it here:
        /// the store's own check fences (P11). The callback has unassigned them already; otherwise the group waits until somebody
        /// does.
        lost: bool,
    },
}

/// A membership in the group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) subscribed: bool,
    /// The first gift was waited for, once.
    pub(crate) awaited: bool,
    /// What was given last. It stays while an assignment is taken and the next one is waited for: mostly the same comes.
    given: Option<BTreeSet<u32>>,
    /// librdkafka takes positions now: after a gift and before it is taken.
    pub(crate) open: bool,
    /// The caller has not asked since the last gift.
    pub(crate) news: bool,
    /// The group waits until what it takes is given up.
    pub(crate) owes: Option<Owes>,
}

/// What comes before partitions are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owes {
    /// The caller is told: it may still commit what it read.
    Word,
    /// The caller comes back.
    Answer,
}

impl Group {
    /// Takes over what the group said. Returns whether positions are to be assigned.
    pub(crate) fn take(&mut self, change: Change) -> bool {
        match change {
            Change::Given(partitions) => {
                self.given = Some(partitions.into_iter().collect());
                (self.open, self.news, self.owes) = (true, true, None);
                true
            }
            Change::Taken { lost } => {
                self.open = false;
                self.owes = (!lost).then_some(Owes::Word);
                false
            }
        }
    }
    /// Whether the group has given nothing yet, not even nothing.
    pub(crate) fn waits(&self) -> bool {
        self.given.is_none()
    }
    /// Whether this process reads the partition.
    pub(crate) fn owns(&self, partition: u32) -> bool {
        self.given.as_ref().is_some_and(|given| given.contains(&partition))
    }
    /// The client is another one: the group must speak again.
    pub(crate) fn rejoin(&mut self) {
        (self.subscribed, self.open, self.owes) = (false, false, None);
    }
    /// Whether the caller is to be told that partitions are taken.
    pub(crate) fn tell(&mut self) -> bool {
        let tell = self.owes == Some(Owes::Word);
        if tell {
            self.owes = Some(Owes::Answer);
        }
        tell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rebalance that gives back what it took changes nothing but needs the positions again.
    #[test]
    fn what_was_given_stays_until_the_next_gift() {
        let mut g = Group::default();
        assert!(g.waits() && !g.owns(0) && !g.open);
        assert!(g.take(Change::Given(vec![0, 2])));
        assert!(!g.waits() && g.owns(2) && !g.owns(1) && g.open && g.news);
        g.news = false;
        assert!(!g.take(Change::Taken { lost: true }));
        assert!(g.owns(2) && !g.open && !g.news && !g.tell());
        assert!(!g.take(Change::Taken { lost: false }));
        assert!(g.tell() && !g.tell() && g.owes == Some(Owes::Answer));
        assert!(g.take(Change::Given(vec![])));
        assert!(!g.owns(2) && g.open && g.news && !g.waits() && g.owes.is_none());
    }
}
