//! The order of the files that rotation makes of one log: the oldest first.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// Endings that say how a file is packed, and nothing of its age.
const PACKED: [&str; 8] = [".gz", ".zst", ".zstd", ".xz", ".bz2", ".gzip", ".bzip2", ".lzma"];

/// How old a file of a rotated log is, from the oldest on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// `log.3`: the higher, the older.
    Number(Reverse<u64>),
    /// `log-20261129`, `log.2026-11-29-1764000000`: the earlier, the older.
    Date(Vec<u64>),
    /// `log` itself.
    Current,
}

/// Puts the files of each rotated log in order, where the first of them stands; everything else stays where it is.
pub(crate) fn in_order(logs: &[PathBuf]) -> Vec<PathBuf> {
    let mut sets: Vec<(PathBuf, Vec<(Age, &PathBuf)>)> = Vec::new();
    for log in logs {
        let (name, age) = name_and_age(log);
        match sets.iter_mut().find(|(other, _)| *other == name) {
            Some((_, files)) => files.push((age, log)),
            None => sets.push((name, vec![(age, log)])),
        }
    }
    sets.into_iter()
        .flat_map(|(_, mut files)| {
            files.sort_by(|(one, _), (other, _)| one.cmp(other));
            files.into_iter().map(|(_, log)| log.clone())
        })
        .collect()
}

/// The log that a file belongs to, and its age among the files of that log.
fn name_and_age(path: &Path) -> (PathBuf, Age) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return (path.to_owned(), Age::Current) };
    let name = PACKED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    // Some rotate `app.log` to `app-20261129.log`, or to `app.3.log`.
    for extension in ["", ".log", ".jsonl", ".json", ".ndjson", ".txt"] {
        let Some(stem) = name.strip_suffix(extension) else { continue };
        let base = stem.trim_end_matches(|character: char| character.is_ascii_digit() || "-_T:".contains(character));
        let (Some(separator), suffix) = (base.chars().last(), &stem[base.len()..]) else { continue };
        let (base, suffix) = match (separator, suffix.chars().next()) {
            ('.', Some(first)) if first.is_ascii_digit() => (&base[..base.len() - 1], suffix),
            (_, Some('-' | '_')) => (base, &suffix[1..]),
            _ => continue,
        };
        let numbers: Option<Vec<u64>> = suffix
            .split(|character: char| !character.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect();
        let age = match numbers.as_deref() {
            Some([number]) if *number < 10_000 && separator == '.' => Age::Number(Reverse(*number)),
            Some([first, ..]) if *first >= 1970 => Age::Date(numbers.unwrap_or_default()),
            _ => continue,
        };
        return (path.with_file_name(format!("{base}{extension}")), age);
    }
    (path.with_file_name(name), Age::Current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_first() {
        let check = |given: &[&str], expected: &[&str]| {
            let given: Vec<_> = given.iter().map(PathBuf::from).collect();
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(in_order(&given), expected);
        };
        check(&["a.log", "a.log.1", "a.log.10.gz", "a.log.2.gz"], &["a.log.10.gz", "a.log.2.gz", "a.log.1", "a.log"]);
        check(&["a.log", "a.log-20261129", "a.log-20261128.zst"], &["a.log-20261128.zst", "a.log-20261129", "a.log"]);
        check(&["a.log", "a.log.2026-11-29", "a.log.2026-11-28"], &["a.log.2026-11-28", "a.log.2026-11-29", "a.log"]);
        check(
            &["app.log", "app-20261129.log", "app-20261128.log"],
            &["app-20261128.log", "app-20261129.log", "app.log"],
        );
        check(&["x/a.log", "b.log", "x/a.log.1", "-"], &["x/a.log.1", "x/a.log", "b.log", "-"]);
        check(&["b.log", "a.log"], &["b.log", "a.log"]);
        check(&["worker-2.log", "worker-1.log"], &["worker-2.log", "worker-1.log"]);
        check(&["a/log.1", "b/log"], &["a/log.1", "b/log"]);
    }
}
