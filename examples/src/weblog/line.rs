//! One line of a web log, as bytes. What is read is checked; nothing else of the line is looked at.

use rufous::prelude::*;

use super::{BAD_BYTES, BAD_HOST, BAD_SHAPE, BAD_TIME, HEADERS};

/// One request, from either format.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Who asked: a name or an address.
    pub host: Text,
    /// When.
    pub at: Timestamp,
    /// Bytes sent; `None`: the log does not say.
    pub bytes: Option<u64>,
    /// Whether the request is a method and a path.
    pub well_formed: bool,
}

/// 1995-08-01T00:00 in Washington (UTC-4): the EPA's log names the day of that month and the local time.
const AUGUST_MS: i64 = 807_249_600_000;
const NASA_HEADER: &[u8] = b"host\tlogname\ttime\tmethod\turl\tresponse\tbytes\treferer\tuseragent";

/// `host [DD:HH:MM:SS] "request" status bytes`; the request may hold any bytes, quotes and spaces included.
///
/// # Errors
/// The counter of the reason why the line is no hit.
pub fn epa_line(line: &[u8]) -> Result<Hit, Counter> {
    let (host, rest) = cut(line, b" [").ok_or(BAD_SHAPE)?;
    let (time, rest) = rest.split_at_checked(11).ok_or(BAD_SHAPE)?;
    let rest = rest.strip_prefix(b"] \"").ok_or(BAD_SHAPE)?;
    // From the right: only there no request can get in between.
    let at = rest.iter().rposition(|b| *b == b' ').ok_or(BAD_SHAPE)?;
    let (rest, bytes) = (&rest[..at], &rest[at + 1..]);
    let (rest, status) = rest.split_last_chunk::<3>().ok_or(BAD_SHAPE)?;
    let request = rest.strip_suffix(b"\" ").ok_or(BAD_SHAPE)?;
    if !digits(status) {
        return Err(BAD_SHAPE);
    }
    Ok(Hit {
        host: name(host)?,
        bytes: size(bytes)?,
        at: day_and_time(time)?,
        well_formed: is_request(request),
    })
}

/// Nine columns with tabs between: host, logname, seconds since 1970, method, url, status, bytes, referer, user agent.
///
/// # Errors
/// The counter of the reason why the line is no hit.
pub fn nasa_line(line: &[u8]) -> Result<Hit, Counter> {
    if line == NASA_HEADER {
        return Err(HEADERS);
    }
    let mut columns = [&line[..0]; 9];
    let mut cells = line.split(|b| *b == b'\t');
    for column in &mut columns {
        *column = cells.next().ok_or(BAD_SHAPE)?;
    }
    let [host, _, seconds, method, url, status, bytes, ..] = columns;
    if cells.next().is_some() || !digits(status) {
        return Err(BAD_SHAPE);
    }
    let seconds = number(seconds).and_then(|s| i64::try_from(s).ok()).ok_or(BAD_TIME)?;
    Ok(Hit {
        host: name(host)?,
        bytes: size(bytes)?,
        at: Timestamp(seconds.checked_mul(1000).ok_or(BAD_TIME)?),
        well_formed: is_method(method) && is_word(url),
    })
}

fn cut<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let i = bytes.windows(at.len()).position(|w| w == at)?;
    Some((&bytes[..i], &bytes[i + at.len()..]))
}

/// Not empty and without white space.
fn is_word(bytes: &[u8]) -> bool {
    !bytes.is_empty() && !bytes.iter().any(|b| b.is_ascii_whitespace() || *b == 0x0b)
}

fn is_method(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_uppercase)
}

/// A method and a path, then perhaps a version.
fn is_request(request: &[u8]) -> bool {
    cut(request, b" ").is_some_and(|(method, rest)| {
        let path = rest.strip_suffix(b" HTTP/1.0").unwrap_or(rest);
        is_method(method) && is_word(path)
    })
}

fn name(host: &[u8]) -> Result<Text, Counter> {
    if !is_word(host) {
        return Err(BAD_SHAPE);
    }
    std::str::from_utf8(host).map(Text::from).map_err(|_| BAD_HOST)
}

