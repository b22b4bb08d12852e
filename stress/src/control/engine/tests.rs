//! Unmodified programs, one call at a time.

use std::ffi::OsString;

use crate::explore::execution::{Choice, Execution as _, Fault, System as _, Transition};

use super::*;

/// What an execution came to.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    steps: Vec<String>,
    printed: Vec<String>,
    ends: Vec<Option<End>>,
    doubts: Vec<String>,
}

/// So many steps are more than any of these programs takes.
const STEPS_MAX: usize = 2_000;

fn registrant(name: &str) -> String {
    format!("{}/registrants/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn setup(base: &Path, commands: &[&[&str]]) -> Setup {
    let directory = base.join("ground");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let copies = commands.iter().zip('a'..).map(|(words, id)| Start {
        words: words.iter().map(OsString::from).collect(),
        environment: vec![
            ("PATH".into(), path.clone()),
            ("ELECTION_DIR".into(), directory.join("election").into()),
            ("REALTIME_LOG".into(), directory.join("election/realtime.log").into()),
            ("INSTANCE_ID".into(), id.to_string().into()),
        ],
    });
    Setup {
        copies: copies.collect(),
        watched: vec![directory.join("election")],
        unordered: Vec::new(),
        faults: Faults::default(),
        prepare: Prepare(Box::new(|directory| fs::create_dir(directory.join("election")))),
        directory,
    }
}

/// Whether programs can be followed here; where they cannot, that is said.
fn follows() -> bool {
    let base = tempfile::tempdir().expect("a directory");
    let started = Processes::new(setup(base.path(), &[&["true"]])).map_err(Stop::from);
    match started.and_then(|mut processes| processes.start(1)) {
        Ok(_) => true,
        Err(Stop::Failed(Failure::Environment { source, .. }))
            if [Some(nix::libc::EPERM), Some(nix::libc::ENOSYS)].contains(&source.raw_os_error()) =>
        {
            eprintln!("skipped: programs cannot be followed here: {source}");
            false
        }
        Err(why) => panic!("programs should be followed here: {why:?}"),
    }
}

/// Runs one execution to its end: each copy gets an event and then the end of its input as soon as it listens and nothing
/// else can happen, and who goes on is chosen among the enabled.
fn run(processes: &mut Processes, mut choose: impl FnMut(usize) -> usize) -> Run {
    let mut execution = processes.start(7).expect("a start");
    let count = u16::try_from(execution.copies.len()).expect("few");
    let mut steps = Vec::new();
    let mut given = vec![0; usize::from(count)];
    let inputs: [&[u8]; 2] = [b"event e1\n", b"quit\n"];
    while steps.len() < STEPS_MAX {
        let mut pending = execution.pending().expect("pending");
        pending.retain(|transition| transition.is_enabled);
        if pending.is_empty() {
            let listens = (0..count).find(|copy| given[usize::from(*copy)] <= 2 && execution.waits_for_input(*copy));
            let Some(copy) = listens else { break };
            let input = &mut given[usize::from(copy)];
            let used = match inputs.get(*input) {
                Some(bytes) => execution.give(copy, bytes).expect("an input"),
                None => execution.close_input(copy).expect("the end of input"),
            };
            let may_use = ProcessExecution::input_footprint(copy);
            let is_said = |object| may_use.uses().iter().any(|(other, _)| other == object);
            assert!(used.uses().iter().all(|(object, _)| is_said(object)), "{used:?}");
            *input += 1;
            continue;
        }
        let chosen = &pending[choose(pending.len())];
        let step = execution.step(chosen.agent, chosen.choice).expect("a step");
        let fired = if chosen.choice == Choice::Fire { " (fired)" } else { "" };
        for (object, access) in step.footprint.uses() {
            let may = chosen.footprint.uses().iter().find(|(other, _)| other == object);
            assert!(may.is_some(), "{} uses {object:?} {access:?} and did not say so", step.label);
        }
        steps.push(format!("{}: {}{fired}", chosen.agent, step.label));
    }
    let printed = (0..count).map(|copy| String::from_utf8_lossy(&execution.take_printed(copy)).into_owned()).collect();
    let complaints: Vec<_> = (0..count).map(|copy| execution.take_complaints(copy)).collect();
    let said = complaints.iter().map(|text| String::from_utf8_lossy(text).into_owned());
    steps.extend(said.filter(|text| !text.is_empty()));
    let Remains { ends, doubts } = execution.finish(true).expect("an end");
    Run { steps, printed, ends, doubts: doubts.into_iter().collect() }
}

/// A choice that follows from a number alone.
fn drawn(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |count| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % count
    }
}

