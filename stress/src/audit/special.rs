//! Where strings of JSON may end: the quotation marks, backslashes and control characters of a block.
#![allow(unsafe_code, reason = "instructions on vectors are called unsafely, even those that every processor has")]

use std::ops::Range;

/// How many bytes a word has a bit for.
const WORD: usize = u64::BITS as usize;

/// What there is in a block, by words: a bit for each byte, the lowest one for the first.
#[derive(Debug, Default)]
pub(crate) struct Specials(Vec<Marks>);

/// What there is in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks {
    /// Where strings may end.
    special: u64,
    /// What is not ASCII.
    wide: u64,
}

impl Specials {
    /// Looks for those of this block, in place of one before it.
    pub(crate) fn mark(&mut self, block: &[u8]) {
        let (whole, rest) = block.as_chunks();
        let mut last = [0; WORD];
        last[..rest.len()].copy_from_slice(rest);
        self.0.clear();
        self.0.extend(whole.iter().map(marks_of));
        self.0.push(marks_of(&last));
    }

    /// The next place, from this one on, where a string may end; what follows on the block may be taken for one, or for
    /// none.
    pub(crate) fn next(&self, place: usize) -> Option<usize> {
        let mut number = place / WORD;
        let ahead = self.0.get(number)?.special >> (place % WORD);
        if ahead != 0 {
            return Some(place + ahead.trailing_zeros() as usize);
        }
        loop {
            number += 1;
            let word = self.0.get(number)?.special;
            if word != 0 {
                return Some(number * WORD + word.trailing_zeros() as usize);
            }
        }
    }

    /// Whether there is nothing but ASCII in a part of the block.
    pub(crate) fn is_ascii(&self, part: &Range<usize>) -> bool {
        let (first, last) = (part.start / WORD, part.end / WORD);
        let behind_start = u64::MAX << (part.start % WORD);
        let before_end = !(u64::MAX << (part.end % WORD));
        if first == last {
            return self.0[first].wide & behind_start & before_end == 0;
        }
        self.0[first].wide & behind_start == 0
            && self.0[first + 1..last].iter().all(|marks| marks.wide == 0)
            && self.0[last].wide & before_end == 0
    }
}

#[cfg(target_arch = "x86_64")]
fn marks_of(bytes: &[u8; WORD]) -> Marks {
    // SAFETY: every processor of this architecture has SSE2.
    unsafe { marks_by_vectors(bytes) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn marks_by_vectors(bytes: &[u8; WORD]) -> Marks {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    let (vectors, _) = bytes.as_chunks::<{ size_of::<__m128i>() }>();
    vectors.iter().rev().fold(Marks { special: 0, wide: 0 }, |Marks { special, wide }, bytes| {
        // SAFETY: there are as many bytes as a vector has, and they need no alignment.
        let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        let quotation_mark = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
        let any = _mm_or_si128(_mm_or_si128(quotation_mark, backslash), control);
        let mask = |vector| u64::from(_mm_movemask_epi8(vector).cast_unsigned());
        Marks { special: special << 16 | mask(any), wide: wide << 16 | mask(bytes) }
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn marks_of(bytes: &[u8; WORD]) -> Marks {
    marks_by_bytes(bytes)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn marks_by_bytes(bytes: &[u8; WORD]) -> Marks {
    bytes.iter().rev().fold(Marks { special: 0, wide: 0 }, |Marks { special, wide }, &byte| Marks {
        special: special << 1 | u64::from(byte == b'"' || byte == b'\\' || byte < b' '),
        wide: wide << 1 | u64::from(!byte.is_ascii()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_seen_wherever_they_stand() {
        for other in [b' ', b'!', b'#', b'[', b']', 0x7F, 0x80, 0xFF] {
            for special in [b'"', b'\\', 0, 9, 0x1F] {
                for length in [0, 1, 63, 64, 65, 200] {
                    for place in 0..length {
                        let mut block = vec![other; length];
                        block[place] = special;
                        let mut specials = Specials::default();
                        specials.mark(&block);
                        for from in 0..=place {
                            assert_eq!(specials.next(from), Some(place), "{special} among {other}");
                        }
                        assert!(specials.next(place + 1).is_none_or(|next| next >= length));
                        let (start, end) = (place.saturating_sub(70), (place + 70).min(length));
                        assert_eq!(specials.is_ascii(&(start..place)), block[start..place].is_ascii());
                        assert_eq!(specials.is_ascii(&(start..end)), block[start..end].is_ascii());
                    }
                }
            }
        }
    }

    #[test]
    fn vectors_see_what_there_is() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..10_000 {
            let mut bytes = [0; WORD];
            random.fill(&mut bytes);
            assert_eq!(marks_of(&bytes), marks_by_bytes(&bytes));
        }
    }
}
