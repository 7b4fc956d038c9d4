//! Who bought: exact sets where they are small, an estimate beside them, and a counter of what could not be told.

use std::collections::BTreeSet;

use rufous::prelude::*;

use crate::retail::{LINES, Line};

/// What a customer bought on a day. Sets are exact; a customer buys a few dozen items a day.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct Basket {
    /// Lines of invoices.
    pub rows: u64,
    /// Items, each once.
    pub items: BTreeSet<String>,
    /// Invoices, each once.
    pub invoices: BTreeSet<String>,
}

impl Absorb<Line> for Basket {
    fn absorb(&mut self, line: &Line) {
        self.rows += 1;
        for (set, item) in [(&mut self.items, &line.item), (&mut self.invoices, &line.invoice)] {
            // Mostly it is there already: then nothing is copied.
            if !set.contains(item.as_str()) {
                set.insert(item.to_string());
            }
        }
    }
}

/// Who bought on a day, exactly and as an estimate. The set grows with every customer; the sketch ends at 3 KiB.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct Shoppers {
    /// Customers, each once.
    pub customers: BTreeSet<u32>,
    /// How many they are, with bounds.
    pub estimate: Hll<12>,
}

impl Absorb<Line> for Shoppers {
    fn absorb(&mut self, line: &Line) {
        if let Some(customer) = line.customer {
            self.customers.absorb(&customer);
            self.estimate.insert(&customer);
        }
    }
}

/// Per customer and day.
pub const BASKETS: Store<(u32, TimeBucket), Basket> = Store::new("baskets");
/// Per day.
pub const BY_DAY: Store<TimeBucket, Shoppers> = Store::new("shoppers-by-day");
/// Lines that name no customer. They are in no store.
pub const NO_CUSTOMER: Counter = Counter::new("no-customer");

/// Baskets by customer and day, and customers by day.
pub fn shoppers() -> Job {
    let known = LINES
        .read()
        .flat_map(|line, out| match line.customer {
            Some(customer) => out.emit((customer, line.clone())),
            None => out.count(NO_CUSTOMER, 1),
        })
        .counting([NO_CUSTOMER])
        .keyed(|(customer, line), out| out.emit((*customer, TimeBucket::day(line.at)), line.clone()));
    let baskets = known.clone().aggregate_by_key(BASKETS);
    let by_day = known.map_keys(|(_, day)| *day).aggregate_by_key(BY_DAY);
    Job::new("shoppers", (baskets, by_day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(invoice: &str, item: &str, day: i64, customer: Option<u32>) -> Line {
        Line {
            invoice: invoice.into(),
            item: item.into(),
            quantity: 1,
            at: Timestamp(day * 86_400_000 + 7),
            unit_price: 1.0,
            customer,
            country: "France".into(),
        }
    }

    fn lines() -> [Line; 6] {
        [
            line("1", "a", 0, Some(7)),
            line("1", "a", 0, Some(7)),
            line("2", "b", 0, Some(7)),
            line("3", "a", 0, Some(8)),
            line("4", "a", 1, Some(7)),
            line("5", "a", 1, None),
        ]
    }

    #[test]
    fn uniques() -> rufous::Result<()> {
        let run = shoppers().test().given(LINES, lines()).every_split()?;
        let day = |n: i64| TimeBucket::day(Timestamp(n * 86_400_000));
        let basket = run.get(BASKETS, (7, day(0))).expect("bought");
        assert_eq!((basket.rows, basket.items.len(), basket.invoices.len()), (3, 2, 2));
        assert_eq!(run.all(BASKETS).len(), 3);
        let first = run.get(BY_DAY, day(0)).expect("bought");
        assert_eq!(first.customers, BTreeSet::from([7, 8]));
        assert_eq!(first.estimate.estimate().value.round(), 2.0);
        assert_eq!(run.get(BY_DAY, day(1)).expect("bought").customers.len(), 1);
        assert_eq!(run.counter(NO_CUSTOMER), 1);
        Ok(())
    }

    #[test]
    fn laws() {
        laws::check_absorb::<Line, Basket>(&lines());
        laws::check_absorb::<Line, Shoppers>(&lines());
        laws::check(lines().iter().map(|line| {
            let mut basket = Basket::zero();
            basket.absorb(line);
            basket
        }));
        laws::check(lines().iter().map(|line| {
            let mut shoppers = Shoppers::zero();
            shoppers.absorb(line);
            shoppers
        }));
    }
}
