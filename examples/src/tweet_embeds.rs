//! Tweets that are shown on pages: a service looked up as of event time, two stores, one stream. Views come late, and pages
//! change; each view counts for the page that showed the tweet when it was viewed.

use std::collections::BTreeMap;

use rufous::prelude::*;
use rufous::service::{Version, Versions, versions};

/// A tweet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Key, Codec)]
pub struct TweetId(pub u64);

/// A view of a tweet.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct View {
    /// Which.
    pub tweet: u64,
    /// When it was seen.
    pub at: Timestamp,
}

/// The log of views.
pub const VIEWS: Source<View> = Source::new("views").timed_by(|v| v.at);
/// The page that shows the tweet.
pub const EMBEDDED_ON: Service<TweetId, String> = Service::new("embedded-on");
/// Views by page, per tweet and hour.
pub const BY_URL: Store<(TweetId, TimeBucket), BTreeMap<String, u64>> = Store::new("views-by-url");
/// The tweets with the most views in an hour.
pub const TOP: Store<TimeBucket, HeavyHitters<u64, 100>> = Store::new("top-tweets");

/// Views by page, and the top tweets.
pub fn tweet_embeds() -> Job {
    let views = VIEWS
        .read()
        .key_by(|v| TweetId(v.tweet))
        .left_join(EMBEDDED_ON)
        .named("views-with-page");
    let by_url = views
        .clone()
        .keyed_pairs(|&tweet, (view, url), out| {
            if let Some(url) = url {
                out.emit((tweet, TimeBucket::hour(view.at)), BTreeMap::from([(url.clone(), 1)]));
            }
        })
        .sum_by_key(BY_URL);
    let top = views
        .keyed_pairs(|tweet, (view, _), out| out.emit(TimeBucket::hour(view.at), HeavyHitters::of(tweet.0, 1)))
        .sum_by_key(TOP);
    Job::new("tweet-embeds", (by_url, top))
}

/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000;
const HOUR: u64 = 3_600_000;
const TWEETS: u64 = 200;

/// SplitMix64 (Steele, Lea, Flood 2014): the same log from the same seed, for ever.
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

/// `n` views over `hours` hours, in the order in which they are logged: (log time, view). One in ten is logged up to three hours
/// late; few tweets have most of the views.
pub fn generate_views(seed: u64, n: u64, hours: u64) -> Vec<(Timestamp, View)> {
    let mut random = Random(seed);
    let view = |i: u64| {
        let logged = START + (i * hours * HOUR / n.max(1)) as i64;
        let late = if random.below(10) == 0 {
            random.below(3 * HOUR)
        } else {
            0
        };
        let most = random.below(TWEETS) + 1;
        let view = View {
            tweet: random.below(most),
            at: Timestamp(logged.saturating_sub_unsigned(late)),
        };
        (Timestamp(logged), view)
    };
    (0..n).map(view).collect()
}

/// Which page showed which tweet, over `hours` hours: most tweets move from page to page, and some are taken down.
pub fn generate_pages(seed: u64, hours: u64) -> Vec<Version<TweetId, String>> {
    let mut random = Random(seed ^ 0x7a6e);
    let mut rows = Vec::new();
    for tweet in 0..TWEETS {
        let mut at = START.saturating_sub_unsigned(random.below(6 * HOUR));
        while at < START + (hours * HOUR) as i64 {
            rows.push(match random.below(6) {
                0 => Version::deleted(TweetId(tweet), Timestamp(at)),
                page => Version::new(
                    TweetId(tweet),
                    Timestamp(at),
                    format!("example.org/{}/{page}", tweet % 7),
                ),
            });
            at += random.below(8 * HOUR) as i64 + 1;
        }
    }
    rows
}

/// The pages of [`generate_pages`] as a table that is complete for all of the hours.
pub fn pages(seed: u64, hours: u64) -> Versions<TweetId, String> {
    versions(generate_pages(seed, hours), Timestamp(START + (hours * HOUR) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O19: every view counts for the page of its own instant, late or not; the same whole and at every split of the log.
    #[test]
    fn a_view_counts_for_the_page_of_its_time() {
        let (views, rows) = (generate_views(3, 400, 12), generate_pages(3, 12));
        assert!(
            views.iter().any(|(logged, view)| logged.0 - view.at.0 > HOUR as i64),
            "no view is late"
        );
        let page = |view: &View| {
            let before = rows.iter().filter(|r| r.key.0 == view.tweet && r.from <= view.at);
            before.max_by_key(|r| r.from).and_then(|r| r.value.clone())
        };
        let hour = |view: &View| TimeBucket::hour(view.at);
        let mut by_url: BTreeMap<_, BTreeMap<String, u64>> = BTreeMap::new();
        for (_, view) in &views {
            if let Some(url) = page(view) {
                *by_url
                    .entry((TweetId(view.tweet), hour(view)))
                    .or_default()
                    .entry(url)
                    .or_default() += 1;
            }
        }
        let run = tweet_embeds()
            .test()
            .partitions(VIEWS, 2)
            .given_at(VIEWS, views.iter().cloned())
            .service(EMBEDDED_ON, pages(3, 12))
            .approximate(TOP)
            .every_split()
            .unwrap();
        let got: BTreeMap<_, _> = run.all(BY_URL).into_iter().collect();
        assert_eq!(got, by_url);
        let hours: std::collections::BTreeSet<_> = views.iter().map(|(_, view)| hour(view)).collect();
        assert_eq!(run.all(TOP).len(), hours.len());
    }
}
