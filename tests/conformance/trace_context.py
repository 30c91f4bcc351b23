"""W3C Trace Context Level 2 as a table: the header lines that a service is sent, and what it has to send on.

The numbers are those of sections of the specification, https://www.w3.org/TR/trace-context-2/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = "b7ad6b7169203331"
VALID: Final = f"00-{TRACE}-{PARENT}-01"
ZEROS: Final = "0" * 32


@dataclass(frozen=True)
class Row:
    """One request."""

    name: str
    headers: tuple[tuple[str, str], ...]
    continues: bool = True
    """Whether the trace goes on; otherwise a new one starts."""
    tracestate: str = ""
    """The list that goes out."""
    flags: int | None = None
    """The trace flags that go out, where the specification leaves no choice."""


def traceparent(name: str, *values: str, continues: bool = False, flags: int | None = None) -> Row:
    """A row about `traceparent` alone."""
    return Row(name, tuple(("traceparent", value) for value in values), continues, flags=flags)


def tracestate(name: str, *lines: str, out: str = "") -> Row:
    """A row about `tracestate` beside a valid `traceparent`: whatever is wrong with it, the trace goes on (3.3)."""
    return Row(name, (("traceparent", VALID), *(("tracestate", line) for line in lines)), tracestate=out)


def members(first: int, last: int) -> str:
    """As many members, with keys of their own."""
    return ",".join(f"k{number}={number}" for number in range(first, last + 1))


VALUE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")
KEY: Final = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@"

NO_CONTEXT: Final = (
    Row("no header at all", (), continues=False),
    Row("tracestate without traceparent (3.3)", (("tracestate", "foo=1,bar=2"),), continues=False),
    Row(
        "tracestate beside a broken traceparent (4.3)",
        (("traceparent", VALID[:-1]), ("tracestate", "foo=1")),
        continues=False,
    ),
    Row("another name: trace-parent", (("trace-parent", VALID),), continues=False),
    Row("another name: trace.parent", (("trace.parent", VALID),), continues=False),
    Row("another name: trace_parent", (("trace_parent", VALID),), continues=False),
)

TRACEPARENTS: Final = (
    traceparent("valid, sampled (3.2.2)", VALID, continues=True, flags=0x01),
    traceparent("valid, not sampled (3.2.2.5)", f"00-{TRACE}-{PARENT}-00", continues=True, flags=0x00),
    traceparent("random kept (3.2.2.5.2)", f"00-{TRACE}-{PARENT}-02", continues=True, flags=0x02),
    traceparent("sampled and random kept", f"00-{TRACE}-{PARENT}-03", continues=True, flags=0x03),
    traceparent("other flags zero (3.2.2.5.3)", f"00-{TRACE}-{PARENT}-fc", continues=True, flags=0x00),
    traceparent("all flags", f"00-{TRACE}-{PARENT}-ff", continues=True, flags=0x03),
    traceparent("empty", ""),
    traceparent("not a traceparent", "hello"),
    traceparent("twice the same (3.2)", VALID, VALID),
    traceparent("two of them (3.2)", VALID, f"00-{TRACE[::-1]}-{PARENT}-01"),
    traceparent("one and a broken one", VALID, "hello"),
    traceparent("two in one line", f"{VALID},{VALID}"),
    traceparent("trace-id of zeros (3.2.2.3)", f"00-{ZEROS}-{PARENT}-01"),
    traceparent("parent-id of zeros (3.2.2.4)", f"00-{TRACE}-{ZEROS[:16]}-01"),
    traceparent("upper case trace-id", f"00-{TRACE.upper()}-{PARENT}-01"),
    traceparent("upper case parent-id", f"00-{TRACE}-{PARENT.upper()}-01"),
    traceparent("upper case flags", f"00-{TRACE}-{PARENT}-0A"),
    traceparent("upper case version", f"CC-{TRACE}-{PARENT}-01"),
    traceparent("no hexadecimal digit in the version", f".0-{TRACE}-{PARENT}-01"),
    traceparent("no hexadecimal digit in the trace-id", f"00-g{TRACE[1:]}-{PARENT}-01"),
    traceparent("no hexadecimal digit in the parent-id", f"00-{TRACE}-{PARENT[:-1]}.-01"),
    traceparent("no hexadecimal digit in the flags", f"00-{TRACE}-{PARENT}-0."),
    traceparent("a sign in the flags", f"00-{TRACE}-{PARENT}-+1"),
    traceparent("version too short", VALID[1:]),
    traceparent("version too long", f"0{VALID}"),
    traceparent("trace-id too short", f"00-{TRACE[1:]}-{PARENT}-01"),
    traceparent("trace-id too long", f"00-{TRACE}0-{PARENT}-01"),
    traceparent("parent-id too short", f"00-{TRACE}-{PARENT[1:]}-01"),
    traceparent("parent-id too long", f"00-{TRACE}-{PARENT}0-01"),
    traceparent("flags too short", VALID[:-1]),
    traceparent("flags too long", f"{VALID}0"),
    traceparent("another delimiter", VALID.replace("-", "_")),
    traceparent("a field missing", f"00-{TRACE}-{PARENT}"),
    traceparent("version 00 with a dash at its end (3.2.2.2)", f"{VALID}-"),
    traceparent("version 00 with more fields (3.2.2.2)", f"{VALID}-what-the-future-will-be-like"),
    traceparent("version ff (3.2.2.1)", f"ff{VALID[2:]}"),
    traceparent("a higher version (4.3)", f"cc{VALID[2:]}", continues=True, flags=0x01),
    traceparent("the next version (4.3)", f"01{VALID[2:]}", continues=True, flags=0x01),
    traceparent("a higher version with more fields (4.3)", f"cc{VALID[2:]}-what-the-future-will-be-like", continues=True, flags=0x01),
    traceparent("a higher version with all flags", f"cc-{TRACE}-{PARENT}-ff", continues=True, flags=0x03),
    traceparent("a higher version, no dash after the flags (4.3)", f"cc{VALID[2:]}.what"),
    traceparent("a higher version, trace-id of zeros", f"cc-{ZEROS}-{PARENT}-01"),
    traceparent("a higher version, too short (4.3)", f"cc{VALID[2:-1]}"),
    traceparent("white space around it", f" \t{VALID}\t ", continues=True, flags=0x01),
    traceparent("white space within it", VALID.replace("-", " -")),
    *(
        Row(f"the name in another case: {name}", ((name, VALID),), flags=0x01)
        for name in ("TraceParent", "TrAcEpArEnT", "TRACEPARENT")
    ),
)  # fmt: skip

TRACESTATES: Final = (
    tracestate("a list", "foo=1,bar=2", out="foo=1,bar=2"),
    tracestate("several lines are one list (3.3)", "foo=1,bar=2", "rojo=1", "baz=3", out="foo=1,bar=2,rojo=1,baz=3"),
    *(
        Row(f"the name in another case: {name}", (("traceparent", VALID), (name, "foo=1")), tracestate="foo=1")
        for name in ("TraceState", "TrAcEsTaTe", "TRACESTATE")
    ),
    Row("another name: trace-state", (("traceparent", VALID), ("trace-state", "foo=1"))),
    tracestate("an empty line", ""),
    tracestate("an empty line before", "", "foo=1", out="foo=1"),
    tracestate("an empty line after", "foo=1", "", out="foo=1"),
    tracestate("empty members (3.3.1.1)", "foo=1,,bar=2,", out="foo=1,bar=2"),
    tracestate("white space between members (3.3.1.1)", "foo=1 \t , \t bar=2,\t baz=3", out="foo=1,bar=2,baz=3"),
    tracestate("white space around the list", "\t foo=1 \t", out="foo=1"),
    tracestate("white space before a key", "foo= 1", out="foo= 1"),
    tracestate("32 members (3.3.1.1)", members(1, 32), out=members(1, 32)),
    tracestate("32 members of several lines", members(1, 10), members(11, 31), members(32, 32), out=members(1, 32)),
    tracestate("33 members", members(1, 33)),
    tracestate("33 members of several lines", members(1, 32), members(33, 33)),
    tracestate("a key twice: the first stays (3.3.1.3.1)", "foo=1,bar=2,foo=3", out="foo=1,bar=2"),
    tracestate("a key twice in several lines", "foo=1", "foo=1", out="foo=1"),
    tracestate("every character of a key (3.3.1.3.1)", f"{KEY}=1", out=f"{KEY}=1"),
    tracestate("a key that begins with a digit", "0foo=1", out="0foo=1"),
    tracestate("a key that ends with @", "foo@=1,bar=2", out="foo@=1,bar=2"),
    tracestate("a key with @@", "foo@@bar=1,bar=2", out="foo@@bar=1,bar=2"),
    tracestate("a key with two @", "foo@bar@baz=1,bar=2", out="foo@bar@baz=1,bar=2"),
    tracestate("a key that begins with @", "@foo=1,bar=2"),
    tracestate("a key that begins with _", "_foo=1,bar=2"),
    tracestate("a key of upper case", "FOO=1"),
    tracestate("a key with a dot", "foo.bar=1"),
    tracestate("white space after a key", "foo =1"),
    tracestate("no key", "=1,bar=2"),
    tracestate("a key of 256 characters", "foo=1", f"{'z' * 256}=1", out=f"foo=1,{'z' * 256}=1"),
    tracestate("a key of 257 characters", "foo=1", f"{'z' * 257}=1"),
    tracestate("a long part before the @", f"{'t' * 242}@v=1", out=f"{'t' * 242}@v=1"),
    tracestate("a long part after the @", f"t@{'v' * 15}=1", out=f"t@{'v' * 15}=1"),
    tracestate("every character of a value (3.3.1.3.2)", f"foo={VALUE}", out=f"foo={VALUE}"),
    tracestate("a value of 256 characters", f"foo={'v' * 256}", out=f"foo={'v' * 256}"),
    tracestate("a value of 257 characters", f"foo={'v' * 257}"),
    tracestate("an empty value", "foo=,bar=3"),
    tracestate("no value", "foo,bar=3"),
    tracestate("= in a value", "foo=bar=baz"),
    tracestate("a tab in a value", "foo=a\tb"),
    tracestate("one broken member of several lines", "foo=1", "BAR=2", "baz=3"),
    tracestate("OpenTelemetry's own member that agrees with the flag", "foo=1,ot=th:0", out="foo=1,ot=th:0"),
    tracestate("one whose threshold contradicts the flag", "foo=1,ot=th:c;rv:00000000000001", out="ot=rv:00000000000001,foo=1"),
    tracestate("a list of more than 512 characters (3.3.1.5)", f"foo={'v' * 250},bar={'v' * 250},baz={'v' * 250}",
               out=f"foo={'v' * 250},bar={'v' * 250},baz={'v' * 250}"),
)  # fmt: skip


ROWS: Final = NO_CONTEXT + TRACEPARENTS + TRACESTATES
