"""The embedded agents: a supervisor that selects by policy, an engineer that carries out one phase, a reviewer.

They are honest workers for studies, sweeps and re-runs, where no language model is needed. Like every agent they
run as a child process in the worktree: ``python -m orchestrator.agents.plan REQUEST_FILE``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.facts import Role
from orchestrator.layout import HANDOFF, MEMORY
from orchestrator.records.handoff import Handoff, Step, StepKind, render_handoff
from orchestrator.records.memory import MemoryEntry, render_entry
from orchestrator.records.summary import TurnSummary, with_turn

__all__ = ["carry_out", "main", "review", "supervise", "write_summary"]


def _steps(item: Mapping[str, Any]) -> tuple[Step, ...]:
    steps = []
    for seen in item["repeated"]:
        test, _, message = seen["failure"].partition(": ")
        what = f"Inspect {test}: it failed alike in {seen['turns']} turns in a row ({message}); find out why first."
        steps.append(Step(StepKind.TEXT, " ".join(what.split())))
    for text in item["implement"]:
        target, _, what = text.partition(" — ")
        path, _, symbol = target.strip("` ").partition("::")
        steps.append(Step(StepKind.IMPLEMENT, what or text, path=path, symbol=symbol or None))
    for row in item["rows"]:
        commands = ((StepKind.RUN, row["run"]), (StepKind.TEST, row["test"]))
        steps += [Step(kind, f"row {row['id']}: {row['text']}", command=text) for kind, text in commands if text]
    return tuple(steps)


def _selectors(item: Mapping[str, Any]) -> tuple[str, ...]:
    tests = [word for row in item["rows"] for word in row["test"].split() if ".py" in word]
    return tuple(dict.fromkeys(tests))


def _review(last: Mapping[str, Any] | None) -> list[str]:
    if last is None:
        return ["**Review:** no engineer has worked in this run yet."]
    lines = [f"**Review of {last['turn']} ({last['focus']}):** {last['verdict']}. Evidence: `{last['hub']}`."]
    return [*lines, *(f"- {' '.join(reason.split())}" for reason in last["reasons"])]


def _selection(facts: Mapping[str, Any]) -> list[str]:
    lines = ["**Focus selection:** best first among what can run: " + ", ".join(i["id"] for i in facts["candidates"])]
    return [*lines, *(f"- {other['id']}: {other['obstacle']}" for other in facts["others"])]


def _people(texts: Sequence[str]) -> list[str]:
    """Repeat what a person wrote: this supervisor reads plans, not prose, and says so."""
    quoted = [f"> {line}".rstrip() for text in texts for line in text.strip().split("\n")]
    return ["", "**A person wrote** (the embedded supervisor cannot act on prose):", *quoted] if quoted else []


def _memory_entry(facts: Mapping[str, Any], item: Mapping[str, Any]) -> MemoryEntry:
    last = facts["last"]
    corrects = bool(last) and last["focus"] == item["id"] and last["verdict"] in {"refused", "no-progress"}
    purpose = f"phase {item['phase']} ({item['phase_name']})" + (", correction" if corrects else "")
    rows = ", ".join(row["id"] for row in item["rows"])
    next_action = f"{purpose}: {'implement and ' if item['implement'] else ''}verify {rows}"
    state = "ready_for_implementation" if item["implement"] else "gathering_evidence"
    body = "\n".join([*_review(last), "", *_selection(facts), *_people(facts["people"])])
    return MemoryEntry(
        timestamp=facts["stamp"],
        title=f"{item['id']} — {purpose} handed over",
        focus=item["id"],
        focus_issue=f"{item['id']} — {item['title']}",
        dwell=item["dwell"],
        action_type="Review → Implementation handoff" if item["implement"] else "Review → Evidence collection",
        mode="Implementation",
        documents_reviewed=f"docs/fix_plan.md, {item['plan']}" + (f", {last['hub']}" if last else ""),
        state=state,
        artifacts=item["hub"],
        next_action=next_action,
        body=body,
    )


def _handoff(facts: Mapping[str, Any], item: Mapping[str, Any]) -> Handoff:
    last, rows = facts["last"], ", ".join(row["id"] for row in item["rows"])
    same = last and last["focus"] == item["id"]
    pitfalls = (
        [" ".join(reason.split()) for reason in last["reasons"]] if same and last["verdict"] != "progress" else []
    )
    expects = [f"{row['id']}: {expect}" for row in item["rows"] for expect in row["expects"]]
    return Handoff(
        summary=f"{item['phase_goal'] or item['phase_name']} ({facts['turn']})",
        mode="Implementation",
        focus=item["id"],
        focus_title=item["title"],
        branch=facts["branch"],
        mapped_tests=_selectors(item),
        artifacts=item["hub"],
        do_now=_steps(item),
        if_blocked="Leave the tree as it is and say in the summary what is missing; the harness counts the iteration.",
        rationale=f"{item['priority']} priority, dwell {item['dwell']}; open rows of the phase: {rows}.",
        how_to="The harness runs the rows itself after the turn, on a clean checkout of what is left."
        + ("\n" + "\n".join(f"- expected {text}" for text in expects) if expects else ""),
        pitfalls="\n".join(f"- {text}" for text in pitfalls) or "none known",
        pointers=f"- {item['plan']}\n- docs/fix_plan.md",
        next_up="The next phase of the same item, or the next runnable item.",
    )


def supervise(facts: Mapping[str, Any], worktree: Path) -> None:
    """Choose the best runnable item and hand over its next phase."""
    item = facts["candidates"][0]
    memory = worktree / MEMORY
    before = memory.read_bytes() if memory.exists() else b""  # kept as it is, whatever its line ends and bytes
    memory.write_bytes(before + f"\n{render_entry(_memory_entry(facts, item))}".encode())
    (worktree / HANDOFF).write_text(render_handoff(_handoff(facts, item)), encoding="utf-8")


def write_summary(worktree: Path, item_id: str, sentences: Sequence[str]) -> None:
    """Put a turn summary on top of the item's summary file."""
    path = worktree / "plans" / "active" / item_id / "summary.md"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    turn = TurnSummary(stamp=None, sentences=tuple(sentences))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(with_turn(before, turn), encoding="utf-8")