/// Runs each of some schedules several times, which must come to the same.
fn repeats(commands: &[&[&str]], schedules: u64, times: usize) -> Vec<Run> {
    let base = tempfile::tempdir().expect("a directory");
    let mut processes = Processes::new(setup(base.path(), commands)).expect("processes");
    let mut runs = Vec::new();
    for schedule in 0..schedules {
        let first = run(&mut processes, drawn(schedule));
        for _ in 1..times {
            let again = run(&mut processes, drawn(schedule));
            let differs = first.steps.iter().zip(&again.steps).find(|(one, other)| one != other);
            assert_eq!(first, again, "schedule {schedule} of {commands:?}: {differs:?}");
        }
        runs.push(first);
    }
    runs
}

#[test]
fn a_shell_does_the_same_in_every_run() {
    if !follows() {
        return;
    }
    let script = registrant("check-then-write.sh");
    let runs = repeats(&[&["sh", &script], &["sh", &script]], 10, 4);
    let both = |run: &Run| run.printed.iter().all(|words| words.starts_with("primary"));
    assert!(runs.iter().any(both), "the race is there: {runs:#?}");
}

/// The path of an interpreter, as it calls itself; none where it is not installed, which is said.
fn interpreter(name: &str, question: &[&str]) -> Option<String> {
    let answer = std::process::Command::new(name).args(question).output();
    match answer {
        Ok(answer) if answer.status.success() => Some(String::from_utf8_lossy(&answer.stdout).trim().to_owned()),
        _ => {
            eprintln!("skipped: {name} is not installed");
            None
        }
    }
}

fn python() -> Option<String> {
    interpreter("python3", &["-c", "import sys; print(sys.executable)"])
}

fn node() -> Option<String> {
    interpreter("node", &["-p", "process.execPath"])
}

#[test]
fn a_shell_and_its_children_do_the_same_in_every_run_and_a_lock_excludes() {
    if !follows() {
        return;
    }
    let script = registrant("flock.sh");
    for run in repeats(&[&["sh", &script], &["sh", &script]], 6, 3) {
        let entries = run.steps.iter().filter(|step| step.contains("write(election/realtime.log")).count();
        assert_eq!(entries, 1, "{run:#?}");
        assert_eq!(run.ends, [Some(End::Exited(0)); 2]);
    }
}

#[test]
fn python_does_the_same_in_every_run_and_is_late_without_waiting() {
    if !follows() {
        return;
    }
    let Some(python) = python() else { return };
    let script = registrant("json-list.py");
    let runs = repeats(&[&[&python, &script], &[&python, &script]], 8, 2);
    let both = |run: &Run| run.printed.iter().all(|words| words.starts_with("primary"));
    assert!(runs.iter().any(both), "the race is there: {runs:#?}");
}

#[test]
fn node_and_its_threads_do_the_same_in_every_run() {
    if !follows() {
        return;
    }
    let Some(node) = node() else { return };
    let script = registrant("json-list.mjs");
    let runs = repeats(&[&[&node, &script], &[&node, &script]], 2, 3);
    assert!(runs.iter().any(|run| run.printed.iter().any(|words| words.starts_with("primary"))), "{runs:#?}");
}

/// Runs a shell's commands, which several copies have in common.
fn shell(base: &Path, scripts: &[&str]) -> Processes {
    let commands: Vec<_> = scripts.iter().map(|script| ["sh", "-c", script]).collect();
    let commands: Vec<_> = commands.iter().map(<[&str; 3]>::as_slice).collect();
    Processes::new(setup(base, &commands)).expect("processes")
}

/// Lets the first enabled transition happen whose agent and label are so, until there is none any more.
fn follow(execution: &mut ProcessExecution, schedule: &[(u16, Choice, &str)]) -> Vec<String> {
    let mut told = Vec::new();
    for (copy, choice, label) in schedule {
        let pending = execution.pending().expect("pending");
        let is_it = |one: &&Transition| {
            one.is_enabled && one.agent.copy == *copy && one.choice == *choice && one.label.contains(label)
        };
        let Some(next) = pending.iter().find(is_it) else {
            panic!("{copy} {choice:?} {label} is not among {pending:#?} after {told:#?}");
        };
        told.push(execution.step(next.agent, next.choice).expect("a step").label);
    }
    told
}

