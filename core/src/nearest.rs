//! What was probably meant by a name that is not known.

/// The known name that takes the fewest changes of a letter, if they are few: what was probably meant by `name`.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &str| {
        let other: Vec<char> = other.chars().collect();
        let mut row: Vec<usize> = (0..=other.len()).collect();
        for (i, a) in name.chars().enumerate() {
            let mut before = std::mem::replace(&mut row[0], i + 1);
            for (j, b) in other.iter().enumerate() {
                let here = (before + usize::from(a != *b)).min(row[j] + 1).min(row[j + 1] + 1);
                before = std::mem::replace(&mut row[j + 1], here);
            }
        }
        row[other.len()]
    };
    let (n, found) = known.map(|k| (distance(k), k)).min()?;
    (n <= 1 + name.len() / 3).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    /// Few changes are a slip of the hand; many are another name.
    #[test]
    fn a_slip_has_a_nearest_name_and_another_name_has_none() {
        let known = || ["location", "on_bad_record", "dead_letters"].into_iter();
        assert_eq!(nearest("locaton", known()), Some("location"));
        assert_eq!(nearest("dead-letters", known()), Some("dead_letters"));
        assert_eq!(nearest("brokers", known()), None);
        assert_eq!(nearest("x", std::iter::empty()), None);
    }
}
