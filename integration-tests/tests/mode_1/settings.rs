//! What is said of the server that holds the state: on the command line, in the environment, in the settings.

use std::process::Command;

use anyhow::Result;

use crate::servers::{PROGRAM, Server};

struct Bed(tempfile::TempDir);

impl Bed {
    fn new(settings: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("rufous.toml"), settings)?;
        std::fs::write(dir.path().join("lines.txt"), "to be or not to be\n")?;
        Ok(Self(dir))
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(args)
            .args(["--source", "lines=file:lines.txt"])
            .current_dir(self.0.path());
        command
    }
    /// Exit code, and both outputs.
    fn says(command: &mut Command) -> Result<(Option<i32>, String)> {
        let out = command.output()?;
        let text = [out.stdout, out.stderr].concat();
        Ok((out.status.code(), String::from_utf8_lossy(&text).into_owned()))
    }
}

/// A job over a file keeps its state in a server as well; flag before environment before file. Who looks for the state elsewhere is told
/// where it is, and gets no part of the answer.
#[test]
fn the_flag_comes_first() -> Result<()> {
    let server = Server::postgres()?;
    let bed = Bed::new("[realtime]\nlocation = 'postgres://me@127.0.0.1:1/d'\n")?;
    // With its password, which is not said on the command line.
    let flag = ["--realtime", "{ env = \"WHERE\" }"];
    let mut stream = bed.command(&[&["stream", "--until-end"][..], &flag].concat());
    stream.env("RUFOUS_REALTIME", "redis://127.0.0.1:1/0");
    let (code, text) = Bed::says(stream.env("WHERE", server.url()))?;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = Bed::says(&mut bed.command(&["get", "be", "--realtime", &server.url()]))?;
    assert!(
        code == Some(1) && text.contains("flag --realtime") && text.contains("{ env ="),
        "{text}"
    );
    assert!(!text.contains(&server.url()), "{text}");
    let (_, text) = Bed::says(bed.command(&["get", "be"]).env("RUFOUS_REALTIME", server.url()))?;
    assert!(text.starts_with("be  2  "), "{text}");
    let (code, text) = Bed::says(&mut bed.command(&["get", "be"]))?;
    assert!(code != Some(0) && text.contains("127.0.0.1:1"), "{text}");
    std::fs::remove_file(bed.0.path().join("rufous.toml"))?;
    for command in ["get", "stream"] {
        for url in ["", "redis://127.0.0.1:1/0"] {
            let mut command = bed.command(&[command]);
            if command.get_args().next().is_some_and(|arg| arg == "get") {
                command.arg("be");
            }
            let (code, text) = Bed::says(command.env("RUFOUS_REALTIME", url))?;
            let said = ["is in postgres", "RUFOUS_REALTIME", "realtime.json"];
            assert!(
                code == Some(1) && said.iter().all(|part| text.contains(part)),
                "{url}: {text}"
            );
        }
    }
    Ok(())
}

/// What cannot be is refused with the repair, before anything is read, and no password is shown.
#[test]
fn bad_settings_are_refused() -> Result<()> {
    let nobody = "postgres://me:s3cr3t@127.0.0.1:1/d";
    for (settings, url, parts) in [
        (
            "",
            "mysql://me:s3cr3t@h/d",
            vec!["`mysql://`", "postgres://USER@HOST:PORT/DATABASE"],
        ),
        ("", "postgres://me:s3cr3t@/d", vec!["needs a host"]),
        ("", nobody, vec!["127.0.0.1:1"]),
        (
            "[realtime]\nschema = 'x'\n",
            "",
            vec!["[realtime]", "`schema`", "location"],
        ),
        (
            "[realtime]\nschema = 'x'\n",
            "redis://h/0",
            vec!["Redis has no `schema`"],
        ),
        (
            "[realtime]\naccept_volatile = true\n",
            "postgres://me:s3cr3t@h/d",
            vec!["PostgreSQL has no `accept_volatile`"],
        ),
        (
            "[realtime]\nlocaton = 'x'\n",
            "",
            vec!["line 2: there is no setting `realtime.locaton`", "`realtime.location`"],
        ),
    ] {
        let bed = Bed::new(settings)?;
        let mut command = bed.command(&["stream", "--until-end"]);
        let (code, text) = Bed::says(command.env("RUFOUS_REALTIME", url))?;
        assert!(code != Some(0), "{url}: {text}");
        for part in parts {
            assert!(text.contains(part), "{url}: {text}");
        }
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    Ok(())
}

/// Nobody knows whether a process writes a state in a server, so the user says that none does.
#[test]
fn a_sink_is_given_up_when_all_are_stopped() -> Result<()> {
    let server = Server::postgres()?;
    let dir = tempfile::tempdir()?;
    let program = env!("CARGO_BIN_EXE_job-alerts");
    let run = |args: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = Command::new(program);
        command
            .args(args)
            .env("ALERTS_TO", "table")
            .env("RUFOUS_REALTIME", server.url())
            .current_dir(dir.path());
        Bed::says(&mut command)
    };
    let (code, text) = run(&["sink", "release", "overdrawn"])?;
    assert!(code == Some(5) && text.contains("--stopped"), "{code:?} {text}");
    let (code, text) = run(&["sink", "release", "overdrawn", "--stopped"])?;
    assert!(code == Some(0), "{code:?} {text}");
    Ok(())
}
