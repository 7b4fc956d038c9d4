//! Tweet embeds over generated views against the definition of the join, row by row.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use rufous::TimeBucket;
use rufous_examples::tweet_embeds::{BY_URL, TweetId, generate_pages, generate_views, tweet_embeds};

use super::Program;

/// O19: a view counts for the page that showed the tweet when it was viewed, late or not: live, and once batches are published.
#[test]
fn views_by_the_page_of_their_time() -> Result<()> {
    let (views, rows) = (generate_views(7, 12_000, 48), generate_pages(7, 48));
    let dir = tempfile::tempdir()?;
    let at = dir.path().join("views.jsonl");
    let line =
        |(_, v): &(_, rufous_examples::tweet_embeds::View)| format!("{{\"tweet\":{},\"at\":\"{}\"}}\n", v.tweet, v.at);
    std::fs::write(&at, views.iter().map(line).collect::<String>())?;
    let mut plain: BTreeMap<(TweetId, TimeBucket), BTreeMap<String, u64>> = BTreeMap::new();
    for (_, view) in &views {
        let before = rows.iter().filter(|r| r.key.0 == view.tweet && r.from <= view.at);
        let Some(url) = before.max_by_key(|r| r.from).and_then(|r| r.value.clone()) else {
            continue;
        };
        let hour = plain
            .entry((TweetId(view.tweet), TimeBucket::hour(view.at)))
            .or_default();
        *hour.entry(url).or_default() += 1;
    }
    ensure!(plain.len() > 3_000, "{} keys", plain.len());
    let source = format!("views=file:{}+jsonl", at.display());
    let program = Program::new(
        env!("CARGO_BIN_EXE_job-tweet-embeds"),
        tweet_embeds().plan()?,
        &[source],
    )?;
    // The other store is of the approximate tier: its bytes may differ between the layers.
    for command in [&["stream", "--until-end"][..], &["batch"]] {
        program.run(command)?;
        let got: BTreeMap<_, _> = program.all(BY_URL)?.into_iter().collect();
        ensure!(
            got == plain,
            "{command:?}: {} keys, expected {}",
            got.len(),
            plain.len()
        );
    }
    Ok(())
}
