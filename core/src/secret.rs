//! Which options of others are secrets: the properties of librdkafka, what object stores take, the parameters of a URL. One judge for
//! all who refuse, hide or look for them.

/// In place of a secret.
pub const HIDDEN: &str = "(hidden)";

/// Ends of names that look like a secret's, and are a place or an identity.
const PLAIN_ENDS: [&str; 7] = ["location", "_file", ".file", "_uri", "_id", "keytab", "endpoint"];
const PARTS: [&str; 10] = [
    "password",
    "passphrase",
    "secret",
    "jaas",
    "pem",
    "token",
    "credential",
    "oauthbearer.config",
    ".key",
    "_key",
];

/// Whether the value of an option of this name is shown to nobody. Rather too many than one too few: an unknown name may be a
/// misspelt one.
///
/// ```
/// use rufous_core::secret::is_secret;
/// assert!(is_secret("sasl.password") && is_secret("AWS_SECRET_ACCESS_KEY"));
/// assert!(!is_secret("sasl.username") && !is_secret("ssl.key.location"));
/// ```
pub fn is_secret(option: &str) -> bool {
    let name = option.to_ascii_lowercase();
    !PLAIN_ENDS.iter().any(|end| name.ends_with(end)) && PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the names in librdkafka's CONFIGURATION.md, Java's `sasl.jaas.config`, and the documentation of object stores.
    #[test]
    fn secrets_are_known_by_their_names() {
        for secret in [
            "sasl.password",
            "SASL.PASSWORD",
            "sasl.password.typo",
            "ssl.key.password",
            "ssl.keystore.password",
            "ssl.key.pem",
            "ssl.certificate.pem",
            "sasl.jaas.config",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "aws_secret_access_key",
            "secret_access_key",
            "aws_session_token",
            "aws_sse_customer_key_base64",
        ] {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in [
            "sasl.username",
            "ssl.ca.location",
            "ssl.key.location",
            "ssl.keystore.location",
            "sasl.kerberos.keytab",
            "sasl.oauthbearer.assertion.private.key.file",
            "client.id",
            "session.timeout.ms",
            "aws_access_key_id",
            "aws_sse_kms_key_id",
            "aws_web_identity_token_file",
            "aws_container_credentials_relative_uri",
            "aws_endpoint",
            "aws_region",
        ] {
            assert!(!is_secret(plain), "{plain}");
        }
    }
}
