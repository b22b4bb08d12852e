//! Events by their fingerprints, in a table whose size follows their number closely.
//!
//! It is made for logs in which most events are new: an event is looked for in one line of the processor's cache, and one
//! that is not there is put behind those that are, with no gap between them.

use std::collections::HashMap;
use std::hint::black_box;
use std::ops::BitXor;

use super::batch::Fingerprint;
use super::room::room_for;

/// For how many events memory is fetched at once.
pub(crate) const FETCHED: usize = 64;

/// What is known of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The line of its first entry, from 1; without any, the line of the list that names it.
    pub(crate) line: u64,
    /// How many entries it has.
    pub(crate) entries: u64,
}

/// A table of events, in leaves of equal size. Which leaf an event is in is told by the leading bits of its fingerprint;
/// a leaf that is full is split by the next bit (extendible hashing). So nothing is ever held twice, and leaves are
/// between half and wholly full: an event takes some 27 bytes.
#[derive(Debug)]
pub(crate) struct Table {
    leaves: Leaves,
    /// The number of the leaf for each value of the leading bits.
    directory: Vec<u32>,
    /// How many leading bits these are.
    depth: u32,
    /// The numbers of entries for which a slot has no room.
    many: HashMap<Fingerprint, u64>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { leaves: Leaves::default(), directory: vec![0], depth: 0, many: HashMap::new() }
    }

    /// Counts an entry on this line; what is known of its event then.
    pub(crate) fn enter(&mut self, fingerprint: Fingerprint, line: u64) -> Account {
        let entry = Slot(Slot::new(fingerprint, line).0 + 1);
        let Some(slot) = self.known_or_put(fingerprint, entry) else {
            return Account { line: entry.line(), entries: 1 };
        };
        let was = slot.entries();
        if was < Slot::ENTRIES_MAX {
            *slot = if was == 0 { entry } else { Slot(slot.0 + 1) };
            return Account { line: slot.line(), entries: was + 1 };
        }
        let line = slot.line();
        let entries = self.many.entry(fingerprint).or_insert(was);
        *entries += 1;
        Account { line, entries: *entries }
    }

    /// Takes an event without an entry, from this line of a list; whether it was not there yet.
    pub(crate) fn list(&mut self, fingerprint: Fingerprint, line: u64) -> bool {
        self.known_or_put(fingerprint, Slot::new(fingerprint, line)).is_none()
    }

    /// The slot of an event; nothing where there was none yet, which this one then is.
    fn known_or_put(&mut self, fingerprint: Fingerprint, slot: Slot) -> Option<&mut Slot> {
        let mut number = self.leaf_of(fingerprint);
        let known = self.leaves.at(number).find(fingerprint);
        if let Some(place) = known {
            return Some(&mut self.leaves.at_mut(number).slots[place]);
        }
        while !self.leaves.at_mut(number).push(fingerprint, slot) {
            self.split(number, fingerprint);
            number = self.leaf_of(fingerprint);
        }
        None
    }

    fn leaf_of(&self, fingerprint: Fingerprint) -> usize {
        self.directory[leading(fingerprint, self.depth)] as usize
    }

    /// Moves the upper half of a leaf's events into a new leaf. One of its events, or one that is looked for in it, shows
    /// which leading bits they have in common.
    #[cold]
    fn split(&mut self, number: usize, fingerprint: Fingerprint) {
        let leaf = self.leaves.at_mut(number);
        leaf.depth += 1;
        let depth = u32::from(leaf.depth);
        let mut upper = Leaf { depth: leaf.depth, ..Leaf::default() };
        let (mut lower_used, mut upper_used) = (0, 0);
        for place in 0..SLOTS {
            // Written into both, and counted in one: which one cannot be guessed, so a branch would cost more.
            let (tag, slot) = (leaf.tags[place], leaf.slots[place]);
            (leaf.tags[lower_used], leaf.slots[lower_used]) = (tag, slot);
            (upper.tags[upper_used], upper.slots[upper_used]) = (tag, slot);
            let is_upper = leading(slot.fingerprint(), depth) & 1;
            lower_used += 1 - is_upper;
            upper_used += is_upper;
        }
        let narrow = |used| u16::try_from(used).expect("a leaf has few slots");
        (leaf.used, upper.used) = (narrow(lower_used), narrow(upper_used));

        if depth > self.depth {
            self.directory = self.directory.iter().flat_map(|&leaf| [leaf; 2]).collect();
            self.depth = depth;
        }
        let added = u32::try_from(self.leaves.push(upper)).expect("there is no memory for so many leaves");
        let further = self.depth - depth;
        let first = (leading(fingerprint, depth) | 1) << further;
        self.directory[first..first + (1 << further)].fill(added);
    }

    /// Has the memory of these events fetched, all at once, so that looking for one after the other waits for none. What one
    /// step fetches tells the next where to look, so that each goes through all of them.
    pub(crate) fn fetch(&self, fingerprints: impl Iterator<Item = Fingerprint>) {
        let (mut sought, mut count) = ([(0, 0); FETCHED], 0);
        for (sought, fingerprint) in sought.iter_mut().zip(fingerprints) {
            *sought = (self.directory[leading(fingerprint, self.depth)] as usize, tag_of(fingerprint));
            count += 1;
        }
        let sought = &sought[..count];
        // A step that does little more than to touch memory has much of it fetched at a time.
        let used = sought.iter().map(|&(number, _)| self.leaves.at(number).used);
        black_box(used.fold(0, BitXor::bitxor));
        let mut places = [0; FETCHED];
        for (place, &(number, tag)) in places.iter_mut().zip(sought) {
            let leaf = self.leaves.at(number);
            // Where a new event would be put, unless it seems to be known.
            let alike = leaf.alike(tag);
            *place = if alike == 0 { usize::from(leaf.used) } else { alike.trailing_zeros() as usize };
        }
        let glances = places.iter().zip(sought).map(|(place, (number, _))| {
            let slots = &self.leaves.at(*number).slots;
            // All of a leaf that would be split.
            slots.get(*place).map_or_else(
                || slots.iter().step_by(SLOTS_IN_LINE).fold(0, |glances, slot| glances ^ slot.0),
                |slot| slot.0,
            )
        });
        black_box(glances.fold(0, BitXor::bitxor));
    }

    /// All events, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fingerprint, Account)> {
        self.leaves.0.iter().flatten().flat_map(|leaf| &leaf.slots[..usize::from(leaf.used)]).map(|slot| {
            let fingerprint = slot.fingerprint();
            let entries = match slot.entries() {
                Slot::ENTRIES_MAX => self.many.get(&fingerprint).copied().unwrap_or(Slot::ENTRIES_MAX),
                entries => entries,
            };
            (fingerprint, Account { line: slot.line(), entries })
        })
    }
}

