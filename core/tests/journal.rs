//! Records and their fold over arbitrary histories and arbitrary bytes, beside a naive reading of the same text.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use single_primary::call::Time;
use single_primary::{Fold, InstanceId, Kind, RECORD_BYTES, Record};

fn instance_id() -> impl Strategy<Value = InstanceId> {
    prop_oneof![4 => "[a-d]", 1 => "[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"]
        .prop_map(|id| InstanceId::new(id).expect("a valid ID"))
}

fn record() -> impl Strategy<Value = Record> {
    let kind =
        prop_oneof![Just(Kind::Begin), Just(Kind::Register), Just(Kind::Seal), Just(Kind::Depose), Just(Kind::Leave)];
    let term = prop_oneof![8 => 1..6_u64, 1 => any::<u64>()];
    (kind, term, instance_id(), 0..100_000_000_000_000_000_u64).prop_map(|(kind, term, id, at)| Record {
        kind,
        term,
        id,
        at: Time::from_micros(at),
    })
}

/// A journal as crashes, full disks and vandals make them: whole records, cut ones, garbage with and without newlines.
fn journal() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => record().prop_map(|record| record.encode().to_vec()),
        2 => (record(), 0..RECORD_BYTES).prop_map(|(record, cut)| record.encode()[..cut].to_vec()),
        1 => (record(), 0..RECORD_BYTES, any::<u8>()).prop_map(|(record, at, byte)| {
            let mut bytes = record.encode().to_vec();
            bytes[at] = byte;
            bytes
        }),
        1 => record().prop_map(|record| as_before(&record).to_vec()),
        1 => vec(any::<u8>(), 0..300),
        1 => Just(b"\n".to_vec()),
        1 => (4000..9000_usize).prop_map(|length| vec![b'x'; length]),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// The record as the version before wrote it.
fn as_before(record: &Record) -> [u8; RECORD_BYTES] {
    let mut bytes = record.encode();
    bytes[..4].copy_from_slice(b"spj1");
    let sum = format!("{:08x}", crc32(&bytes[..119]));
    bytes[119..127].copy_from_slice(sum.as_bytes());
    bytes
}

fn fold(bytes: &[u8]) -> Fold {
    let mut fold = Fold::default();
    fold.read(bytes);
    fold
}

/// The election read off the text by somebody who has only read the design: words, not records; a list, not sets.
#[derive(Debug, PartialEq)]
struct Naive {
    term: u64,
    primary: Option<String>,
    candidates: Vec<String>,
}

fn naive(bytes: &[u8]) -> Naive {
    let (mut term, mut primary) = (1_u64, None);
    let mut standing: BTreeMap<String, bool> = BTreeMap::new();
    let whole_lines = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    for line in bytes[..whole_lines].split(|&byte| byte == b'\n') {
        if line.len() < 127 {
            continue;
        }
        let last = &line[line.len() - 127..];
        if format!("{:08x}", crc32(&last[..119])).as_bytes() != &last[119..] {
            continue;
        }
        let text = String::from_utf8_lossy(&last[..119]);
        let words: Vec<&str> = text.split_whitespace().collect();
        let [version @ ("spj1" | "spj2"), kind, its_term, id, _time] = words[..] else { continue };
        let its_term: u64 = its_term.parse().expect("the checksum holds");
        match kind {
            "begin" if version == "spj2" && standing.is_empty() && its_term < 1 << 63 => term = term.max(its_term),
            "register" => {
                standing.entry(id.into()).or_insert(true);
            }
            "seal" if its_term == term && primary.is_none() => {
                primary = standing.iter().find(|(_, stands)| **stands).map(|(id, _)| id.clone());
            }
            "depose" if its_term == term && primary.is_some() => {
                standing.insert(primary.take().expect("there is one"), false);
                term += 1;
            }
            "leave" if standing.get(id) == Some(&true) => {
                standing.insert(id.into(), false);
                if primary.as_deref() == Some(id) {
                    primary = None;
                    term += 1;
                }
            }
            _ => {}
        }
    }
    let candidates = standing.into_iter().filter(|(_, stands)| *stands).map(|(id, _)| id).collect();
    Naive { term, primary, candidates }
}

/// CRC-32 as ISO 3309 defines it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shift(crc)))
}

