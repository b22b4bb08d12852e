//! Where a string of JSON may end: the first byte of several that is a quotation mark, a backslash or a control character.
#![allow(unsafe_code, reason = "instructions on vectors are called unsafely, even those that every processor has")]

/// How many bytes are looked at at once.
pub(crate) const STEP: usize = 16;

/// The place of the first special byte; the length where there is none.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn first_special(bytes: &[u8; STEP]) -> usize {
    // SAFETY: every processor of this architecture has SSE2.
    unsafe { by_vector(bytes) }
}

/// The place of the first special byte; the length where there is none.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn first_special(bytes: &[u8; STEP]) -> usize {
    by_halves(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn by_vector(bytes: &[u8; STEP]) -> usize {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: there are as many bytes as a vector has, and they need no alignment.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let quotation_mark = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
    let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
    let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
    let special = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotation_mark, backslash), control));
    (special | 1 << STEP).trailing_zeros() as usize
}

/// The same without vectors: in each half, the lowest bit that is set is the highest one of the first special byte. What
/// is set above it means nothing.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn by_halves(bytes: &[u8; STEP]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES << 7;
    let (halves, _) = bytes.as_chunks::<8>();
    for (number, half) in halves.iter().enumerate() {
        let half = u64::from_le_bytes(*half);
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = half.wrapping_sub(ONES * 0x20) & !half;
        let special = (zeros(half ^ (ONES * 0x22)) | zeros(half ^ (ONES * 0x5C)) | control) & HIGHEST;
        if special != 0 {
            return number * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_seen_wherever_they_stand() {
        for other in [b' ', b'!', b'#', b'[', b']', 0x7F, 0x80, 0xFF] {
            for special in [b'"', b'\\', 0, 9, 0x1F] {
                for place in 0..=STEP {
                    let mut bytes = [other; STEP];
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte = special;
                    }
                    assert_eq!((first_special(&bytes), by_halves(&bytes)), (place, place), "{special} among {other}");
                }
            }
        }
    }
}