#[test]
fn who_waits_for_a_lock_goes_on_when_it_is_let_go_and_not_before() {
    if !follows() {
        return;
    }
    let base = tempfile::tempdir().expect("a directory");
    let script = "exec 9>>$ELECTION_DIR/lock; flock 9; echo in; echo out";
    let mut processes = shell(base.path(), &[script, script]);
    let mut execution = processes.start(1).expect("a start");
    let run = Choice::Run;
    follow(&mut execution, &[(0, run, "openat"), (1, run, "openat"), (0, run, "flock")]);
    let told = follow(&mut execution, &[(1, run, "flock")]);
    assert_eq!(told, ["flock(election/lock, LOCK_EX) waits"]);
    let blocked = |execution: &mut ProcessExecution| {
        let pending = execution.pending().expect("pending");
        pending.iter().any(|one| one.agent.copy == 1 && one.choice == run && !one.is_enabled && one.may_wait)
    };
    assert!(blocked(&mut execution));
    follow(&mut execution, &[(0, run, "in"), (0, run, "out")]);
    assert!(blocked(&mut execution), "it is held to the end");
    let told = follow(&mut execution, &[(0, run, "exit"), (1, run, "flock"), (1, run, "in")]);
    assert_eq!(told[1], "flock(election/lock, LOCK_EX) = 0");
}

#[test]
fn a_copy_that_is_killed_lets_go_of_its_lock_and_does_nothing_more() {
    if !follows() {
        return;
    }
    let base = tempfile::tempdir().expect("a directory");
    let script = "exec 9>>$ELECTION_DIR/lock; flock 9; echo in; echo out >$ELECTION_DIR/out";
    let mut processes = shell(base.path(), &[script, script]);
    let setup = Rc::get_mut(&mut processes.setup).expect("nobody else has it");
    setup.faults = Faults { crash: true, error: true, short: true, interrupt: true };
    let mut execution = processes.start(1).expect("a start");
    let (run, crash) = (Choice::Run, Choice::Fault(Fault::Crash));
    follow(&mut execution, &[(0, run, "openat"), (1, run, "openat"), (0, run, "flock"), (1, run, "flock")]);
    let told = follow(&mut execution, &[(0, run, "in"), (0, crash, "openat"), (1, run, "flock"), (1, run, "in")]);
    assert_eq!(told[2], "flock(election/lock, LOCK_EX) = 0");
    assert_eq!(execution.end_of(0), Some(End::Killed(9)));
    assert!(!base.path().join("ground/election/out").exists());
    assert!(execution.pending().expect("pending").iter().all(|one| one.agent.copy == 1));
}

#[test]
fn calls_fail_and_fall_short_as_they_are_told() {
    if !follows() {
        return;
    }
    let base = tempfile::tempdir().expect("a directory");
    let script = "echo 12345678 >$ELECTION_DIR/file || echo failed; read line <$ELECTION_DIR/file; echo $line";
    let mut processes = shell(base.path(), &[script]);
    let setup = Rc::get_mut(&mut processes.setup).expect("nobody else has it");
    setup.faults = Faults { crash: false, error: true, short: true, interrupt: true };
    let full = Choice::Fault(Fault::Error(nix::libc::ENOSPC));
    let (run, short) = (Choice::Run, Choice::Fault(Fault::Short));
    let mut execution = processes.start(1).expect("a start");
    let told = follow(&mut execution, &[(0, full, "openat"), (0, run, "failed")]);
    assert!(told[0].ends_with("= ENOSPC"), "{told:?}");
    drop(execution);
    let mut execution = processes.start(1).expect("a start");
    let told = follow(&mut execution, &[(0, run, "openat"), (0, short, "write")]);
    assert!(told[1].ends_with("= 4"), "{told:?}");
    drop(execution);
}

#[test]
fn alarms_ring_in_virtual_time() {
    if !follows() {
        return;
    }
    let Some(python) = python() else { return };
    let base = tempfile::tempdir().expect("a directory");
    let program = "import os, signal, time\n\
        signal.signal(signal.SIGALRM, lambda *_: print('rings', flush=True))\n\
        signal.alarm(100)\n\
        print('set', flush=True)\n\
        time.sleep(1000)\n\
        print('slept', signal.alarm(0), flush=True)";
    let mut processes = Processes::new(setup(base.path(), &[&[&python, "-c", program]])).expect("processes");
    let mut execution = processes.start(1).expect("a start");
    let (run, fire) = (Choice::Run, Choice::Fire);
    let schedule = [(0, run, "set"), (0, fire, "SIGALRM"), (0, run, "rings"), (0, fire, "sleep"), (0, run, "slept 0")];
    follow(&mut execution, &schedule);
    assert!(execution.elapsed_ns(0) >= 1_000_000_000_000, "{}", execution.elapsed_ns(0));
    assert_eq!(execution.doubts().len(), 0, "{:?}", execution.doubts());
}

