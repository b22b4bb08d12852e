//! Runs of entries that are there again as a whole: a log that was read twice, restored or appended to itself. No election
//! writes so: its instances write the same event one after the other, not many events in a row and then all of them again.

/// How many entries in a row are a run.
const RUN_MIN: u64 = 5;

/// How many runs are told.
const RUNS_MAX: usize = 1000;

/// A run of entries, and where it is again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Repeat {
    pub(crate) entries: u64,
    pub(crate) first_line: u64,
    pub(crate) last_line: u64,
    /// The same lines once more.
    pub(crate) again_first_line: u64,
    pub(crate) again_last_line: u64,
}

/// Looks for such runs while a log is read.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    run: Option<Repeat>,
    found: Vec<Repeat>,
}

impl Repeats {
    /// An event's first entry, with which no run goes on.
    pub(crate) fn first(&mut self) {
        self.end_run();
    }

    /// A further entry of the event that was first on that line.
    pub(crate) fn again(&mut self, line: u64, first_line: u64, is_same: bool) {
        match &mut self.run {
            Some(run)
                if is_same
                    && line - first_line == run.again_last_line - run.last_line
                    && run.last_line <= first_line =>
            {
                run.entries += 1;
                (run.last_line, run.again_last_line) = (first_line, line);
            }
            _ => {
                self.end_run();
                self.run = is_same.then_some(Repeat {
                    entries: 1,
                    first_line,
                    last_line: first_line,
                    again_first_line: line,
                    again_last_line: line,
                });
            }
        }
    }

    /// All that was found, in order.
    pub(crate) fn finish(&mut self) -> Vec<Repeat> {
        self.end_run();
        std::mem::take(&mut self.found)
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take()
            && run.entries >= RUN_MIN
            && run.last_line > run.first_line
            && self.found.len() < RUNS_MAX
        {
            self.found.push(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(events: &[u64], expected: &[(u64, u64, u64, u64)]) {
        let mut repeats = Repeats::default();
        let mut first = std::collections::HashMap::new();
        for (line, event) in (1..).zip(events) {
            match first.get(event) {
                None => {
                    first.insert(event, line);
                    repeats.first();
                }
                Some(first) => repeats.again(line, *first, true),
            }
        }
        let found: Vec<_> = repeats
            .finish()
            .iter()
            .map(|run| (run.first_line, run.last_line, run.again_first_line, run.again_last_line))
            .collect();
        assert_eq!(found, expected, "{events:?}");
    }

    #[test]
    fn runs_are_found_and_doubled_entries_are_none() {
        let log: Vec<u64> = (1..=20).collect();
        check(&[&log[..], &log[10..]].concat(), &[(11, 20, 21, 30)]);
        check(&[&log[..], &log, &log].concat(), &[(1, 20, 21, 40), (1, 20, 41, 60)]);
        check(&[&log[..], &log[5..12], &[99], &log[..5]].concat(), &[(6, 12, 21, 27), (1, 5, 29, 33)]);
        check(&log.iter().flat_map(|event| [*event; 4]).collect::<Vec<_>>(), &[]);
        check(&[1; 50], &[]);
        check(&[1, 2, 1, 3, 2, 4, 3, 5, 4, 6, 5, 7, 6], &[]);
        check(&[1, 2, 3, 1, 2, 3], &[]);
    }
}
