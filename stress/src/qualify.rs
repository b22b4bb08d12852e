//! `stress qualify`: whether the file system under a directory keeps what the election stands on.

mod actor;
mod checks;
mod layer;
mod property;
mod report;
pub(crate) mod worker;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use single_primary::call::{Access, Call, Handle, Name, Reply};
use single_primary::kernel::Kernel;
use single_primary::{Election, FileSystem, Os};

use self::actor::{Field, Stop};
use self::property::Property;
use self::report::{Report, Row, verdict_of};
use crate::cli::exit::Exit;
use crate::cli::interrupt::flag_of_signals;
use crate::cli::{export, span};
use crate::failure::Failure;

/// The options of `stress qualify`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A directory on the file system; what is made in it is removed again
    directory: PathBuf,
    /// How long one step of a check may take before it is given up
    #[arg(long, default_value = "10s", value_parser = span::parse)]
    timeout: Duration,
    /// Check these properties alone; then nothing is said to hold, for the others are not known
    #[arg(long, value_name = "PROPERTY", value_delimiter = ',')]
    only: Vec<Property>,
    /// Break one property on purpose, between the checks and the kernel, to see that its check can fail
    #[arg(long, value_name = "PROPERTY")]
    broken: Option<Property>,
    /// Write the report as one JSON object to this file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
}

/// Checks one property after the other.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let directory = &arguments.directory;
    let file_system = file_system(arguments)?;
    let interrupt = flag_of_signals()?;
    eprintln!("{}: {file_system}", directory.display());
    let mut rows = Vec::new();
    for property in Property::ALL {
        if !arguments.only.is_empty() && !arguments.only.contains(&property) {
            rows.push(Row::new(property, Err(Stop::Unknown("left out".into()))));
            continue;
        }
        if interrupt.load(Ordering::Relaxed) {
            rows.push(Row::new(property, Err(Stop::Unknown("interrupted before it".into()))));
            continue;
        }
        let place = tempfile::Builder::new().prefix("qualify-").tempdir_in(directory).map_err(Failure::environment(
            directory.display(),
            "mkdir",
            "give a directory that this user can write to",
        ))?;
        let (broken, timeout) = (arguments.broken, arguments.timeout);
        let field = Field { directory: place.path(), broken, timeout, interrupt: interrupt.clone() };
        let mut checked = checks::check(property, &field);
        if interrupt.load(Ordering::Relaxed) {
            // What came of it may be the interrupt's doing.
            checked = Err(Stop::Unknown("interrupted".into()));
        }
        let row = Row::new(property, checked);
        eprintln!("{row}");
        rows.push(row);
    }
    let report = Report {
        verdict: verdict_of(&rows),
        directory: directory.display().to_string(),
        file_system: file_system.to_string(),
        broken_on_purpose: arguments.broken,
        rows,
    };
    eprint!("{report}");
    if let Some(target) = &arguments.export_json {
        export::json(target, &report)?;
    }
    Ok(report.verdict.into())
}

/// What statfs(2) says of the directory.
fn file_system(arguments: &Arguments) -> Result<FileSystem, Failure> {
    let os = Os::new(Election::options(&arguments.directory).paths());
    let open = Call::Open { handle: Handle::DIRECTORY, name: Name::Directory, access: Access::Directory };
    for call in [open, Call::FileSystem(Handle::DIRECTORY)] {
        match os.perform(&call) {
            Reply::Done => {}
            Reply::FileSystem(file_system) => return Ok(file_system),
            reply => {
                let error = match reply {
                    Reply::Failed(failure) => std::io::Error::from_raw_os_error(failure.0),
                    Reply::Missing => std::io::ErrorKind::NotFound.into(),
                    _ => std::io::ErrorKind::Other.into(),
                };
                let place = arguments.directory.display();
                return Err(Failure::environment(place, call.system_call(), "give a directory that exists")(error));
            }
        }
    }
    Ok(FileSystem::UNKNOWN)
}
