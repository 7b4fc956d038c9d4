//! Which snapshot of a table the records of a batch are looked up in (O19): `<service>/<batch>`, created exclusively, so of all
//! processes of a job the first one decides, and all read what it decided. Never changed, and never deleted: a batch may be
//! computed again as long as the archive has it.
//!
//! A pin is one line, `rufous-pin 1 ` (the format) and the name of the snapshot, then a line `xxh3 ` and the XXH3-64 of the first
//! line with its end, 16 lower-case hexadecimal digits.

use std::sync::Arc;

use rufous_core::service::Pins;
use rufous_core::{BatchId, Error, Result};
use rufous_place::Place;
use xxhash_rust::xxh3::xxh3_64;

const FORM: &str = "rufous-pin ";
const FORMAT: &str = "1";

/// The pins of one job in a directory of a place.
#[derive(Clone, Debug)]
pub struct PinFiles {
    place: Arc<dyn Place>,
    dir: String,
}

impl PinFiles {
    /// In the directory `dir` of a place.
    pub fn on(place: Arc<dyn Place>, dir: &str) -> Self {
        Self { place, dir: dir.into() }
    }
    fn path(&self, service: &str, batch: BatchId) -> String {
        let batch = match batch {
            BatchId::MAX => "all".to_string(),
            BatchId(n) => n.to_string(),
        };
        format!("{}/{service}/{batch}", self.dir)
    }
}

fn encode(snapshot: &str) -> Vec<u8> {
    let line = format!("{FORM}{FORMAT} {snapshot}\n");
    let sum = xxh3_64(line.as_bytes());
    format!("{line}xxh3 {sum:016x}\n").into_bytes()
}

fn decode(name: &str, bytes: &[u8]) -> Result<String> {
    let corrupt = |why: &str| Error::corrupt(format!("pin {name} {why}: restore it from a copy"));
    let text = std::str::from_utf8(bytes).map_err(|_| corrupt("is not UTF-8"))?;
    let (line, sum) = text
        .strip_suffix('\n')
        .and_then(|t| t.rsplit_once("\nxxh3 "))
        .ok_or_else(|| corrupt("is torn: it does not end in a checksum"))?;
    if sum != format!("{:016x}", xxh3_64(format!("{line}\n").as_bytes())) {
        return Err(corrupt("does not fit its checksum"));
    }
    let said = line.strip_prefix(FORM).and_then(|said| said.split_once(' '));
    let (format, snapshot) = said.ok_or_else(|| corrupt("is no pin"))?;
    if format != FORMAT {
        return Err(Error::corrupt(format!(
            "pin {name} has format {format}, this program knows {FORMAT}: read it with the program that wrote it"
        )));
    }
    Ok(snapshot.into())
}

impl Pins for PinFiles {
    /// # Errors
    /// `CorruptData` that names the file when it is torn, altered or of another format.
    fn pinned(&self, service: &str, batch: BatchId) -> Result<Option<String>> {
        let path = self.path(service, batch);
        let found = self.place.read(&path).map_err(|e| e.at("pin"))?;
        found.map(|bytes| decode(&self.place.show(&path), &bytes)).transpose()
    }
    /// # Errors
    /// As [`pinned`](Pins::pinned); `InvalidRequest` for a name that no line can hold.
    fn pin(&self, service: &str, batch: BatchId, snapshot: &str) -> Result<String> {
        if snapshot.contains(['\n', '\r']) {
            return Err(Error::invalid(format!(
                "snapshot {snapshot:?} cannot be pinned: give it a name without line ends"
            )));
        }
        let path = self.path(service, batch);
        // Also after an answer that was lost: what is there then is what counts.
        let created = self.place.create(&path, encode(snapshot)).map_err(|e| e.at("pin"));
        match self.pinned(service, batch)? {
            Some(pinned) => Ok(pinned),
            None => {
                created?;
                Err(Error::try_again(format!(
                    "pin {} was written and is gone",
                    self.place.show(&path)
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rufous_core::ErrorKind;
    use rufous_place::Local;

    use super::*;

    fn pins(dir: &std::path::Path) -> PinFiles {
        PinFiles::on(Arc::new(Local::new(dir)), "pins")
    }

    /// O19: the first one decides; the loser, and everybody later, reads what it decided.
    #[test]
    fn the_first_one_decides() {
        let dir = tempfile::tempdir().unwrap();
        let chosen: Vec<String> = std::thread::scope(|scope| {
            let pin = |n: usize| {
                let pins = pins(dir.path());
                scope.spawn(move || pins.pin("users", BatchId(-3), &format!("snapshot {n}")).unwrap())
            };
            let all: Vec<_> = (0..8).map(pin).collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(chosen.iter().all(|c| *c == chosen[0]), "{chosen:?}");
        let pins = pins(dir.path());
        assert_eq!(pins.pinned("users", BatchId(-3)).unwrap().as_ref(), Some(&chosen[0]));
        assert_eq!(pins.pinned("users", BatchId(4)).unwrap(), None);
        assert_eq!(pins.pin("users", BatchId::MAX, "x").unwrap(), "x");
        assert!(dir.path().join("pins/users/all").is_file());
    }

    /// The bytes of format 1, and what is none.
    #[test]
    fn format() {
        let golden = b"rufous-pin 1 2026-11-20T03\nxxh3 34bb2fdc3a56bfbe\n";
        assert_eq!(
            String::from_utf8(encode("2026-11-20T03")).unwrap(),
            String::from_utf8_lossy(golden)
        );
        assert_eq!(decode("p", golden).unwrap(), "2026-11-20T03");
        for cut in 0..golden.len() {
            assert_eq!(decode("p", &golden[..cut]).unwrap_err().kind(), ErrorKind::CorruptData);
        }
        for at in 0..golden.len() {
            for bit in 0..8 {
                let mut bytes = golden.to_vec();
                bytes[at] ^= 1 << bit;
                assert!(decode("p", &bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
        let later = "rufous-pin 2 x\n";
        let later = format!("{later}xxh3 {:016x}\n", xxh3_64(later.as_bytes()));
        let e = decode("p", later.as_bytes()).unwrap_err().to_string();
        assert!(e.contains("has format 2, this program knows 1"), "{e}");
    }
}
