//! Payments in several currencies: once per id, with the rate that was known when each was logged, added up by account.

pub mod generate;

use rufous::core::producer::{Buffer, LastSeen};
use rufous::prelude::*;

/// A line of the ledger: a payment has an id, an account and an amount, a rate has a value.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Entry {
    /// When it was paid, or from when the rate holds.
    pub at: Timestamp,
    /// `payment` or `rate`.
    pub kind: Text,
    /// Of what both are.
    pub currency: Text,
    /// The same for every retry of a payment.
    pub id: Option<u64>,
    /// Whose; none where it is unknown.
    pub account: Option<u64>,
    /// Hundredths of the currency; what is taken from the account is below zero.
    pub cents: Option<i64>,
    /// What a unit of the currency is worth, in millionths of a euro.
    pub value: Option<i64>,
}

const PAYMENT: &str = "payment";
const RATE: &str = "rate";

/// For how many batches ids are remembered: hours.
pub const REMEMBERED: u32 = 24;
/// How many batches back what is late is still joined as of its own time.
pub const HORIZON: u32 = 2;

/// Payments and rates, in the order in which they became known: one log, for both have to have one order. A batch is an hour.
pub const LEDGER: Source<Entry> = Source::new("ledger")
    .batches(Batcher::of_hours(1))
    .batch_clock(Clock::Event)
    .timed_by(|entry| entry.at);
/// When each id of a payment occurred last.
pub const IDS: Store<(u32, u64), LastSeen> = Store::new("payment-ids");
/// The newest rate by currency, as of any instant that can be asked about.
pub const RATES: Store<String, Buffer<i64>> = Store::new("rates");
/// Hundredths of a euro by account.
pub const BALANCES: Store<u64, i64> = Store::new("balances");
/// How many payments left the account below zero.
pub const OVERDRAWN: Store<u64, u64> = Store::new("overdrawn");
/// How often an id was let through: once, or again where it was sent again when it was forgotten.
pub const COUNTED: Store<u64, u64> = Store::new("times-counted");
/// Payments of which no rate was known. They are in no balance.
pub const NO_RATE: Counter = Counter::new("no-rate");

/// Hundredths of a euro, the fraction dropped: integers, so that every layer finds the same.
pub fn in_euro(cents: i64, rate: i64) -> i64 {
    (i128::from(cents) * i128::from(rate) / 1_000_000) as i64
}

/// Balances by account, and which of them were overdrawn.
pub fn payments() -> Job {
    let rates = LEDGER
        .read()
        .filter(|entry| entry.kind == RATE)
        .keyed(|entry, out| {
            if let Some(value) = entry.value {
                out.emit(entry.currency.as_str(), value);
            }
        })
        .within_partition()
        .as_service(RATES)
        .horizon(HORIZON);
    let once = LEDGER
        .read()
        .filter(|entry| entry.kind == PAYMENT)
        .dedupe_by(IDS, REMEMBERED, |entry| entry.id.unwrap_or(0))
        .named("payments-once");
    let counted = once
        .clone()
        .keyed(|entry, out| out.emit(entry.id.unwrap_or(0), 1))
        .sum_by_key(COUNTED);
    let overdrawn = once
        .keyed(|entry, out| {
            if let (Some(account), Some(cents)) = (entry.account, entry.cents) {
                out.emit(entry.currency.as_str(), (account, cents));
            }
        })
        .within_partition()
        .left_join(rates) // what was known when it was logged, as of the time of the payment
        .keyed_pairs(
            |_, ((account, cents), rate): &((u64, i64), Option<i64>), out| match rate {
                Some(rate) => out.emit(*account, in_euro(*cents, *rate)),
                None => out.count(NO_RATE, 1),
            },
        )
        .counting([NO_RATE])
        .within_partition()
        .scan_by_key(BALANCES) // the balance after each payment
        .filter_values(|balance| *balance < 0)
        .map_values(|_| 1)
        .sum_by_key(OVERDRAWN);
    Job::new("payments", (overdrawn, counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn payment(minute: i64, id: u64, account: u64, cents: i64) -> Entry {
        Entry {
            at: Timestamp(minute * MINUTE),
            kind: PAYMENT.into(),
            currency: "USD".into(),
            id: Some(id),
            account: Some(account),
            cents: Some(cents),
            value: None,
        }
    }

    fn rate(minute: i64, value: i64) -> Entry {
        Entry {
            kind: RATE.into(),
            value: Some(value),
            id: None,
            account: None,
            cents: None,
            ..payment(minute, 0, 0, 0)
        }
    }

    /// O17: what was logged before, with a time below; O21: once per id, and again when it is forgotten.
    #[test]
    fn once_and_with_the_rate_that_was_known() -> rufous::Result<()> {
        let ledger = [
            payment(0, 1, 7, 500), // no rate yet
            rate(1, 2_000_000),
            payment(2, 2, 7, 100),  // 200
            payment(2, 2, 7, 100),  // sent twice
            payment(9, 3, 7, -150), // -300: below zero
            rate(5, 3_000_000),     // late: counts for what is logged after it
            payment(10, 4, 7, 100), // 300
            payment(4, 5, 7, 10),   // late: 20, for its own time comes before the late rate
            payment(5, 6, 7, 10),   // 20: at equal times a rate is not seen
            rate(10, 1),
            payment(24 * 60, 7, 8, -1), // another day: -0.0001, which is no cent
            payment(2, 2, 7, 100),      // its batch is 24 behind: remembered
            rate(25 * 60, 4_000_000),
            payment(50 * 60, 8, 8, 1), // 4
            payment(2, 2, 7, -900),    // 26 behind: counts again, as of two hours before: the rate of hour 25
        ];
        let run = payments().test().given(LEDGER, ledger).every_split()?;
        assert_eq!(run.get(BALANCES, 7_u64), Some(200 - 300 + 300 + 20 + 20 - 3600));
        assert_eq!(run.get(BALANCES, 8_u64), Some(4));
        assert_eq!(run.get(OVERDRAWN, 7_u64), Some(2));
        assert_eq!(run.get(OVERDRAWN, 8_u64), None);
        assert_eq!((run.get(COUNTED, 2_u64), run.get(COUNTED, 1_u64)), (Some(2), Some(1)));
        assert_eq!(run.counter(NO_RATE), 1);
        Ok(())
    }
}