/// Anyone can make a checksum: only what we would have written is a record.
#[test]
fn what_would_be_written_otherwise_is_no_record() {
    let decode = |fields: &str| {
        let text = format!("{fields:<119}");
        let line = format!("{text}{:08x}\n", crc32(text.as_bytes()));
        Record::decode(line.as_bytes().try_into().expect("128 bytes"))
    };
    let good = Record {
        kind: Kind::Seal,
        term: 10,
        id: InstanceId::new("a.b").expect("a valid ID"),
        at: Time::from_micros(99_999_999_999_999_999),
    };
    assert_eq!(decode("spj2 seal 10 a.b 99999999999999999"), Some(good));
    for fields in [
        "spj2 seal 010 a.b 5",
        "spj2 seal 10 a.b 05",
        "spj2 seal +10 a.b 5",
        "spj2 seal  a.b 5",
        "spj2 seal 10  a.b 5",
        "spj2  seal 10 a.b 5",
        " spj2 seal 10 a.b 5",
        "spj2 seal 10 a.b 5 6",
        "spj2 seal 10 a.b  5",
        "spj2 seal 10 .ab 5",
        "spj2 seal 10 a/b 5",
        "spj2 seal 10 a.b",
        "spj2 seal 10 a.b 100000000000000000",
        "spj2 seal 18446744073709551616 a.b 5",
        "spj2 unseal 10 a.b 5",
        "spj1 seal 10 a.b 5",
        "spj1 begin 10 a.b 5",
    ] {
        assert_eq!(decode(fields), None, "{fields}");
    }
}

fn seen(fold: &Fold) -> Naive {
    Naive {
        term: fold.term(),
        primary: fold.primary().map(ToString::to_string),
        candidates: fold.candidates().map(|id| id.to_string()).collect(),
    }
}

proptest! {
    #[test]
    fn a_record_is_128_bytes_of_text_and_comes_back(record in record()) {
        let bytes = record.encode();
        prop_assert!(bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ' || *byte == b'\n'));
        prop_assert_eq!(bytes.iter().position(|&byte| byte == b'\n'), Some(RECORD_BYTES - 1));
        prop_assert_eq!(Record::decode(&bytes), Some(record));
    }

    #[test]
    fn a_record_with_a_changed_byte_is_none(record in record(), at in 0..RECORD_BYTES, byte: u8) {
        let mut bytes = record.encode();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert_eq!(Record::decode(&bytes), None);
    }

    #[test]
    fn arbitrary_bytes_are_no_record_and_no_panic(bytes in vec(any::<u8>(), RECORD_BYTES)) {
        prop_assert_eq!(Record::decode(&bytes.try_into().expect("as many")), None);
    }

    #[test]
    fn the_fold_reads_what_the_text_says(bytes in journal()) {
        prop_assert_eq!(seen(&fold(&bytes)), naive(&bytes));
    }

    /// Whoever reads in other pieces comes to the same election.
    #[test]
    fn the_fold_does_not_depend_on_where_a_read_ends(bytes in journal(), cuts in vec(any::<prop::sample::Index>(), 0..20)) {
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(bytes.len());
        let (mut pieces, mut done) = (Fold::default(), 0);
        for end in ends {
            done += pieces.read(&bytes[done.min(end)..end]);
        }
        prop_assert_eq!(seen(&pieces), seen(&fold(&bytes)));
    }

    /// Once a term has its primary, nothing that is appended changes it; and terms rise.
    #[test]
    fn no_suffix_changes_the_primary_of_a_term(bytes in journal(), suffix in journal()) {
        let before = fold(&bytes);
        let mut after = before.clone();
        let rest = [&bytes[Fold::default().read(&bytes)..], &suffix].concat();
        let mut done = 0;
        for end in 0..=rest.len() {
            let term = after.term();
            done += after.read(&rest[done..end]);
            prop_assert!(after.term() >= term);
            if after.term() == before.term() && before.primary().is_some() {
                prop_assert_eq!(after.primary(), before.primary());
            }
        }
    }

    /// A torn tail, whatever its length, costs no record but itself.
    #[test]
    fn a_reader_finds_the_next_record_after_a_torn_tail(torn in record(), cut in 0..RECORD_BYTES, next in vec(record(), 1..5)) {
        let tail: Vec<u8> = next.iter().flat_map(Record::encode).collect();
        let mut whole = Fold::default();
        for record in &next {
            whole.apply(record);
        }
        prop_assert_eq!(seen(&fold(&[&torn.encode()[..cut], &tail].concat())), seen(&whole));
    }
}
