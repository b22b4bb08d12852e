//! Whether a payload is one JSON value on one line.
//!
//! What programs log is checked in one pass, eight bytes at a time within strings. Whatever that pass does not know for
//! certain to be JSON is left to the parser, so that the two never differ in what they take.

/// How deep the pass follows arrays and objects: one bit each.
const DEPTH_MAX: u32 = 64;

/// Why the payload cannot stand on a line of the log, if it cannot.
pub(crate) fn check_line(payload: &str) -> Result<(), &'static str> {
    if is_ordinary(payload) {
        Ok(())
    } else if payload.contains(['\n', '\r']) {
        Err("the payload has a line break")
    } else if serde_json::from_str::<serde::de::IgnoredAny>(payload).is_err() {
        Err("the payload is not a JSON value")
    } else {
        Ok(())
    }
}

/// Whether the text certainly is one JSON value without line breaks. Of those that are, it does not know them all: only
/// those whose white space is blanks and which nest no deeper than [`DEPTH_MAX`].
fn is_ordinary(text: &str) -> bool {
    let mut pass = Pass { bytes: text.as_bytes(), at: 0 };
    pass.value().is_some() && pass.next() == END && pass.at == text.len()
}

/// Whether the text stands for itself between quotation marks.
pub(crate) fn is_plain(text: &str) -> bool {
    let (eights, rest) = text.as_bytes().as_chunks();
    let mut last = [b' '; size_of::<u64>()];
    last[..rest.len()].copy_from_slice(rest);
    eights.iter().chain([&last]).all(|eight| special(u64::from_le_bytes(*eight)) == 0)
}

struct Pass<'text> {
    bytes: &'text [u8],
    at: usize,
}

/// What is seen behind the text's end: a byte that stands nowhere in JSON.
const END: u8 = 0;

impl Pass<'_> {
    /// Passes over a value of any kind.
    fn value(&mut self) -> Option<()> {
        // Of each array or object that is open, whether it is an object: the innermost in the lowest bit.
        let (mut depth, mut objects) = (0, 0_u64);
        loop {
            match self.next() {
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = open == b'{';
                    if self.next() == if is_object { b'}' } else { b']' } {
                        self.at += 1;
                    } else if depth == DEPTH_MAX {
                        return None;
                    } else {
                        (depth, objects) = (depth + 1, objects << 1 | u64::from(is_object));
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => return None,
            }
            loop {
                if depth == 0 {
                    return Some(());
                }
                let is_object = objects & 1 == 1;
                match self.next() {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return None,
                }
                self.at += 1;
                (depth, objects) = (depth - 1, objects >> 1);
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        if self.next() != b'"' {
            return None;
        }
        self.string()?;
        if self.next() != b':' {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Passes over a string, from its first quotation mark to behind its last.
    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            while let Some(bytes) = self.bytes[self.at..].first_chunk() {
                let special = special(u64::from_le_bytes(*bytes));
                if special != 0 {
                    self.at += (special.trailing_zeros() / u8::BITS) as usize;
                    break;
                }
                self.at += size_of::<u64>();
            }
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => match self.bytes.get(self.at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
                    _ => return None,
                },
                // Fewer than eight bytes are left.
                b' '.. => self.at += 1,
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.here() == b'-');
        if self.here() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.here() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.here(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), b'+' | b'-'));
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.here().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_it = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        is_it.then_some(())
    }

    /// The next byte that is no blank.
    fn next(&mut self) -> u8 {
        while self.here() == b' ' {
            self.at += 1;
        }
        self.here()
    }

    fn here(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(END)
    }
}

