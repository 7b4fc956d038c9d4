//! The grammar of JSON (RFC 8259) over one payload, by hand because a record passes here once for each byte: no value is
//! built, nothing is allocated, and what is skipped is checked as strictly as what is read.

use super::nest::Nest;
use crate::record::Value;

/// Why a payload is not what was expected; the scanner stands at the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Something else was expected here.
    Expected(&'static str),
    /// A control character within a text.
    Control,
    /// A backslash that begins no escape of JSON, or half a surrogate pair.
    Escape,
    /// A number beyond the range of 64-bit floats.
    Range,
    /// An object or an array where a field's value should be.
    Nested,
}

pub(super) type Scan<T> = Result<T, Why>;

/// A text as it is written, between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) text: &'a str,
    /// Whether there are escapes in it.
    pub(super) escaped: bool,
}

/// A place in a payload.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub(super) at: usize,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of the first byte, from the low end, that is a quote, a backslash or a control character; higher bits mean
/// nothing.
#[inline]
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    let zero = |w: u64| w.wrapping_sub(ONES) & !w;
    (zero(quote) | zero(backslash) | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGH
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes over white space.
    #[inline]
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes over this byte, if it is the next one.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    /// White space, then this byte.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Scan<()> {
        self.space();
        if self.take(byte) {
            Ok(())
        } else {
            Err(Why::Expected(what))
        }
    }

    pub(super) fn at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Moves to the next quote, backslash or control character, behind the opening quote.
    #[inline]
    fn plain(&mut self) {
        while let Some(word) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let found = special(u64::from_le_bytes(*word));
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self.peek().is_some_and(|b| b != b'"' && b != b'\\' && b >= 0x20) {
            self.at += 1;
        }
    }

    /// A text behind its opening quote. Escapes are checked for their form.
    #[inline]
    pub(super) fn string(&mut self) -> Scan<Raw<'a>> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek() {
                Some(b'"') => {
                    let text = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Raw { text, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(Why::Control),
                None => return Err(Why::Expected("`\"`")),
            }
        }
    }

    fn escape(&mut self) -> Scan<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).ok_or(Why::Escape)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Why::Escape);
                }
                self.at += 6;
            }
            _ => return Err(Why::Escape),
        }
        Ok(())
    }

    /// A scalar; `Err` of a text is one with escapes, as it is written.
    #[inline]
    pub(super) fn scalar(&mut self) -> Scan<Result<Value<'a>, &'a str>> {
        Ok(Ok(match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let raw = self.string()?;
                if raw.escaped {
                    return Ok(Err(raw.text));
                }
                Value::Text(raw.text)
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true", Value::Bool(true))?,
            Some(b'f') => self.literal("false", Value::Bool(false))?,
            Some(b'n') => self.literal("null", Value::Null)?,
            Some(b'{' | b'[') => return Err(Why::Nested),
            _ => return Err(Why::Expected("a value")),
        }))
    }

    pub(super) fn literal<T>(&mut self, word: &'static str, value: T) -> Scan<T> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(Why::Expected(word))
        }
    }

    #[inline]
    fn digits(&mut self) -> Scan<()> {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from {
            Ok(())
        } else {
            Err(Why::Expected("a digit"))
        }
    }

    /// Passes over a number; whether it is an integer as written.
    #[inline]
    fn pass_number(&mut self) -> Scan<bool> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut integer = true;
        if self.take(b'.') {
            integer = false;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(integer)
    }

    /// A number. Integers beyond 64 bits are floats, as every writer of JSON means them.
    #[inline]
    fn number(&mut self) -> Scan<Value<'a>> {
        let start = self.at;
        let integer = self.pass_number()?;
        let text = self.text.get(start..self.at).unwrap_or_default();
        if integer {
            if text.len() <= 18 {
                let (negative, digits) = match text.strip_prefix('-') {
                    Some(digits) => (true, digits),
                    None => (false, text),
                };
                let n = digits.bytes().fold(0_i64, |n, d| n * 10 + i64::from(d - b'0'));
                return Ok(Value::Integer(if negative { -n } else { n }));
            }
            if let Ok(n) = text.parse() {
                return Ok(Value::Integer(n));
            }
            if let Ok(n) = text.parse() {
                return Ok(Value::Unsigned(n));
            }
        }
        match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Value::Float(x)),
            _ => {
                self.at = start;
                Err(Why::Range)
            }
        }
    }

    /// Passes over a value of any depth without recursion.
    pub(super) fn skip(&mut self) -> Scan<()> {
        let mut nest = Nest::default();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.pass_number()?;
                }
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if !self.take(b'}') {
                        nest.push(true);
                        self.name()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    self.space();
                    if !self.take(b']') {
                        nest.push(false);
                        continue;
                    }
                }
                Some(b't') => self.literal("true", ())?,
                Some(b'f') => self.literal("false", ())?,
                Some(b'n') => self.literal("null", ())?,
                _ => return Err(Why::Expected("a value")),
            }
            // Behind a value: its containers end, or the next one follows.
            loop {
                let Some(object) = nest.top() else { return Ok(()) };
                self.space();
                if self.take(b',') {
                    self.space();
                    if object {
                        self.name()?;
                    }
                    break;
                }
                let (end, what) = if object {
                    (b'}', "`,` or `}`")
                } else {
                    (b']', "`,` or `]`")
                };
                if !self.take(end) {
                    return Err(Why::Expected(what));
                }
                nest.pop();
            }
        }
    }

    /// A name in an object that is skipped, up to its value.
    fn name(&mut self) -> Scan<()> {
        if !self.take(b'"') {
            return Err(Why::Expected("a name in quotes"));
        }
        self.string()?;
        self.expect(b':', "`:`")?;
        self.space();
        Ok(())
    }
}
