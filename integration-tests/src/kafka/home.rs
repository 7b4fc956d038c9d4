//! A broker's own directory: settings, data, log; and the prepared jars it is started from.

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::*;

const DIR_PREFIX: &str = "rufous-broker-";
const CLUSTER: &str = "cluster.id=";

pub(super) struct Home {
    dir: TempDir,
    // Held while this process lives: a directory whose lock is free was left behind.
    _lock: File,
    kafka: PathBuf,
    cluster: String,
    port: u16,
    java: Java,
    /// Of the listeners SASL_PLAINTEXT and SSL, where the broker has them.
    secured: Option<(u16, u16)>,
}

/// How the broker's Java runs.
#[derive(Clone, Copy)]
pub(super) enum Java {
    /// It starts in a second and stays small.
    Quick,
    /// Compiled in full, with space: what is measured beside it should not wait for it.
    Fast,
}

impl Home {
    /// `secured`: with listeners beside the plain one, for this user, this password, and a certificate made here.
    pub(super) fn create(java: Java, secured: Option<(&str, &str)>) -> Result<Self> {
        let kafka = prepared()?;
        sweep();
        let dir = tempfile::Builder::new().prefix(DIR_PREFIX).tempdir()?;
        let lock = lock(dir.path())?;
        let (port, controller) = (free_port()?, free_port()?);
        let settings = include_str!("../../../scripts/kafka/server.properties")
            .replace("@PORT@", &port.to_string())
            .replace("@CPORT@", &controller.to_string())
            .replace("@DIR@", &dir.path().display().to_string());
        let (settings, secured) = match secured {
            Some((user, password)) => {
                let ports = (free_port()?, free_port()?);
                (secure(&settings, dir.path(), ports, user, password)?, Some(ports))
            }
            None => (settings, None),
        };
        fs::write(dir.path().join("server.properties"), settings)?;
        let cluster = format!("{:016x}{:06x}", random(), random() & 0xff_ffff);
        copy_template(&kafka.join("template"), &dir.path().join("data"), &cluster)?;
        Ok(Self {
            dir,
            _lock: lock,
            kafka,
            cluster,
            port,
            java,
            secured,
        })
    }

    /// The ports of SASL_PLAINTEXT and SSL.
    pub(super) fn secured(&self) -> Option<(u16, u16)> {
        self.secured
    }

    /// The broker's own certificate, as the authority that a client trusts.
    pub(super) fn certificate(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(super) fn segments(&self, topic: &str, partition: u32) -> PathBuf {
        self.dir.path().join("data").join(format!("{topic}-{partition}"))
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// No other broker has this id.
    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(super) fn command(&self) -> Result<Command> {
        let out = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new("java");
        command.args(match self.java {
            Java::Quick => &["-Xms64m", "-Xmx256m", "-XX:TieredStopAtLevel=1"][..],
            Java::Fast => &["-Xms512m", "-Xmx1g"],
        });
        command.args(["-XX:+UseSerialGC", "-Xshare:auto"]);
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        // Never required: on a mismatch Java goes on without it.
        let classes = self.kafka.join("kafka.jsa");
        if classes.exists() {
            command.arg(format!("-XX:SharedArchiveFile={}", classes.display()));
        }
        command
            .arg("-cp")
            .arg(format!("{}/*", self.kafka.join("lib").display()));
        command
            .arg("kafka.Kafka")
            .arg(self.dir.path().join("server.properties"));
        command.stdout(out.try_clone()?).stderr(out);
        Ok(command)
    }

    pub(super) fn log_len(&self) -> u64 {
        fs::metadata(self.log()).map_or(0, |m| m.len())
    }

    pub(super) fn log_since(&self, from: u64) -> String {
        let read = || {
            let mut file = File::open(self.log())?;
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|e| format!("(cannot be read: {e})"))
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("out.log")
    }
}

/// Adds the listeners SASL_PLAINTEXT (PLAIN) and SSL to the settings. The certificate is signed by itself, made by `keytool`,
/// which comes with Java.
fn secure(settings: &str, dir: &Path, ports: (u16, u16), user: &str, password: &str) -> Result<String> {
    let store = dir.join("keys.p12");
    let keytool = |args: &[&str]| -> Result<()> {
        let out = Command::new("keytool")
            .args(args)
            .args([
                "-alias",
                "broker",
                "-storetype",
                "PKCS12",
                "-storepass",
                password,
                "-keystore",
            ])
            .arg(&store)
            .output()
            .context("cannot start `keytool`, which comes with Java")?;
        let said = String::from_utf8_lossy(&out.stdout);
        anyhow::ensure!(out.status.success(), "keytool: {said}");
        Ok(())
    };
    let genkey = ["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-validity", "2"];
    keytool(&[&genkey[..], &["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1"]].concat())?;
    let pem = dir.join("ca.pem").display().to_string();
    keytool(&["-exportcert", "-rfc", "-file", &pem])?;
    let (sasl, ssl) = ports;
    let mut all = String::new();
    for line in settings.lines() {
        all += line;
        if line.starts_with("listener.security.protocol.map=") {
            all += ",SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL";
        } else if line.starts_with("listeners=") || line.starts_with("advertised.listeners=") {
            all += &format!(",SASL_PLAINTEXT://127.0.0.1:{sasl},SSL://127.0.0.1:{ssl}");
        }
        all.push('\n');
    }
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule";
    all += &format!(
        "sasl.enabled.mechanisms=PLAIN\n\
         listener.name.sasl_plaintext.plain.sasl.jaas.config={login} required user_{user}=\"{password}\";\n\
         ssl.keystore.type=PKCS12\nssl.keystore.location={}\nssl.keystore.password={password}\n",
        store.display()
    );
    Ok(all)
}

fn prepared() -> Result<PathBuf> {
    const HOW: &str = "run the tests by `./x test`, which prepares the broker and sets it";
    let dir = PathBuf::from(
        std::env::var_os("RUFOUS_KAFKA_DIR").with_context(|| format!("RUFOUS_KAFKA_DIR is not set: {HOW}"))?,
    );
    if !dir.join("complete").exists() {
        bail!(
            "RUFOUS_KAFKA_DIR names {}, where no broker is prepared: {HOW}",
            dir.display()
        );
    }
    Ok(dir)
}

// The template knows no port; only the cluster's id becomes this broker's own.
fn copy_template(from: &Path, to: &Path, cluster: &str) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    let path = to.join("meta.properties");
    let meta = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut lines: Vec<String> = meta
        .lines()
        .filter(|l| !l.starts_with(CLUSTER))
        .map(str::to_string)
        .collect();
    lines.push(format!("{CLUSTER}{cluster}\n"));
    Ok(fs::write(path, lines.join("\n"))?)
}

// Below the ephemeral range, so that no client's own port comes in between while the broker is down. (Port 0 does not do:
// the controller would dial it.)
fn free_port() -> Result<u16> {
    for _ in 0..1_000 {
        let port = u16::try_from(10_240 + random() % 19_760)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from 10240 to 30000");
}

// Each state is keyed at random: there is no need for a crate.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

// Under its final name the file is locked from the start, so that nobody sweeps a directory in the making.
fn lock(dir: &Path) -> Result<File> {
    let (new, path) = (dir.join("lock.new"), dir.join("lock"));
    let file = File::create(&new)?;
    file.lock()?;
    fs::rename(new, path)?;
    Ok(file)
}

// Removes what killed test processes left behind, and the shared brokers of those that ended well.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(DIR_PREFIX)
            && File::open(entry.path().join("lock")).is_ok_and(|lock| lock.try_lock().is_ok())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
