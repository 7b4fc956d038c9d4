//! Ads by campaign and hour: counts, money, people and a quantile in one struct; rates are computed when they are read.

pub mod generate;
pub mod report;

use rufous::prelude::*;

/// An ad was shown or clicked.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct AdEvent {
    /// When it happened.
    pub at: Timestamp,
    /// `impression` or `click`.
    pub kind: Text,
    /// Whose ad.
    pub campaign: Text,
    /// Who saw it.
    pub user: u64,
    /// What it costs, in millionths.
    pub cost_micros: i64,
    /// How long the ad took to be shown; clicks have none.
    pub latency_ms: Option<i64>,
}

/// What is kept for a campaign and an hour. Sums of hours are right, so no rate is in it: a mean of rates is no rate.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct Engagement {
    /// How often ads were shown.
    pub impressions: u64,
    /// How often they were clicked.
    pub clicks: u64,
    /// What both cost, in millionths: integers, so that it is exact in any order.
    pub cost_micros: i64,
    /// Different people to whom ads were shown.
    pub uniques: Hll<12>,
    /// Milliseconds until ads were shown.
    pub latency: Quantiles,
}

impl Absorb<AdEvent> for Engagement {
    fn absorb(&mut self, event: &AdEvent) {
        self.cost_micros = self.cost_micros.wrapping_add(event.cost_micros);
        if event.kind == CLICK {
            self.clicks += 1;
            return;
        }
        self.impressions += 1;
        self.uniques.insert(&event.user);
        if let Some(ms) = event.latency_ms {
            self.latency.insert(ms);
        }
    }
}

impl Engagement {
    /// Clicks per impression; `None` where nothing was shown.
    pub fn click_through(&self) -> Option<f64> {
        (self.impressions > 0).then(|| self.clicks as f64 / self.impressions as f64)
    }
    /// Millionths per click; `None` where nothing was clicked.
    pub fn cost_per_click(&self) -> Option<f64> {
        (self.clicks > 0).then(|| self.cost_micros as f64 / self.clicks as f64)
    }
    /// Milliseconds within which 95 of 100 ads were shown, with bounds.
    pub fn p95(&self) -> Option<rufous::Estimate> {
        self.latency.quantile(0.95)
    }
}

const IMPRESSION: &str = "impression";
const CLICK: &str = "click";

/// All events; a batch is an hour of them.
pub const EVENTS: Source<AdEvent> = Source::new("events")
    .batches(Batcher::of_hours(1))
    .batch_clock(Clock::Event)
    .time_field("at")
    .timed_by(|event| event.at);
/// Per campaign and hour.
pub const BY_CAMPAIGN_HOUR: Store<(String, TimeBucket), Engagement> = Store::new("by-campaign-hour");
/// Events that are neither impressions nor clicks. They are in no store.
pub const OTHER_KINDS: Counter = Counter::new("other-kinds");

/// Engagement by campaign and hour of the event, however late it is logged.
pub fn ad_engagement() -> Job {
    let by_campaign_hour = EVENTS
        .read()
        .flat_map(|event, out| match event.kind.as_str() {
            IMPRESSION | CLICK => out.emit(event.clone()),
            _ => out.count(OTHER_KINDS, 1),
        })
        .counting([OTHER_KINDS])
        .key_by(|event| (event.campaign.clone(), TimeBucket::hour(event.at)))
        .aggregate_by_key(BY_CAMPAIGN_HOUR);
    Job::new("ad-engagement", by_campaign_hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, minute: i64, user: u64, cost_micros: i64) -> AdEvent {
        AdEvent {
            at: Timestamp(minute * 60_000),
            kind: kind.into(),
            campaign: "c".into(),
            user,
            cost_micros,
            latency_ms: (kind == IMPRESSION).then_some(20 + minute),
        }
    }

    fn events() -> [AdEvent; 6] {
        [
            event(IMPRESSION, 0, 1, 2_000),
            event(IMPRESSION, 59, 2, 3_000),
            event(IMPRESSION, 60, 1, 2_000),
            event(CLICK, 61, 1, 250_000),
            event("hover", 61, 1, 9),
            event(CLICK, 3, 1, 150_000),
        ]
    }

    #[test]
    fn hours_and_their_sum() -> rufous::Result<()> {
        let run = ad_engagement().test().given(EVENTS, events()).every_split()?;
        let hour = |n: i64| TimeBucket::hour(Timestamp(n * 3_600_000));
        let first = run.get(BY_CAMPAIGN_HOUR, ("c", hour(0))).expect("shown");
        assert_eq!((first.impressions, first.clicks, first.cost_micros), (2, 1, 155_000));
        assert_eq!(first.click_through(), Some(0.5));
        let second = run.get(BY_CAMPAIGN_HOUR, ("c", hour(1))).expect("shown");
        assert_eq!(second.cost_per_click(), Some(252_000.0));
        assert_eq!(run.counter(OTHER_KINDS), 1);
        // Rates of the sum: not the sum, nor the mean, of the rates.
        let mut both = first.clone();
        both.combine(&second);
        assert_eq!(both.click_through(), Some(2.0 / 3.0));
        assert_eq!(both.uniques.estimate().value.round(), 2.0);
        assert!(both.p95().expect("shown").contains(80.0));
        Ok(())
    }

    #[test]
    fn laws() {
        laws::check_absorb::<AdEvent, Engagement>(&events());
        laws::check(events().iter().map(|event| {
            let mut engagement = Engagement::zero();
            engagement.absorb(event);
            engagement
        }));
    }
}
