//! Appends: that they come whole, all of them, at once, and where they should.

use std::collections::BTreeMap;

use single_primary::RECORD_BYTES;

use super::{A, ALTERNATIONS, ATTEMPTS_MAX, Checked, FILE, MEETING_MS, MEETINGS_MIN, open, until_met};
use crate::qualify::actor::{Actor, Field, Stop, differs};
use crate::qualify::worker::{Answer, Request, parse};

const WRITERS: usize = 4;

/// What several writers left in a file.
#[derive(Default)]
pub(super) struct Appended {
    records: u64,
    damaged: u64,
    missing: u64,
    doubled: u64,
    /// How often a record of one writer follows one of another.
    turns: u64,
}

impl Appended {
    pub(super) fn whole(self) -> Checked {
        let Self { records, damaged, .. } = self;
        if damaged > 0 {
            return Err(Stop::Violated(format!("{damaged} of {records} records are mixed up")));
        }
        self.met()
    }

    pub(super) fn kept(self) -> Checked {
        // A record that is damaged is in the file, if not as itself; to mix records is another failure.
        let Self { records, doubled, .. } = self;
        let lost = self.missing.saturating_sub(self.damaged);
        if lost > 0 || doubled > 0 {
            return Err(Stop::Violated(format!("{lost} of {records} records are missing, {doubled} are doubled")));
        }
        self.met()
    }

    /// Whether the writers wrote side by side at all.
    fn met(self) -> Checked {
        let Self { records, turns, .. } = self;
        if turns < MEETINGS_MIN {
            return Err(Stop::Unknown(format!("the writers hardly ever met: {turns} turns in {records} records")));
        }
        Ok(format!("{records} records of {WRITERS} writers, {turns} turns between them"))
    }
}

pub(super) fn append_by_many(field: &Field<'_>) -> Result<Appended, Stop> {
    let mut writers: [Actor; WRITERS] = field.actors()?;
    for writer in &mut writers {
        open(writer, A)?;
    }
    let mut all = Appended::default();
    for _ in 0..ATTEMPTS_MAX {
        writers[0].expect(&Request::Truncate(A), &Answer::Done, "the file should be emptied")?;
        for (number, writer) in (0..).zip(&mut writers) {
            writer.begin(&Request::AppendMany { handle: A, writer: number, for_ms: MEETING_MS })?;
        }
        let mut appended = Vec::new();
        for writer in &mut writers {
            match writer.finish()? {
                Answer::Appended(records) => appended.push(records),
                answer => return Err(differs("every append should succeed", &answer)),
            }
        }
        let path = field.directory.join(FILE);
        let bytes = std::fs::read(&path).map_err(|error| Stop::Unknown(format!("{}: {error}", path.display())))?;
        let mut seen = BTreeMap::<(u32, u32), u64>::new();
        let mut before = None;
        for record in bytes.chunks(RECORD_BYTES).map(parse) {
            match record {
                Some(record) => *seen.entry(record).or_default() += 1,
                None => all.damaged += 1,
            }
            let writer = record.map(|(writer, _)| writer);
            all.turns += u64::from(before.is_some_and(|before| before != writer));
            before = Some(writer);
        }
        let expected =
            (0..).zip(&appended).flat_map(|(writer, &records)| (0..records).map(move |number| (writer, number)));
        for record in expected {
            all.records += 1;
            match seen.remove(&record) {
                None => all.missing += 1,
                Some(times) => all.doubled += times - 1,
            }
        }
        all.doubled += seen.len() as u64;
        if all.damaged + all.missing + all.doubled > 0 || all.turns >= MEETINGS_MIN {
            break;
        }
    }
    Ok(all)
}

pub(super) fn append_at_once(field: &Field<'_>) -> Checked {
    let [mut writer, mut reader] = field.actors()?;
    open(&mut writer, A)?;
    open(&mut reader, A)?;
    until_met(|| {
        writer.expect(&Request::Truncate(A), &Answer::Done, "the file should be emptied")?;
        watch_appends(&mut writer, &mut reader)
    })
}

fn watch_appends(writer: &mut Actor, reader: &mut Actor) -> Result<Answer, Stop> {
    writer.begin(&Request::AppendMany { handle: A, writer: 0, for_ms: MEETING_MS })?;
    let watched = reader.ask(&Request::WatchRecords { handle: A, for_ms: MEETING_MS })?;
    match writer.finish()? {
        Answer::Appended(_) => Ok(watched),
        answer => Err(differs("every append should succeed", &answer)),
    }
}

pub(super) fn visibility(field: &Field<'_>) -> Checked {
    let [mut writer, mut reader] = field.actors()?;
    open(&mut writer, A)?;
    open(&mut reader, A)?;
    for number in 0..ALTERNATIONS {
        let append = Request::Append { handle: A, writer: 0, number };
        writer.expect(&append, &Answer::Done, "the append should succeed")?;
        let expected = Answer::Records { bytes: RECORD_BYTES, records: vec![Some((0, number))] };
        let offset = u64::from(number) * RECORD_BYTES as u64;
        reader.expect(
            &Request::Read { handle: A, offset },
            &expected,
            "another process should see the record at once",
        )?;
        match reader.ask(&Request::Inspect(A))? {
            Answer::Status { size, .. } if size == offset + RECORD_BYTES as u64 => {}
            answer => return Err(differs("another process should see the new size at once", &answer)),
        }
    }
    Ok(format!("{ALTERNATIONS} records"))
}

pub(super) fn truncation(field: &Field<'_>) -> Checked {
    let [mut first, mut second] = field.actors()?;
    open(&mut first, A)?;
    open(&mut second, A)?;
    for number in 0..ALTERNATIONS {
        first.expect(&Request::Append { handle: A, writer: 0, number }, &Answer::Done, "the append should succeed")?;
        second.expect(&Request::Truncate(A), &Answer::Done, "the file should be emptied")?;
        first.expect(&Request::Append { handle: A, writer: 1, number }, &Answer::Done, "the append should succeed")?;
        let expected = Answer::Records { bytes: RECORD_BYTES, records: vec![Some((1, number))] };
        let read = Request::Read { handle: A, offset: 0 };
        second.expect(&read, &expected, "there should be one record, at the start")?;
        first.expect(&Request::Truncate(A), &Answer::Done, "the file should be emptied")?;
    }
    Ok(format!("{ALTERNATIONS} times"))
}
