//! What the plan only refers to: it is found last, read again when its file changes, and shown nowhere.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails"
)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use floe_telemetry::{
    Compression, Exporter, Header, Manifest, Member, Problem, Protocol, Reference, Tls, destination,
    resolve_header,
};

const SECRET: &str = "hunter2";

fn manifest(variables: &[(&str, &str)]) -> Manifest {
    let variables: HashMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Manifest::new("manifest", "").with_variables(move |name| variables.get(name).cloned())
}

fn header(prefix: &str, value: Vec<Reference>, base64: bool) -> Header {
    Header {
        name: "authorization".to_owned(),
        prefix: prefix.to_owned(),
        value,
        base64,
    }
}

fn exporter(headers: Vec<Header>, tls: Tls) -> Exporter {
    Exporter {
        endpoint: "https://localhost:4317".to_owned(),
        protocol: Protocol::Grpc,
        timeout: 1_000,
        compression: Compression::None,
        headers,
        tls,
    }
}

fn no_tls() -> Tls {
    Tls {
        ca: String::new(),
        certificate: String::new(),
        key: String::new(),
    }
}

fn variable(name: &str) -> Reference {
    Reference::Variable(name.to_owned())
}

fn member(key: &str) -> Reference {
    Reference::Member(Member {
        variable: "HEADERS".to_owned(),
        key: key.to_owned(),
    })
}

fn file(path: &Path) -> Reference {
    Reference::File(path.display().to_string())
}

fn resolved(header: Header, manifest: &Manifest) -> String {
    let mut exporter = exporter(vec![header], no_tls());
    exporter.endpoint = "http://localhost:4317".to_owned();
    let collector = destination(&exporter, manifest).unwrap();
    assert!(!format!("{collector:?}").contains(SECRET));
    let headers = collector.headers.current();
    assert_eq!(headers.len(), 1);
    headers["authorization"].to_str().unwrap().to_owned()
}

fn problem(header: &Header, manifest: &Manifest) -> Problem {
    let mut problems = resolve_header(header, manifest).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(!format!("{problems:?}").contains(SECRET), "{problems:?}");
    problems.remove(0)
}

#[test]
fn values_are_found_and_joined() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, format!("{SECRET}\n \t\r\n")).unwrap();
    let manifest = manifest(&[
        ("NAME", "ann"),
        (
            "HEADERS",
            "other=1, Authorization = Bearer%20first ,authorization=Bearer%20hunter2%2C, empty=",
        ),
    ]);
    for (expected, header) in [
        ("Bearer hunter2", header("Bearer ", vec![file(&path)], false)),
        ("ann", header("", vec![variable("NAME")], false)),
        (
            "Bearer hunter2,",
            header("", vec![member("authorization")], false),
        ),
        (
            // ann:hunter2
            "Basic YW5uOmh1bnRlcjI=",
            header(
                "Basic ",
                vec![variable("NAME"), Reference::Text(":".to_owned()), file(&path)],
                true,
            ),
        ),
    ] {
        assert_eq!(resolved(header, &manifest), expected);
    }
    assert_eq!(
        resolve_header(&header("", vec![variable("NAME"), file(&path)], false), &manifest).unwrap(),
        format!("the variable NAME and the file {}", path.display())
    );
}

#[test]
fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let manifest = manifest(&[("EMPTY", ""), ("HEADERS", "other=hunter2,empty=,bad=%ffhunter2")]);
    let large = vec![b'x'; 64 * 1024 + 1];
    let set = "set it";
    for (code, named, help, reference) in [
        ("FLOE-X003", "UNSET", set, variable("UNSET")),
        ("FLOE-X003", "EMPTY", set, variable("EMPTY")),
        ("FLOE-X003", "`absent`", "absent=VALUE", member("absent")),
        ("FLOE-X003", "`empty`", "empty=VALUE", member("empty")),
        ("FLOE-X005", "`bad`", "percent-encode", member("bad")),
        (
            "FLOE-X004",
            "missing",
            "path",
            file(&directory.path().join("missing")),
        ),
        ("FLOE-X004", "not a file", "regular file", file(directory.path())),
        (
            "FLOE-X004",
            "is empty",
            "write the value into it",
            file(&path("blank", b" \n")),
        ),
        (
            "FLOE-X004",
            "UTF-8",
            "as UTF-8 text",
            file(&path("latin1", b"hunter2\xe9")),
        ),
        (
            "FLOE-X004",
            "65536 bytes",
            "nothing else",
            file(&path("large", &large)),
        ),
    ] {
        let found = problem(&header("", vec![reference], false), &manifest);
        assert_eq!(found.code, code, "{found}");
        assert!(found.message.contains(named), "{found}");
        assert!(found.message.contains("authorization"), "{found}");
        assert!(found.help.contains(help), "{found}");
    }
}

