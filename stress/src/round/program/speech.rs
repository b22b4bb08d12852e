//! What a copy of a program says, and when it was primary by that.

use regex::bytes::Regex;

use crate::history::judge::Tenure;

/// What is longer is no word of the protocol, and of a line of another kind no more is looked at.
const LINE_BYTES_MAX: usize = 4096;

/// A word of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Primary,
    Secondary,
    Left,
    /// It was seen to act, without a word of its own: it acts from here on.
    Acts,
}

impl Word {
    /// As the protocol has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Left => "left",
            Self::Acts => "acts",
        }
    }
}

/// A stream that is taken apart into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    is_cut: bool,
}

impl Lines {
    /// Takes in a byte; the line that it ends, and whether that is all of it.
    pub(crate) fn take(&mut self, byte: u8) -> Option<(Vec<u8>, bool)> {
        if byte == b'\n' {
            return Some((std::mem::take(&mut self.line), !std::mem::take(&mut self.is_cut)));
        }
        if self.line.len() < LINE_BYTES_MAX {
            self.line.push(byte);
        } else {
            self.is_cut = true;
        }
        None
    }
}

/// What a copy has said so far.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    /// In the order in which it was heard, with when.
    pub(crate) words: Vec<(Word, u64)>,
    /// Lines that are no word of the protocol.
    pub(crate) odd_lines: u64,
    pub(crate) tenures: Vec<Tenure>,
    /// The tenure that lasts, since when.
    primary_since_ns: Option<u64>,
    /// When it was last known to have said nothing more.
    pub(crate) silent_ns: u64,
    /// From here on a tenure cannot begin: it has been told to quit, or was killed.
    pub(crate) is_ending: bool,
}

impl Speech {
    /// That of one that starts at this moment.
    pub(crate) fn since(started_ns: u64) -> Self {
        Self { silent_ns: started_ns, ..Self::default() }
    }

    /// Takes in a line that it printed.
    pub(crate) fn hear(&mut self, line: &[u8], is_whole: bool, acts: Option<&Regex>, now_ns: u64) {
        if acts.is_some_and(|acts| acts.is_match(line)) {
            return self.say(Word::Acts, now_ns);
        }
        match line.trim_ascii() {
            b"primary" if is_whole => self.say(Word::Primary, now_ns),
            b"secondary" if is_whole => self.say(Word::Secondary, now_ns),
            b"left" if is_whole => self.say(Word::Left, now_ns),
            _ => self.odd_lines += 1,
        }
    }

    /// Takes in a word.
    pub(crate) fn say(&mut self, word: Word, now_ns: u64) {
        if word == Word::Acts && self.primary_since_ns.is_some() {
            return;
        }
        self.words.push((word, now_ns));
        match word {
            // What it says once it has been told to quit may come from before.
            Word::Primary | Word::Acts if !self.is_ending => {
                self.primary_since_ns.get_or_insert(now_ns);
            }
            Word::Primary | Word::Acts => {}
            // It was still primary when nothing had been heard yet: that much is sure.
            Word::Secondary | Word::Left => self.cease(self.silent_ns),
        }
    }

    /// Ends a tenure at the last moment at which it surely lasted. Where beginning and end were heard at once, no moment of it
    /// is sure.
    pub(crate) fn cease(&mut self, until_ns: u64) {
        if let Some(from_ns) = self.primary_since_ns.take()
            && from_ns < until_ns
        {
            self.tenures.push(Tenure { term: 0, from_ns, until_ns });
        }
    }

    /// Whether it has said that it is primary, and nothing else since.
    pub(crate) fn is_primary(&self) -> bool {
        self.primary_since_ns.is_some()
    }

    /// Whether it has ever said so.
    pub(crate) fn was_primary(&self) -> bool {
        self.words.iter().any(|(word, _)| matches!(word, Word::Primary | Word::Acts))
    }

    /// Whether it has said who is primary.
    pub(crate) fn has_verdict(&self) -> bool {
        self.words.iter().any(|(word, _)| *word != Word::Left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, acts: Option<&str>) -> Speech {
        let acts = acts.map(|acts| Regex::new(acts).expect("a pattern"));
        let (mut speech, mut lines) = (Speech::default(), Lines::default());
        for (now_ns, byte) in (1_u64..).zip(text.bytes()) {
            if let Some((line, is_whole)) = lines.take(byte) {
                speech.hear(&line, is_whole, acts.as_ref(), now_ns);
            }
            speech.silent_ns = now_ns;
        }
        speech
    }

    #[test]
    fn words_are_lines_of_their_own() {
        let check = |text: &str, acts, words: &[Word], odd_lines| {
            let speech = heard(text, acts);
            let said: Vec<_> = speech.words.iter().map(|(word, _)| *word).collect();
            assert_eq!((said.as_slice(), speech.odd_lines), (words, odd_lines), "{text}");
        };
        check("primary\n secondary \r\nleft\n", None, &[Word::Primary, Word::Secondary, Word::Left], 0);
        check("primary, I am\nprimar\nprimary", None, &[], 2);
        check(&format!("{}primary\n", " ".repeat(LINE_BYTES_MAX)), None, &[], 1);
        check("starting\nserving on 80\nserving on 81\n", Some("^serving"), &[Word::Acts], 1);
    }

    #[test]
    fn tenures_last_from_word_to_word() {
        let mut speech = heard("primary\nsecondary\nprimary\n", None);
        assert_eq!(speech.tenures, [Tenure { term: 0, from_ns: 8, until_ns: 17 }]);
        assert!(speech.is_primary());
        speech.cease(30);
        assert_eq!(speech.tenures.len(), 2);
        speech.is_ending = true;
        speech.say(Word::Primary, 31);
        assert!(!speech.is_primary() && speech.was_primary());
    }
}
