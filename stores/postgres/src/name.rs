//! Identifiers. Tables are numbered, so that no name of a user's becomes part of one; where a name does (a schema, a view), it
//! is quoted.

use rufous_core::{Error, Result};

/// What PostgreSQL keeps of an identifier; it cuts the rest off without an error.
const LONGEST: usize = 63;

/// Refuses what is no identifier.
pub(crate) fn check(what: &str, name: &str) -> Result<()> {
    // It stands in the text of a function, too, which ends at a dollar sign.
    if name.is_empty() || name.len() > LONGEST || name.contains(['\0', '$']) {
        return Err(Error::invalid(format!(
            "`{}` cannot be the name of a PostgreSQL {what} here: it has 1 to {LONGEST} bytes, no zero byte and no dollar sign",
            name.escape_debug()
        )));
    }
    Ok(())
}

/// What a statement may bring: PostgreSQL takes messages and values of less than a gigabyte.
const LARGEST: usize = 512 << 20;

/// Refuses what no statement can bring.
pub(crate) fn check_size(what: &dyn std::fmt::Display, bytes: usize) -> Result<()> {
    if bytes > LARGEST {
        return Err(Error::invalid(format!(
            "{what} has {bytes} bytes: PostgreSQL takes at most {LARGEST} at once; make values smaller, or ask for fewer keys at once"
        )));
    }
    Ok(())
}

/// Refuses a text that PostgreSQL cannot hold.
pub(crate) fn check_text(what: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(format!(
            "{what} `{}`: PostgreSQL keeps no text with a zero byte; name it without",
            text.escape_debug()
        )));
    }
    Ok(())
}

/// An identifier as it stands in a statement, whatever it is made of.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(quoted("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        for bad in ["", "a\0b", "a$fits$b", &"é".repeat(32)] {
            assert!(check("schema", bad).is_err(), "{bad:?}");
        }
        check("schema", &"x".repeat(63)).unwrap();
    }

    #[test]
    fn what_no_message_holds_is_refused() {
        check_size(&"a value", LARGEST).unwrap();
        let e = check_size(&"store `a`: a value", LARGEST + 1).unwrap_err();
        assert_eq!(e.kind(), rufous_core::ErrorKind::InvalidRequest);
        assert!(e.to_string().contains("store `a`: a value has 536870913 bytes"), "{e}");
    }
}