#[test]
fn a_value_that_no_header_can_have_is_refused() {
    for value in [
        "hunter2\r\nx-evil: 1",
        "hunter2\n",
        "a\0b",
        "a\x7fb",
        "a\u{85}b",
        "h\u{fc}nter2",
    ] {
        let manifest = manifest(&[("TOKEN", value)]);
        let header = header("Bearer ", vec![variable("TOKEN")], false);
        let found = problem(&header, &manifest);
        assert_eq!(found.code, "FLOE-X005");
        assert!(found.help.contains("TOKEN"), "{found}");
    }
    // In Basic, letters beyond ASCII are well and control characters are not (RFC 7617).
    let manifest = manifest(&[("GOOD", "h\u{fc}nter2"), ("BAD", "hunter2\n")]);
    assert_eq!(
        resolved(header("Basic ", vec![variable("GOOD")], true), &manifest),
        "Basic aMO8bnRlcjI="
    );
    assert_eq!(
        problem(&header("Basic ", vec![variable("BAD")], true), &manifest).code,
        "FLOE-X005"
    );
}

#[test]
fn a_file_that_changes_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, "first").unwrap();
    let collector = destination(
        &Exporter {
            endpoint: "http://localhost:4317".to_owned(),
            ..exporter(vec![header("Bearer ", vec![file(&path)], false)], no_tls())
        },
        &manifest(&[]),
    )
    .unwrap();
    let now = || {
        collector.headers.current()["authorization"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(now(), "Bearer first");
    // As Kubernetes rotates: another file of the same length is put in its place at once.
    let next = directory.path().join("next");
    fs::write(&next, "other").unwrap();
    fs::rename(&next, &path).unwrap();
    assert_eq!(now(), "Bearer other");
    // What cannot be sent does not replace what can.
    for bad in ["a\nb", "", "\u{fc}\u{fc}"] {
        fs::write(&path, bad).unwrap();
        assert_eq!(now(), "Bearer other");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(now(), "Bearer other");
    fs::write(&path, "the last").unwrap();
    assert_eq!(now(), "Bearer the last");
}

#[test]
fn files_of_tls_are_checked_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let made = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let ((certificate, key), (_, other)) = (made("client"), made("other"));
    let (certificate, key, other) = (
        path("client.pem", &certificate),
        path("client.key", &key),
        path("other.key", &other),
    );
    let text = path("text", "hunter2");
    let missing = directory.path().join("missing").display().to_string();
    let tls = |ca: &str, certificate: &str, key: &str| Tls {
        ca: ca.to_owned(),
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    assert!(
        destination(
            &exporter(Vec::new(), tls(&certificate, &certificate, &key)),
            &manifest(&[])
        )
        .is_ok()
    );
    for (code, named, tls) in [
        ("FLOE-X004", &missing, tls(&missing, "", "")),
        ("FLOE-X004", &missing, tls(&certificate, &certificate, &missing)),
        ("FLOE-X006", &text, tls(&text, "", "")),
        ("FLOE-X006", &key, tls(&key, "", "")),
        ("FLOE-X006", &text, tls(&certificate, &text, &key)),
        ("FLOE-X006", &text, tls(&certificate, &certificate, &text)),
        ("FLOE-X006", &other, tls(&certificate, &certificate, &other)),
    ] {
        // With what is wrong about headers, in one go.
        let headers = vec![header("", vec![variable("UNSET")], false)];
        let problems = destination(&exporter(headers, tls), &manifest(&[])).unwrap_err();
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["FLOE-X003", code], "{problems:?}");
        assert!(problems[1].message.contains(named.as_str()), "{problems:?}");
        assert!(!problems[1].to_string().contains(SECRET), "{problems:?}");
    }
}
