//! What text a setting may hold. A value becomes a part of a host name, of a header or of a configuration, so each form allows what its place does.

/// A form of text.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// One of these words.
    Word(&'static [&'static str]),
    /// What a function allows, and what that is called.
    Of(fn(&str) -> bool, &'static str),
}

/// One line of up to 256 characters.
pub const LINE: Form = Form::Of(
    |text| text.chars().count() <= 256,
    "a text of at most 256 characters",
);
/// A label of a host name (RFC 1123): an environment, a zone, a realm.
pub const LABEL: Form = Form::Of(is_label, "one label of a host name: letters, digits and hyphens");
/// A host name of several labels.
pub const HOST: Form = Form::Of(
    |text| text.len() <= 253 && text.contains('.') && text.split('.').all(is_label),
    "a host name, without a scheme or a path",
);
/// A tenant of Grafana's databases: <https://grafana.com/docs/mimir/latest/configure/about-tenant-ids/>.
pub const TENANT: Form = Form::Of(
    |text| {
        text.len() <= 150
            && !matches!(text, "." | "..")
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "!-_.*'()|".contains(letter))
    },
    "at most 150 letters, digits and !-_.*'()",
);
/// The name of an HTTP header, without the signs of RFC 9110 that no real one has.
pub const HEADER: Form = Form::Of(
    |text| {
        text.len() <= 128
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    },
    "letters, digits and hyphens, such as `x-api-key`",
);
/// A region of AWS.
pub const AWS_REGION: Form = Form::Of(is_aws_region, "a region such as `eu-west-1`");
/// A role of AWS.
pub const AWS_ROLE: Form = Form::Of(
    is_aws_role,
    "a role's ARN such as `arn:aws:iam::123456789012:role/telemetry`",
);
/// A project of Google Cloud: <https://cloud.google.com/resource-manager/docs/creating-managing-projects>. Some older ones are of a domain.
pub const GOOGLE_PROJECT: Form = Form::Of(is_google_project, "a project id such as `acme-sales-123`");
/// A database of ClickHouse that needs no quotes.
pub const IDENTIFIER: Form = Form::Of(
    |text| {
        text.len() <= 64
            && text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    },
    "letters, digits and underscores",
);

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_aws_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [area, middle @ .., number] => {
            area.len() == 2
                && (1..=3).contains(&middle.len())
                && [&[*area], middle]
                    .concat()
                    .iter()
                    .all(|part| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase()))
                && (1..=2).contains(&number.len())
                && number.chars().all(|digit| digit.is_ascii_digit())
        }
        _ => false,
    }
}

fn is_aws_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, "iam", "", account, role] => {
            (*partition == "aws" || partition.starts_with("aws-"))
                && partition
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter == '-')
                && account.len() == 12
                && account.chars().all(|digit| digit.is_ascii_digit())
                && text.len() <= 2048
                && role.strip_prefix("role/").is_some_and(|name| {
                    !name.is_empty()
                        && name
                            .chars()
                            .all(|letter| letter.is_ascii_alphanumeric() || "/+=,.@_-".contains(letter))
                })
        }
        _ => false,
    }
}

fn is_google_project(text: &str) -> bool {
    let (domain, id) = text.split_once(':').unwrap_or(("domain", text));
    (6..=30).contains(&id.len())
        && id.starts_with(|letter: char| letter.is_ascii_lowercase())
        && !id.ends_with('-')
        && id
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(form: Form, text: &str) -> bool {
        match form {
            Form::Word(words) => words.contains(&text),
            Form::Of(allowed, _) => allowed(text),
        }
    }

    #[test]
    fn forms() {
        for (form, good, bad) in [
            (
                LABEL,
                &["us1", "prod-eu-west-2", "abc12345"][..],
                &["", "-a", "a-", "a.b", "a b", "é"][..],
            ),
            (
                HOST,
                &["us5.datadoghq.com"],
                &["datadoghq", "https://datadoghq.com", "a..b", "a.b/c", ".a.b"],
            ),
            (TENANT, &["acme", "team-a|team-b"], &["..", "a b", "a/b"]),
            (
                HEADER,
                &["x-api-key", "Authorization"],
                &["x:y", "a b", "x-\u{e9}"],
            ),
            (
                AWS_REGION,
                &["eu-west-1", "us-gov-east-1", "us-iso-east-1", "ap-southeast-5"],
                &[
                    "eu-west",
                    "eu_west_1",
                    "EU-WEST-1",
                    "euw1",
                    "eu--1",
                    "eu-west-1a",
                    "eu-west-100",
                ],
            ),
            (
                AWS_ROLE,
                &[
                    "arn:aws:iam::123456789012:role/telemetry",
                    "arn:aws-cn:iam::123456789012:role/a/b",
                ],
                &[
                    "arn:aws:iam::1234:role/x",
                    "arn:aws:s3:::bucket",
                    "role/x",
                    "arn:aws:iam::123456789012:role/",
                    "arn:AWS:iam::123456789012:role/x",
                    "arn:aws-CN:iam::123456789012:role/x",
                ],
            ),
            (
                GOOGLE_PROJECT,
                &["acme-sales-123", "example.com:acme-sales"],
                &[
                    "Acme-Sales",
                    "acme",
                    "acme-sales-",
                    "1acme-sales",
                    "acme_sales",
                    "a b:acme-sales",
                ],
            ),
            (IDENTIFIER, &["otel", "_x9"], &["9x", "otel;drop", "a-b", ""]),
        ] {
            for text in good {
                assert!(allows(form, text), "{text}");
            }
            for text in bad {
                assert!(!allows(form, text), "{text}");
            }
        }
    }
}
