"""Keys, tokens and passwords: found in what agents and tests leave, and replaced where their output is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Redactor", "Secret", "find_secrets", "redact", "redact_file", "redact_text"]


class _Pattern(NamedTuple):
    """A kind of secret; where none of the `marks` occurs, the expression need not be tried."""

    kind: str
    marks: tuple[bytes, ...]
    expression: re.Pattern[bytes]


class Secret(NamedTuple):
    """Where a secret stands in a text: its kind, its line, and its bytes, which are not to be shown."""

    kind: str
    line: int
    value: bytes


_AT_WORD = rb"(?<![A-Za-z0-9_-])"
_LONGEST_KEY = 20_000


def _pattern(kind: str, expression: bytes, *marks: bytes) -> _Pattern:
    return _Pattern(kind, marks, re.compile(expression))


# What is secret is the group `s`, or all that matches.
_PATTERNS = (
    _pattern("AWS access key", _AT_WORD + rb"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])", b"AKIA", b"ASIA"),
    _pattern(
        "AWS secret key",
        rb"(?i:aws_secret_access_key|secretaccesskey)\W{1,5}(?P<s>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        *(b"aws_secret_access_key", b"AWS_SECRET_ACCESS_KEY", b"ecretAccessKey"),
    ),
    _pattern(
        "GitHub token",
        _AT_WORD + rb"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
        *(b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
    ),
    _pattern(
        "GitLab token",
        _AT_WORD + rb"gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,255}",
        b"glpat-",
        b"gldt-",
        b"glrt-",
        b"glptt-",
    ),
    _pattern(
        "model provider's key",
        _AT_WORD + rb"sk-(?=[A-Za-z_-]*[0-9])(?=[a-z0-9-]*[A-Za-z0-9_]{12})[A-Za-z0-9_-]{20,300}",
        b"sk-",
    ),
    _pattern("Slack token", _AT_WORD + rb"xox[abeprs]-[A-Za-z0-9-]{10,255}", b"xox"),
    _pattern("Slack hook", rb"hooks\.slack\.com/services/(?P<s>T\w{8,}/B\w{8,}/\w{20,99})", b"hooks.slack.com"),
    _pattern("Google key", _AT_WORD + rb"AIza[0-9A-Za-z_-]{35}", b"AIza"),
    _pattern("Hugging Face token", _AT_WORD + rb"hf_[A-Za-z]{34}(?![A-Za-z0-9])", b"hf_"),
    _pattern("npm token", _AT_WORD + rb"npm_[A-Za-z0-9]{36}", b"npm_"),
    _pattern("PyPI token", _AT_WORD + rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,255}", b"pypi-AgEIcHlwaS5vcmc"),
    _pattern(
        "JSON web token",
        _AT_WORD + rb"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,1000}",
        b".eyJ",
    ),
    _pattern(
        "authorization header",
        rb"(?i:authorization)[\"']?[:=]\s?[\"']?(?i:basic|bearer|token)\s(?P<s>[A-Za-z0-9+/=._~-]{20,2000})",
        *(b"uthorization", b"UTHORIZATION"),
    ),
    _pattern(
        "private key",
        rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        rb"(?=[\s\\nr]{1,8}(?:[A-Za-z0-9+/=]{16}|[A-Z][A-Za-z-]+:))"
        rb"(?>(?:[A-Za-z0-9+/=\s\\:,.]+|-(?!----))*)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
        b"PRIVATE KEY",
    ),
    _pattern(
        "password in a URL", rb"[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>`]{1,100}:(?P<s>[^\s/@\"'<>`{}$*]{3,200})@", b"://"
    ),
)
_PLACEHOLDER = re.compile(
    rb"(?i)example|fake|dummy|placeholder|your|redacted|xxxx|\.\.\.|^(?:pass(?:word|wd)?|secret|token|key|pw)$"
)
_HELD_BYTES = 4096
_NAME_OF_ONE = re.compile(
    rb"(?i)(?:aws_secret_access_key|authorization)[\s\"':=]{1,8}(?:(?:basic|bearer|token)\s{1,3})?$"
)
_KNOWN_KIND = "value of the environment"


_Span = tuple[int, int, str]


def _spans(data: bytes, known: Iterable[bytes]) -> Iterator[_Span]:
    """Give where secrets begin and end, and their kinds; a value that is plainly made up is none."""
    for pattern in _PATTERNS:
        if any(mark in data for mark in pattern.marks):
            group = "s" if "s" in pattern.expression.groupindex else 0
            for match in pattern.expression.finditer(data):
                if not _PLACEHOLDER.search(match[group]):
                    yield *match.span(group), pattern.kind
    for value in known:
        at = data.find(value)
        while at >= 0:
            yield at, at + len(value), _KNOWN_KIND
            at = data.find(value, at + len(value))


def find_secrets(data: bytes, known: Iterable[bytes] = ()) -> tuple[Secret, ...]:
    """Return the secrets in a text, in their order.

    Parameters
    ----------
    data
        The text; binary content does no harm.
    known
        Values that are secret whatever they look like.
    """
    spans = sorted(_spans(data, known))
    return tuple(Secret(kind, data.count(b"\n", 0, start) + 1, data[start:end]) for start, end, kind in spans)


def redact(data: bytes, known: Iterable[bytes] = ()) -> bytes:
    """Return a text with the kind of each secret in its place; the same object where there is none."""
    return _replaced(data, sorted(_spans(data, known)))


def _replaced(data: bytes, spans: Iterable[_Span]) -> bytes:
    pieces, done = [], 0
    for start, end, kind in spans:
        if end > done:
            pieces += [data[done : max(start, done)], f"[redacted: {kind}]".encode()]
            done = end
    return b"".join((*pieces, data[done:])) if pieces else data


def redact_text(text: str, known: Iterable[bytes] = ()) -> str:
    """Return a text, undecodable bytes in it as surrogates, with the kind of each secret in its place."""
    return redact(text.encode("utf-8", "surrogateescape"), known).decode("utf-8", "surrogateescape")


def redact_file(path: Path, known: Iterable[bytes] = ()) -> None:
    """Replace the secrets in a file by way of a new one; one without any stays as it is."""
    data = path.read_bytes()
    shown = redact(data, known)
    if shown is not data:
        path.unlink()
        path.write_bytes(shown)


class Redactor:
    """Redacts a stream piece by piece; a secret that two pieces share is met too.

    What may be the beginning of a secret is held back until more comes: a word without its end, a private key without
    its last line.

    Parameters
    ----------
    known
        Values that are secret whatever they look like.
    """

    def __init__(self, known: Iterable[bytes] = ()) -> None:
        self.count = 0
        self._known = tuple(known)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take what came, and return what can be shown."""
        data = self._held + data
        spans = sorted(_spans(data, self._known))
        cut = self._cut(data)
        for start, end, _ in reversed(spans):
            cut = start if start < cut < end else cut
        self._held = data[cut:]
        return self._shown(data[:cut], [span for span in spans if span[1] <= cut])

    def flush(self) -> bytes:
        """Return what was held back: nothing more comes."""
        data, self._held = self._held, b""
        return self._shown(data, sorted(_spans(data, self._known)))

    def _shown(self, data: bytes, spans: Iterable[_Span]) -> bytes:
        shown = _replaced(data, spans)
        self.count += shown is not data
        return shown

    def _cut(self, data: bytes) -> int:
        """Say where what may be an unfinished secret begins."""
        least = max(len(data) - _HELD_BYTES, 0)
        cut = max(least, *(data.rfind(space, least) + 1 for space in (b" ", b"\n", b"\t", b"\r")))
        name = _NAME_OF_ONE.search(data, max(cut - 64, 0), cut)
        cut = name.start() if name else cut
        begin = data.rfind(b"-----BEGIN ", max(len(data) - _LONGEST_KEY, 0))
        if begin >= 0 and (b"PRIVATE KEY" in data[begin:] or len(data) - begin < 64):
            end = data.find(b"-----END ", begin)
            is_whole = end >= 0 and data.find(b"-----", end + 9) >= 0
            cut = cut if is_whole else min(cut, begin)
        for value in self._known:
            size = next((n for n in range(min(len(value) - 1, len(data)), 0, -1) if data.endswith(value[:n])), 0)
            cut = min(cut, len(data) - size)
        return cut