/// The leading bits of a fingerprint.
#[expect(clippy::cast_possible_truncation, reason = "no more bits are taken than leaves are told apart by")]
fn leading(fingerprint: Fingerprint, bits: u32) -> usize {
    let leading = (fingerprint >> (Slot::FINGERPRINT_BITS - u64::BITS)) as u64;
    // In two steps, for there may be none.
    (leading >> 1 >> (u64::BITS - 1 - bits)) as usize
}

/// Leaves that stay where they are: nothing is moved to make room for more.
#[derive(Debug)]
struct Leaves(Vec<Vec<Leaf>>);

impl Default for Leaves {
    fn default() -> Self {
        let mut leaves = Self(Vec::new());
        leaves.push(Leaf::default());
        leaves
    }
}

impl Leaves {
    /// How many are allocated at once. Nothing is in memory that was not written to.
    const TOGETHER: usize = 1 << 16;

    fn at(&self, number: usize) -> &Leaf {
        &self.0[number / Self::TOGETHER][number % Self::TOGETHER]
    }

    fn at_mut(&mut self, number: usize) -> &mut Leaf {
        &mut self.0[number / Self::TOGETHER][number % Self::TOGETHER]
    }

    /// Adds one; its number.
    fn push(&mut self, leaf: Leaf) -> usize {
        match self.0.last_mut() {
            Some(last) if last.len() < Self::TOGETHER => last.push(leaf),
            _ => {
                let mut next = room_for(Self::TOGETHER);
                next.push(leaf);
                self.0.push(next);
            }
        }
        (self.0.len() - 1) * Self::TOGETHER + self.0.last().map_or(0, Vec::len) - 1
    }
}

/// So many have tags that, with what else is in front of them, take one line of the processor's cache.
const SLOTS: usize = 28;

/// So many slots take one line as well.
const SLOTS_IN_LINE: usize = 4;

/// Some events whose fingerprints have the same leading bits.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
struct Leaf {
    /// The last bits of each fingerprint, which hardly ever agree where the whole does not.
    tags: [u16; SLOTS],
    used: u16,
    /// How many leading bits they have in common.
    depth: u16,
    slots: [Slot; SLOTS],
}

impl Default for Leaf {
    fn default() -> Self {
        Self { tags: [0; SLOTS], used: 0, depth: 0, slots: [Slot(0); SLOTS] }
    }
}

impl Leaf {
    fn find(&self, fingerprint: Fingerprint) -> Option<usize> {
        let mut alike = self.alike(tag_of(fingerprint));
        while alike != 0 {
            let place = alike.trailing_zeros() as usize;
            if place < usize::from(self.used) && self.slots[place].fingerprint() == fingerprint {
                return Some(place);
            }
            alike &= alike - 1;
        }
        None
    }

