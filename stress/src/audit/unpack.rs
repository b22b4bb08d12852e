//! What was compressed, as it was before: gzip, zstd, xz and bzip2, whole, in several members, and behind or before plain
//! text, as `cat`, log rotation and appending to a compressed file make them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::peek::Peek;

/// What a log was found to be packed and written in, shared by those who read it.
pub(crate) type Forms = Rc<RefCell<BTreeSet<&'static str>>>;

/// The most memory that a compressed log may ask for, in bytes: what `zstd --long` and `xz -9` need.
const MEMORY_BYTES_MAX: u32 = 128 << 20;

/// How many bytes tell where compressed data begins.
const MAGIC_BYTES: usize = 10;

/// How compressed data begins: with bytes that no text holds.
const MAGIC: [(&[u8], Format); 4] = [
    (b"\x1F\x8B\x08", Format::Gzip),
    (b"\x28\xB5\x2F\xFD", Format::Zstd),
    (b"\xFD7zXZ\0", Format::Xz),
    (b"BZh", Format::Bzip2),
];

/// How frames of zstd that hold nothing to be unpacked go on behind their first byte.
const SKIPPABLE: &[u8] = b"*M\x18";

/// The formats that are unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gzip,
    Zstd,
    /// A frame of zstd that holds nothing to be unpacked, as parallel compressors write them.
    ZstdSkippable,
    Xz,
    Bzip2,
}

impl Format {
    /// What begins with these bytes.
    fn of(bytes: &[u8]) -> Option<Self> {
        if matches!(bytes, [b'P'..=b'_', rest @ ..] if rest.starts_with(SKIPPABLE)) {
            return Some(Self::ZstdSkippable);
        }
        let (_, format) = MAGIC.into_iter().find(|(magic, _)| bytes.starts_with(magic))?;
        // What follows the version of bzip2 is pi, or the root of it where there is nothing.
        let is_bzip2 = || matches!(bytes.get(4..MAGIC_BYTES), Some(b"1AY&SY" | b"\x17rE8P\x90"));
        (format != Self::Bzip2 || is_bzip2()).then_some(format)
    }

    /// Where compressed data begins in these bytes.
    fn place_in(bytes: &[u8]) -> Option<usize> {
        // The first byte of a skippable frame is one of several.
        let words = MAGIC.map(|(magic, _)| (magic, 0)).into_iter().chain([(SKIPPABLE, 1)]);
        let places = words.filter_map(|(word, before)| {
            let mut places = memchr::memmem::find_iter(bytes, word).filter_map(|place| place.checked_sub(before));
            places.find(|place| Self::of(&bytes[*place..]).is_some())
        });
        places.min()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd | Self::ZstdSkippable => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }

    /// Begins to unpack.
    fn open<R: Read + 'static>(self, source: Peek<R>) -> io::Result<Box<dyn Member<R>>> {
        Ok(match self {
            Self::Gzip => Box::new(GzDecoder::new(source)),
            Self::Zstd | Self::ZstdSkippable => {
                let decoder = StreamingDecoder::new_with_max_window_size(source, MEMORY_BYTES_MAX.into());
                Box::new(decoder.map_err(io::Error::other)?)
            }
            Self::Xz => Box::new(XzReader::new_mem_limit(source, false, MEMORY_BYTES_MAX >> 10)),
            Self::Bzip2 => Box::new(BzDecoder::new(source)),
        })
    }
}

/// One piece of compressed data, and what follows it.
trait Member<R>: Read {
    /// Gives back the source, where this member ends.
    ///
    /// # Errors
    /// Where what was unpacked is not what was packed.
    fn end(self: Box<Self>) -> io::Result<Peek<R>>;
}

impl<R: Read> Member<R> for GzDecoder<Peek<R>> {
    fn end(self: Box<Self>) -> io::Result<Peek<R>> {
        Ok(self.into_inner())
    }
}

impl<R: Read> Member<R> for StreamingDecoder<Peek<R>, FrameDecoder> {
    fn end(self: Box<Self>) -> io::Result<Peek<R>> {
        let stored = self.decoder.get_checksum_from_data();
        if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong"));
        }
        Ok(self.into_inner())
    }
}

impl<R: Read> Member<R> for XzReader<Peek<R>> {
    fn end(self: Box<Self>) -> io::Result<Peek<R>> {
        Ok(self.into_inner())
    }
}

impl<R: Read> Member<R> for BzDecoder<Peek<R>> {
    fn end(self: Box<Self>) -> io::Result<Peek<R>> {
        Ok(self.into_inner())
    }
}

/// Reads what is compressed as it was before, and everything else as it is.
pub(crate) struct Unpacked<R> {
    state: State<R>,
    forms: Forms,
}

enum State<R> {
    /// At the beginning, or behind a member.
    Between {
        source: Peek<R>,
        is_behind_member: bool,
    },
    Plain(Peek<R>),
    Member(Format, Box<dyn Member<R>>),
    /// Behind the end, or an error.
    Ended,
}

