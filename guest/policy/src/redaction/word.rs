//! The words of a text, and how far what is alike goes on.

/// What a byte is to a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A letter or a digit of a word.
    Letter,
    /// What stands between the parts of a word.
    Separator,
    Colon,
    At,
}

impl Class {
    /// A table: a pass asks of every byte.
    #[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
    const TABLE: [Option<Self>; 256] = {
        let mut table = [None; 256];
        let mut byte = 0;
        while byte < table.len() {
            table[byte] = match byte as u8 {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => Some(Self::Letter),
                b'_' | b'-' | b'.' => Some(Self::Separator),
                b':' => Some(Self::Colon),
                b'@' => Some(Self::At),
                _ => None,
            };
            byte += 1;
        }
        table
    };

    /// Nothing for what is none of these.
    pub(super) fn of(byte: u8) -> Option<Self> {
        Self::TABLE.get(usize::from(byte)).copied().flatten()
    }
}

/// A word of a text: bytes `start..end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it has no separators.
    pub(super) is_whole: bool,
}

impl Word {
    pub(super) fn at(bytes: &[u8], start: usize) -> Self {
        let end = start + count(bytes, start, |byte| Class::of(byte) == Some(Class::Letter));
        if bytes.get(end).and_then(|byte| Class::of(*byte)) != Some(Class::Separator) {
            let is_whole = true;
            return Self { start, end, is_whole };
        }
        let rest = count(bytes, end, |byte| {
            matches!(Class::of(byte), Some(Class::Letter | Class::Separator))
        });
        Self {
            start,
            end: end + rest,
            is_whole: false,
        }
    }

    /// Whether it is long enough for the name of a secret.
    pub(super) fn may_be_name(self) -> bool {
        self.end - self.start >= 3
    }
}

/// How many bytes are so from a place on.
pub(super) fn count(bytes: &[u8], from: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let count = rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len());
    work(count);
    count
}

/// Notes that so many bytes were looked at, for the test that their number is linear in the text.
pub(super) fn work(bytes: usize) {
    #[cfg(test)]
    super::tests::WORK.set(super::tests::WORK.get() + bytes + 1);
    let _ = bytes;
}
