//! A profile of a table: what its columns hold, before anyone trusts them.

pub mod page;

use std::num::NonZeroU64;

use rufous::prelude::*;

/// Lines of cells, with a separator between.
pub const ROWS: Source<str> = Source::new("rows");
/// What is known of each column, by its name.
pub const PROFILE: Store<String, Column> = Store::new("profile");

/// Arguments of the job.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Names of the columns, from the left; a line with just these is a header and no row
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5,6,7,8,9")]
    pub columns: Vec<String>,
    /// What stands between two cells
    #[arg(long, default_value = "\t")]
    pub separator: String,
}

/// What is kept for a column. Every field is a monoid, so the profiles of two parts of a table add up to that of both.
#[derive(Clone, Debug, PartialEq, Monoid, Codec)]
pub struct Column {
    /// Cells.
    pub rows: u64,
    /// Cells without a character.
    pub empty: u64,
    /// Different cells.
    pub distinct: Hll<12>,
    /// The cells that occur most.
    pub common: HeavyHitters<String, 256>,
    /// Characters of the shortest cell that is not empty.
    pub shortest: Min<u32>,
    /// Characters of the longest cell.
    pub longest: Max<u32>,
    /// Quantiles of the cells that are numbers; their count tells how many are.
    pub numbers: Quantiles,
}

impl Absorb<Text> for Column {
    fn absorb(&mut self, cell: &Text) {
        self.rows += 1;
        if cell.is_empty() {
            self.empty += 1;
            return;
        }
        self.distinct.insert(cell.as_str());
        self.common.absorb_times(cell.as_str(), NonZeroU64::MIN);
        let characters = u32::try_from(cell.chars().count()).unwrap_or(u32::MAX);
        self.shortest.absorb(&characters);
        self.longest.absorb(&characters);
        if let Ok(number) = cell.parse() {
            self.numbers.insert_f64(number);
        }
    }
}

/// A row that lacks cells has empty ones; cells beyond the last column count as column `(more)`.
pub fn profile(args: &Args) -> Job {
    let Args { columns, separator } = args.clone();
    let header = columns.join(&separator);
    let profile = ROWS
        .read()
        .keyed(move |row, out| {
            if row == header {
                return;
            }
            let mut cells = row.split(separator.as_str());
            for column in &columns {
                out.emit(column.as_str(), Text::from(cells.next().unwrap_or_default()));
            }
            for cell in cells {
                out.emit("(more)", Text::from(cell));
            }
        })
        .aggregate_by_key(PROFILE);
    Job::new("profile", profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> Args {
        Args {
            columns: vec!["name".into(), "age".into()],
            separator: ",".into(),
        }
    }

    /// Every number of a column, against a count by hand.
    #[test]
    fn columns_are_counted() -> rufous::Result<()> {
        let rows = ["name,age", "ann,30", "bob,", "ann,-1.5", "zoé", "ann,x,extra"];
        let run = profile(&args()).test().given(ROWS, rows).run()?;
        let name = run.get(PROFILE, "name").expect("a column");
        assert_eq!((name.rows, name.empty), (5, 0));
        assert_eq!(name.distinct.estimate().value.round(), 3.0);
        assert_eq!((name.shortest.get(), name.longest.get()), (Some(&3), Some(&3)));
        let common = name.common.top(1);
        assert_eq!((common[0].0.as_str(), common[0].1.value), ("ann", 3.0));
        let age = run.get(PROFILE, "age").expect("a column");
        assert_eq!((age.rows, age.empty, age.numbers.count()), (5, 2, 2));
        assert_eq!(age.numbers.quantile(0.0).expect("numbers").value, -1.5);
        assert_eq!(run.get(PROFILE, "(more)").expect("a column").rows, 1);
        Ok(())
    }

    #[test]
    fn laws() {
        let cells = ["a", "", "7", "ä", "a"].map(Text::from);
        laws::check_codec(
            &cells
                .iter()
                .map(|cell| {
                    let mut column = Column::zero();
                    column.absorb(cell);
                    column
                })
                .collect::<Vec<_>>(),
        );
    }
}
