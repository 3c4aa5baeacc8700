"""The pages of a run: what happened, what was claimed and what was measured; nothing an agent wrote is obeyed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import pytest

from orchestrator.facts import Role, TurnRecord, Verdict
from orchestrator.inbox import tell_request
from orchestrator.journal import Event, read_journal
from orchestrator.report.chronicle import TurnStory, events_of_run, read_chronicle
from orchestrator.report.keepings import parse_patch
from orchestrator.report.pages import render_page, write_pages

from .conftest import Project
from .eventful import EVIL, make_eventful_run, make_troubled_run

INLINE = {"a", "b", "code", "del", "i", "ins", "kbd", "small", "span", "strong", "svg", "time", "use"}
VOID = {"meta", "img", "link", "br", "path", "rect", "circle", "use"}


class Page(HTMLParser):
    """One page as a reader's browser takes it: text, elements, and what stands open at its end."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.text = ""
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.text += "" if tag in INLINE else " "
        self.open += [tag] if tag not in VOID else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, (self.path.name, tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"style", "script"}:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_eventful_run(tmp_path_factory.mktemp("eventful"))


@pytest.fixture(scope="module")
def report(project: Project) -> Path:
    folder = project.root.parent / "pages of the night"
    done = project.command("orchestrator", "report", "--json", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == {"index": str(folder / "index.html"), "files": len(list(files(folder))), "faults": []}
    return folder


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.name != ".orchestrator-report")


def test_the_overview_says_how_the_run_ended_who_waits_and_what_people_asked(report: Path) -> None:
    words = Page(report / "index.html").words
    assert "run-1: 2 of 3 items verified" in words
    assert "15 turns in" in words
    assert ": 13 committed, 2 abandoned." in words
    assert "The loop ended with exit code 0: nothing runnable is left" in words
    assert "1 item waits for you." in words
    assert "MEAN-LATER-001 Something that waits for a person blocked: the formula is not decided" in words
    assert f"person clear MEAN-FIX-001: look again {EVIL}" in words
    assert f"person Please divide by the length. {EVIL}" in words
    assert words.count("The loop was started.") == 2
    for name, outcome in (("0002", "abandoned"), ("0004", "refused"), ("0006", "no progress"), ("0010", "progress")):
        assert f"{name}-ralph engineer, MEAN-FIX-001 {'' if name == '0002' else 'phase A '}{outcome} took" in words


def test_a_lane_shows_every_iteration_with_its_verdict_dwell_rows_and_where_it_was_blocked(report: Path) -> None:
    words = Page(report / "index.html").words
    lane = words[words.index("Iteration 1, turn 0002-ralph") : words.index("1 of 1 rows verified")]
    steps = ["abandoned. 1 Dwell 1", "refused. 2 Dwell 2", "no progress. 3 Dwell 3", "no progress. 4 Dwell 4, blocked"]
    at = [lane.index(step) for step in [*steps, "progress. 5 Dwell 0, verified A1"]]
    assert at == sorted(at)


def test_a_refused_turn_shows_the_claim_beside_what_was_measured(report: Path) -> None:
    words = Page(report / "turns/0004-ralph.html").words
    assert f"All mapped tests pass. {EVIL} Looked at calc.py with care." in words
    assert "“All mapped tests pass” — measured: 1 passed, 1 failed, 2 collected contradicted" in words
    assert "1 of 2 tests passed, 1 failed." in words
    assert "assert 4 == 3" in words
    assert "input.md: was put back" in words
    assert "-    return 0+    return 4" in Page(report / "turns/0004-ralph.html").text.replace("\n", "")
    assert "501 more lines" in words  # of the file of 2,000
    for shown in ("a name\\nof two lines ü.py", "no�utf8.py", "�� not UTF-8", "Verified-Tree:", "not reported"):
        assert shown in words
    assert "red" in words
    assert "\x1b" not in words
    assert "right to left \\u202e" in words


def test_a_verified_turn_shows_every_expectation_with_the_value_found_and_its_pictures(report: Path) -> None:
    page = Page(report / "turns/0013-ralph.html")
    assert "report.json:mean == 3 3" in page.words
    pictures = [image["src"] or "" for image in page.all("img")]
    sizes = sorted((report / "turns" / picture).stat().st_size for picture in pictures)
    assert len(sizes) == 2
    assert sizes[0] < 300_000 < sizes[1]  # the large one is only in the artifact store
    assert "A1/large one.png" in page.words