#[test]
fn whoever_asks_for_another_by_its_process_id_is_answered_as_it_is() {
    if !follows() {
        return;
    }
    let base = tempfile::tempdir().expect("a directory");
    let writer = "echo $$ >$ELECTION_DIR/pid; echo ready";
    let reader = "read pid <$ELECTION_DIR/pid; if kill -0 $pid; then echo alive; else echo dead; fi";
    let mut processes = shell(base.path(), &[writer, reader]);
    let run = Choice::Run;
    for kills_first in [false, true, false] {
        let mut execution = processes.start(1).expect("a start");
        follow(&mut execution, &[(0, run, "openat"), (0, run, "write"), (1, run, "openat")]);
        let mut told = Vec::new();
        while !told.iter().any(|label: &String| label.starts_with("close") || label.contains("= 0 ")) {
            let pending = execution.pending().expect("pending");
            let Some(next) = pending.iter().find(|one| one.agent.copy == 1 && one.label.starts_with("read")) else {
                break;
            };
            told.push(execution.step(next.agent, next.choice).expect("a step").label);
        }
        if kills_first {
            follow(&mut execution, &[(0, run, "ready"), (0, run, "exit")]);
        }
        let expected = if kills_first { "dead" } else { "alive" };
        follow(&mut execution, &[(1, run, "kill"), (1, run, expected)]);
    }
}

#[test]
fn copies_meet_at_sockets_and_fifos() {
    if !follows() {
        return;
    }
    let Some(python) = python() else { return };
    let base = tempfile::tempdir().expect("a directory");
    let server = "import os, socket\n\
        one = socket.socket(socket.AF_UNIX)\n\
        one.bind('\\0meeting')\n\
        one.listen()\n\
        peer, _ = one.accept()\n\
        print(peer.recv(10), flush=True)";
    let client = "import socket\n\
        one = socket.socket(socket.AF_UNIX)\n\
        try:\n  one.connect('\\0meeting')\n\
        except OSError as error:\n  print('refused', flush=True)\n\
        else:\n  one.send(b'hello')";
    let commands: [&[&str]; 2] = [&[&python, "-c", server], &[&python, "-c", client]];
    let mut processes = Processes::new(setup(base.path(), &commands)).expect("processes");
    let run = Choice::Run;
    let mut execution = processes.start(1).expect("a start");
    let told =
        follow(&mut execution, &[(0, run, "bind"), (1, run, "connect"), (1, run, "refused"), (0, run, "listen")]);
    assert!(told[1].ends_with("ECONNREFUSED"), "{told:?}");
    drop(execution);
    let mut execution = processes.start(1).expect("a start");
    let schedule = [
        (0, run, "bind"),
        (0, run, "listen"),
        (0, run, "accept"),
        (1, run, "connect"),
        (0, run, "accept"),
        (0, run, "recv"),
        (1, run, "send"),
        (0, run, "recv"),
        (0, run, "hello"),
    ];
    let told = follow(&mut execution, &schedule);
    assert_eq!((&*told[2], &*told[5]), ("accept4() waits", "recvfrom() waits"), "{told:#?}");
    drop(execution);

    let reader = "read line <$ELECTION_DIR/fifo; echo got $line";
    let writer = "echo hello >$ELECTION_DIR/fifo";
    let mut processes = shell(base.path(), &[reader, writer]);
    let setup = Rc::get_mut(&mut processes.setup).expect("nobody else has it");
    setup.prepare = Prepare(Box::new(|directory| {
        fs::create_dir(directory.join("election"))?;
        let path = std::ffi::CString::new(directory.join("election/fifo").into_os_string().into_encoded_bytes())?;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)?;
        Ok(())
    }));
    let mut execution = processes.start(1).expect("a start");
    let told = follow(&mut execution, &[(0, run, "openat"), (1, run, "openat"), (0, run, "openat")]);
    assert!(told[0].ends_with("waits"), "{told:#?}");
}