/// A number of bytes, or `-`.
fn size(bytes: &[u8]) -> Result<Option<u64>, Counter> {
    match bytes {
        b"-" => Ok(None),
        bytes if digits(bytes) => number(bytes).map(Some).ok_or(BAD_BYTES),
        _ => Err(BAD_SHAPE),
    }
}

fn digits(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

fn number(bytes: &[u8]) -> Option<u64> {
    if !digits(bytes) {
        return None;
    }
    bytes
        .iter()
        .try_fold(0u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')))
}

/// `DD:HH:MM:SS`.
fn day_and_time(text: &[u8]) -> Result<Timestamp, Counter> {
    let mut parts = [0i64; 4];
    let mut cells = text.split(|b| *b == b':');
    for part in &mut parts {
        let cell = cells.next().filter(|c| c.len() == 2).ok_or(BAD_SHAPE)?;
        *part = number(cell).ok_or(BAD_SHAPE)? as i64;
    }
    match parts {
        [day @ 1..=31, hour @ 0..24, minute @ 0..60, second @ 0..60] => {
            let seconds = (((day - 1) * 24 + hour) * 60 + minute) * 60 + second;
            Ok(Timestamp(AUGUST_MS + seconds * 1000))
        }
        _ => Err(BAD_TIME),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epa() {
        let hit = epa_line(b"h [30:23:59:59] \"GET /a HTTP/1.0\" 200 7").expect("well-formed");
        assert_eq!(hit.at.to_string(), "1995-08-31T03:59:59Z");
        assert_eq!((hit.host.as_str(), hit.bytes, hit.well_formed), ("h", Some(7), true));
        for (request, well_formed) in [
            (&b"GET /a"[..], true),
            (b"POST /a b HTTP/1.0", false),
            (b"GET  HTTP/1.0", false),
            (b"GET HTTP/1.0", true),
            (b"get /a HTTP/1.0", false),
            (b"", false),
            (b"\" 200 7", false),
            (b"GET /\xff\x00 HTTP/1.0", true),
        ] {
            let line = [b"h [01:00:00:00] \"", request, b"\" 200 -"].concat();
            let hit = epa_line(&line).expect("well-formed but for its request");
            // As `^([A-Z]+) (\S+)( HTTP/1\.0)?$` says; `GET HTTP/1.0` asks for the path `HTTP/1.0`.
            assert_eq!(hit.well_formed, well_formed, "{}", String::from_utf8_lossy(request));
        }
    }

    /// Each reason has its counter.
    #[test]
    fn reasons() {
        for (line, reason) in [
            (&b" [01:00:00:00] \"GET /\" 200 7"[..], BAD_SHAPE),
            (b"h [01:00:00:0x] \"GET /\" 200 7", BAD_SHAPE),
            (b"h [32:00:00:00] \"GET /\" 200 7", BAD_TIME),
            (b"h [00:00:00:00] \"GET /\" 200 7", BAD_TIME),
            (b"h [01:00:60:00] \"GET /\" 200 7", BAD_TIME),
            (b"h [01:00:00:00] \"GET /\" 20x 7", BAD_SHAPE),
            (b"h [01:00:00:00] \"GET /\" 200 -7", BAD_SHAPE),
            (b"h [01:00:00:00] \"GET /\" 200 18446744073709551616", BAD_BYTES),
            (b"\xe9 [01:00:00:00] \"GET /\" 200 7", BAD_HOST),
        ] {
            assert_eq!(epa_line(line), Err(reason), "{}", String::from_utf8_lossy(line));
        }
        for (line, reason) in [
            (NASA_HEADER, HEADERS),
            (b"h\t-\t1\tGET\t/\t200\t7\t", BAD_SHAPE),
            (b"h\t-\t1\tGET\t/\t200\t7\t\t\t", BAD_SHAPE),
            (b"h\t-\tx\tGET\t/\t200\t7\t\t", BAD_TIME),
            (b"h\t-\t9223372036854775807\tGET\t/\t200\t7\t\t", BAD_TIME),
        ] {
            assert_eq!(nasa_line(line), Err(reason), "{}", String::from_utf8_lossy(line));
        }
    }
}
