//! Text for a terminal: lines made of painted pieces, escaping, durations and numbers.

use std::borrow::Cow;
use std::fmt::Write as _;

use anstream::ColorChoice;
use anstream::stream::RawStream;
use anstyle::{AnsiColor, Style as Paint};
use terminal_size::{Height, Width};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

pub(crate) const PLAIN: Paint = Paint::new();
pub(crate) const BOLD: Paint = Paint::new().bold();
pub(crate) const DIM: Paint = Paint::new().dimmed();
pub(crate) const RED: Paint = AnsiColor::Red.on_default();
pub(crate) const YELLOW: Paint = AnsiColor::Yellow.on_default();
pub(crate) const GREEN: Paint = AnsiColor::Green.on_default();

/// Columns of a line below which its two ends would say nothing.
const ENDS: usize = 12;

/// How what was received is shown.
#[derive(Debug, Clone)]
pub struct Style {
    /// Whether to write colours.
    pub colour: bool,
    /// Columns of the terminal, to which lines are cut; `None` cuts nothing.
    pub width: Option<usize>,
    /// Whether to show attributes and the ends of stack traces.
    pub verbose: bool,
    /// Whether to show log records.
    pub logs: bool,
    /// How many log records to show beneath one span; the rest is counted.
    pub logs_per_span: usize,
}

impl Style {
    /// No colours, nothing cut: for files and pipes.
    pub fn plain() -> Self {
        Self {
            colour: false,
            width: None,
            verbose: false,
            logs: true,
            logs_per_span: 20,
        }
    }

    /// What suits standard output: colours and its width if it is a terminal, and the conventions of
    /// `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE`.
    pub fn for_stdout() -> Self {
        let stdout = std::io::stdout();
        let width = terminal_size::terminal_size_of(&stdout);
        Self::of(&stdout, width)
    }

    /// The same for standard error.
    pub fn for_stderr() -> Self {
        let stderr = std::io::stderr();
        let width = terminal_size::terminal_size_of(&stderr);
        Self::of(&stderr, width)
    }

    fn of(stream: &impl RawStream, size: Option<(Width, Height)>) -> Self {
        let width = size.map(|(width, _)| usize::from(width.0));
        Self {
            colour: anstream::AutoStream::choice(stream) != ColorChoice::Never,
            width: width.filter(|_| stream.is_terminal()),
            ..Self::plain()
        }
    }
}

/// One line on the terminal. Whatever is pushed is escaped, so no received text can reach the terminal raw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Line {
    pieces: Vec<(Paint, String)>,
    /// The last piece is cut in its middle: the end of an error says most of it.
    keeps_end: bool,
}

impl Line {
    /// A line of somebody's text, which stays apart from the lines of the tree and keeps its end where it is cut.
    pub(crate) fn quote(paint: Paint, text: &str) -> Self {
        let mut line = Self::default();
        if forges(text) {
            line.push(DIM, "> ");
        }
        line.push(paint, text);
        line.keeps_end = true;
        line
    }

    pub(crate) fn push(&mut self, paint: Paint, text: &str) -> &mut Self {
        self.pieces.push((paint, escape(text).into_owned()));
        self
    }

    pub(crate) fn append(&mut self, other: Line) -> &mut Self {
        self.pieces.extend(other.pieces);
        self.keeps_end = other.keeps_end;
        self
    }

