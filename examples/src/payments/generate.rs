//! A made-up ledger, the same for the same seed on every machine: integers only, and a generator of its own.
//!
//! Three days from 2026-03-01 on. One line in fifty is a rate. Of the payments one in twenty is sent again within six hours, and
//! one in two hundred 25 to 40 hours later; one line in thirty is logged up to five hours late.

use rufous::prelude::*;

use super::{Entry, PAYMENT, RATE};

/// How many accounts there are.
pub const ACCOUNTS: u64 = 500;
/// Codes, and about what a unit is worth in millionths of a euro.
const CURRENCIES: [(&str, u64); 8] = [
    ("CAD", 670_000),
    ("CHF", 1_040_000),
    ("EUR", 1_000_000),
    ("GBP", 1_160_000),
    ("JPY", 6_100),
    ("PLN", 234_000),
    ("SEK", 88_000),
    ("USD", 925_000),
];
/// 2026-03-01T00:00:00Z.
const START_MS: i64 = 1_772_323_200_000;
const HOUR_MS: u64 = 3_600_000;
const SPAN_MS: u64 = 72 * HOUR_MS;

/// SplitMix64 (G. Steele, D. Lea, C. Flood, 2014): a counter, mixed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}

/// `n` entries and what is sent again of them, in the order in which they are logged.
pub fn ledger(seed: u64, n: u64) -> Vec<Entry> {
    let mut random = Random(seed);
    let mut logged = Vec::new();
    for i in 0..n {
        let now = (u128::from(i) * u128::from(SPAN_MS) / u128::from(n)) as u64;
        let late = if random.below(30) == 0 {
            random.below(5 * HOUR_MS)
        } else {
            random.below(2_000)
        };
        let (currency, worth) = CURRENCIES
            .get(random.below(CURRENCIES.len() as u64) as usize)
            .copied()
            .unwrap_or(("EUR", 1_000_000));
        let entry = Entry {
            at: Timestamp(START_MS.saturating_add_unsigned(now).saturating_sub_unsigned(late)),
            kind: PAYMENT.into(),
            currency: currency.into(),
            id: None,
            account: None,
            cents: None,
            value: None,
        };
        if random.below(50) == 0 {
            let value = worth / 100 * (95 + random.below(11));
            let (kind, value) = (RATE.into(), i64::try_from(value).ok());
            logged.push((now, Entry { kind, value, ..entry }));
            continue;
        }
        let entry = Entry {
            id: Some(i),
            account: Some(random.below(ACCOUNTS)),
            // A little more comes than goes.
            cents: i64::try_from(random.below(21_001)).ok().map(|cents| cents - 10_000),
            ..entry
        };
        if random.below(20) == 0 {
            logged.push((now + random.below(6 * HOUR_MS), entry.clone()));
        }
        if random.below(200) == 0 {
            logged.push((now + 25 * HOUR_MS + random.below(15 * HOUR_MS), entry.clone()));
        }
        logged.push((now, entry));
    }
    // Stable: what is logged at the same instant stays in the order in which it was made.
    logged.sort_by_key(|(now, _)| *now);
    logged.into_iter().map(|(_, entry)| entry).collect()
}

/// The entry as a line of JSON; its texts as they are, for those of [`ledger`] need no escapes.
pub fn json_line(entry: &Entry) -> String {
    let mut line = format!(
        r#"{{"at":"{}","kind":"{}","currency":"{}""#,
        entry.at, entry.kind, entry.currency
    );
    let id = entry.id.map(|id| format!(r#","id":{id}"#));
    let account = entry.account.map(|account| format!(r#","account":{account}"#));
    let cents = entry.cents.map(|cents| format!(r#","cents":{cents}"#));
    let value = entry.value.map(|value| format!(r#","value":{value}"#));
    [id, account, cents, value]
        .into_iter()
        .flatten()
        .for_each(|field| line.push_str(&field));
    line.push('}');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_from_the_same_seed() {
        let all = ledger(7, 5_000);
        assert_eq!(all, ledger(7, 5_000));
        assert_ne!(all, ledger(8, 5_000));
        let sent_again = all.len() - 5_000;
        assert!((200..350).contains(&sent_again), "{sent_again}");
        let rates = all.iter().filter(|entry| entry.kind == RATE).count();
        assert!((60..140).contains(&rates), "{rates}");
    }
}
