//! Right: this library, as any program uses it, behind the protocol of the harness.

use std::io::{BufRead, Write};
use std::time::Duration;

use single_primary::{Election, InstanceId, Role};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let election = Election::options(variable("ELECTION_DIR")?)
        .id(InstanceId::new(&variable("INSTANCE_ID")?)?)
        .log(variable("REALTIME_LOG")?)
        .window(Duration::ZERO)
        .join()?;
    let mut role = election.role();
    tell(&role)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("event", event)) => {
                election.record(event, "null")?;
            }
            _ if line == "quit" => break,
            _ => {}
        }
        let now = election.poll()?;
        if std::mem::discriminant(&now) != std::mem::discriminant(&role) {
            tell(&now)?;
            role = now;
        }
    }
    writeln!(std::io::stdout(), "left")?;
    Ok(election.leave()?)
}

fn tell(role: &Role) -> Result<()> {
    let word = match role {
        Role::Primary { .. } => "primary",
        Role::Secondary { .. } => "secondary",
        Role::Undecided | Role::Left | Role::Failed(_) => return Ok(()),
    };
    Ok(writeln!(std::io::stdout(), "{word}")?)
}
