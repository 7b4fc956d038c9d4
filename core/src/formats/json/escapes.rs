//! What texts with escapes spell.

/// Appends what `raw` spells, whose escapes have the right form. `Err` is the place of half a surrogate pair.
#[cold]
pub(super) fn resolve(raw: &str, out: &mut String) -> Result<(), usize> {
    let mut at = 0;
    while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
        let plain = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        out.push_str(rest.get(..plain).unwrap_or_default());
        at += plain;
        let Some(kind) = raw.as_bytes().get(at + 1) else { break };
        let (c, len) = match kind {
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            b'u' => unicode(raw, at).ok_or(at)?,
            other => (char::from(*other), 2),
        };
        out.push(c);
        at += len;
    }
    Ok(())
}

/// The character of `\uXXXX`, or of two that are a surrogate pair, and how long they are.
fn unicode(raw: &str, at: usize) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let escape = raw.get(at..at + 6)?;
        u32::from_str_radix(escape.strip_prefix("\\u")?, 16).ok()
    };
    let first = unit(at)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).map(|c| (c, 6));
    }
    let second = unit(at + 6).filter(|u| (0xdc00..0xe000).contains(u))?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).map(|c| (c, 12))
}
