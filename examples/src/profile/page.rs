//! The profile as a page: answers in JSON, one a line, become HTML that needs nothing else.

use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#222}\
h1{font-size:1.4rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.45rem .7rem;\
border-bottom:1px solid #ddd}th{font-weight:600;border-bottom:2px solid #999}td.n{text-align:right;font-variant-numeric:tabular-nums}\
small{color:#666;display:block}ol{margin:0;padding:0;list-style:none}li{position:relative;padding:0 .3rem;margin:1px 0;\
display:flex;justify-content:space-between;gap:1rem}li i{position:absolute;inset:0;background:#c8642b22;transform-origin:left}\
code{overflow-wrap:anywhere}";

/// The page of the answers that `profile top -n 100 --json` prints.
///
/// # Errors
/// The number of the first line that is no such answer, and why.
pub fn page(lines: &str) -> Result<String, String> {
    let mut rows = String::new();
    let mut covered = None;
    for (i, line) in (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let answer: Value = serde_json::from_str(line).map_err(|e| format!("line {i} is no JSON: {e}"))?;
        let row = row(&answer).ok_or_else(|| format!("line {i} is no answer of the store `profile`"))?;
        rows.push_str(&row);
        covered.get_or_insert_with(|| text(&answer["covered_until"]));
    }
    let covered = covered.ok_or("no answers: has the job run?")?;
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Profile</title><style>{STYLE}</style>\n<h1>Profile</h1>\n<p>Offline part: until {covered}; the live part \
         is added. Ranges are bounds: of the different values in 95 of 100 cases, of the others always. Quantiles of numbers are \
         within 0.8 % of the exact ones.</p>\n<table><thead><tr><th>Column<th>Cells<th>Empty<th>Different\
         <th>Characters<th>Numbers<th>Most common</thead>\n<tbody>\n{rows}</tbody></table>\n</html>\n"
    ))
}

fn row(answer: &Value) -> Option<String> {
    let value = &answer["value"];
    let rows = value["rows"].as_u64()?;
    let mut row = format!("<tr><td><code>{}</code>", text(&answer["key"]));
    number(&mut row, &grouped(rows as f64), "");
    let empty = value["empty"].as_u64()?;
    number(&mut row, &grouped(empty as f64), &percent(empty, rows));
    let distinct = &value["distinct"];
    let [estimate, low, high] = ["estimate", "low", "high"].map(|name| distinct[name].as_f64());
    number(
        &mut row,
        &grouped(estimate?),
        &format!("{} to {}", grouped(low?), grouped(high?)),
    );
    let characters = match (value["shortest"].as_u64(), value["longest"].as_u64()) {
        (Some(a), Some(b)) if a == b => a.to_string(),
        (Some(a), Some(b)) => format!("{a} to {b}"),
        _ => String::new(),
    };
    number(&mut row, &characters, "");
    row.push_str(&numbers(&value["numbers"], rows)?);
    row.push_str(&common(value["common"].as_array()?, rows)?);
    Some(row + "</tr>\n")
}

fn number(row: &mut String, value: &str, below: &str) {
    let below = if below.is_empty() {
        String::new()
    } else {
        format!("<small>{below}</small>")
    };
    row.push_str(&format!("<td class=\"n\">{value}{below}"));
}

/// Quantiles, when there are numbers at all.
fn numbers(numbers: &Value, rows: u64) -> Option<String> {
    let count = numbers["count"].as_i64()?.max(0) as u64;
    if count == 0 {
        return Some("<td>".into());
    }
    let mut cell = format!(
        "<td>{} <small>{}</small><ol>",
        grouped(count as f64),
        percent(count, rows)
    );
    for name in ["min", "p50", "p90", "p99", "max"] {
        let value = numbers[name]["value"].as_f64()?;
        let _ = write!(cell, "<li><span>{name}</span><span>{}</span></li>", grouped(value));
    }
    Some(cell + "</ol>")
}

/// The ten most common values, each with a bar of its share; without those whose count is less than its uncertainty.
fn common(hitters: &[Value], rows: u64) -> Option<String> {
    let mut cell = String::from("<td><ol>");
    let mut shown = 0;
    for hitter in hitters.iter().take(10) {
        let (low, high) = (hitter["low"].as_f64()?, hitter["high"].as_f64()?);
        if low < high - low {
            break;
        }
        shown += 1;
        let share = (low / rows.max(1) as f64).clamp(0.0, 1.0);
        let count = if low == high {
            grouped(low)
        } else {
            format!("{} to {}", grouped(low), grouped(high))
        };
        let _ = write!(
            cell,
            "<li><i style=\"transform:scaleX({share:.4})\"></i><code>{}</code><span>{count}</span></li>",
            text(&hitter["item"])
        );
    }
    if shown == 0 && !hitters.is_empty() {
        cell.push_str("<li><small>none stands out</small></li>");
    }
    Some(cell + "</ol>")
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 / whole.max(1) as f64 * 100.0)
}

/// With a thin space between thousands; at most two decimals.
fn grouped(value: f64) -> String {
    let text = if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out = out + "." + fraction;
    }
    out
}

/// Text as HTML shows it: what comes from the data is never markup.
fn text(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"key":"<b>","value":{"rows":1200,"empty":3,"distinct":{"estimate":2.0,"low":2.0,"high":3.0},"common":[{"item":"a&b","low":900.0,"high":1000.0}],"shortest":1,"longest":9,"numbers":{"count":2,"min":{"value":-1234.5},"p50":{"value":1.0},"p90":{"value":1.0},"p99":{"value":1.0},"max":{"value":1.0}}},"covered_until":"the end"}"#;

    /// Numbers are shown, and data is never markup.
    #[test]
    fn a_page() {
        let page = page(LINE).expect("a page");
        for part in [
            "&lt;b&gt;",
            "1\u{2009}200",
            "a&amp;b",
            "900 to 1\u{2009}000",
            "-1\u{2009}234.50",
            "0.2 %",
            "1 to 9",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    /// What is no answer is an error with its line.
    #[test]
    fn errors_name_the_line() {
        assert_eq!(page(""), Err("no answers: has the job run?".into()));
        assert_eq!(
            page(&format!("{LINE}\n{{}}")),
            Err("line 2 is no answer of the store `profile`".into())
        );
        assert!(page("x").unwrap_err().starts_with("line 1 is no JSON"));
    }
}
