"""The pages of one run: an overview, a page for every turn, a page for every item."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from orchestrator.agenda import commit_reader, read_agenda
from orchestrator.config import Config
from orchestrator.inbox import tell_request
from orchestrator.journal import Event
from orchestrator.layout import HANDOFF, MEASURED, MEMORY, summary_path
from orchestrator.policy.dwell import limits_of
from orchestrator.records.summary import parse_summary
from orchestrator.report.chronicle import TurnStory, events_of_run, read_chronicle
from orchestrator.report.keepings import Keepings, parse_patch, read_keepings
from orchestrator.report.pages import render_page
from orchestrator.state import fold
from orchestrator.workspace import Workspace

__all__ = ["make_pages"]

_Pages = Iterator[tuple[str, str | bytes]]

_TURNS_A_LINE = 100


def _added(kept: Keepings, path: str) -> str:
    """Return the text a turn added to a document that only grows."""
    lines = (line for file in kept.diff if file.path == path for line in file.lines)
    return "".join(f"{line[1:]}\n" for line in lines if line.startswith("+")).strip("\n")


def _shown(story: TurnStory, kept: Keepings) -> dict[str, Any]:
    """Return what a turn's page shows of its commit and hub, under the names its template has for it."""
    measured: Mapping[str, Any] = json.loads(kept.contents.get(MEASURED, b"{}"))
    runs = [*measured.get("tests", ()), *(row["tests"] for row in measured.get("rows", ()) if row["tests"])]
    summary = parse_summary(_added(kept, summary_path(story.focus)) + "\n").turns
    pictures = [file for file in kept.files if file.path.endswith(".png") and file.path in kept.contents]
    return {
        "kept": kept,
        "measured": measured,
        "messages": {node: text for run in runs for node, text in run.get("messages", {}).items()},
        "sentences": summary[0].sentences if summary else (),
        "memory": _added(kept, MEMORY),
        "handoff": kept.handoff or _added(kept, HANDOFF),  # of a turn that was abandoned: what its patch added
        "fences": parse_patch(kept.contents.get("fences.patch", b"")),
        "blocker": kept.contents.get("blocker.md", b"").decode("utf-8", "replace"),
        "review": kept.review,
        "pictures": pictures,
        "pictured": story.name if pictures else "",
    }


def _page(name: str, template: str, **data: Any) -> _Pages:  # noqa: ANN401 -- a template takes what it names
    yield name, render_page(template, **data)


def _turn_page(
    workspace: Workspace,
    turn: TurnStory,
    item: dict[str, Any] | None,
    name: str,
    **data: Any,  # noqa: ANN401 -- as above
) -> _Pages:
    """Give a turn's pictures and page; its item's page shows the newest of them."""
    kept = read_keepings(workspace, turn)
    shown = _shown(turn, kept)
    for file in shown["pictures"]:
        yield f"pictures/{file.sha256[:20]}.png", kept.contents[file.path]
    if item:
        item |= {key: shown[key] for key in ("pictures", "pictured", "blocker") if shown[key]}
    yield from _page(name, "turn.html", **shown, **data, turn=turn, item=item)


def _whole(pages: _Pages, name: str, run: object, faults: list[str]) -> _Pages:
    """Give the pages; in place of one that cannot be made, a page that says so, and why."""
    try:
        yield from pages
    except Exception as error:  # noqa: BLE001 -- whatever is wrong with one page, the others are there to be read
        reason = f"{type(error).__name__}: {error}"
        faults.append(f"{name}: {reason}")
        yield name, render_page("fault.html", run=run, name=name, reason=reason, root="../" * name.count("/"))


def make_pages(
    workspace: Workspace,
    config: Config,
    events: Iterable[Event],
    name: str | None,
    tell: Callable[[str], object],
    faults: list[str],
) -> _Pages:
    """Give name and content of every page and picture of a run, the overview last.

    Documents are read at the run's last commit, never from its worktree.

    Parameters
    ----------
    workspace, config, events
        The repository, its settings and its journal.
    name
        The run, by default the last.
    tell
        Told, now and then, how many turns of how many are written.
    faults
        Gets, for every page that could not be made and only says so, its name and the reason.

    Raises
    ------
    OrchestratorError
        There is no such run, or the ledger it left cannot be read.
    """
    events = events_of_run(events, name)
    state, entries = fold(events), read_chronicle(events)
    turns = [entry for entry in entries if isinstance(entry, TurnStory)]
    last = state.turns[-1].commit if state.turns else str(events[0].data["base"])
    agenda = read_agenda(commit_reader(workspace.git, last), state, config)
    items: dict[str, dict[str, Any]] = {}
    for standing in agenda.standings:
        key, limit = standing.item.id, limits_of(standing.item)[1]
        own = {"plan": agenda.plans.get(key), "known": state.item(key), "limit": limit, "pictures": (), "blocker": ""}
        items[key] = {"standing": standing, "turns": [turn for turn in turns if turn.focus == key], **own}
    run = state.run
    for number, turn in enumerate(turns, 1):
        page, item = f"turns/{turn.name}.html", items.get(turn.focus)
        made = _turn_page(workspace, turn, item, page, run=run, turns=turns, number=number)
        yield from _whole(made, page, run, faults)
        if number % _TURNS_A_LINE == 0:
            tell(f"{number} of {len(turns)} turns\n")
    for key, item in items.items():
        page = f"items/{key}.html"
        yield from _whole(_page(page, "item.html", run=run, item=item), page, run, faults)
    data: dict[str, Any] = {
        "run": run,
        "entries": entries,
        "items": [*items.values()],
        "last": last,
        "paused": state.paused,
    }
    data |= {"whole": TurnStory("", started=events[0].time, ended=events[-1].time), "tell_request": tell_request}
    yield from _whole(_page("index.html", "index.html", **data), "index.html", run, faults)
