//! A table of what campaigns cost and bring, from the answers of the job.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rufous::client::Client;
use rufous::prelude::*;

use super::{BY_CAMPAIGN_HOUR, Engagement};

/// A line for each campaign, all its hours added up, the dearest first; or for each hour of one campaign.
///
/// # Errors
/// When the answers cannot be had whole.
pub fn report(client: &Client, campaign: Option<&str>) -> rufous::Result<String> {
    let store = client.store(BY_CAMPAIGN_HOUR)?;
    let mut rows: Vec<(String, Engagement)> = Vec::new();
    match campaign {
        Some(campaign) => {
            for ((_, hour), answer) in store.under((campaign,))? {
                rows.extend(answer.value.map(|value| (hour.to_string(), value)));
            }
        }
        None => {
            // One read: all campaigns as of the same moment.
            let mut sums = BTreeMap::<String, Engagement>::new();
            for ((campaign, _), answer) in store.under(())? {
                if let Some(value) = answer.value {
                    sums.entry(campaign).or_insert_with(Engagement::zero).combine(&value);
                }
            }
            rows.extend(sums);
            rows.sort_by_key(|(_, e)| std::cmp::Reverse(e.cost_micros));
        }
    }
    Ok(table(if campaign.is_some() { "hour" } else { "campaign" }, &rows))
}

fn table(what: &str, rows: &[(String, Engagement)]) -> String {
    let mut out = format!(
        "{what:<14}{:>12}{:>8}{:>14}{:>8}{:>10}{:>12}{:>8}\n",
        "impressions", "clicks", "cost", "ctr", "per click", "people", "p95"
    );
    for (name, e) in rows {
        let percent = e.click_through().map_or("-".into(), |r| format!("{:.2}%", 100.0 * r));
        let per_click = e.cost_per_click().map_or("-".into(), |m| format!("{:.4}", m / 1e6));
        let p95 = e.p95().map_or("-".into(), |ms| format!("{:.0} ms", ms.value));
        let people = format!("~{:.0}", e.uniques.estimate().value);
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{name:<14}{:>12}{:>8}{:>14}{percent:>8}{per_click:>10}{people:>12}{p95:>8}",
            e.impressions,
            e.clicks,
            money(e.cost_micros),
        );
    }
    out
}

/// Millionths, all of them.
fn money(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_divided_by() {
        let rows = [("c".to_string(), Engagement::zero())];
        let text = table("campaign", &rows);
        let cells: Vec<&str> = text.lines().nth(1).expect("a row").split_whitespace().collect();
        assert_eq!(cells, ["c", "0", "0", "0.000000", "-", "-", "~0", "-"]);
        assert_eq!(money(-1_500_000), "-1.500000");
    }
}
