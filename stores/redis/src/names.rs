//! Names of keys. Parts are escaped, so that no name of a job, store or source can be read as another's: a letter, digit, `.`, `_`
//! or `-` stands for itself, every other byte is `%` and two hexadecimal digits.

use rufous_core::SourcePartition;

/// Appends a part, escaped.
pub(crate) fn put(part: &str, out: &mut String) {
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => out.push(char::from(byte)),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

/// A part, escaped.
pub(crate) fn escaped(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    put(part, &mut out);
    out
}

/// What was escaped; `None`: it was not.
pub(crate) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    let text_of = String::from_utf8(bytes).ok()?;
    (escaped(&text_of) == text).then_some(text_of)
}

/// What all keys of a namespace begin with. The braces are a hash tag: a cluster keeps the keys of a namespace on one node.
pub(crate) fn namespace(job: &str, instance: &str, namespace: &str) -> String {
    format!(
        "rufous:{{{}/{}/{}}}:",
        escaped(job),
        escaped(instance),
        escaped(namespace)
    )
}

/// What all keys of the tables of a job begin with.
pub(crate) fn tables(job: &str, instance: &str) -> String {
    format!("rufous-tables:{{{}/{}}}:", escaped(job), escaped(instance))
}

/// What all keys of a plain store begin with.
pub(crate) fn store(name: &str) -> String {
    format!("rufous-store:{{{}}}:", escaped(name))
}

/// The field of a partition.
pub(crate) fn partition(p: &SourcePartition) -> String {
    format!("{}/{}", escaped(&p.source), p.partition)
}

/// The partition of a field; `None`: it is none.
pub(crate) fn partition_of(field: &[u8]) -> Option<SourcePartition> {
    let (source, number) = std::str::from_utf8(field).ok()?.rsplit_once('/')?;
    let p = SourcePartition::new(unescaped(source)?, number.parse().ok()?);
    (partition(&p).as_bytes() == field).then_some(p)
}

/// A pattern of keys that begin with this text and nothing else.
pub(crate) fn pattern(prefix: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + 1);
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('*');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_never_meet() {
        let hostile = [
            "", "a", "a/b", "a%2Fb", "{x}", "a b", "ü", "\0", "*", "a:b", "%", "..", "A", "a\n",
        ];
        for a in hostile {
            assert_eq!(unescaped(&escaped(a)).as_deref(), Some(a));
            for b in hostile.iter().filter(|b| **b != a) {
                assert_ne!(escaped(a), escaped(b));
                assert_ne!(namespace(a, "i", b), namespace(b, "i", a));
            }
        }
        assert_eq!(namespace("a/b", "c", "d"), "rufous:{a%2Fb/c/d}:");
        assert_eq!(namespace("a", "b/c", "d"), "rufous:{a/b%2Fc/d}:");
        let p = SourcePartition::new("a/b c", 7);
        assert_eq!(partition(&p), "a%2Fb%20c/7");
        assert_eq!(partition_of(b"a%2Fb%20c/7"), Some(p));
        for field in [&b"a"[..], b"a/", b"a/x", b"/1/", b"a/01", b"a%/1", b"\xff/1", b"a/+1"] {
            assert_eq!(partition_of(field), None, "{}", field.escape_ascii());
        }
        for text in ["%", "%2", "%zz", "%2f", "%61", "/", "%FF"] {
            assert_eq!(unescaped(text), None, "{text}");
        }
        assert_eq!(pattern("x*[y]\\"), "x\\*\\[y\\]\\\\*");
    }
}
