//! A real S3-compatible server (moto) for a test, with conditional puts. `./x test` prepares what it needs
//! (`scripts/s3/prepare`) and names the directory in `RUFOUS_S3_DIR`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// What stands for a secret: tests look whether it is shown anywhere.
pub const SECRET: &str = "s3cr3t-of-a-test";

/// A running server. It ends with this value, or with the test process, however that ends: its standard input ends then.
pub struct Server {
    child: Child,
    addr: String,
}

impl Server {
    /// Starts a server with one empty bucket.
    pub fn start(bucket: &str) -> Result<Self> {
        const HOW: &str = "run the tests by `./x test`, which prepares the server and sets it";
        let dir = PathBuf::from(
            std::env::var_os("RUFOUS_S3_DIR").with_context(|| format!("RUFOUS_S3_DIR is not set: {HOW}"))?,
        );
        if !dir.join("complete").exists() {
            bail!(
                "RUFOUS_S3_DIR names {}, where no server is prepared: {HOW}",
                dir.display()
            );
        }
        let mut child = Command::new(dir.join("venv/bin/python"))
            .arg(crate::data::sample("../../scripts/s3/serve.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the S3 server")?;
        let mut line = String::new();
        let out = child.stdout.take().context("the server's output")?;
        BufReader::new(out).read_line(&mut line)?;
        let addr = line.trim().strip_prefix("http://").unwrap_or_default().to_string();
        let server = Self { child, addr };
        ensure!(
            !server.addr.is_empty(),
            "the S3 server does not start: `{}`",
            line.trim()
        );
        let status = server.request("PUT", &format!("/{bucket}"), &[], "")?;
        ensure!(status == 200, "creating bucket {bucket}: {status}");
        Ok(server)
    }

    /// Settings of an archive there.
    pub fn options(&self) -> BTreeMap<String, String> {
        let all = [
            ("aws_endpoint", format!("http://{}", self.addr)),
            ("aws_region", "us-east-1".into()),
            ("aws_access_key_id", "test".into()),
            ("aws_secret_access_key", SECRET.into()),
        ];
        all.into_iter().map(|(k, v)| (k.to_string(), v)).collect()
    }

    /// The next `times` requests of this method, whose path has this part, are answered with 503; with `applied`, after they
    /// did what they ask.
    pub fn fail(&self, times: u32, method: &str, part: &str, applied: bool) -> Result<()> {
        let what = serde_json::json!({"times": times, "method": method, "path": part, "applied": applied});
        let status = self.request("POST", "/-/fail", &[], &what.to_string())?;
        ensure!(status == 200, "{status}");
        Ok(())
    }

    /// SIGSTOP: it hangs, and its connections stay open.
    pub fn pause(&mut self) -> Result<()> {
        crate::kafka::process::pause(&mut self.child)
    }

    /// SIGCONT.
    pub fn resume(&mut self) -> Result<()> {
        crate::kafka::process::resume(&mut self.child)
    }

    /// The bytes of an object; `None`: there is none.
    pub fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.exchange("GET", path, &[], b"")? {
            (200, body) => Ok(Some(body)),
            (404, _) => Ok(None),
            (status, _) => bail!("GET {path}: {status}"),
        }
    }

    /// Creates or replaces an object as other programs do: its name is `path` verbatim, bucket first.
    pub fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let escaped = path.bytes().map(|b| match b {
            b'/' | b'-' | b'.' | b'_' => char::from(b).to_string(),
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        });
        let path = format!("/{}", escaped.collect::<String>());
        let (status, _) = self.exchange("PUT", &path, &[], bytes)?;
        ensure!(status == 200, "PUT {path}: {status}");
        Ok(())
    }

    /// A raw request; returns the status.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<u16> {
        Ok(self.exchange(method, path, headers, body.as_bytes())?.0)
    }

    fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.addr)?;
        let mut text = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.addr);
        text += "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!(
            "Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(text.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .context("no end of the headers")?;
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer).into_owned();
        let status = head.split(' ').nth(1).context("no status")?;
        Ok((status.parse()?, body))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
