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
        (
            "sent ver:1-hint:92-ETMsDgAAAX1 twice",
            "sent ver:1-hint:*** twice",
        ),
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
fn kinds_of_secrets_go_and_what_tells_the_cause_stays() {
    for (text, redacted) in [
        // Headers, whole.
        ("Cookie: sid=\"x1\"; a=b\nHost: h", "Cookie: ***\nHost: h"),
        (
            "Authorization: Snowflake Token=\"x1\"",
            "Authorization: Snowflake ***",
        ),
        (
            "curl -H 'Authorization: Snowflake Token=\"x1\"' https://h",
            "curl -H 'Authorization: Snowflake ***' https://h",
        ),
        (
            "{'authorization': 'Digest a=\"b\", response=\"x1\"'}",
            "{'authorization': 'Digest ***'}",
        ),
        // SQL.
        (
            "CREATE USER a IDENTIFIED BY 'x1'",
            "CREATE USER a IDENTIFIED BY '***'",
        ),
        ("alter role a password E'x1'", "alter role a password E'***'"),
        (
            "SET PASSWORD FOR a = PASSWORD('x1')",
            "SET PASSWORD FOR a = PASSWORD('***')",
        ),
        (
            "ALTER ROLE a PASSWORD $$x1$$ x",
            "ALTER ROLE a PASSWORD $$***$$ x",
        ),
        // Commands.
        ("mysql -u root -px1 shop", "mysql -u root -p*** shop"),
        ("curl -u ann:x1 https://h", "curl -u ann:*** https://h"),
        (
            "['docker', 'login', '-p', 'x1']",
            "['docker', 'login', '-p', '***']",
        ),
        ("sshpass -p x1 ssh -p 22 h", "sshpass -p *** ssh -p 22 h"),
        (
            "npm config set //h/:_authToken x1",
            "npm config set //h/:_authToken ***",
        ),
        // Programs and files.
        ("auth=('ann', 'x1')", "auth=('ann', '***')"),
        (
            "Config { password: Some(\"x1\") }",
            "Config { password: Some(\"***\") }",
        ),
        ("machine h login u password x1", "machine h login u password ***"),
        ("db.acme.io:5432:shop:ann:x1", "db.acme.io:5432:shop:ann:***"),
        ("token=<<EOT\nx1\nEOT\na", "token=<<EOT\n***\nEOT\na"),
        ("token: <<EOT\u{1fb00}", "token: <<EOT\u{1fb00}"),
        ("client-key-data: LS0x1", "client-key-data: ***"),
        (
            "<password><![CDATA[x1]]></password>",
            "<password><![CDATA[***]]></password>",
        ),
        // Encoded.
        (
            "?c=UID%3Dsa%3BPWD%3Dx1%3BA%3Db",
            "?c=UID%3Dsa%3BPWD%3D***%3BA%3Db",
        ),
        (
            "UID%253Dsa%253BPWD%253Dx1%253B",
            "UID%253Dsa%253BPWD%253D***%253B",
        ),
        (
            "&quot;token&quot;:&quot;x1&quot;",
            "&quot;token&quot;:&quot;***&quot;",
        ),
        ("password\\u003dx1\\u0026a=b", "password\\u003d***\\u0026a=b"),
        ("a%3A%2F%2Fu%3Ax1%40h%2Fd", "a%3A%2F%2F***%40h%2Fd"),
        (
            "a:\\u002f\\u002fd\\\\u:x1@h\\u002fp@q",
            "a:\\u002f\\u002f***@h\\u002fp@q",
        ),
        // Addresses.
        (
            "s3://key:aaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbb/ccccccccccccccccx1@host/o",
            "s3://***@host/o",
        ),
        (
            "https://h/p?Signature=x1&Expires=1",
            "https://h/p?Signature=***&Expires=1",
        ),
        (
            "https://mattermost.acme.io/hooks/a1b2c3d4e5f6g7h8i9",
            "https://mattermost.acme.io/hooks/***",
        ),
    ] {
        assert_eq!(redact(text), redacted);
        assert_eq!(redact(redacted), redacted, "twice");
    }
}

/// Lines that tools wrote, and neighbours of every kind of secret.
#[test]
fn innocent_text_stays() {
    let innocent = include_str!("../../../../tests/secrets/innocent.txt");
    assert!(innocent.lines().count() >= 1000);
    for line in innocent.lines() {
        assert_eq!(redact(line), line);
    }
    assert!(redact(innocent) == innocent, "as one text");
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
const HOSTILE: [&str; 69] = [
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
    "%",
    "%25",
    "%3A%2F%2F",
    "pwd%3D",
    "pwd%3D%22",
    "curl -u &quot;",
    "&quot;&sig=",
    "&quot;",
    "password&quot;",
    "\\u00",
    "<a:password a=",
    "<password>&amp;",
    "password=\"\"\"",
    "password=<<",
    "password=%(",
    "PWD=/a",
    ":\\u002f\\u002f",
    "authorization: %(",
    "password=a(",
    "password $a$",
    "password for ",
    "password e",
    "auth=('",
    "('password','",
    "user identified by ",
    "IDENTIFIED BY PASSWORD ",
    "mysql -p ",
    "curl -u a -u ",
    "aws configure token ",
    "machine a login b ",
    "a:1:b:c:",
    "/hooks/",
    "://a:b/@",
    "abC8Q~",
    "12345678:AA",
    "a.b.token x ",
    "authorization: a=\"",
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
    fn twice_is_once(text in "(\\PC|password|[=:{}\\[\\]'\"\\\\@/ \n|,;<>-]|://|Bearer |-----BEGIN PRIVATE KEY-----|-----END |--token |eyJ[a-z.]{20}|authorization: |api_key|PASS=|sk-[a-z]{20}|ann:x@db:1|%3D|%253A|%22|&quot;|\\\\u003d|identified by |mysql -p|curl -u |machine a login b |auth=\\(|/hooks/|h:1:d:u:|ver:1-hint:|\\$\\$|<<EOT|PWD=/|a\\.b\\.token |\u{1b}|\\[0m){0,40}") {
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
