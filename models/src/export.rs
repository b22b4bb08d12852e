//! Files for machines: opened before the run, replaced whole at its end.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// Where something will be written.
#[derive(Debug)]
pub(crate) enum Export {
    /// Standard output.
    Stdout,
    /// What is no regular file, such as a pipe: written to and never replaced.
    Special { file: File, path: PathBuf },
    /// A file, by way of a temporary one beside it.
    File { temporary: NamedTempFile, path: PathBuf },
}

impl Export {
    /// Makes sure that it can be written; `-` is standard output.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let refused =
            || format!("{}: cannot be written; give a file in a directory that you may write to", path.display());
        if path.symlink_metadata().is_ok_and(|status| !status.is_file()) {
            let file = File::options().write(true).open(path).with_context(refused)?;
            return Ok(Self::Special { file, path: path.to_owned() });
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As any other new file, it is everyone's to read unless the umask says otherwise.
        let permissions = Permissions::from_mode(0o666);
        let temporary = tempfile::Builder::new().permissions(permissions).tempfile_in(parent).with_context(refused)?;
        Ok(Self::File { temporary, path: path.to_owned() })
    }

    /// Writes it, in place of what was there.
    pub(crate) fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout => std::io::stdout().write_all(bytes).context("writing to standard output"),
            Self::Special { mut file, path } => {
                file.write_all(bytes).with_context(|| format!("writing {}", path.display()))
            }
            Self::File { mut temporary, path } => {
                temporary.write_all(bytes).with_context(|| format!("writing {}", path.display()))?;
                temporary.persist(&path).with_context(|| format!("replacing {}", path.display()))?;
                Ok(())
            }
        }
    }
}
