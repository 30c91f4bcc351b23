use std::cell::Cell;

use super::*;

#[test]
fn secrets_go_and_their_names_stay() {
    for (text, redacted) in [
        // URLs and addresses.
        ("postgres://u:p@ss@db:5432/x", "postgres://***@db:5432/x"),
        ("postgres://u:p/w@db:5432/x", "postgres://***@db:5432/x"),
        (
            "see https://host/a@b?token=abc&y=1",
            "see https://host/a@b?token=***&y=1",
        ),
        (
            "(TYPE s3, KEY_ID 'x', SECRET 'y')",
            "(TYPE s3, KEY_ID 'x', SECRET '***')",
        ),
        ("secret 'x' not found", "secret 'x' not found"),
        (
            "https://s/o?X-Goog-Signature=ab12&x=1",
            "https://s/o?X-Goog-Signature=***&x=1",
        ),
        ("ann:hunter2@tcp(db:3306)/x", "ann:***@tcp(db:3306)/x"),
        ("connect to ann:hunter2@db:5432/x", "connect to ann:***@db:5432/x"),
        ("scott/tiger@//db:1521/x", "scott/***@//db:1521/x"),
        ("mail to ann@acme.io, ok", "mail to ann@acme.io, ok"),
        // Headers.
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("Authorization: Splunk TOKEN", "Authorization: Splunk ***"),
        ("proxy-authorization: whatever it is", "proxy-authorization: ***"),
        (
            "('authorization', 'Bearer abc')",
            "('authorization', 'Bearer ***')",
        ),
        ("(b'x-api-key', b'abc')", "(b'x-api-key', b'***')"),
        ("Cookie: a=b; session=c", "Cookie: ***"),
        ("DD-API-KEY: 0123456789", "DD-API-KEY: ***"),
        ("x-honeycomb-team: abc", "x-honeycomb-team: ***"),
        ("sent Bearer mF_9.B5f-4.1JqM today", "sent Bearer *** today"),
        (
            "the bearer certificates of basic authentication",
            "the bearer certificates of basic authentication",
        ),
        // JSON, YAML, settings, SQL, XML, commands.
        (
            "{\"password\": \"hunter 2\", \"user\": \"ann\"}",
            "{\"password\": \"***\", \"user\": \"ann\"}",
        ),
        ("{'password': 'it\\'s', 'a': 1}", "{'password': '***', 'a': 1}"),
        (
            "{\\\"password\\\":\\\"hunter2\\\"}",
            "{\\\"password\\\":\\\"***\\\"}",
        ),
        (
            "{\\\\\\\"token\\\\\\\":\\\\\\\"a\\\\\\\"}",
            "{\\\\\\\"token\\\\\\\":\\\\\\\"***\\\\\\\"}",
        ),
        (
            "  password: correct horse battery\n  user: ann",
            "  password: ***\n  user: ann",
        ),
        (
            "key: |\n  a\napi_key: |\n  b\n  c\nuser: ann",
            "key: |\n  a\napi_key: |\n  ***\nuser: ann",
        ),
        (
            "os.environ['DB_PASSWORD'] = 'x'",
            "os.environ['DB_PASSWORD'] = '***'",
        ),
        ("client_secret=abc&grant_type=x", "client_secret=***&grant_type=x"),
        (
            "Server=s;Uid=u;Pwd={a;b};Port=1",
            "Server=s;Uid=u;Pwd={***};Port=1",
        ),
        (
            "AccountName=a;AccountKey=x==;End=1",
            "AccountName=a;AccountKey=***;End=1",
        ),
        (
            "ALTER USER ann PASSWORD 'x''y' SET a",
            "ALTER USER ann PASSWORD '***' SET a",
        ),
        ("<password>x y</password>", "<password>***</password>"),
        ("dbt --password hunter2 build", "dbt --password *** build"),
        ("dbt --api-key=hunter2 build", "dbt --api-key=*** build"),
        ("secrets: [a, 'b'], user: c", "secrets: [***], user: c"),
        ("accessKey => abc", "accessKey => ***"),
        // Tokens.
        ("key AKIAIOSFODNN7EXAMPLE used", "key AKIAIOSF*** used"),
        ("x_AKIAIOSFODNN7EXAMPLE", "x_AKIAIOSF***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJ***"),
        (
            "https://hooks.slack.com/services/T0/B0/abcdef",
            "https://hooks.slack.com/services/***",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nProc-Type: 4\nMIIE",
            "-----BEGIN PRIVATE KEY-----***",
        ),
        (
            "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb",
            "a\n-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\nb",
        ),
        (
            "\u{1b}[31mFAIL pass\u{1b}[1mword=hunter2\u{1b}[0m",
            "FAIL password=***",
        ),
        // What tells the cause and is no secret.
        (
            "Got 1 result, configured to fail if != 0",
            "Got 1 result, configured to fail if != 0",
        ),
        ("Done. PASS=5 WARN=0 ERROR=1", "Done. PASS=5 WARN=0 ERROR=1"),
        ("max_tokens: 100, password=None", "max_tokens: 100, password=None"),
        (
            "unexpected token: FROM, expected token 'SELECT'",
            "unexpected token: FROM, expected token 'SELECT'",
        ),
        (
            "password_file: /run/x, token_url: https://x/y",
            "password_file: /run/x, token_url: https://x/y",
        ),
        ("api_key: ${env:KEY}", "api_key: ${env:KEY}"),
        ("KeyError: 'token'", "KeyError: 'token'"),
    ] {
        assert_eq!(redact(text), redacted);
        assert_eq!(redact(redacted), redacted, "twice");
    }
}

