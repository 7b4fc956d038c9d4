//! Which files are there, and which partitions they are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;

use rufous_core::{Error, Result};

use crate::ident::{Found, Head, Id, Packing, Stat};
use crate::options::Place;
use crate::registry::{Entry, Registry};

/// What a look at the place showed.
#[derive(Default)]
pub(crate) struct Survey {
    /// The files that have numbers.
    pub(crate) known: BTreeMap<u32, Found>,
    /// Those that do not yet, in order of name.
    pub(crate) new: Vec<Found>,
    /// Numbers whose files are gone.
    pub(crate) gone: Vec<u32>,
}

/// Finds files and remembers whose first bytes were compared.
pub(crate) struct Surveyor {
    place: Place,
    checked: HashMap<Id, (Stat, u32)>,
}

/// The repair for a file that is not what it was.
pub(crate) const REPAIR: &str = "restore the file, or read the new one as a new source or in a new instance";

impl Surveyor {
    pub(crate) fn new(place: &Place) -> Self {
        Self {
            place: place.clone(),
            checked: HashMap::new(),
        }
    }

    /// The files of the place in order of name, one of each inode.
    fn list(&self) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        match &self.place {
            Place::File(path) => match fs::metadata(path) {
                Ok(m) if m.is_file() => {
                    let name = path
                        .file_name()
                        .unwrap_or(path.as_os_str())
                        .to_string_lossy()
                        .into_owned();
                    all.push(Found {
                        path: path.clone(),
                        name,
                        stat: Stat::from(&m),
                    });
                }
                Ok(m) if m.is_dir() => {
                    return Err(Error::invalid(format!(
                        "{}: this is a directory: write dir:{0}",
                        path.display()
                    )));
                }
                Ok(_) => {
                    return Err(Error::invalid(format!(
                        "{}: this is no regular file: only files whose bytes can be read again are logs",
                        path.display()
                    )));
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("cannot read", path, e)),
            },
            Place::Dir(dir) => {
                let names = fs::read_dir(dir).map_err(|e| match e.kind() {
                    io::ErrorKind::NotFound => Error::invalid(format!(
                        "{}: there is no such directory: make it or correct the path",
                        dir.display()
                    ))
                    .caused_by(e),
                    io::ErrorKind::NotADirectory => Error::invalid(format!(
                        "{}: this is no directory: write file:{0} for a single file",
                        dir.display()
                    ))
                    .caused_by(e),
                    _ => Error::io("cannot read the directory", dir, e),
                })?;
                for name in names {
                    let name = name
                        .map_err(|e| Error::io("cannot read the directory", dir, e))?
                        .file_name();
                    let path = dir.join(&name);
                    let name = name.to_string_lossy().into_owned();
                    if name.starts_with('.') || name.ends_with('~') || name.ends_with(".tmp") {
                        continue;
                    }
                    match fs::metadata(&path) {
                        Ok(m) if m.is_file() => all.push(Found {
                            path,
                            name,
                            stat: Stat::from(&m),
                        }),
                        Ok(_) => {}
                        // Renamed or deleted since its name was read, or a link that leads nowhere.
                        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                        Err(e) => return Err(Error::io("cannot read", &path, e)),
                    }
                }
                all.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        Ok(all)
    }

    /// Compares what is there with what is registered.
    pub(crate) fn look(&mut self, registry: &Registry) -> Result<Survey> {
        let files = self.list()?;
        if files.is_empty() && registry.entries.is_empty() && matches!(self.place, Place::File(_)) {
            return Err(Error::invalid(format!(
                "{}: there is no such file: make it (it may be empty) or correct the path",
                self.place.path().display()
            )));
        }
        let mut by_id: HashMap<Id, Vec<&Entry>> = HashMap::new();
        for entry in &registry.entries {
            by_id.entry(entry.id()).or_default().push(entry);
        }
        let mut survey = Survey::default();
        let mut names = HashSet::new();
        for found in &files {
            names.insert(found.name.as_str());
            let candidates = by_id.get(&found.stat.id).map_or(&[][..], |c| c);
            match self.partition_of(found, candidates)? {
                // Of several names of one file the first one counts, or the one it had.
                Some(p) if !survey.known.contains_key(&p) || registry.entries[p as usize].path == found.name => {
                    survey.known.insert(p, found.clone());
                }
                Some(_) => {}
                None if survey.new.iter().any(|n| n.stat.id == found.stat.id) => {}
                None => survey.new.push(found.clone()),
            }
        }
        for entry in registry
            .entries
            .iter()
            .filter(|e| !survey.known.contains_key(&e.partition))
        {
            if names.contains(entry.path.as_str()) && !survey.known.values().any(|f| f.name == entry.path) {
                return Err(Error::invalid(format!(
                    "{}: another file has taken the place of the one that is partition {}: {REPAIR}; files may be renamed \
                     within a directory that is the source",
                    self.path_of(entry),
                    entry.partition
                )));
            }
            survey.gone.push(entry.partition);
        }
        for found in &survey.new {
            if let Some((_, plain)) = Packing::of(&found.name)
                && (names.contains(plain) || registry.entries.iter().any(|e| e.path == plain))
            {
                return Err(Error::invalid(format!(
                    "{}: this looks like {plain} once more, and its records would count twice: move it out of the directory, \
                     or give it a name of its own",
                    found.path.display()
                )));
            }
        }
        Ok(survey)
    }

    /// Which registered file this is.
    fn partition_of(&mut self, found: &Found, candidates: &[&Entry]) -> Result<Option<u32>> {
        if let Some((stat, partition)) = self.checked.get(&found.stat.id)
            && *stat == found.stat
        {
            return Ok(Some(*partition));
        }
        if candidates.is_empty() {
            return Ok(None);
        }
        let Some(file) = found.open()? else { return Ok(None) };
        for entry in candidates.iter().rev() {
            let same_birth = entry.born_ns.zip(found.stat.born).is_none_or(|(a, b)| a == b);
            let head = Head::read(&file, entry.head_len).map_err(|e| Error::io("cannot read", &found.path, e))?;
            if same_birth && head.is_some_and(|h| entry.has_head(h)) {
                self.checked.insert(found.stat.id, (found.stat, entry.partition));
                return Ok(Some(entry.partition));
            }
            if entry.path == found.name {
                let (path, p) = (found.path.display(), entry.partition);
                return Err(Error::invalid(match head {
                    None => format!(
                        "{path}: the file was truncated: partition {p} was at least {} bytes long, now it is {}: {REPAIR}",
                        entry.head_len, found.stat.len
                    ),
                    Some(_) => {
                        format!("{path}: the file was replaced: it does not begin as partition {p} did: {REPAIR}")
                    }
                }));
            }
        }
        Ok(None)
    }

    /// Where an entry's file was when it was registered.
    pub(crate) fn path_of(&self, entry: &Entry) -> String {
        match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Dir(dir) => dir.join(&entry.path).display().to_string(),
        }
    }
}