def test_an_abandoned_turn_has_a_page_with_its_reasons_its_patch_and_its_log(report: Path) -> None:
    page = Page(report / "turns/0002-ralph.html")
    for shown in ("exit code 3", "half.py", "+half = '<script>", "kept as a patch", "agent.log", "right to left"):
        assert shown in page.words


def test_a_supervisors_turn_shows_handoff_and_memory(report: Path) -> None:
    words = Page(report / "turns/0003-galph.html").words
    assert "Do Now: 1. Implement: calc.py::mean" in words
    assert "- dwell: 1 (iterations since the last progress)" in words


def test_a_handoff_that_was_refused_is_shown_with_the_reason(report: Path) -> None:
    words = Page(report / "turns/0011-galph.html").words
    assert "MEAN-NOWHERE-001" in words[words.index("Verdict of the harness") : words.index("Handoff to the engineer")]
    assert "Only the lines that differ" in words
    assert "Focus: MEAN-NOWHERE-001" in words[words.index("Handoff to the engineer") : words.index("Memory")]


def test_an_item_has_a_page_with_plan_blocker_and_hubs(report: Path) -> None:
    words = Page(report / "items/MEAN-FIX-001.html").words
    for shown in ("MEAN-FIX-001 is blocked", "A1 the acceptance tests pass", "reports/", "Rows verified 1 of 1"):
        assert shown in words


def test_every_page_is_whole_and_runs_no_code_but_ours(report: Path) -> None:
    pages = [Page(path) for path in sorted(report.rglob("*.html"))]
    assert len(pages) == 1 + 15 + 3
    for page in pages:
        assert page.open == []
        assert len(page.all("script")) == len(page.all("style")) == 1
        assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
        assert not any(attributes.get("style") for _, attributes in page.elements)
        (policy,) = (a["content"] or "" for a in page.all("meta") if a.get("http-equiv"))
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert page.all("html") == [{"lang": "en"}]
        levels = [int(tag[1]) for tag, _ in page.elements if tag in {"h1", "h2", "h3", "h4"}]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(names) == len(set(names))
        assert all(image.get("alt") for image in page.all("img"))


def test_every_link_leads_to_something_in_the_report(report: Path) -> None:
    for page in map(Page, report.rglob("*.html")):
        for tag, name in (("a", "href"), ("img", "src")):
            for target in (attributes[name] or "" for attributes in page.all(tag)):
                assert ":" not in target
                there, _, part = target.partition("#")
                assert (page.path.parent / there).is_file() if there else f'id="{part}"' in page.path.read_text()


def test_the_same_journal_gives_the_same_bytes_and_an_earlier_report_is_updated(project: Project, report: Path) -> None:
    before = {path: path.read_bytes() for path in files(report)}
    (report / "index.html").write_text("old")
    (report / "notes.txt").write_text("mine")
    assert project.command("orchestrator", "report", "--out", str(report)).returncode == 0
    assert (report / "notes.txt").read_text() == "mine"
    (report / "notes.txt").unlink()
    assert {path: path.read_bytes() for path in files(report)} == before


def test_the_pages_come_from_the_commits_and_not_from_the_worktree(project: Project, report: Path) -> None:
    ledger = project.work / "docs/fix_plan.md"
    text = ledger.read_text()
    ledger.write_text("nothing\n")
    again = report.parent / "again"
    done = project.command("orchestrator", "report", "--run", "run-1", "--out", str(again))
    ledger.write_text(text)
    assert (done.returncode, done.stdout) == (0, f"{again / 'index.html'}\n")
    assert {path.relative_to(again): path.read_bytes() for path in files(again)} == {
        path.relative_to(report): path.read_bytes() for path in files(report)
    }