    /// The places whose tags are like this one, a bit each. The lowest is surely one, if there is any; others need another look.
    fn alike(&self, tag: u16) -> u32 {
        const ONES: u64 = 0x0001_0001_0001_0001;
        // First whether any is alike, which is seen at once, by vectors: for a new event none is.
        if self.tags.iter().fold(0, |any, &other| any | u16::from(other == tag)) == 0 {
            return 0;
        }
        let (fours, []) = self.tags.as_chunks::<4>() else { unreachable!("tags come in fours") };
        (0..).zip(fours).fold(0, |alike, (number, &[first, second, third, fourth])| {
            let [first, second, third, fourth] = [first, second, third, fourth].map(u64::from);
            let four = first | second << 16 | third << 32 | fourth << 48;
            // Those that are alike are nought, from which one can be taken only by a carry into the highest bit.
            let differences = four ^ (ONES * u64::from(tag));
            let highest = differences.wrapping_sub(ONES) & !differences & ONES << 15;
            // Their bits come together in the highest four.
            let gathered = (highest >> 15).wrapping_mul(0x1000_2000_4000_8000) >> 60;
            alike | u32::try_from(gathered).unwrap_or(0) << (4 * number)
        })
    }

    /// Puts one behind the others; whether there was room.
    fn push(&mut self, fingerprint: Fingerprint, slot: Slot) -> bool {
        let place = usize::from(self.used);
        let Some(room) = self.slots.get_mut(place) else { return false };
        *room = slot;
        self.tags[place] = tag_of(fingerprint);
        self.used += 1;
        true
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the rest of it is compared elsewhere")]
fn tag_of(fingerprint: Fingerprint) -> u16 {
    fingerprint as u16
}

/// An event: its fingerprint in the upper 80 bits, the line of its first entry in the next 40, the number of its entries
/// in the lowest 8.
#[derive(Clone, Copy, Debug)]
struct Slot(u128);

impl Slot {
    const FINGERPRINT_BITS: u32 = 80;
    const LINE_BITS: u32 = 40;
    const LINE_MAX: u64 = (1 << Self::LINE_BITS) - 1;
    const ENTRIES_BITS: u32 = 8;
    /// With so many, the number stands elsewhere.
    const ENTRIES_MAX: u64 = (1 << Self::ENTRIES_BITS) - 1;

    /// An event without an entry. The last line that can be told stands for all behind it.
    fn new(fingerprint: Fingerprint, line: u64) -> Self {
        let line = u128::from(line.min(Self::LINE_MAX));
        Self(fingerprint << (Self::LINE_BITS + Self::ENTRIES_BITS) | line << Self::ENTRIES_BITS)
    }

    fn fingerprint(self) -> Fingerprint {
        self.0 >> (Self::LINE_BITS + Self::ENTRIES_BITS)
    }

    fn line(self) -> u64 {
        self.lower() >> Self::ENTRIES_BITS & Self::LINE_MAX
    }

    fn entries(self) -> u64 {
        self.lower() & Self::ENTRIES_MAX
    }

    #[expect(clippy::cast_possible_truncation, reason = "the fingerprint is left out")]
    fn lower(self) -> u64 {
        self.0 as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_counts_as_a_map_does() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut table, mut naive) = (Table::new(), BTreeMap::<Fingerprint, (u64, u64)>::new());
        for line in 1..=300_000 {
            // Some come again, some of them very often; some agree in their tags, some in several leading bits.
            let number = random.u128(..100_000);
            let fingerprint = match number % 4 {
                0 => number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 48,
                1 => (number << 63 | number) & (u128::MAX >> 48),
                2 => number.min(3),
                _ => u128::MAX >> 48 ^ number << 58,
            };
            if random.u8(..10) == 0 {
                assert_eq!(table.list(fingerprint, line), !naive.contains_key(&fingerprint));
                naive.entry(fingerprint).or_insert((line, 0));
            } else {
                let (first, entries) = naive.entry(fingerprint).or_insert((line, 0));
                if *entries == 0 {
                    *first = line;
                }
                *entries += 1;
                assert_eq!(table.enter(fingerprint, line), Account { line: *first, entries: *entries });
            }
        }
        let counted: BTreeMap<_, _> =
            table.iter().map(|(fingerprint, Account { line, entries })| (fingerprint, (line, entries))).collect();
        assert_eq!(counted, naive);
        assert!(naive.values().any(|(_, entries)| *entries > 10 * Slot::ENTRIES_MAX));
    }

    #[test]
    fn an_event_takes_a_few_tens_of_bytes() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut table = Table::new();
        for number in 1..=300_000_u64 {
            table.enter(random.u128(..) >> 48, number);
            if number > 10_000 && number.is_multiple_of(1000) {
                let leaves = table.leaves.0.iter().map(Vec::len).sum::<usize>();
                let bytes = leaves * size_of::<Leaf>() + 4 * table.directory.len();
                assert!(bytes as u64 <= number * 32, "{bytes} bytes for {number} events");
            }
        }
    }

    #[test]
    fn lines_end_where_they_cannot_be_told_further() {
        let mut table = Table::new();
        assert!(table.list(1, u64::MAX));
        assert_eq!(table.enter(1, u64::MAX), Account { line: Slot::LINE_MAX, entries: 1 });
        assert_eq!(table.enter(1, 1), Account { line: Slot::LINE_MAX, entries: 2 });
    }
}
