//! The processes that a copy of a program consists of: itself, its process group, and what those have started.

use std::fs;

use rustix::process::Pid;

/// A process of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) process: Pid,
    parent: i32,
}

/// The living processes of the copy whose first one this is; that one alone where the system does not tell of others.
pub(crate) fn members(leader: Pid) -> Vec<Member> {
    let mut all: Vec<_> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|process| {
            let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            let mut fields = status.rsplit_once(") ")?.1.split(' ');
            let state = fields.next()?;
            let mut number = || fields.next()?.parse::<i32>().ok();
            let (parent, group) = (number()?, number()?);
            (!matches!(state, "Z" | "X")).then_some((process, parent, group))
        })
        .collect();
    let leader_id = leader.as_raw_nonzero().get();
    let mut members = Vec::new();
    loop {
        let is_member = |members: &[Member], process: i32| {
            members.iter().any(|member| member.process.as_raw_nonzero().get() == process)
        };
        let (found, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(process, parent, group)| {
            *process == leader_id || *group == leader_id || *parent == leader_id || is_member(&members, *parent)
        });
        all = rest;
        if found.is_empty() {
            return members;
        }
        members.extend(
            found
                .into_iter()
                .filter_map(|(process, parent, _)| Some(Member { process: Pid::from_raw(process)?, parent })),
        );
    }
}

/// Those that others of the copy depend on: who has started one that lives. Where there is none, the first one is alone.
pub(crate) fn parents(leader: Pid) -> Vec<Pid> {
    let members = members(leader);
    let has_child =
        |member: &&Member| members.iter().any(|child| child.parent == member.process.as_raw_nonzero().get());
    let parents: Vec<_> = members.iter().filter(has_child).map(|member| member.process).collect();
    if parents.is_empty() { vec![leader] } else { parents }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn children_and_their_children_belong_to_it() {
        let script = "sh -c 'sleep 1000 & echo up; wait' & wait";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it speaks");
        let leader = Pid::from_child(&child);
        let (all, parents) = (members(leader), parents(leader));
        for member in all.iter().filter(|member| member.process != leader) {
            rustix::process::kill_process(member.process, rustix::process::Signal::KILL).expect("it is ours");
        }
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert_eq!((all.len(), parents.len()), (3, 2), "{all:?} {parents:?}");
        assert!(parents.contains(&leader));
    }
}
