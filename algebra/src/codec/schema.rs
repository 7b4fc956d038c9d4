//! Which schema texts mean bytes that another type reads.

/// Whether a type with the schema text `new` reads every value written under `old`: they are equal, or `new` has more fields
/// at the end of its structs, each declared with a default (marked by `?`).
///
/// ```
/// use rufous_algebra::codec::schema_reads;
/// assert!(schema_reads("Visits{count:u64,bounces?:u64}", "Visits{count:u64}"));
/// assert!(schema_reads("list<Visits{count:u64,at?:(u8,u8),n?:u64}>", "list<Visits{count:u64,at?:(u8,u8)}>"));
/// assert!(!schema_reads("Visits{count:u64}", "Visits{count:u64,bounces?:u64}"));
/// assert!(!schema_reads("Visits{count:u64,bounces:u64}", "Visits{count:u64}"));
/// ```
pub fn schema_reads(new: &str, old: &str) -> bool {
    let (mut new, mut old) = (new.as_bytes(), old.as_bytes());
    loop {
        match (new, old) {
            ([], []) => return true,
            ([a, rest @ ..], [b, others @ ..]) if a == b => (new, old) = (rest, others),
            // A struct of the old text ends here; the new one may go on with fields that have a default.
            ([b',', rest @ ..], [b'}' | b')', ..]) => match added_fields(rest) {
                Some(end) => new = end,
                None => return false,
            },
            _ => return false,
        }
    }
}

/// Skips fields that all have a default, up to the bracket that closes their struct.
fn added_fields(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        let mark = text.iter().position(|b| b":,{}()<>".contains(b))?;
        // `name?:` of a named field, `?:` of a numbered one.
        if !text[..mark].ends_with(b"?") || text[mark] != b':' {
            return None;
        }
        text = &text[mark + 1..];
        let mut depth = 0;
        let end = text.iter().position(|b| {
            match b {
                b'{' | b'(' | b'<' => depth += 1,
                b'}' | b')' | b'>' => depth -= 1,
                _ => {}
            }
            depth < 0 || (depth == 0 && *b == b',')
        })?;
        if text[end] != b',' {
            return Some(&text[end..]);
        }
        text = &text[end + 1..];
    }
}
