"""The facts in a hub: runs in logs, JUnit XML and JSON, exit codes, and what a manifest says of its files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from orchestrator.audit.logs import Run, base_name, read_log
from orchestrator.audit.trees import Tree
from orchestrator.policy.counts import Tally

__all__ = ["Listed", "listed_files", "read_runs"]

_CODE_FILE = re.compile(
    r"(?:.*[_.-])?(?:exit[_-]?(?:code|status)?|rc|returncode)s?(?:\.txt|\.log|\.rc)?|.*\.(?:exit|rc)", re.IGNORECASE
)
_CODE = re.compile(r"\s*(?:[\w ]*[:=]\s*)?(-?\d{1,3})\s*")
_SUMS = re.compile(r"^([0-9a-f]{64})[ \t]+[*]?(\S.*?)\r?$", re.MULTILINE)
_NAMES = ("path", "file", "name", "filename")
_SIZES = ("size", "bytes", "size_bytes")
_DIGESTS = ("sha256", "sha_256", "sha-256", "digest")
_HEX = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_JUNIT_ROOTS = {"testsuites", "testsuite"}


@dataclass(frozen=True)
class Listed:
    """What a manifest says of one file; `stored` where it does not claim that the file lies beside it."""

    manifest: str
    line: int
    path: str
    sha256: str = ""
    size: int | None = None
    stored: bool = False


def _node(case: dict[str, str]) -> str:
    """Return a test's node id as pytest prints it, from `tests.test_a.TestB` and a name, or from the file if told."""
    parts = case.get("classname", "").split(".")
    file = next((at for at, part in enumerate(parts) if part.startswith("test_") or part.endswith("_test")), None)
    path = case.get("file") or ("/".join(parts[: file + 1]) + ".py" if file is not None else "")
    inner = parts[file + 1 :] if file is not None else [] if path else parts
    return "::".join(filter(None, [path, *inner, case.get("name", "")]))


class _JUnit:
    """Reads JUnit XML, with line numbers; what a parser is asked to include from elsewhere is refused."""

    def __init__(self) -> None:
        self.root = ""
        self.line = 1
        self.said = 0
        self.counts = dict.fromkeys(("passed", "failed", "errors", "skipped", "xfailed"), 0)
        self.never = 0  # modules that were skipped while they were collected
        self.outcomes: dict[str, str] = {}
        self.files: set[str] = set()
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.StartDoctypeDeclHandler = self.refuse
        self._case: dict[str, str] | None = None
        self._outcome = "passed"

    def refuse(self, *_: object) -> None:
        raise ValueError("a document type, which no test report needs")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self.root:
            self.root, self.line = tag, self.parser.CurrentLineNumber
            if tag not in _JUNIT_ROOTS:
                raise ValueError(f"<{tag}>")
        if tag == "testsuite":
            self.line = self.parser.CurrentLineNumber
            self.said += int(attributes.get("tests", "0"))
        if tag == "testcase":
            self._case, self._outcome = attributes, "passed"
        elif self._case is not None and tag in {"failure", "error"}:
            self._outcome = "failed" if tag == "failure" else "errors"
        elif self._case is not None and tag == "skipped" and self._outcome == "passed":
            self._outcome = "xfailed" if attributes.get("type", "").endswith("xfail") else "skipped"
            self.never += attributes.get("message") == "collection skipped"

    def end(self, tag: str) -> None:
        if tag == "testcase" and self._case is not None:
            node = _node(self._case)
            self.counts[self._outcome] += 1
            self.outcomes[node] = self._outcome
            if ".py::" in node:
                self.files.add(base_name(node))
            self._case = None


def _read_xml(tree: Tree, path: str, data: bytes) -> Iterator[Run]:
    junit = _JUnit()
    try:
        junit.parser.Parse(data, True)  # the last part of it
    except (expat.ExpatError, ValueError, LookupError) as error:
        if junit.root in _JUNIT_ROOTS or not junit.root:
            tree.note(path, "whole JUnit XML", str(error), getattr(error, "lineno", junit.parser.CurrentLineNumber))
        return
    # A test that fails and whose teardown fails too is one case and counted twice by pytest.
    held = sum(junit.counts.values())
    if junit.said and held > junit.said:
        tree.note(path, f"{junit.said} test cases, as <testsuite> says", str(held), junit.line)
    yield Run(
        path,
        junit.line,
        "xml",
        Tally(**junit.counts, collected=held - junit.never),
        outcomes=junit.outcomes,
        files=frozenset(junit.files),
    )


def _line_of(text: str, words: str) -> int:
    return text.count("\n", 0, max(text.find(words), 0)) + 1


