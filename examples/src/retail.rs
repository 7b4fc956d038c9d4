//! Retail totals by country and day: money as whole thousandths, and distinct counts beside plain sums.

use rufous::prelude::*;

/// A line of an invoice, from JSON lines or Parquet rows.
#[derive(Clone, Debug, PartialEq, Record)]
pub struct Line {
    /// Which invoice; a `C` in front: a cancellation.
    #[record(name = "invoice_no")]
    pub invoice: Text,
    /// What was sold.
    #[record(name = "stock_code")]
    pub item: Text,
    /// Pieces; negative for what came back.
    pub quantity: i64,
    /// When, in the shop's local time.
    #[record(name = "invoice_date")]
    pub at: Timestamp,
    /// Pounds, with at most three decimals.
    pub unit_price: f64,
    /// To whom, if known.
    #[record(name = "customer_id")]
    pub customer: Option<u32>,
    /// Where to.
    pub country: Text,
}

impl Line {
    /// Thousandths of a pound. Prices have at most three decimals, so rounding restores what was written; sums of whole
    /// numbers do not depend on their order, those of floats do.
    pub fn revenue_milli(&self) -> i64 {
        self.quantity.wrapping_mul((self.unit_price * 1000.0).round() as i64)
    }
}

/// What is kept for a country and a day.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct Sales {
    /// Lines of invoices.
    pub rows: u64,
    /// Pieces sold less pieces taken back.
    pub quantity: i64,
    /// Thousandths of a pound.
    pub revenue_milli: i64,
    /// Lines of cancellations.
    pub cancelled: u64,
    /// Different invoices.
    pub invoices: Hll<12>,
    /// Different items.
    pub items: Hll<12>,
    /// Different customers, as far as they are known.
    pub customers: Hll<12>,
}

impl Absorb<Line> for Sales {
    fn absorb(&mut self, line: &Line) {
        self.rows += 1;
        self.quantity = self.quantity.wrapping_add(line.quantity);
        self.revenue_milli = self.revenue_milli.wrapping_add(line.revenue_milli());
        self.cancelled += u64::from(line.invoice.starts_with('C'));
        self.invoices.insert(line.invoice.as_str());
        self.items.insert(line.item.as_str());
        if let Some(customer) = line.customer {
            self.customers.insert(&customer);
        }
    }
}

/// All lines; a batch is a day of invoices. `shoppers` reads the same source: one archive serves both jobs.
pub const LINES: Source<Line> = Source::new("lines")
    .batches(Batcher::of_days(1))
    .batch_clock(Clock::Event)
    .timed_by(|line| line.at);
/// Per country and day.
pub const BY_COUNTRY_DAY: Store<(String, TimeBucket), Sales> = Store::new("by-country-day");

/// Totals by country and day.
pub fn retail() -> Job {
    let by_country_day = LINES
        .read()
        .key_by(|line| (line.country.clone(), TimeBucket::day(line.at)))
        .aggregate_by_key(BY_COUNTRY_DAY);
    Job::new("retail", by_country_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(invoice: &str, day: i64, quantity: i64, unit_price: f64, customer: Option<u32>) -> Line {
        Line {
            invoice: invoice.into(),
            item: "85123A".into(),
            quantity,
            at: Timestamp(day * 86_400_000 + 7),
            unit_price,
            customer,
            country: "EIRE".into(),
        }
    }

    #[test]
    fn by_country_and_day() -> rufous::Result<()> {
        let lines = [
            line("1", 0, 6, 2.55, Some(7)),
            line("1", 0, 1, 0.001, Some(7)),
            line("C2", 0, -6, 2.55, None),
            line("3", 1, 80_995, 2.08, Some(8)),
        ];
        let run = retail().test().given(LINES, lines).every_split()?;
        let day = run
            .get(BY_COUNTRY_DAY, ("EIRE", TimeBucket::day(Timestamp(0))))
            .expect("sold");
        assert_eq!((day.rows, day.quantity, day.revenue_milli, day.cancelled), (3, 1, 1, 1));
        let estimate = |sketch: &Hll<12>| sketch.estimate().value.round();
        assert_eq!((estimate(&day.invoices), estimate(&day.customers)), (2.0, 1.0));
        assert_eq!(run.all(BY_COUNTRY_DAY)[1].1.revenue_milli, 168_469_600);
        Ok(())
    }

    #[test]
    fn laws() {
        let lines = [
            line("1", 0, 6, 2.55, None),
            line("2", 0, -1, 0.1, Some(1)),
            line("2", 0, i64::MAX, 1e300, Some(2)),
        ];
        laws::check_absorb::<Line, Sales>(&lines);
        laws::check(lines.iter().map(|line| {
            let mut sales = Sales::zero();
            sales.absorb(line);
            sales
        }));
    }
}
