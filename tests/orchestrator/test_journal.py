"""The journal survives kills, and damage is an error that names its line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import JournalError
from orchestrator.journal import Event, Journal, read_journal

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of three events."""
    path = tmp_path / "new folder" / "journal.jsonl"
    with Journal.open(path) as journal:
        journal.append("run.started", {"base": "abc", "Größe": 1.5})
        journal.append("turn.started", {"turn": "T1", "paths": ["a b", "ü\udcff\n\r\u2028"]})
        journal.append("some.later.kind", {"unknown": {"nested": [1, None, True]}})
    return path


def backups(path: Path) -> dict[str, bytes]:
    return {
        found.name.removeprefix(f"{path.name}.")[:7]: found.read_bytes() for found in path.parent.glob(f"{path.name}.*")
    }


def test_events_are_read_back_as_they_were_returned(path: Path) -> None:
    with Journal.open(path) as journal:
        appended = journal.append("last", {"tuple": (1, 2)})
        assert journal.events[-1] == appended
        assert appended.data == {"tuple": [1, 2]}
        assert [event.seq for event in journal.events] == [1, 2, 3, 4]
        assert journal.events == read_journal(path)
    assert read_journal(path)[1].data["paths"] == ["a b", "ü\udcff\n\r\u2028"]
    assert read_journal(path)[2] == Event(
        3, read_journal(path)[2].time, "some.later.kind", {"unknown": {"nested": [1, None, True]}}
    )


def test_every_line_is_json_with_the_five_fields(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(list(line) == ["seq", "time", "kind", "data", "sha256"] for line in lines)


def test_a_journal_that_does_not_exist_has_no_events_and_is_not_made(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none") == ()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_last_line_is_set_aside_and_the_journal_goes_on(path: Path) -> None:
    whole = path.read_bytes()
    torn = whole.splitlines(keepends=True)[-1].replace(b'"seq":3', b'"seq":4')
    for length in (1, 30, len(torn) - 1):
        path.write_bytes(whole + torn[:length])
        assert len(read_journal(path)) == 3
        assert path.read_bytes() == whole + torn[:length], "a reader changes nothing"
        with Journal.open(path) as journal:
            assert path.read_bytes() == whole
            assert len(journal.events) == 3
        assert torn[:length] in [found.read_bytes() for found in path.parent.glob("*.torn-*")]
    with Journal.open(path) as journal:
        assert journal.append("next", {}).seq == 4
    assert len(read_journal(path)) == 4


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda lines: [lines[0], lines[1].replace(b"T1", b"T2"), lines[2]], 2),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[1], lines[2]], 1),
        (lambda lines: [lines[0], lines[1], lines[1], lines[2]], 3),
        (lambda lines: [lines[0], b"\n", lines[1], lines[2]], 2),
        (lambda lines: [lines[0], lines[1][:20] + b"\n", lines[2]], 2),
        (lambda lines: [lines[0], lines[1], b"\0" * 50 + b"\n"], 3),
        (lambda lines: [lines[0], lines[1].replace(b"{", b"{ ", 1), lines[2]], 2),
        (lambda lines: [lines[0], lines[1], lines[2][:-1] + b"\r\n"], 3),
    ],
    ids=["value", "lost", "head lost", "doubled", "blank", "cut", "zeros", "space", "carriage return"],
)
def test_any_other_damage_stops_with_path_line_and_a_backup(
    path: Path, damage: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    damaged = b"".join(damage(path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match=f"journal.jsonl:{line}: expected"):
        read_journal(path)
    assert backups(path) == {}
    for _ in range(2):
        with pytest.raises(JournalError, match=f"journal.jsonl:{line}: .* a copy is .*damaged-"):
            Journal.open(path)
    assert backups(path) == {"damaged": damaged}
    assert path.read_bytes() == damaged


def test_damage_before_a_torn_line_is_damage(path: Path) -> None:
    damaged = path.read_bytes().replace(b'"T1"', b'"T2"') + b"{torn"
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match=":2:"):
        Journal.open(path)
    assert backups(path) == {"damaged": damaged}


def test_unknown_fields_of_a_line_are_kept_and_a_clock_may_go_backwards(path: Path) -> None:
    from orchestrator.journal import _seal  # noqa: PLC0415 -- a line as a later version would write it

    later = {"seq": 4, "time": "1999-01-01T00:00:00.000+00:00", "kind": "k", "data": {}, "host": "new"}
    with path.open("ab") as file:
        file.write(_seal(json.dumps(later).encode()))
    with Journal.open(path) as journal:
        assert journal.append("after", {}).seq == 5
    assert b'"host": "new"' in path.read_bytes()
    assert [event.kind for event in read_journal(path)][-2:] == ["k", "after"]


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"bytes", Path("x")])
def test_what_is_not_json_is_refused_and_the_journal_stays(path: Path, value: object) -> None:
    before = path.read_bytes()
    with Journal.open(path) as journal:
        with pytest.raises(JournalError, match="event bad: expected JSON values"):
            journal.append("bad", {"value": value})
        assert path.read_bytes() == before
        assert journal.append("good", {}).seq == 4


def test_a_full_disk_leaves_the_journal_as_it_was(path: Path) -> None:
    script = (
        "import resource, signal, sys; from pathlib import Path; from orchestrator.journal import Journal\n"
        "path = Path(sys.argv[1]); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with Journal.open(path) as journal:\n"
        "    journal.append('before', {}); limit = path.stat().st_size + 40\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))\n"
        "    try: journal.append('too long', {'x': 'y' * 100})\n"
        "    except Exception as error: print(error)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1)); journal.append('fits', {})\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "cannot be written: only 40 of" in done.stdout
    assert [event.kind for event in read_journal(path)][3:] == ["before", "fits"]


WRITER = """
import sys
from collections.abc import Callable
from pathlib import Path
from orchestrator.journal import Journal
with Journal.open(Path(sys.argv[1])) as journal:
    while True:
        print(journal.append("tick", {"text": "x" * 5000}).seq, flush=True)
"""


def test_every_acknowledged_event_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    seen = 0
    for lines in (3, 1, 7):
        argv = [sys.executable, "-c", WRITER, path]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as writer:
            acknowledged = [int(writer.stdout.readline()) for _ in range(lines)]
            writer.kill()
        assert acknowledged == list(range(seen + 1, seen + lines + 1))
        with Journal.open(path) as journal:
            seen = len(journal.events)
        assert seen >= acknowledged[-1]
    assert [event.seq for event in read_journal(path)] == list(range(1, seen + 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.dictionaries(st.text(), json_values, max_size=3), position=st.integers(0), bit=st.integers(0, 7))
def test_any_data_comes_back_and_any_flipped_bit_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object], position: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    with Journal.open(path) as journal:
        journal.append("first", data)
        journal.append("second", {})
    assert read_journal(path)[0].data == data
    content = bytearray(path.read_bytes())
    content[position % (len(content) - 1)] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(JournalError):
        read_journal(path)
