//! Patterns of the manifest: text in which `*` stands for any text.

/// A pattern, split where a `*` stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    first: String,
    /// What follows each `*`.
    after: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. Every text is one.
    pub fn new(text: &str) -> Self {
        let mut parts = text.split('*').map(str::to_owned);
        Self {
            first: parts.next().unwrap_or_default(),
            after: parts.collect(),
        }
    }

    /// Whether the whole text matches. Linear in the text: each part is searched for once.
    pub fn matches(&self, text: &str) -> bool {
        let Some(mut rest) = text.strip_prefix(self.first.as_str()) else {
            return false;
        };
        let Some((last, middle)) = self.after.split_last() else {
            return rest.is_empty();
        };
        for part in middle {
            match rest.split_once(part.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_matches() {
        for (pattern, text, expected) in [
            ("dbt.*", "dbt.model orders", true),
            ("dbt.*", "a dbt.model", false),
            ("orders", "orders", true),
            ("orders", "orders_2", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*health*", "GET /health/ready", true),
            ("GET */health", "GET /health", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("**", "é", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