def _number(data: dict[str, Any], *keys: str) -> int | None:
    found = next((data[key] for key in keys if key in data), None)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _decode_json(tree: Tree, path: str, data: bytes) -> tuple[str, Any]:
    try:
        text = data.decode("utf-8")
        return text, json.loads(text)
    except (ValueError, RecursionError) as error:
        tree.note(path, "whole JSON", str(error), getattr(error, "lineno", 1))
        return "", None


def _read_json(tree: Tree, path: str, data: bytes) -> Iterator[Run]:
    """Read the counts of a run as several tools write them: at the top, or below `summary`."""
    if not re.search(rb'"(?:passed|exit_?code|returncode)"\s*:', data) or base_name(path) == "measured.json":
        return
    text, top = _decode_json(tree, path, data)
    if not isinstance(top, dict):
        return
    counts = top["summary"] if isinstance(top.get("summary"), dict) else top
    code = _number(top, "exit_code", "exitcode", "exit_status", "returncode")
    told = {
        name: number
        for name, keys in {
            "passed": ("passed",), "failed": ("failed", "failures"), "errors": ("errors", "error"),
            "skipped": ("skipped",), "xfailed": ("xfailed",), "xpassed": ("xpassed",),
            "collected": ("collected", "total", "tests"),
        }.items()
        if (number := _number(counts, *keys)) is not None and number >= 0
    }  # fmt: skip
    line = _line_of(text, '"passed"')
    if "passed" in told and (len(told) > 2 or code is not None or re.search("test|result|report", base_name(path))):
        nodes = [
            node
            for key in ("selectors", "failing", "skipped_nodes")
            for node in top.get(key) or ()
            if isinstance(node, str)
        ]
        files = frozenset(base_name(node) for node in nodes if node.partition("::")[0].endswith(".py"))
        yield Run(path, line, "json", Tally(**told), files=files, code=code)
    elif code is not None:
        yield Run(path, _line_of(text, "exit"), "code", Tally(), code=code)


def read_runs(tree: Tree, path: str) -> tuple[Run, ...]:
    """Return what a file tells of test runs and exit codes; nothing where it is another kind of file."""
    name = path.rpartition("/")[2]
    is_code = bool(_CODE_FILE.fullmatch(name))
    if not is_code and not name.lower().endswith((".log", ".txt", ".out", ".xml", ".json")):
        return ()
    data = tree.read(path)
    if not data:
        return ()
    if name.endswith(".xml"):
        return tuple(_read_xml(tree, path, data))
    if name.endswith(".json"):
        return tuple(_read_json(tree, path, data))
    text = tree.text(path) or ""
    number = _CODE.fullmatch(text) if is_code else None
    return (Run(path, 1, "code", Tally(), code=int(number[1])),) if number else tuple(read_log(text, path))


def _entries(top: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- any JSON
    """Yield every path with what is said of it, wherever it stands in a manifest."""
    waiting = [top]
    for data in waiting:  # which grows meanwhile
        if isinstance(data, list):
            waiting += data
        if not isinstance(data, dict):
            continue
        named = next((data[key] for key in _NAMES if isinstance(data.get(key), str)), None)
        if named and any(key in data for key in (*_DIGESTS, *_SIZES)):
            yield named, data
        for key, value in data.items():
            if isinstance(value, str) and _HEX.fullmatch(value) and key not in _DIGESTS and "." in key:
                yield key, {"sha256": value}
            elif isinstance(value, dict) and "." in key and any(name in value for name in (*_DIGESTS, *_SIZES)):
                yield key, value
            else:
                waiting.append(value)


def listed_files(tree: Tree, path: str) -> Iterator[Listed]:
    """Yield what a manifest or a list of checksums says of its files."""
    name = path.rpartition("/")[2].lower()
    if name.endswith(".json") and "manifest" in name:
        text, data = _decode_json(tree, path, tree.read(path) or b"null")
        for named, told in _entries(data):
            digest = next((told[key] for key in _DIGESTS if isinstance(told.get(key), str)), "")
            found = _HEX.fullmatch(digest)
            line = _line_of(text, json.dumps(named, ensure_ascii=False))
            yield Listed(path, line, named, found[1] if found else "", _number(told, *_SIZES), bool(told.get("stored")))
    elif re.search(r"sha256|checksums?", name) and name.endswith((".txt", "sums", ".sha256")):
        text = tree.text(path) or ""
        for match in _SUMS.finditer(text):
            yield Listed(path, text.count("\n", 0, match.start()) + 1, match[2], match[1])