impl<R: Read + 'static> Unpacked<R> {
    pub(crate) fn new(source: R, forms: Forms) -> Self {
        Self { state: State::Between { source: Peek::new(source), is_behind_member: false }, forms }
    }

    /// What comes between members; and which state that leads to.
    fn enter(&self, mut source: Peek<R>, is_behind_member: bool) -> io::Result<State<R>> {
        let head = source.peek(MAGIC_BYTES)?;
        match Format::of(head) {
            Some(Format::ZstdSkippable) => {
                let length = head.get(4..8).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes);
                io::copy(&mut source.by_ref().take(8 + u64::from(length)), &mut io::sink())?;
                Ok(State::Between { source, is_behind_member: true })
            }
            Some(format) => {
                self.forms.borrow_mut().insert(format.name());
                let member = format.open(source).map_err(|error| damaged(format, &error))?;
                Ok(State::Member(format, member))
            }
            // Tapes and block devices are padded to whole blocks.
            _ if is_behind_member && head.first() == Some(&0) => {
                let zeros = head.iter().take_while(|byte| **byte == 0).count();
                source.consume(zeros);
                Ok(State::Between { source, is_behind_member })
            }
            _ => Ok(State::Plain(source)),
        }
    }
}

impl<R: Read + 'static> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between { source, is_behind_member } => self.state = self.enter(source, is_behind_member)?,
                State::Plain(mut source) => {
                    let available = source.peek(MAGIC_BYTES)?;
                    if available.is_empty() {
                        return Ok(0);
                    }
                    // A beginning that is not all there yet is kept back, unless nothing follows.
                    let (whole, found) = match Format::place_in(available) {
                        Some(place) => (place, true),
                        None if available.len() < MAGIC_BYTES => (available.len(), false),
                        None => (available.len() - (MAGIC_BYTES - 1), false),
                    };
                    if found && whole == 0 {
                        self.state = State::Between { source, is_behind_member: false };
                        continue;
                    }
                    let count = whole.min(buffer.len());
                    buffer[..count].copy_from_slice(&available[..count]);
                    source.consume(count);
                    self.state = State::Plain(source);
                    return Ok(count);
                }
                State::Member(format, mut member) => match member.read(buffer) {
                    Ok(0) if !buffer.is_empty() => {
                        let source = member.end().map_err(|error| damaged(format, &error))?;
                        self.state = State::Between { source, is_behind_member: true };
                    }
                    Ok(count) => {
                        self.state = State::Member(format, member);
                        return Ok(count);
                    }
                    Err(error) => return Err(damaged(format, &error)),
                },
            }
        }
    }
}

fn damaged(format: Format, error: &io::Error) -> io::Error {
    let text = format!("the {} data is damaged or cut off ({error})", format.name());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A source that gives a byte at a time, so that no beginning comes as a whole.
    struct Trickle(io::Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory can be written to")
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory can be written to")
    }

    /// `{"id":"a0"}` to `{"id":"a4"}`, a line each, by zstd and xz.
    const ZSTD: &[u8] = include_bytes!("../../tests/audit/a.log.zst");
    const XZ: &[u8] = include_bytes!("../../tests/audit/a.log.xz");
    const PLAIN: &[u8] = b"{\"id\":\"a0\"}\n{\"id\":\"a1\"}\n{\"id\":\"a2\"}\n{\"id\":\"a3\"}\n{\"id\":\"a4\"}\n";

    fn unpack(bytes: &[u8]) -> io::Result<(Vec<u8>, Vec<&'static str>)> {
        let forms = Forms::default();
        let mut text = Vec::new();
        Unpacked::new(Trickle(io::Cursor::new(bytes.to_vec())), forms.clone()).read_to_end(&mut text)?;
        let forms = forms.borrow().iter().copied().collect();
        Ok((text, forms))
    }

    #[test]
    fn every_order_of_members_and_plain_text_is_read() {
        let skippable = b"\x50\x2A\x4D\x18\x03\0\0\0abc".to_vec();
        let padding = vec![0; 700];
        let parts: [(&[u8], &[u8]); 7] = [
            (PLAIN, PLAIN),
            (&gzip(PLAIN), PLAIN),
            (&bzip2(PLAIN), PLAIN),
            (ZSTD, PLAIN),
            (XZ, PLAIN),
            (&[gzip(b"x\n"), padding].concat(), b"x\n"),
            (&[skippable, ZSTD.to_vec()].concat(), PLAIN),
        ];
        for first in parts {
            for second in parts {
                for third in parts {
                    let packed = [first.0, second.0, third.0].concat();
                    let (text, _) = unpack(&packed).expect("it is whole");
                    assert_eq!(text, [first.1, second.1, third.1].concat());
                }
            }
        }
        assert_eq!(unpack(&[ZSTD, XZ, &gzip(b"a")].concat()).expect("it is whole").1, ["gzip", "xz", "zstd"]);
        assert_eq!(unpack(b"").expect("it is empty").0, b"");
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_named() {
        for (format, packed) in
            [("gzip", gzip(PLAIN)), ("bzip2", bzip2(PLAIN)), ("zstd", ZSTD.to_vec()), ("xz", XZ.to_vec())]
        {
            for length in MAGIC_BYTES..packed.len() {
                let error = unpack(&packed[..length]).expect_err("something is missing");
                assert!(error.to_string().contains(format), "{error}");
            }
            let mut flipped = packed.clone();
            let place = packed.len() - 9;
            flipped[place] ^= 0x55;
            assert!(unpack(&flipped).map_or(true, |(text, _)| text == PLAIN), "{format}: taken for something else");
        }
    }
}
