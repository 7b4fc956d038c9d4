//! Connections to a server, and what its refusals mean to a caller.
//!
//! Connections block: no runtime takes part, so calls may come from inside one.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Client, Cmd, Connection, ErrorKind, RedisError, Script, Value};
use rufous_core::{Error, Result};
use rufous_store_api::Until;

use crate::options::{RedisOptions, client};

/// A connection that rested longer is asked whether it lives before it is trusted with a write.
const FRESH: Duration = Duration::from_secs(1);
/// Connections that are kept: one a thread that writes or reads at once.
const IDLE: usize = 16;

/// How many keys one step of a search looks at.
const STEP: usize = 1000;

/// A server.
pub(crate) struct Server {
    client: Client,
    location: String,
    options: RedisOptions,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Server {
    /// Not connected yet.
    pub(crate) fn new(url: &str, options: &RedisOptions) -> Result<Self> {
        let (client, location) = client(url, options.root_certificates.as_deref())?;
        Ok(Self {
            client,
            location,
            options: options.clone(),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// For messages.
    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    pub(crate) fn options(&self) -> &RedisOptions {
        &self.options
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection whose next answer is waited for no longer than until then.
    fn take(&self, what: &dyn Display, until: &Until) -> Result<Connection> {
        let connection = self.taken(what, until)?;
        self.limit(&connection, self.patience(what, until)?)?;
        Ok(connection)
    }

    fn limit(&self, connection: &Connection, patience: Duration) -> Result<()> {
        connection
            .set_read_timeout(Some(patience))
            .and_then(|()| connection.set_write_timeout(Some(patience)))
            .map_err(|e| self.failed(&format_args!("use {}", self.location), patience, e))
    }

    fn taken(&self, what: &dyn Display, until: &Until) -> Result<Connection> {
        let idle = self.pool().pop();
        if let Some((mut connection, used)) = idle {
            if used.elapsed() < FRESH {
                return Ok(connection);
            }
            let patience = self.patience(what, until)?;
            self.limit(&connection, patience)?;
            match redis::cmd("PING").exec(&mut connection) {
                Ok(()) => return Ok(connection),
                Err(e) => {
                    self.doubt(&e, patience);
                    if until.left(patience).is_zero() {
                        return Err(self.failed(what, patience, e));
                    }
                }
            }
        }
        // What is left of the time, whatever the one that rested took of it.
        let wait = self.options.connect_timeout.min(self.patience(what, until)?);
        let made = self.client.get_connection_with_timeout(wait);
        made.map_err(|e| self.failed(&format_args!("connect to {}", self.location), wait, e))
    }

    /// When the line of one connection broke, the others fare no better, and each would be waited for. One who had little time and
    /// got no answer in it says nothing of them.
    fn doubt(&self, e: &RedisError, waited: Duration) {
        if e.kind() == ErrorKind::Io && !(is_late(e) && waited < self.options.response_timeout) {
            self.pool().clear();
        }
    }

    /// How long an answer may take for one who waits until then.
    ///
    /// # Errors
    /// `TryAgain` when nobody waits any more.
    fn patience(&self, what: &dyn Display, until: &Until) -> Result<Duration> {
        match until.left(self.options.response_timeout) {
            Duration::ZERO => Err(Error::try_again(format!(
                "cannot {what}: nobody waits for it any longer"
            ))),
            left => Ok(left),
        }
    }

    /// One command, one answer. `what`: "cannot WHAT".
    pub(crate) fn call(&self, what: &dyn Display, cmd: &Cmd) -> Result<Value> {
        self.call_until(what, cmd, &Until::default())
    }

    /// The same for one who waits until then.
    pub(crate) fn call_until(&self, what: &dyn Display, cmd: &Cmd, until: &Until) -> Result<Value> {
        let packed = cmd.get_packed_command();
        self.exchange(what, &packed, 1, until)
            .and_then(|mut answers| answers.pop().ok_or_else(|| self.odd(what)))
    }

    /// What an administrative command answers; `None`: the user may not run it, or there is no such command.
    pub(crate) fn call_if_granted(&self, what: &dyn Display, cmd: &Cmd) -> Result<Option<Value>> {
        let (answer, patience) = self.try_exchange(what, &cmd.get_packed_command(), 1, &Until::default())?;
        match answer {
            Ok(mut answers) => Ok(answers.pop()),
            Err(e) if code(&e) == Some("NOPERM") => Ok(None),
            Err(e) if code(&e) == Some("ERR") && e.detail().is_some_and(|d| d.contains("unknown command")) => Ok(None),
            Err(e) => Err(self.failed(what, patience, e)),
        }
    }

    /// Several commands in one round trip.
    pub(crate) fn pipeline(&self, what: &dyn Display, cmds: &[Cmd]) -> Result<Vec<Value>> {
        self.pipeline_until(what, cmds, &Until::default())
    }

    /// The same for one who waits until then.
    pub(crate) fn pipeline_until(&self, what: &dyn Display, cmds: &[Cmd], until: &Until) -> Result<Vec<Value>> {
        let mut packed = Vec::new();
        cmds.iter().for_each(|cmd| cmd.write_packed_command(&mut packed));
        self.exchange(what, &packed, cmds.len(), until)
    }

    /// A script with one key, the prefix that all its keys begin with. The server is given its text when it does not know it.
    pub(crate) fn script(
        &self,
        what: &dyn Display,
        script: &Script,
        prefix: &str,
        args: &dyn Fn(&mut Cmd),
    ) -> Result<Value> {
        self.script_until(what, script, prefix, args, &Until::default())
    }

    /// The same for one who waits until then.
    pub(crate) fn script_until(
        &self,
        what: &dyn Display,
        script: &Script,
        prefix: &str,
        args: &dyn Fn(&mut Cmd),
        until: &Until,
    ) -> Result<Value> {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script.get_hash()).arg(1).arg(prefix);
        args(&mut cmd);
        let packed = cmd.get_packed_command();
        drop(cmd);
        let mut asked = self.try_exchange(what, &packed, 1, until)?;
        // Nothing of it ran.
        if let (Err(e), _) = &asked
            && e.kind() == ErrorKind::Server(redis::ServerErrorKind::NoScript)
        {
            self.load(what, script, until)?;
            asked = self.try_exchange(what, &packed, 1, until)?;
        }
        let (answers, patience) = asked;
        let answers = answers.map_err(|e| self.failed(what, patience, e))?;
        answers.into_iter().next().ok_or_else(|| self.odd(what))
    }

    /// Calls `f` with the keys of a pattern, some at a time, each once or more often.
    pub(crate) fn search(
        &self,
        what: &dyn Display,
        pattern: &str,
        f: &mut dyn FnMut(&[Vec<u8>]) -> Result<()>,
    ) -> Result<()> {
        let mut cursor = "0".to_string();
        loop {
            let mut cmd = redis::cmd("SCAN");
            cmd.arg(&cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
            let answer = self.call(what, &cmd)?;
            let odd = || self.odd(what);
            let (next, keys) = match list(&answer) {
                Some([next, keys]) => (text(next).ok_or_else(odd)?, list(keys).ok_or_else(odd)?),
                _ => return Err(odd()),
            };
            let keys: Vec<Vec<u8>> = keys.iter().filter_map(|k| bytes(k).map(<[u8]>::to_vec)).collect();
            if !keys.is_empty() {
                f(&keys)?;
            }
            if next == "0" {
                return Ok(());
            }
            cursor = next.to_string();
        }
    }

    /// An answer that is none of those that were expected.
    pub(crate) fn odd(&self, what: &dyn Display) -> Error {
        Error::bug(format!("cannot {what}: the answer has an unexpected form"))
    }

    fn load(&self, what: &dyn Display, script: &Script, until: &Until) -> Result<()> {
        let mut connection = self.take(what, until)?;
        let patience = self.patience(what, until)?;
        let done = script.load(&mut connection);
        self.put_back(connection, done.as_ref().err(), patience);
        done.map(drop).map_err(|e| self.failed(what, patience, e))
    }

    fn exchange(&self, what: &dyn Display, packed: &[u8], count: usize, until: &Until) -> Result<Vec<Value>> {
        let (answers, patience) = self.try_exchange(what, packed, count, until)?;
        answers.map_err(|e| self.failed(what, patience, e))
    }

    /// The first error among the answers, if there is one, when all were received; and how long each was waited for.
    fn try_exchange(
        &self,
        what: &dyn Display,
        packed: &[u8],
        count: usize,
        until: &Until,
    ) -> Result<(redis::RedisResult<Vec<Value>>, Duration)> {
        if count == 0 {
            return Ok((Ok(Vec::new()), Duration::ZERO));
        }
        let mut connection = self.take(what, until)?;
        let patience = self.patience(what, until)?;
        let done = exchange(&mut connection, packed, count);
        self.put_back(connection, done.as_ref().err(), patience);
        let answers = done.and_then(|answers| answers.into_iter().map(Value::extract_error).collect());
        Ok((answers, patience))
    }

    /// After an error of the line nobody knows what the next answer belongs to.
    fn put_back(&self, connection: Connection, e: Option<&RedisError>, waited: Duration) {
        match e {
            None => {
                let mut pool = self.pool();
                if pool.len() < IDLE {
                    pool.push((connection, Instant::now()));
                }
            }
            Some(e) => self.doubt(e, waited),
        }
    }

    fn failed(&self, what: &dyn Display, waited: Duration, e: RedisError) -> Error {
        if is_late(&e) {
            let text = format!("cannot {what}: no answer within {waited:?}; whether it was done is not known");
            return Error::try_again(text).caused_by(e);
        }
        let said = e.detail().map_or_else(|| e.to_string(), str::to_string);
        let text = |why: &str| format!("cannot {what}: {why}");
        let error = match code(&e) {
            Some("WRONGPASS" | "NOAUTH") => Error::invalid(text(
                "the server refuses user or password: put USER:PASSWORD@ before the host of its URL",
            )),
            Some("NOPERM") => Error::invalid(text(&format!(
                "the user lacks a right ({said}): grant it by ACL SETUSER; the page on the layout lists the commands and keys"
            ))),
            Some("READONLY") => Error::invalid(text("the server is a read-only replica: name the one that it copies")),
            Some("MOVED" | "ASK" | "CROSSSLOT") => Error::invalid(text(&format!(
                "the server is a node of a cluster that does not hold these keys ({said}): name the node that holds them"
            ))),
            Some("WRONGTYPE") => Error::corrupt(text(&format!(
                "a key holds something else ({said}): somebody else wrote it"
            ))),
            Some("OOM") => Error::try_again(text(
                "the server's memory is used up (maxmemory): raise it, or drop batches; nothing was written",
            )),
            Some("MISCONF") => Error::try_again(text(&format!(
                "the server cannot write its disk: {said}; nothing was written"
            ))),
            Some("LOADING") => Error::try_again(text("the server has not read its data yet")),
            Some("BUSY") => Error::try_again(text("the server is busy with a script")),
            Some("NOREPLICAS" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN") => Error::try_again(text(&said)),
            Some(_) if said.contains("max number of clients") => {
                Error::try_again(text("the server has as many clients as it may (maxclients)"))
            }
            Some(_) if said.contains("DB index") => Error::invalid(text(
                "the server has no database of this number: change the URL's last part",
            )),
            Some(_) => Error::invalid(text(&format!("the server refuses: {said}"))),
            // TLS came as far as the certificate.
            None if said.contains("peer certificate") => Error::invalid(text(&format!(
                "the server's certificate is not trusted ({said}): name the file of its authority (`root_certificates`), and the \
                     server as the certificate does"
            ))),
            None => match e.kind() {
                ErrorKind::AuthenticationFailed => Error::invalid(text(
                    "the server refuses user or password: check USER:PASSWORD@ before the host of its URL",
                )),
                ErrorKind::Io if e.is_connection_refusal() => Error::try_again(text("nobody listens there")),
                ErrorKind::Io => Error::try_again(text(&format!(
                    "the connection broke ({e}); whether it was done is not known"
                ))),
                ErrorKind::Parse => Error::corrupt(text(
                    "what answers there does not speak Redis' protocol: check host and port",
                )),
                _ => Error::try_again(text(&e.to_string())),
            },
        };
        error.caused_by(e)
    }
}

fn exchange(connection: &mut Connection, packed: &[u8], count: usize) -> redis::RedisResult<Vec<Value>> {
    connection.send_packed_command(packed)?;
    (0..count).map(|_| connection.recv_response()).collect()
}

/// Whether the time was over before an answer came.
fn is_late(e: &RedisError) -> bool {
    e.is_timeout()
        || matches!(
            io_kind(e),
            Some(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        )
}

fn io_kind(e: &RedisError) -> Option<std::io::ErrorKind> {
    let source = std::error::Error::source(e)?;
    source.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
}

/// The server's error code. Most servers have a text of their own where a command of a script is refused.
fn code(e: &RedisError) -> Option<&str> {
    let code = e.code()?;
    let said = e.detail().unwrap_or_default();
    let inner = ["OOM", "MISCONF", "READONLY", "NOPERM", "WRONGTYPE", "NOREPLICAS"];
    match code {
        "ERR" if said.contains("The user executing the script can't") => Some("NOPERM"),
        "ERR" if said.contains("script") => inner.into_iter().find(|code| said.contains(code)).or(Some("ERR")),
        _ => Some(code),
    }
}

/// What an answer says, as bytes.
pub(crate) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The same as text.
pub(crate) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(value)?).ok()
}

/// A list.
pub(crate) fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}
