//! `sink read`: the records of a table, of files up to the mark, or of a generation, a JSON line each.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::marks;
use crate::algebra::codec::schema_reads;
use crate::app::open::Context;
use crate::core::sink::{SinkBinding, SinkPlace};
use crate::core::{Error, Result};
use crate::platform_local::FileSink;
use crate::store_api::WrittenId;

/// What is asked for.
pub(super) struct Read {
    /// Of which generation, where batch runs write the sink; `None`: of the newest.
    pub(super) generation: Option<u64>,
    pub(super) from: Option<WrittenId>,
    pub(super) limit: u64,
}

/// Lines on standard output. A reader that closed its end (`| head`) is no error, and wants no more.
pub(super) struct Lines {
    out: BufWriter<std::io::Stdout>,
    left: u64,
}

impl Lines {
    /// Says whether another one is wanted.
    pub(super) fn line(&mut self, line: &str) -> bool {
        if self.left == 0 || writeln!(self.out, "{line}").is_err() {
            return false;
        }
        self.left -= 1;
        self.left > 0
    }
}

pub(super) fn read(context: &Context<'_>, binding: &SinkBinding, asked: &Read) -> Result<()> {
    if let Some(number) = asked.generation.filter(|_| binding.place != SinkPlace::Generations) {
        return Err(Error::invalid(format!(
            "sink `{}` is bound to {}, so generation {number} has none of its records: leave out --generation",
            binding.name, binding.place
        )));
    }
    let mut lines = Lines {
        out: BufWriter::new(std::io::stdout()),
        left: asked.limit,
    };
    let done = match &binding.place {
        SinkPlace::Table => table(context, binding, asked, &mut lines),
        SinkPlace::Files(dir) => files(context, Path::new(dir), binding.name, asked, &mut lines),
        SinkPlace::Generations => super::generation::read(context, binding, asked, &mut lines),
        SinkPlace::Topic(at) => {
            let (brokers, topic) = super::writers::topic_of(at)?;
            Err(Error::invalid(format!(
                "sink `{}` is the topic `{topic}`: read it with a consumer of `isolation.level=read_committed`; the header rufous-id \
                 says which record it is (kafka-console-consumer --bootstrap-server {brokers} --topic {topic} --isolation-level \
                 read_committed --formatter-property print.headers=true --from-beginning)",
                binding.name
            )))
        }
    };
    // What was found before a failure is shown before it.
    let _ = lines.out.flush();
    done
}

fn table(context: &Context<'_>, binding: &SinkBinding, asked: &Read, lines: &mut Lines) -> Result<()> {
    let Some(tables) = marks::tables(context)? else {
        return Ok(());
    };
    tables.rows(binding.name, asked.from.as_ref(), &mut |id, schema, bytes| {
        let id = id.of_sink(binding.name);
        // What older code wrote stays as it is, and is shown as far as this code can read it.
        let line = if schema_reads(&binding.schema, schema) {
            let record = (binding.show)(bytes).map_err(|e| Error::corrupt(format!("record {id}: {e}")))?;
            json!({"id": id, "record": record})
        } else {
            let bytes: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            json!({"id": id, "schema": schema, "bytes": bytes})
        };
        Ok(lines.line(&line.to_string()))
    })
}

fn files(context: &Context<'_>, dir: &Path, sink: &str, asked: &Read, lines: &mut Lines) -> Result<()> {
    for (p, mark) in FileSink::marks(dir)? {
        marks::check(context, &mark.of, &dir.display().to_string())?;
        if mark.sink != sink {
            return Err(Error::invalid(format!(
                "{} holds records of sink `{}`, and this is `{sink}`",
                dir.display(),
                mark.sink
            )));
        }
        if asked.from.as_ref().is_some_and(|from| p < from.partition()) {
            continue;
        }
        let path = dir.join(format!("{}-{}.jsonl", p.source, p.partition));
        let at = |e| Error::io("cannot read a file of a sink", &path, e);
        // What is behind the mark does not count yet.
        let file = File::open(&path).map_err(at)?;
        let found = file.metadata().map_err(at)?.len();
        if found < mark.bytes {
            return Err(Error::corrupt(format!(
                "{} has {found} bytes, and {} were written: restore it",
                path.display(),
                mark.bytes
            )));
        }
        let mut file = BufReader::new(file.take(mark.bytes));
        let mut line = String::new();
        loop {
            line.clear();
            if file.read_line(&mut line).map_err(at)? == 0 {
                break;
            }
            if let Some(from) = &asked.from {
                let corrupt = |why: String| Error::corrupt(format!("{}: {why}: restore it", path.display()));
                let found: Value =
                    serde_json::from_str(&line).map_err(|e| corrupt(format!("a line is no JSON: {e}")))?;
                let id = found.get("id").and_then(Value::as_str).unwrap_or_default();
                if WrittenId::parse(sink, id).map_err(|e| corrupt(e.to_string()))? < *from {
                    continue;
                }
            }
            if !lines.line(line.trim_end_matches('\n')) {
                return Ok(());
            }
        }
    }
    Ok(())
}
