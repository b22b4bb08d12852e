//! Files for machines: opened before the run, replaced whole at its end.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// Where something will be written.
#[derive(Debug)]
pub(crate) enum Export {
    /// Standard output.
    Stdout,
    /// A file, by way of a temporary one beside it.
    File { temporary: NamedTempFile, path: PathBuf },
}

impl Export {
    /// Makes sure that it can be written; `-` is standard output.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = NamedTempFile::new_in(parent)
            .with_context(|| format!("{}: cannot write in this directory; give another path", parent.display()))?;
        Ok(Self::File { temporary, path: path.to_owned() })
    }

    /// Writes it, in place of what was there.
    pub(crate) fn write(self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Stdout => std::io::stdout().write_all(bytes).context("writing to standard output"),
            Self::File { mut temporary, path } => {
                temporary.write_all(bytes).with_context(|| format!("writing {}", path.display()))?;
                temporary.persist(&path).with_context(|| format!("replacing {}", path.display()))?;
                Ok(())
            }
        }
    }
}
