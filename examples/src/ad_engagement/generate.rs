//! Made-up events of ads, the same for the same seed on every machine: integers only, and a generator of its own.
//!
//! What is logged on 2026-03-01, in that order. Campaign `c-01` has the most, the others fewer and fewer
//! (as 1, 1/2, 1/3 ...); one event in fifty is logged up to three hours late; 2 to 9 of 100 events of a campaign are clicks.

use rufous::prelude::*;

use super::{AdEvent, CLICK, IMPRESSION};

/// How many campaigns there are.
pub const CAMPAIGNS: u64 = 40;
/// 2026-03-01T00:00:00Z.
const START_MS: i64 = 1_772_323_200_000;
const DAY_MS: u64 = 86_400_000;
const MOST_LATE_MS: u64 = 3 * 3_600_000;

/// SplitMix64 (G. Steele, D. Lea, C. Flood, 2014): a counter, mixed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Below `n`, which is small: what is not even about it is below one in 2^40.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// `n` events in the order in which they are logged.
pub fn events(seed: u64, n: u64) -> impl Iterator<Item = AdEvent> {
    let mut random = Random(seed);
    let weight = |campaign: u64| 1_000_000 / (campaign + 1);
    let all: u64 = (0..CAMPAIGNS).map(weight).sum();
    (0..n).map(move |i| {
        let mut rest = random.below(all);
        let mut campaign = 0;
        while rest >= weight(campaign) {
            rest -= weight(campaign);
            campaign += 1;
        }
        let logged = (u128::from(i) * u128::from(DAY_MS) / u128::from(n)) as i64;
        let late = if random.below(50) == 0 {
            random.below(MOST_LATE_MS)
        } else {
            random.below(2_000)
        };
        // The product of two even draws: some people see many ads, most see few.
        let user = random.below(200) * random.below(200);
        let is_click = random.below(100) < 2 + campaign % 8;
        let (kind, cost_micros, latency_ms) = if is_click {
            (CLICK, 100_000 + 10_000 * campaign + random.below(200_000), None)
        } else {
            let slow = if random.below(20) == 0 { random.below(900) } else { 0 };
            let ms = 15 + random.below(30) + random.below(30) + slow;
            (IMPRESSION, 500 + random.below(3_000), Some(ms as i64))
        };
        AdEvent {
            at: Timestamp(START_MS + logged - late as i64),
            kind: kind.into(),
            campaign: format!("c-{:02}", campaign + 1).into(),
            user,
            cost_micros: cost_micros as i64,
            latency_ms,
        }
    })
}

/// The event as a line of JSON; its texts as they are, for those of [`events`] need no escapes.
pub fn json_line(event: &AdEvent) -> String {
    let AdEvent {
        at,
        kind,
        campaign,
        user,
        cost_micros,
        latency_ms,
    } = event;
    let latency = latency_ms.map_or(String::new(), |ms| format!(r#","latency_ms":{ms}"#));
    format!(
        r#"{{"at":"{at}","kind":"{kind}","campaign":"{campaign}","user":{user},"cost_micros":{cost_micros}{latency}}}"#
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The page and the tests of other versions rest on it.
    #[test]
    fn the_same_for_ever() {
        let lines: Vec<String> = events(7, 1000).map(|event| json_line(&event)).collect();
        assert_eq!(
            lines[0],
            r#"{"at":"2026-02-28T23:59:58.654Z","kind":"impression","campaign":"c-04","user":222,"cost_micros":925,"latency_ms":32}"#
        );
        assert_eq!(
            lines[999],
            r#"{"at":"2026-03-01T23:58:32.459Z","kind":"click","campaign":"c-12","user":4725,"cost_micros":327333}"#
        );
        assert!(events(7, 1000).eq(events(7, 1000)));
        assert!(!events(8, 1000).eq(events(7, 1000)));
    }

    #[test]
    fn skewed_and_late() {
        let mut by_campaign = BTreeMap::<Text, u64>::new();
        let (mut newest, mut late) = (Timestamp(i64::MIN), 0);
        for event in events(1, 20_000) {
            *by_campaign.entry(event.campaign).or_default() += 1;
            late += u64::from(event.at.0 < newest.0 - 60_000);
            newest = newest.max(event.at);
        }
        assert_eq!(by_campaign.len() as u64, CAMPAIGNS);
        assert!(by_campaign["c-01"] > 20 * by_campaign["c-40"], "{by_campaign:?}");
        assert!((300..500).contains(&late), "{late}");
    }
}
