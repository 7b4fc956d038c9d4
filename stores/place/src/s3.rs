//! `s3://bucket/prefix`: Amazon S3 and what speaks its protocol.

mod dates;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::RetryConfig;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use rufous_core::{Error, Result};

use super::remote::Remote;
use dates::Dates;

/// What is tried again inside one call. Beyond that the archiver pauses, says so, and goes on.
const RETRIES: (usize, Duration) = (3, Duration::from_secs(20));

/// Endpoint, credentials and region come from `options` (`aws_endpoint` ...), then from the usual variables (`AWS_ENDPOINT`
/// ...), then from the machine's own role. Values are never put into messages: they may be secrets.
///
/// `section` is where the settings have it: `archive`, `offline`.
///
/// # Errors
/// `InvalidRequest` when the URL or an option is wrong. The store itself is not spoken to yet.
pub fn open(url: &str, options: &BTreeMap<String, String>, section: &str) -> Result<Remote> {
    let bad = |why: &str| {
        Error::invalid(format!(
            "{section} `{url}`: {why}: write s3://BUCKET or s3://BUCKET/PREFIX"
        ))
    };
    let rest = url.strip_prefix("s3://").ok_or_else(|| bad("unknown kind"))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(bad("the bucket is missing"));
    }
    if rest.contains(['?', '#', '@']) {
        return Err(bad(&format!(
            "options do not belong into it, but into [{section}.options] of the settings"
        )));
    }
    let dates = Dates::new();
    let mut builder = AmazonS3Builder::from_env()
        .with_http_connector(dates.clone())
        .with_bucket_name(bucket)
        .with_retry(RetryConfig {
            max_retries: RETRIES.0,
            retry_timeout: RETRIES.1,
            ..RetryConfig::default()
        });
    for (key, value) in options {
        let known: AmazonS3ConfigKey = key.parse().map_err(|_| {
            Error::invalid(format!(
                "settings [{section}.options]: unknown option `{key}`; usual ones are aws_endpoint, aws_region, aws_access_key_id, \
                 aws_secret_access_key, aws_session_token, aws_virtual_hosted_style_request"
            ))
        })?;
        if matches!(known, AmazonS3ConfigKey::Bucket) {
            return Err(Error::invalid(format!(
                "settings [{section}.options]: `{key}`: the bucket is named by [{section}] location"
            )));
        }
        builder = builder.with_config(known, value);
    }
    // Who writes http:// has said so: no second option for it.
    if builder
        .get_config_value(&AmazonS3ConfigKey::Endpoint)
        .is_some_and(|e| e.starts_with("http://"))
    {
        builder = builder.with_allow_http(true);
    }
    let store = builder
        .build()
        .map_err(|e| Error::invalid(format!("{section} `{url}` cannot be opened: {e}")).caused_by(e))?;
    let remote = Remote::new(Arc::new(store), &format!("s3://{bucket}"), prefix)?;
    Ok(remote.dated_by(move || dates.take()))
}
