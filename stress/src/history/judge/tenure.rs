//! Spans in which an instance was primary.

/// A span in which an instance surely believed that it was primary, in nanoseconds on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// The term, or 0 in a protocol without terms.
    pub(crate) term: u64,
    /// The first moment at which it was seen to believe.
    pub(crate) from_ns: u64,
    /// The last moment at which it surely did.
    pub(crate) until_ns: u64,
}

impl Tenure {
    /// Where it ends for whoever looks for others at the same moment: one that begins and ends at once counts as one moment.
    pub(crate) fn end_ns(self) -> u64 {
        self.until_ns.max(self.from_ns + 1)
    }
}

/// The most that were primary at one moment. One that ends when another begins is not at one moment with it.
pub(crate) fn most_at_once(tenures: impl Iterator<Item = Tenure>) -> usize {
    // Ends sort before beginnings of the same moment.
    let mut changes: Vec<(u64, bool)> =
        tenures.flat_map(|tenure| [(tenure.from_ns, true), (tenure.end_ns(), false)]).collect();
    changes.sort_unstable();
    let mut now = 0_usize;
    let mut most = 0;
    for (_, begins) in changes {
        now = if begins { now + 1 } else { now - 1 };
        most = most.max(now);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenures_are_counted_at_their_densest() {
        let check = |spans: &[(u64, u64)], expected| {
            let tenures = spans.iter().map(|&(from_ns, until_ns)| Tenure { term: 1, from_ns, until_ns });
            assert_eq!(most_at_once(tenures), expected, "{spans:?}");
        };
        check(&[], 0);
        check(&[(1, 5)], 1);
        check(&[(3, 3)], 1);
        check(&[(1, 5), (5, 9)], 1);
        check(&[(1, 5), (4, 9)], 2);
        check(&[(1, 9), (2, 3), (4, 5)], 2);
        check(&[(1, 9), (2, 8), (3, 7), (4, 6)], 4);
    }
}