/// The high bit of each of eight bytes that does not stand for itself in a string: of the first such byte for certain, and of
/// none before it.
fn special(bytes: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGH_BITS: u64 = EACH << 7;
    // A byte's high bit is set where it is below its bound. A borrow reaches no byte before the first of those, and what
    // is not ASCII stands for itself.
    let is_below = |bytes: u64, bound: u8| bytes.wrapping_sub(EACH * u64::from(bound));
    let quotes = is_below(bytes ^ (EACH * u64::from(b'"')), 1);
    let backslashes = is_below(bytes ^ (EACH * u64::from(b'\\')), 1);
    (is_below(bytes, b' ') | quotes | backslashes) & !bytes & HIGH_BITS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_json(text: &str) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    /// Texts that are JSON, or nearly.
    fn texts() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "true", "false", "null", "nul", "0", "-1", "17", "1.5", "1e9", "-0.5E-3", "01", "1.", "-", ".5", "1e", "",
        ]);
        let string = prop_oneof![
            "[ -~]{0,20}",
            "[a-zé\u{1}\u{7f}\u{80}\\\\\"/bnu0-9 ]{0,24}",
            prop::sample::select(vec![
                "",
                "\\u00e9",
                "\\u00g9",
                "\\n",
                "\\x",
                "seven b",
                "eight by",
                "nine byte",
                "\n"
            ])
            .prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![word.prop_map(str::to_owned), string.prop_map(|text| format!("\"{text}\""))];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let blank = prop::sample::select(vec!["", "", "", " ", "  ", "\t", "\n"]);
            let entry = (inner.clone(), inner.clone(), blank.clone())
                .prop_map(|(key, value, blank)| format!("{blank}{key}{blank}:{value}{blank}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
                prop::collection::vec(entry, 0..4).prop_map(|entries| format!("{{{}}}", entries.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn takes_what_the_parser_takes_if_it_is_on_one_line(text in texts()) {
            prop_assert_eq!(check_line(&text).is_ok(), is_json(&text) && !text.contains(['\n', '\r']), "{}", text);
        }

        #[test]
        fn takes_nothing_that_the_parser_does_not(text in texts(), cut in any::<prop::sample::Index>(), by in any::<char>()) {
            let mut characters: Vec<char> = text.chars().collect();
            if !characters.is_empty() {
                let at = cut.index(characters.len());
                characters[at] = by;
            }
            let text: String = characters.into_iter().collect();
            prop_assert!(!is_ordinary(&text) || is_json(&text) && !text.contains(['\n', '\r']), "{}", text);
        }

        #[test]
        fn plain_is_what_needs_no_escape(text in prop_oneof!["[ -~]{0,20}", any::<String>()]) {
            let escaped = serde_json::to_string(&text).expect("text is written to memory");
            prop_assert_eq!(is_plain(&text), escaped[1..escaped.len() - 1] == text);
        }

        #[test]
        fn the_first_special_byte_is_told(bytes in prop_oneof![any::<[u8; 8]>(), prop::array::uniform8(b' '..)]) {
            let is_special = |&byte: &u8| byte < b' ' || byte == b'"' || byte == b'\\';
            let first = (special(u64::from_le_bytes(bytes)).trailing_zeros() / u8::BITS) as usize;
            prop_assert_eq!(first, bytes.iter().position(is_special).unwrap_or(8));
        }
    }

    #[test]
    fn what_programs_log_needs_no_parser() {
        for text in [
            "1",
            "-0.5e+3",
            "\"text\"",
            "{}",
            "[]",
            " { \"a\" : [ 1 , true , null , { \"b\" : \"c\\n\\\"d\\\"\" } ] , \"é\" : false } ",
            r#"{"tool":"bash","call":"call_00042","title":"List the files of the project","ok":true}"#,
        ] {
            assert!(is_ordinary(text), "{text}");
            assert!(!is_ordinary(&format!("{text}\0")), "{text}");
        }
    }

    #[test]
    fn depth_is_no_reason_to_refuse() {
        for depth in [63, 64, 65, 100] {
            let text = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(check_line(&text), Ok(()), "{depth}");
            assert!(check_line(&text[1..]).is_err());
        }
    }
}