def test_a_folder_with_somebodys_files_is_refused_and_left_as_it_is(project: Project, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for place in (tmp_path, tmp_path / "thesis.tex"):
        done = project.command("orchestrator", "report", "--out", str(place))
        assert done.returncode == 1
        assert f"{place}: expected a new folder, an empty one or an earlier report" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_page_that_cannot_be_made_says_so_and_the_others_are_there(project: Project, report: Path) -> None:
    broken = project.root / ".orchestrator/turns/run-1/0002-ralph/abandoned-gone.patch"
    broken.symlink_to("nowhere")
    folder = report.parent / "with a fault"
    done = project.command("orchestrator", "report", "--out", str(folder))
    broken.unlink()
    assert done.returncode == 1
    assert "orchestrator: not made: turns/0002-ralph.html: FileNotFoundError: " in done.stderr
    assert done.stdout == f"{folder / 'index.html'}\n"
    fault = Page(folder / "turns/0002-ralph.html")
    assert "This page could not be made." in fault.words
    assert "abandoned-gone.patch" in fault.words
    assert "../index.html" in [link["href"] for link in fault.all("a")]
    same = {path.relative_to(report): path.read_bytes() for path in files(report)}
    found = {path.relative_to(folder): path.read_bytes() for path in files(folder)}
    assert found.keys() == same.keys()
    assert [str(path) for path in same if same[path] != found[path]] == ["turns/0002-ralph.html"]


def test_an_undone_turn_says_where_its_changes_are_or_that_they_are_gone(project: Project, tmp_path: Path) -> None:
    def page() -> str:
        assert project.command("orchestrator", "report", "--out", str(tmp_path / "report")).returncode == 0
        return Page(tmp_path / "report/turns/0002-ralph.html").words

    folder = project.root / ".orchestrator/turns/run-1/0002-ralph"
    folder.rename(tmp_path / "kept")
    gone = page()
    folder.mkdir()
    (folder / "abandoned.patch").write_bytes(b"#" * 8_000_001)
    large = page()
    (folder / "abandoned.patch").unlink()
    folder.rmdir()
    (tmp_path / "kept").rename(folder)
    assert gone.count("Its folder was freed, so what it had changed is not known.") == 2
    assert large.count("too large to show: .orchestrator/turns/run-1/0002-ralph/abandoned.patch.") == 2
    assert "shown below" in page()


def test_an_earlier_report_stays_whole_until_there_is_a_new_one(tmp_path: Path) -> None:
    def pages() -> Iterator[tuple[str, str]]:
        yield "turns/1.html", "new"
        raise KeyError("index")

    write_pages(tmp_path, [("turns/1.html", "old"), ("index.html", "old")])
    with pytest.raises(KeyError):
        write_pages(tmp_path, pages())
    assert {path.name: path.read_text() for path in files(tmp_path)} == {"1.html": "old", "index.html": "old"}


def test_a_run_that_is_not_there_is_named_with_those_that_are(project: Project, tmp_path: Path) -> None:
    done = project.command("orchestrator", "report", "--run", "run-7", "--out", str(tmp_path / "new"))
    assert done.returncode == 1
    assert "came run-7; known are run-1" in done.stderr
    with pytest.raises(Exception, match="known are none"):
        events_of_run([])


def test_the_journal_says_what_every_turn_cost(project: Project) -> None:
    lines = map(json.loads, (project.root / ".orchestrator/journal.jsonl").read_text().splitlines())
    ends = [line["data"] for line in lines if line["kind"] in {"turn.verified", "turn.committed", "turn.abandoned"}]
    assert len(ends) == 28
    for end in ends:
        assert end["agent"]["seconds"] > 0
        assert (end["seconds"] > 0) == end["turn"].endswith("ralph") or "record" not in end
    assert [end["agent"]["code"] for end in ends if "record" not in end] == [3, 0]


@pytest.mark.slow
def test_every_way_a_run_can_go_has_a_page_for_every_turn_and_says_what_waits(tmp_path: Path) -> None:
    seen = []

    def look(project: Project, name: str) -> None:
        seen.append(name)
        done = project.command("orchestrator", "report", "--out", str(tmp_path / name))
        assert (done.returncode, done.stderr) == (0, ""), name
        journal = read_journal(project.root / ".orchestrator/journal.jsonl")
        turns = [entry for entry in read_chronicle(events_of_run(journal)) if isinstance(entry, TurnStory)]
        assert {turn.name for turn in turns} == {path.stem for path in (tmp_path / name / "turns").iterdir()}
        assert all(Page(path).open == [] for path in (tmp_path / name).rglob("*.html"))

    make_troubled_run(tmp_path, look)
    words = {name: Page(tmp_path / name / "index.html").words for name in seen}
    assert ": 2 committed, 1 abandoned." in words["limit"]
    assert "The loop has reached a limit you gave" in words["limit"]
    assert ", 1 abandoned, 1 under way." in words["killed"]
    assert "one that was killed goes on when you start it again." in words["killed"]
    for asked in (
        "paused: the beam is down",
        "let go on by ",
        "block MEAN-REPORT-001: not yet",
        "reopen MEAN-LATER-001 by ",
        "prioritise MEAN-REPORT-001 Critical by ",
        "1 iteration more by me",
        "3 iterations and 2.5 minutes more by me",
        "approve MEAN-FIX-001 as of ",
    ):
        assert f"person {asked}" in words["killed"]
    assert "The loop has given up on an agent" in words["agent failed"]
    assert "1 cut short" in words["agent failed"]
    assert "person stop by me" in words["stopped"]
    assert "was rebuilt from the commits" in words["rebuilt"]
    rebuilt = "0003-ralph engineer, MEAN-FIX-001 phase A no progress took not recorded"
    assert rebuilt in words["rebuilt"]
    (cut,) = (page for page in map(Page, (tmp_path / "stopped/turns").iterdir()) if "cut short" in page.words)
    assert cut.words.count("It had changed no file.") == 2
    assert "shown below" not in cut.words


# What the real run does not show


def event(seq: int, kind: str, **data: Any) -> Event:
    return Event(seq, f"2026-01-15T22:00:{seq:02d}.000+00:00", kind, data)


def started(seq: int, turn: str) -> Event:
    return event(seq, "turn.started", turn=turn, role="ralph", iteration=1, base="b", stamp="s", focus="A-001")


TURN = TurnRecord(
    turn="run-2/0003-ralph",
    role=Role.ENGINEER,
    iteration=2,
    focus="A-001",
    verdict=Verdict.PROGRESS,
    progress=True,
    dwell=0,
    phase="A",
    verified=("A1",),
    failing=(),
    tests="",
    hub="h/",
    tree="t",
    reasons=(),
    commit="c",
)
REBUILT = {"turn": TURN.turn, "record": asdict(TURN)}
START = {"branch": "loop/x", "base": "b", "worktree": "w"}


def test_turns_that_were_cut_short_that_run_and_that_were_rebuilt_are_told_apart() -> None:
    events = [
        event(1, "run.started", run="run-1", **START),
        event(2, "run.started", run="run-2", **START),
        event(3, "run.rebuilt", run="run-2", **START, events=[{"kind": "turn.committed", "data": REBUILT}]),
        started(4, "run-2/0004-ralph"),
        event(5, "turn.abandoned", turn="run-2/0004-ralph", role="", reasons=["died"], charge=None, interrupted=True),
        event(6, "something.new", what=1),
        started(7, "run-2/0005-ralph"),
    ]
    assert [e.seq for e in events_of_run(events, "run-1")] == [1]
    told = read_chronicle(events_of_run(events))
    turns = [entry for entry in told if isinstance(entry, TurnStory)]
    assert [turn.outcome for turn in turns] == ["progress", "cut short", "under way"]
    assert [turn.seconds for turn in turns] == [None, 1.0, None]
    assert [turn.focus for turn in turns] == ["A-001"] * 3
    index = render_page(
        "index.html", run=START | {"name": "run-2"}, entries=told, items=[], last="c", whole=turns[1], paused=""
    )
    assert "was rebuilt from the commits" in index
    assert "A turn is under way, or the loop was killed in it." in " ".join(index.split())


def test_a_patch_is_read_whatever_its_files_are_called() -> None:
    patch = b"""diff --git a/a b/c.py b/a b/c.py
index 1..2 100644
--- a/a b/c.py
+++ b/a b/c.py
@@ -1,2 +1,2 @@ diff --git a/x b/x
 diff --git a/y b/y
-old\x85\xe2\x80\xa8
+new
diff --git "a/t\\tab" "b/t\\tab"
new file mode 100644
index 0..1
Binary files /dev/null and "b/t\\tab" differ
"""
    first, second = parse_patch(patch)
    assert (first.path, len(first.lines)) == ("a b/c.py", 4)
    assert (second.path, second.lines[-1]) == ("t\\tab", 'Binary files /dev/null and "b/t\\tab" differ')
    assert parse_patch(b"") == ()


def test_a_template_that_lacks_a_variable_is_an_error() -> None:
    story = TurnStory("run-2/0001-galph")
    data: dict[str, Any] = {
        "entries": [story],
        "items": [],
        "last": "c",
        "whole": story,
        "paused": "",
        "tell_request": tell_request,
    }
    assert "<title>run-2: 0 of 0" in render_page("index.html", run=START | {"name": "run-2"}, **data)
    with pytest.raises(jinja2.UndefinedError, match="name"):
        render_page("index.html", run=START, **data)


def test_pages_are_put_in_place_whole_and_links_are_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    folder = tmp_path / "report"
    assert write_pages(folder, [("a/b.html", "one"), ("c.png", b"two")]) == 2
    (folder / "c.png").unlink()
    (folder / "c.png").symlink_to(tmp_path / "mine")
    assert write_pages(folder, [("a/b.html", "three\udcff"), ("c.png", b"four")][1:]) == 1
    assert (tmp_path / "mine").read_text() == "mine"
    assert (folder / "c.png").read_bytes() == b"four"
    assert sorted(path.name for path in folder.rglob("*")) == [".orchestrator-report", "a", "b.html", "c.png"]
