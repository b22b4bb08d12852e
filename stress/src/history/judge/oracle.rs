//! The journal and the log read by a second hand: a plain program over their text that recomputes who was elected, and
//! counts what was written.

/// What the journal says of a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elected {
    pub(crate) term: u64,
    /// The smallest of the IDs registered before the seal and not gone.
    pub(crate) primary: String,
    /// Those who were.
    pub(crate) candidates: Vec<String>,
}

/// One record, as its text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    pub(crate) kind: &'a str,
    pub(crate) term: u64,
    pub(crate) id: &'a str,
    /// Microseconds since boot.
    pub(crate) at_us: u64,
}

/// The records of a journal, without what is damaged.
pub(crate) fn records(journal: &[u8]) -> impl Iterator<Item = Written<'_>> {
    journal.split_inclusive(|&byte| byte == b'\n').filter_map(read)
}

/// Every election in the journal, in its order.
pub(crate) fn elections(journal: &[u8]) -> Vec<Elected> {
    let mut term = 1;
    let mut primary: Option<&str> = None;
    let mut present: Vec<&str> = Vec::new();
    let mut ever: Vec<&str> = Vec::new();
    let mut elections = Vec::new();
    for record in records(journal) {
        match record.kind {
            "begin" if ever.is_empty() => term = record.term.max(term),
            "register" if !ever.contains(&record.id) => {
                ever.push(record.id);
                present.push(record.id);
            }
            "seal" if record.term == term && primary.is_none() => {
                primary = present.iter().min().copied();
                if let Some(primary) = primary {
                    let candidates = present.iter().map(|&id| id.to_owned()).collect();
                    elections.push(Elected { term, primary: primary.to_owned(), candidates });
                }
            }
            "depose" if record.term == term && primary.is_some() => {
                present.retain(|&id| Some(id) != primary);
                primary = None;
                term += 1;
            }
            "leave" => {
                present.retain(|&id| id != record.id);
                if primary == Some(record.id) {
                    primary = None;
                    term += 1;
                }
            }
            _ => {}
        }
    }
    elections
}

/// A record is the last 128 bytes of a line: `spj2 KIND TERM ID TIME`, blanks, a checksum of all that, a newline.
fn read(line: &[u8]) -> Option<Written<'_>> {
    let record = line.get(line.len().checked_sub(128)?..)?;
    let (text, end) = record.split_at_checked(119)?;
    if end.last() != Some(&b'\n') || std::str::from_utf8(&end[..8]).ok()? != format!("{:08x}", checksum(text)) {
        return None;
    }
    let mut words = std::str::from_utf8(text).ok()?.split_whitespace();
    if words.next()? != "spj2" {
        return None;
    }
    let kind = words.next()?;
    let term = words.next()?.parse().ok()?;
    let id = words.next()?;
    Some(Written { kind, term, id, at_us: words.next()?.parse().ok()? })
}

/// How many lines of realtime.log are entries of each of so many events, by the number in their IDs. A line without its end is
/// no entry.
pub(crate) fn entries_in(log: &[u8], events: usize) -> Vec<u64> {
    let mut counts = vec![0; events];
    for line in log.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let number = event_of(line).and_then(|event| event.strip_prefix("event-")?.parse::<usize>().ok());
        if let Some(count) = number.and_then(|number| counts.get_mut(number)) {
            *count += 1;
        }
    }
    counts
}

/// The event that a line of realtime.log is the entry of: `{"event":"ID",…`.
pub(crate) fn event_of(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(b"{\"event\":\"")?;
    std::str::from_utf8(rest.split(|&byte| byte == b'"').next()?).ok()
}

/// CRC-32 as in IEEE 802.3, one bit at a time.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !sum
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A journal with these records, written by the same second hand.
    pub(crate) fn journal(records: &[(&str, u64, &str)]) -> Vec<u8> {
        records
            .iter()
            .flat_map(|(kind, term, id)| {
                let text = format!("{:119}", format!("spj2 {kind} {term} {id} 1000"));
                format!("{text}{:08x}\n", checksum(text.as_bytes())).into_bytes()
            })
            .collect()
    }

    #[test]
    fn the_second_hand_writes_what_the_library_writes() {
        let record = single_primary::Record {
            kind: single_primary::Kind::Depose,
            term: 12,
            id: single_primary::InstanceId::new("a-1").expect("a valid ID"),
            at: single_primary::call::Time::from_micros(1000),
        };
        assert_eq!(journal(&[("depose", 12, "a-1")]), record.encode());
    }

    #[test]
    fn the_smallest_before_the_seal_and_not_gone_is_elected() {
        let check = |records: &[(&str, u64, &str)], expected: &[(u64, &str)]| {
            let elected = elections(&journal(records));
            let elected: Vec<_> = elected.iter().map(|one| (one.term, one.primary.as_str())).collect();
            assert_eq!(elected, expected, "{records:?}");
        };
        check(&[], &[]);
        check(&[("seal", 1, "a")], &[]);
        check(&[("register", 1, "b"), ("register", 1, "a"), ("seal", 1, "b")], &[(1, "a")]);
        check(&[("register", 1, "b"), ("seal", 1, "b"), ("register", 1, "a"), ("seal", 1, "a")], &[(1, "b")]);
        let succession = [("register", 1, "a"), ("register", 1, "b"), ("seal", 1, "a"), ("depose", 1, "b")];
        check(&[&succession[..], &[("seal", 2, "b")]].concat(), &[(1, "a"), (2, "b")]);
        check(&[&succession[..], &[("depose", 1, "b"), ("seal", 1, "b")]].concat(), &[(1, "a")]);
        let leave = [("register", 1, "a"), ("register", 1, "b"), ("leave", 1, "a"), ("seal", 1, "b")];
        check(&leave, &[(1, "b")]);
    }

    #[test]
    fn entries_are_counted_by_their_whole_lines() {
        let log = b"{\"event\":\"event-0\",\"term\":1}\nnoise\n{\"event\":\"event-10\"}\n{\"event\":\"event-0\"}\n{\"event\":\"event-1\"";
        assert_eq!(entries_in(log, 3), [2, 0, 0]);
    }

    #[test]
    fn damage_hides_no_record_behind_it() {
        let mut bytes = journal(&[("register", 1, "a")]);
        bytes.extend(b"half a rec");
        bytes.extend(journal(&[("seal", 1, "a")]));
        assert_eq!(elections(&bytes).len(), 1);
        bytes[3] ^= 1;
        assert_eq!(elections(&bytes), []);
    }
}
