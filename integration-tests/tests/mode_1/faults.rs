//! What can happen to processes, group and server.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rufous_integration_tests::kafka::Broker;
use rufous_integration_tests::kafka::job::{Live, Words};

use crate::servers::{Server, first};

/// Waits until a process has said this so often.
fn says(live: &Live, what: &str, times: usize) -> Result<()> {
    let start = Instant::now();
    while live.log().matches(what).count() < times {
        ensure!(
            start.elapsed() < Duration::from_secs(60),
            "`{what}` is not said: {}",
            live.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Three processes share eight partitions: nobody's answers lack what another reads. One leaves, one is killed; the last has all.
fn processes_share(server: &Server) -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 8)?;
    words.write(1_000)?;
    let mut a = first(server, &broker, &words)?;
    let (mut b, mut c) = (a.beside()?, a.beside()?);
    a.start()?;
    a.comes_to("one process", &words.expected())?;
    b.start()?;
    c.start()?;
    for live in [&b, &c] {
        says(live, "what the consumer group gave to this process", 1)?;
        let start = Instant::now();
        let has_some = |log: String| {
            log.split("owned=[")
                .skip(1)
                .any(|of| of.starts_with(|c: char| c.is_ascii_digit()))
        };
        while !has_some(live.log()) {
            ensure!(
                start.elapsed() < Duration::from_secs(60),
                "it was given nothing: {}",
                live.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    for _ in 0..5 {
        words.write(500)?;
        a.comes_to("three processes", &words.expected())?;
    }
    // The command line of any of them answers alike, and so does one that runs nothing.
    let answers: Vec<_> = [&a, &b, &c]
        .iter()
        .map(|live| Ok(live.command(&["top", "-n", "200"]).output()?.stdout))
        .collect::<Result<_>>()?;
    ensure!(
        answers[0].len() > 97 && answers.iter().all(|out| *out == answers[0]),
        "answers differ"
    );
    b.stop()?;
    words.write(500)?;
    a.comes_to("two processes", &words.expected())?;
    a.kill9()?;
    words.write(500)?;
    c.comes_to("one again", &words.expected())?;
    ensure!(c.is_running()?, "{}", c.log());
    Ok(())
}

#[test]
fn processes_share_postgres() -> Result<()> {
    processes_share(&Server::postgres()?)
}

#[test]
fn processes_share_redis() -> Result<()> {
    processes_share(&Server::redis()?)
}

/// Row 5: each second a process joins, and one of those that joined leaves or dies. Progress is made during the storm, and the end
/// is exact.
fn a_rebalance_storm(server: &Server) -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 6)?;
    let mut a = first(server, &broker, &words)?;
    a.start()?;
    words.write(300)?;
    a.comes_to("before the storm", &words.expected())?;
    let mut others: Vec<Live> = Vec::new();
    for joins in 0..10 {
        words.write(100)?;
        let mut b = a.beside()?;
        b.start()?;
        others.push(b);
        // The pace of the fault, not a wait for anything.
        std::thread::sleep(Duration::from_millis(1_000));
        if others.len() > 2 {
            let mut gone = others.remove(0);
            ensure!(gone.is_running()?, "{}", gone.log());
            if joins % 2 == 0 { gone.kill9()? } else { gone.stop()? }
        }
        ensure!(a.is_running()?, "{}", a.log());
    }
    words.write(300)?;
    a.comes_to("after the storm, with two others", &words.expected())?;
    for mut other in others {
        other.stop()?;
    }
    words.write(300)?;
    a.comes_to("alone", &words.expected())
}

#[test]
fn row_5_a_rebalance_storm_on_postgres() -> Result<()> {
    a_rebalance_storm(&Server::postgres()?)
}

#[test]
fn row_5_a_rebalance_storm_on_redis() -> Result<()> {
    a_rebalance_storm(&Server::redis()?)
}

/// Row 6, P12: a process is stopped past its session with records in its maps; another takes its partitions and goes on. The zombie
/// wakes up, commits nothing of what it held, and takes nothing back that the group did not give to it.
fn a_zombie_wakes_up(server: &Server) -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    words.write(1_000)?;
    let mut a = first(server, &broker, &words)?;
    let mut b = a.beside()?;
    a.start()?;
    a.comes_to("before", &words.expected())?;
    for round in 0..3 {
        words.write(1_000)?;
        a.pause()?;
        if round == 0 {
            b.start()?;
        }
        b.comes_to("the second, alone", &words.expected())?;
        words.write(500)?;
        a.resume()?;
        b.comes_to("with the zombie awake", &words.expected())?;
        for _ in 0..3 {
            words.write(200)?;
            b.comes_to("both", &words.expected())?;
        }
        ensure!(a.is_running()? && b.is_running()?, "{}\n{}", a.log(), b.log());
    }
    b.kill9()?;
    words.write(200)?;
    a.comes_to("the zombie, alone", &words.expected())
}

#[test]
fn row_6_a_zombie_on_postgres() -> Result<()> {
    a_zombie_wakes_up(&Server::postgres()?)
}

#[test]
fn row_6_a_zombie_on_redis() -> Result<()> {
    a_zombie_wakes_up(&Server::redis()?)
}

/// kill -9 of any process, again and again; each comes back as a new member.
fn any_process_is_killed(server: &Server) -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 6)?;
    let a = first(server, &broker, &words)?;
    let mut all = vec![a.beside()?, a.beside()?, a.beside()?];
    for live in &mut all {
        live.start()?;
    }
    for round in 0..9 {
        words.write(400)?;
        let turn = round % all.len();
        all[turn].kill9()?;
        words.write(200)?;
        all[turn].start()?;
    }
    words.write(100)?;
    all[0].comes_to("after nine kills", &words.expected())
}

