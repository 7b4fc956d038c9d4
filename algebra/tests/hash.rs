//! Hashes are fixed for ever: a hash that drifted would make every persisted sketch wrong in silence.

mod common;

use std::fmt::{Debug, Write as _};

use compact_str::CompactString;
use rufous_algebra::HashBytes;

/// The bytes of every `HashBytes` type, and their XXH3-64 with seed 0.
#[test]
fn golden() {
    fn line<T: HashBytes + Debug + ?Sized>(text: &mut String, ty: &str, item: &T) {
        let mut bytes = Vec::new();
        item.write(&mut bytes);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        writeln!(text, "{item:?} {ty} {:016x} {hex}", item.hash64()).unwrap();
    }
    let mut text = String::new();
    let g = &mut text;
    for text in ["", "a", "Grüße", "longer than the sixteen bytes of the short path"] {
        line(g, "str", text);
    }
    line(g, "String", &String::from("a"));
    line(g, "CompactString", &CompactString::from("a"));
    line(g, "[u8]", &[0u8, 1, 2, 3, 4, 5, 6, 7][..]);
    line(g, "bool", &true);
    line(g, "u8", &200u8);
    line(g, "u16", &258u16);
    line(g, "u32", &258u32);
    line(g, "u64", &0x0706_0504_0302_0100u64);
    line(g, "u128", &(1u128 << 100));
    line(g, "i8", &-2i8);
    line(g, "i16", &-2i16);
    line(g, "i32", &-2i32);
    line(g, "i64", &-2i64);
    line(g, "i128", &-2i128);
    line(g, "f64", &1.5);
    line(g, "f64", &-0.0);
    line(g, "(str, u32)", &("a", 7u32));
    line(g, "(str, (u8, u8))", &("", (1u8, 2u8)));
    common::bytes::compare("golden/hash.hex", text);
}
