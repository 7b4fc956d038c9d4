//! Jobs, each with its test, and binaries that choose where they run. Each teaches one thing; `pages/` says which, with what
//! comes out over real data:
//!
//! - [`word_count`]: the smallest job; [`flights`]: a struct of monoids is a monoid; [`profile`]: arguments, and a page of
//!   answers;
//! - [`retail`]: exact money, one job over Parquet and JSON lines; [`shoppers`]: exact sets beside estimates, two stores of one
//!   source, a counter;
//! - [`weblog`]: bytes, two formats merged, every malformed line accounted for; [`github`]: nested JSON, a sum of what another
//!   sum emits;
//! - [`page_views`]: windows of event time; [`ad_engagement`]: rates from sums, late events, a generator; [`anomalies`]: moments
//!   that decay, and a program that reads two stores;
//! - [`tweet_embeds`]: a join with a table as of event time; [`payments`]: records once per id, a join with a stream, balances
//!   after each record; [`month_over_month`]: two generations joined by key, by hash and by merging buckets.

pub mod ad_engagement;
pub mod anomalies;
pub mod flights;
pub mod github;
pub mod month_over_month;
pub mod page_views;
pub mod payments;
pub mod profile;
pub mod retail;
pub mod shoppers;
pub mod tweet_embeds;
pub mod weblog;
pub mod word_count;