#[test]
fn a_manifest_adds_names_and_prefixes() {
    let redactor = Redactor::new(&["Kunden-Nummer".to_owned()], &["acme_live_".to_owned()]);
    assert_eq!(
        redactor.redact("kunden_nummer=17, key acme_live_abc, password=x"),
        "kunden_nummer=***, key acme_live_***, password=***"
    );
}

/// Parts whose repetition would show work that is not linear.
const HOSTILE: [&str; 32] = [
    "a",
    "=",
    "@",
    "\"",
    "'",
    "\\",
    "{",
    "://",
    "a:b@",
    "://a:b/",
    "a:b@c:1",
    "pwd={",
    "password",
    "password=",
    "password: |\n",
    "token ",
    "--token ",
    "Bearer ",
    "Bearer a.",
    "eyJ",
    "eyJ.",
    "sk-",
    "AKIA",
    "xoxb-",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END ",
    "password=\\\"",
    "authorization: Basic ",
    "\u{1b}[",
    "<password>",
    "Basic dXNlcjpwYXNz password='x' https://u:p@h?token=a\n",
];

thread_local! {
    /// Bytes that were looked at.
    pub(super) static WORK: Cell<usize> = const { Cell::new(0) };
}

#[test]
fn work_is_linear_in_the_text() {
    const LENGTH: usize = 200_000;
    for part in HOSTILE {
        WORK.set(0);
        redact(&part.repeat(LENGTH / part.len()));
        let each = WORK.get() / LENGTH;
        assert!(each <= 64, "{part:?}: every byte is looked at {each} times");
    }
}

proptest::proptest! {
    #[test]
    fn twice_is_once(text in "(\\PC|password|[=:{}\\[\\]'\"\\\\@/ \n|,;<>-]|://|Bearer |-----BEGIN PRIVATE KEY-----|-----END |--token |eyJ[a-z.]{20}|authorization: |api_key|PASS=|sk-[a-z]{20}|ann:x@db:1|\u{1b}|\\[0m){0,40}") {
        let once = redact(&text);
        proptest::prop_assert_eq!(redact(&once), once);
    }

    #[test]
    fn any_secret_of_a_name_goes(name in "(DB_PASSWORD|api-key|client_secret|authorization|accessToken)", form in 0_usize..7, secret in "[A-Za-z0-9]{6,40}") {
        let secret = format!("{secret}1x");
        let text = [
            format!("{name}={secret}"),
            format!("a {name}: {secret} b"),
            format!("{{\"{name}\": \"{secret}\"}}"),
            format!("{{'{name}':'{secret}'}}"),
            format!("--{name} {secret}"),
            format!("('{name}', '{secret}')"),
            format!("<{name}>{secret}</{name}>"),
        ];
        let redacted = redact(&text[form]);
        proptest::prop_assert!(!redacted.contains(&secret), "{}", redacted);
    }
}
