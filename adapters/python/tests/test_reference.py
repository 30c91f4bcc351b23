from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from floe_telemetry.contract import (
    Compression,
    Exporter,
    FileReference,
    Header,
    MemberReference,
    Protocol,
    Reference,
    TextReference,
    Tls,
    VariableReference,
)
from floe_telemetry.reference import UnresolvedError, check_tls, resolve

VARIABLE = VariableReference("TOKEN")


def plan(*headers: Header, tls: Tls | None = None) -> Exporter:
    endpoint = "http://127.0.0.1:1/v1/traces"
    return Exporter(
        endpoint,
        Protocol.HTTP_PROTOBUF,
        1000,
        Compression.NONE,
        list(headers),
        tls or Tls("", "", ""),
    )


def value(
    *parts: Reference, prefix: str = "", base64: bool = False, environ: dict[str, str] | None = None
) -> str:
    [(name, found)] = resolve(plan(Header("x", prefix, list(parts), base64)), environ or {}).headers
    assert name == "x"
    return found


def refused(*parts: Reference, environ: dict[str, str] | None = None) -> tuple[str, str]:
    with pytest.raises(UnresolvedError) as raised:
        value(*parts, environ=environ)
    [problem] = raised.value.problems
    return problem.code, problem.message


def test_values(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" s3cret \r\n\n")
    assert value(TextReference("a b")) == "a b"
    assert value(VARIABLE, prefix="Bearer ", environ={"TOKEN": "t"}) == "Bearer t"
    assert value(FileReference(str(file))) == " s3cret"
    parts = (TextReference("jürgen:"), VARIABLE)
    basic = value(*parts, prefix="Basic ", base64=True, environ={"TOKEN": "pässword"})
    assert basic == "Basic " + base64.b64encode("jürgen:pässword".encode()).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=1", "1"),
        ("a=b,X=1,c=d", "1"),
        ("x=1,x=2", "2"),
        (" x = 1%2C%20%3d ,", "1, ="),
        ("x=a=b", "a=b"),
        ("x%2Dy=2,%78=1", "1"),
    ],
)
def test_members(text: str, expected: str) -> None:
    assert value(MemberReference("HEADERS", "x"), environ={"HEADERS": text}) == expected


def test_what_is_missing(tmp_path: Path) -> None:
    code, message = refused(VARIABLE)
    assert (code, message) == ("FLOE-X003", "the variable TOKEN, which the header `x` needs, is not set")
    assert refused(VARIABLE, environ={"TOKEN": ""})[0] == "FLOE-X003"
    assert refused(MemberReference("HEADERS", "x"), environ={"HEADERS": "y=SECRET"}) == (
        "FLOE-X003",
        "the variable HEADERS has no member `x`, which the header `x` needs",
    )
    for members in ("x=", "x=1,x", ""):
        assert refused(MemberReference("HEADERS", "x"), environ={"HEADERS": members})[0] == "FLOE-X003"
    assert refused(MemberReference("HEADERS", "x"), environ={"HEADERS": "x=SECRET%FF"}) == (
        "FLOE-X005",
        "the member `x` of the variable HEADERS, which the header `x` needs, is not percent-encoded UTF-8",
    )
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_text(" \n")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "pipe", tmp_path / "empty", "a\0b"):
        code, message = refused(FileReference(str(path)))
        assert code == "FLOE-X004"
        assert str(path) in message
    (tmp_path / "large").write_bytes(b"x" * (64 * 1024 + 1))
    assert "65536" in refused(FileReference(str(tmp_path / "large")))[1]
    (tmp_path / "latin").write_bytes(b"J\xfcrgen")
    assert "UTF-8" in refused(FileReference(str(tmp_path / "latin")))[1]


def test_a_file_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    for name, content, help in [
        ("absent", None, "check the path and its permissions"),
        ("empty", b" \n", "write the value into it"),
        ("latin", b"J\xfcrgen", "save it as UTF-8 text"),
        ("large", b"x" * (64 * 1024 + 1), "name the file that holds it and nothing else"),
        (".", None, "name a regular file"),
    ]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UnresolvedError) as raised:
            value(FileReference(str(tmp_path / name)))
        assert [problem.help for problem in raised.value.problems] == [help]


def test_the_largest_file(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (64 * 1024))
    assert value(FileReference(str(tmp_path / "large"))) == "x" * (64 * 1024)


@pytest.mark.parametrize("character", ["\r\nX: y", "\n", "\0", "\t", "\x7f", "\x85", "é"])
def test_values_that_cannot_be_sent(character: str) -> None:
    code, message = refused(VARIABLE, environ={"TOKEN": f"SECRET{character}SECRET"})
    assert code == "FLOE-X005"
    assert "SECRET" not in message


def test_all_problems_at_once(tmp_path: Path) -> None:
    exporter = plan(
        Header("a", "", [VARIABLE], False),
        Header("b", "", [FileReference(str(tmp_path / "absent"))], False),
        tls=Tls(str(tmp_path / "ca"), str(tmp_path / "cert"), str(tmp_path / "key")),
    )
    with pytest.raises(UnresolvedError) as raised:
        resolve(exporter._replace(endpoint="https://127.0.0.1:1"), {})
    assert [problem.code for problem in raised.value.problems] == ["FLOE-X003"] + ["FLOE-X004"] * 4


def test_nothing_shows_a_value() -> None:
    credentials = resolve(plan(Header("x", "", [VARIABLE], False)), {"TOKEN": "SECRET"})
    assert "SECRET" not in repr(credentials)
    assert "SECRET" not in str(credentials)


def test_tls_files(tmp_path: Path) -> None:
    import trustme

    authority = trustme.CA()
    leaf = authority.issue_cert("client")
    ca, certificate, key = (str(tmp_path / name) for name in ("ca", "certificate", "key"))
    authority.cert_pem.write_to_path(ca)
    leaf.cert_chain_pems[0].write_to_path(certificate)
    leaf.private_key_pem.write_to_path(key)
    check(Tls(ca, certificate, key))
    check(Tls("", "", ""))
    (tmp_path / "both").write_bytes(Path(certificate).read_bytes() + Path(key).read_bytes())
    check(Tls("", str(tmp_path / "both"), ""))
    authority.issue_cert("other").private_key_pem.write_to_path(tmp_path / "other")
    (tmp_path / "encrypted").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nSECRET\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    (tmp_path / "text").write_text("SECRET ü")
    for tls in (
        Tls(key, "", ""),
        Tls(str(tmp_path / "text"), "", ""),
        Tls("", certificate, str(tmp_path / "other")),
        Tls("", certificate, str(tmp_path / "encrypted")),
        Tls("", certificate, ""),
        Tls("", key, certificate),
    ):
        with pytest.raises(UnresolvedError) as raised:
            check(tls)
        [problem] = raised.value.problems
        assert problem.code == "FLOE-X006"
        assert "SECRET" not in problem.message


def check(tls: Tls) -> None:
    exporter = plan(tls=tls)._replace(endpoint="https://127.0.0.1:1")
    check_tls(exporter, resolve(exporter, {}))


def test_files_of_tls_do_not_matter_without_it() -> None:
    exporter = plan(tls=Tls("/absent", "/absent", "/absent"))
    assert resolve(exporter, {}).certificate == b""