#[test]
fn a_lock_of_fcntl_is_waited_for_and_lost_by_any_close() {
    if !follows() {
        return;
    }
    let Some(python) = python() else { return };
    let base = tempfile::tempdir().expect("a directory");
    let program = "import fcntl, os\n\
        path = os.environ['ELECTION_DIR'] + '/lock'\n\
        one = os.open(path, os.O_RDWR | os.O_CREAT)\n\
        fcntl.lockf(one, fcntl.LOCK_EX)\n\
        print('in', flush=True)\n\
        os.close(os.open(path, os.O_RDONLY))\n\
        print('still in', flush=True)";
    let commands: [&[&str]; 2] = [&[&python, "-c", program], &[&python, "-c", program]];
    let mut processes = Processes::new(setup(base.path(), &commands)).expect("processes");
    let mut execution = processes.start(1).expect("a start");
    let run = Choice::Run;
    let schedule = [
        (0, run, "openat"),
        (1, run, "openat"),
        (0, run, "fcntl"),
        (1, run, "fcntl"),
        (0, run, "in"),
        (0, run, "openat"),
        (0, run, "close"),
        (1, run, "fcntl"),
        (1, run, "in"),
        (0, run, "still in"),
    ];
    let told = follow(&mut execution, &schedule);
    assert!(told[3].ends_with("waits") && told[7].ends_with("= 0"), "{told:#?}");
}

#[test]
fn what_cannot_be_controlled_is_named_and_nothing_hangs() {
    if !follows() {
        return;
    }
    let check = |script: &str, expected: &str| {
        let base = tempfile::tempdir().expect("a directory");
        let mut processes = shell(base.path(), &[script]);
        match processes.start(1) {
            Err(Stop::Uncontrolled(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{script} came to {other:?}"),
        }
    };
    check("while :; do :; done", "computes for");
    check("f() { f & f; }; f", "without end");
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    if !follows() {
        return;
    }
    let base = tempfile::tempdir().expect("a directory");
    let missing = Processes::new(setup(base.path(), &[&["no-such-program"]])).expect_err("it is missing");
    assert!(missing.to_string().starts_with("no-such-program: execve: No such file"), "{missing}");
    let text = base.path().join("text");
    fs::write(&text, "no program").expect("a file");
    fs::set_permissions(&text, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    let mut processes = Processes::new(setup(base.path(), &[&[text.to_str().expect("a path")]])).expect("processes");
    let Err(Stop::Failed(failure)) = processes.start(1) else { panic!("it cannot be run") };
    assert!(failure.to_string().contains("Exec format error"), "{failure}");
}

/// Has the test of this name run again in a process of its own; whether this is that process.
const CHILD: &str = "ENGINE_TEST_DIRECTORY";

#[test]
fn nothing_is_left_where_who_follows_is_killed() {
    if !follows() {
        return;
    }
    if let Some(base) = std::env::var_os(CHILD) {
        let script = "sleep 1000 & trap '' TERM INT HUP; setsid sleep 2000 & echo started >$ELECTION_DIR/it; wait";
        let mut processes = shell(Path::new(&base), &[script]);
        let mut execution = processes.start(1).expect("a start");
        let pids: Vec<_> = execution.processes.keys().map(|process| process.as_raw().to_string()).collect();
        fs::write(Path::new(&base).join("pids"), pids.join(" ")).expect("a file");
        follow(&mut execution, &[(0, Choice::Run, "openat")]);
        std::thread::sleep(std::time::Duration::from_mins(1));
        return;
    }
    let base = tempfile::tempdir().expect("a directory");
    let test = "nothing_is_left_where_who_follows_is_killed";
    let own_name = format!("{}::{test}", module_path!().split_once("::").map_or("", |(_, path)| path));
    let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &own_name])
        .env(CHILD, base.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("this program");
    let patience = std::time::Duration::from_mins(1);
    let wait_until = |what: &dyn Fn() -> bool| {
        let begun = std::time::Instant::now();
        while !what() {
            assert!(begun.elapsed() < patience, "it takes too long");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let pids = || fs::read_to_string(base.path().join("pids")).unwrap_or_default();
    wait_until(&|| pids().split(' ').count() >= 3 && base.path().join("ground/election/it").exists());
    child.kill().expect("SIGKILL");
    child.wait().expect("its end");
    let is_gone = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.trim_start().starts_with(['Z', 'X']))
    };
    wait_until(&|| pids().split(' ').all(is_gone));
}
