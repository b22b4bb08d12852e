//! Text in other encodings than UTF-8, as UTF-8.

use std::io::{self, BufRead as _, Read};

use super::peek::Peek;
use super::unpack::Forms;

/// How much of a log tells how it is encoded, in bytes.
const HEAD_BYTES: usize = 64;

/// A byte order mark in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// Which byte of a unit of UTF-16 comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// How a log is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// UTF-8, or another that has ASCII as its first half: such lines are seen one by one.
    Ascii,
    Utf16(Order),
    Utf32,
}

impl Encoding {
    /// By the byte order mark, or else by the zeros that every other byte of Western text is.
    fn of(head: &[u8]) -> Self {
        let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
        let (first, second, pairs) = (zeros(0), zeros(1), head.len() / 2);
        let most = |zeros: usize, others: usize| pairs >= 2 && zeros * 4 >= pairs * 3 && others * 4 <= zeros;
        match head {
            [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Self::Utf32,
            [0xFF, 0xFE, ..] => Self::Utf16(Order::Little),
            [0xFE, 0xFF, ..] => Self::Utf16(Order::Big),
            _ if most(second, first) => Self::Utf16(Order::Little),
            _ if most(first, second) => Self::Utf16(Order::Big),
            _ => Self::Ascii,
        }
    }
}

/// Reads text of any encoding that is known as UTF-8.
pub(crate) struct Decoded<R> {
    source: Peek<R>,
    encoding: Option<Encoding>,
    /// What is decoded and not yet read.
    text: io::Cursor<Vec<u8>>,
    forms: Forms,
}

impl<R: Read> Decoded<R> {
    pub(crate) fn new(source: R, forms: Forms) -> Self {
        Self { source: Peek::new(source), encoding: None, text: io::Cursor::default(), forms }
    }

    fn encoding(&mut self) -> io::Result<Encoding> {
        if let Some(known) = self.encoding {
            return Ok(known);
        }
        let head = self.source.peek(HEAD_BYTES)?;
        let encoding = Encoding::of(&head[..head.len().min(HEAD_BYTES)]);
        match encoding {
            Encoding::Ascii => {}
            Encoding::Utf16(Order::Little) => drop(self.forms.borrow_mut().insert("UTF-16LE")),
            Encoding::Utf16(Order::Big) => drop(self.forms.borrow_mut().insert("UTF-16BE")),
            Encoding::Utf32 => {
                let text = "it is UTF-32, which is not read: convert it with `iconv -f UTF-32 -t UTF-8`";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        self.encoding = Some(encoding);
        Ok(encoding)
    }

    /// Decodes what there is, but for the last unit where its other half may follow.
    fn decode(&mut self, order: Order) -> io::Result<()> {
        let bytes = self.source.peek(4)?;
        let is_last = bytes.len() < 4;
        let (pairs, odd) = bytes.as_chunks();
        let units: Vec<u16> = pairs
            .iter()
            .map(|pair| match order {
                Order::Little => u16::from_le_bytes(*pair),
                Order::Big => u16::from_be_bytes(*pair),
            })
            .collect();
        let is_half = |unit: &u16| (0xD800..0xDC00).contains(unit);
        let kept = usize::from(!is_last && units.last().is_some_and(is_half));
        let units = &units[..units.len() - kept];
        let mut text: String = char::decode_utf16(units.iter().copied())
            .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        let mut consumed = units.len() * 2;
        if is_last && !odd.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            consumed += odd.len();
        }
        self.source.consume(consumed);
        self.text = io::Cursor::new(text.into_bytes());
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Encoding::Utf16(order) = self.encoding()? else { return self.source.read(buffer) };
        let read = self.text.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        self.decode(order)?;
        self.text.read(buffer)
    }
}

/// A line that is not UTF-8, as Latin-1, in which every byte is a character; nothing where it is UTF-8.
pub(crate) fn from_latin1(line: &[u8]) -> Option<String> {
    std::str::from_utf8(line).is_err().then(|| line.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_every_encoding() {
        let text = "{\"id\":\"e1\",\"text\":\"caf\u{e9} \u{1F600}\"}\r\n".repeat(10_000);
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let check = |bytes: Vec<u8>, expected: &str, form: &[&str]| {
            let forms = Forms::default();
            let mut read = String::new();
            Decoded::new(io::Cursor::new(bytes), forms.clone()).read_to_string(&mut read).expect("it is text");
            assert!(read.trim_start_matches('\u{FEFF}') == expected, "{form:?}");
            assert_eq!(forms.borrow().iter().copied().collect::<Vec<_>>(), form);
        };
        check(text.clone().into_bytes(), &text, &[]);
        check([BYTE_ORDER_MARK, text.as_bytes()].concat(), &text, &[]);
        check(little.clone(), &text, &["UTF-16LE"]);
        check(big.clone(), &text, &["UTF-16BE"]);
        check([&[0xFF, 0xFE], &little[..]].concat(), &text, &["UTF-16LE"]);
        check([&[0xFE, 0xFF], &big[..]].concat(), &text, &["UTF-16BE"]);
        // An odd byte at the end, and zeros before the first line, which are no UTF-16.
        check(b"a\0\n\0b".to_vec(), "a\n\u{FFFD}", &["UTF-16LE"]);
        check([vec![0; 5000], b"{}\n".to_vec()].concat(), &("\0".repeat(5000) + "{}\n"), &[]);
        check(Vec::new(), "", &[]);
        let utf32: Vec<u8> = "\u{FEFF}a".chars().flat_map(|character| u32::from(character).to_le_bytes()).collect();
        let error = Decoded::new(io::Cursor::new(utf32), Forms::default()).read(&mut [0; 9]).expect_err("not read");
        assert!(error.to_string().contains("UTF-32"), "{error}");
    }
}