def carry_out(facts: Mapping[str, Any], worktree: Path) -> None:
    """Carry out one phase: its rows only run things, so they are left to the harness and nothing is claimed."""
    item = facts["item"]
    rows = ", ".join(row["id"] for row in item["rows"])
    sentences = (
        f"Phase {item['phase']} ({item['phase_name']}) needs no new code: rows {rows} run as they stand.",
        "No problem was met in handing them over; what they show is for the harness to measure.",
        "Next step: the phase after this one, or a correction where a row does not hold.",
    )
    write_summary(worktree, item["id"], sentences)


def _proposals(course: Mapping[str, Any]) -> list[str]:
    found = []
    for item in course["worked_on"]:
        if item["dwell"] >= item["dwell_limits"][0]:
            found.append(f"Take another way with {item['id']}, or another item: no gain in {item['dwell']} iterations.")
        if item["stale"]:
            found.append(f"Finish {item['id']} or say why not: it was begun, and others were worked on since.")
        found += [f"Look into `{what}`: it failed alike {n} times in a row." for what, n in item["repeated"].items()]
    last = course["turns"][-1] if course["turns"] else {"not_changed": [], "not_run": []}
    found += [f"Ask why `{path}` was not changed in {last['turn']}." for path in last["not_changed"]]
    found += [f"See that `{selector}` is run: {last['turn']} did not." for selector in last["not_run"]]
    return found or ["Go on as before: nothing measured speaks against it."]


def review(facts: Mapping[str, Any], worktree: Path) -> None:
    """Write down what was measured, and propose what follows from it."""
    course = facts["course"]
    lines = [f"# Review after iteration {facts['iteration']}", ""]
    lines += [
        f"- {item['id']}: {item['status']}, {item['iterations']} iterations, dwell {item['dwell']}, "
        f"verified {', '.join(item['verified']) or 'nothing'}"
        for item in course["worked_on"]
    ]
    for turn in course["turns"]:
        classes = ", ".join(f"{count} {kind}" for kind, count in turn["classes"].items())
        lines.append(f"- {turn['turn']} on {turn['focus']}: {turn['verdict']}; changed {classes or 'nothing'}")
    path = worktree / course["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "", *(f"- Proposal: {text}" for text in _proposals(course)), ""]))


def main(argv: Sequence[str] | None = None) -> int:
    """Play the role that the request file names."""
    arguments = sys.argv[1:] if argv is None else argv
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    play = {Role.SUPERVISOR: supervise, Role.ENGINEER: carry_out, Role.REVIEWER: review}[Role(request["role"])]
    play(request["facts"], Path(request["worktree"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