#[test]
fn any_process_is_killed_on_postgres() -> Result<()> {
    any_process_is_killed(&Server::postgres()?)
}

#[test]
fn any_process_is_killed_on_redis() -> Result<()> {
    any_process_is_killed(&Server::redis()?)
}

/// The server is killed and started again under load, and hangs for a while; the processes wait, and nothing is lost or doubled.
fn the_server_goes_away(server: &mut Server) -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    let mut a = first(server, &broker, &words)?;
    let mut b = a.beside()?;
    a.start()?;
    b.start()?;
    words.write(1_000)?;
    a.comes_to("before", &words.expected())?;
    for round in 0..3 {
        words.write(2_000)?;
        server.kill()?;
        words.write(500)?;
        server.start_again()?;
        words.write(500)?;
        a.comes_to(&format!("after kill {round}"), &words.expected())?;
    }
    server.pause()?;
    words.write(500)?;
    // The length of the fault.
    std::thread::sleep(Duration::from_secs(3));
    server.resume()?;
    a.comes_to("after it hung", &words.expected())?;
    ensure!(a.is_running()? && b.is_running()?, "{}\n{}", a.log(), b.log());
    Ok(())
}

#[test]
fn postgres_is_killed_and_hangs() -> Result<()> {
    the_server_goes_away(&mut Server::postgres()?)
}

#[test]
fn redis_is_killed_and_hangs() -> Result<()> {
    the_server_goes_away(&mut Server::redis()?)
}

/// P32: a server that lost everything is filled from the log again. (Until then answers go back to what the generations have, and say so.)
fn the_server_forgets(server: &Server, forget: impl Fn() -> Result<()>) -> Result<()> {
    let broker = Broker::start()?;
    let mut words = Words::new(&broker, 4)?;
    words.write(2_000)?;
    let mut a = first(server, &broker, &words)?;
    let mut b = a.beside()?;
    a.start()?;
    b.start()?;
    a.comes_to("before", &words.expected())?;
    forget()?;
    words.write(300)?;
    a.comes_to("after it forgot all", &words.expected())?;
    ensure!(a.is_running()? && b.is_running()?, "{}\n{}", a.log(), b.log());
    Ok(())
}

#[test]
fn p32_a_server_that_forgot_is_filled_again() -> Result<()> {
    let server = Server::redis()?;
    let client = redis_client(&server)?;
    the_server_forgets(&server, || {
        let mut connection = client.get_connection()?;
        redis::cmd("FLUSHALL").exec(&mut connection)?;
        Ok(())
    })
}

fn redis_client(server: &Server) -> Result<redis::Client> {
    Ok(redis::Client::open(server.url())?)
}