    pub(crate) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.width()).sum()
    }

    /// Spaces up to `column`.
    pub(crate) fn pad(&mut self, column: usize) -> &mut Self {
        let missing = column.saturating_sub(self.width());
        self.pieces.push((PLAIN, " ".repeat(missing)));
        self
    }

    /// Cuts what is beyond `width` columns, and shows that it did.
    pub(crate) fn cut(&mut self, width: usize) -> &mut Self {
        if self.width() <= width {
            return self;
        }
        let last = if self.keeps_end { self.pieces.pop() } else { None };
        if let Some((paint, text)) = last {
            let room = width.saturating_sub(self.width());
            if room > ENDS {
                let end = ending(&text, (room - 1) / 2);
                let start = fitting(&text, room - 1 - end.width());
                self.pieces.push((paint, format!("{start}…{end}")));
                return self;
            }
            self.pieces.push((paint, text));
        }
        let mut room = width.saturating_sub(1);
        let mut kept = Vec::new();
        for (paint, text) in self.pieces.drain(..) {
            let whole = text.width();
            if whole <= room {
                room -= whole;
                kept.push((paint, text));
                continue;
            }
            kept.push((paint, fitting(&text, room).to_owned() + "…"));
            break;
        }
        self.pieces = kept;
        self
    }

    /// Writes the line and its end.
    pub(crate) fn render(mut self, style: &Style, out: &mut String) {
        if let Some(width) = style.width {
            self.cut(width);
        }
        let start = out.len();
        for (paint, text) in &self.pieces {
            if style.colour && !text.is_empty() {
                // Writing to a String does not fail.
                let _ = write!(out, "{paint}{text}{paint:#}");
            } else {
                out.push_str(text);
            }
        }
        let end = out.trim_end_matches(' ').len().max(start);
        out.truncate(end);
        out.push('\n');
    }
}

/// The longest start of `text` that takes no more than `room` columns.
fn fitting(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > room {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// The longest end of `text` that takes no more than `room` columns.
fn ending(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, character) in text.char_indices().rev() {
        used += character.width().unwrap_or(0);
        if used > room {
            return text.get(at + character.len_utf8()..).unwrap_or_default();
        }
    }
    text
}

/// Whether a line of somebody's text looks like a line of ours: a branch of the tree, a span's mark, or a log record's time.
fn forges(text: &str) -> bool {
    let mut start = text.trim_start().chars();
    match (start.next(), start.next()) {
        (Some('│' | '├' | '└' | '⋯' | '✓' | '✗' | '…' | '>'), _) | (Some('!' | '-'), Some(' ')) => {
            true
        }
        (Some('+' | '-'), Some(next)) => next.is_ascii_digit(),
        _ => false,
    }
}

/// `text` with everything that could act on a terminal written out: control characters, and the marks that
/// reorder or hide text.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if acts(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A duration as people say it, in three significant digits.
pub(crate) fn duration(nanos: u64) -> String {
    let value = nanos as f64;
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..999_500 => format!("{} µs", three_digits(value / 1e3)),
        999_500..999_500_000 => format!("{} ms", three_digits(value / 1e6)),
        999_500_000..59_950_000_000 => format!("{} s", three_digits(value / 1e9)),
        _ => {
            let seconds = nanos.saturating_add(500_000_000) / 1_000_000_000;
            let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
            match hours {
                0 => format!("{minutes} m {seconds:02} s"),
                _ => format!("{hours} h {minutes:02} m"),
            }
        }
    }
}

fn three_digits(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A number in at most six significant digits, whole numbers in full.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    if !(1e-4..1e15).contains(&value.abs()) {
        return format!("{value:.5e}");
    }
    let whole_digits = value.abs().log10().floor().max(-4.0) as i32 + 1;
    let decimals = usize::try_from(6 - whole_digits).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_never_of_the_wrong_unit() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (412_000_000, "412 ms"),
            (999_999_999, "1.00 s"),
            (9_996_000_000, "10.0 s"),
            (59_949_000_000, "59.9 s"),
            (59_999_000_000, "1 m 00 s"),
            (3_599_900_000_000, "1 h 00 m"),
            (7_380_000_000_000, "2 h 03 m"),
        ];
        for (nanos, text) in cases {
            assert_eq!(duration(nanos), text, "{nanos}");
        }
        assert!(duration(u64::MAX).ends_with(" m"));
    }

    #[test]
    fn numbers_have_six_digits_at_most() {
        let cases = [
            (0.0, "0"),
            (-3.0, "-3"),
            (0.1 + 0.2, "0.3"),
            (1234.56789, "1234.57"),
            (0.000123456789, "0.000123457"),
            (1.5e-9, "1.50000e-9"),
            (1e300, "1.00000e300"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(escape("dbt.model stg_orders ✓ 数据"), Cow::Borrowed(_)));
    }
}
