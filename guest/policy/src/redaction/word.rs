//! The words of a text, and how far what is alike goes on.

/// What a byte is to a pass.
#[derive(Debug, Clone, Copy)]
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
        let (mut end, mut is_whole) = (start, true);
        for byte in bytes.get(start..).unwrap_or_default() {
            match Class::of(*byte) {
                Some(Class::Letter) => {}
                Some(Class::Separator) => is_whole = false,
                _ => break,
            }
            end += 1;
        }
        work(end - start);
        Self { start, end, is_whole }
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
