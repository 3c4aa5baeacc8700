"""A run rebuilt from the trailers of its commits: in a second clone, or where the journal was lost."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.errors import RecordError
from orchestrator.facts import Role, TurnRecord, Verdict
from orchestrator.git import Git
from orchestrator.layout import LEDGER, MEASURED
from orchestrator.records.ledger import parse_ledger

__all__ = ["KnownRun", "find_runs", "rebuild_run"]

_RUN_REF = re.compile(r"refs/(?:heads|remotes/[^/]+)/loop/(?P<name>run-(?P<number>\d+))")
_FORMAT = "--format=%H%x00%P%x00%(trailers:only,unfold)%x00%b"
_FROZEN = re.compile(r"rows (?P<rows>[0-9a-f]{64}), evaluators (?P<evaluators>[0-9a-f]{64})")


@dataclass(frozen=True)
class KnownRun:
    """A branch that holds turns: the run's name, and the full name of the ref."""

    name: str
    ref: str

    @property
    def is_local(self) -> bool:
        """Whether the branch is this clone's own, not one it has fetched."""
        return self.ref.startswith("refs/heads/")


def find_runs(git: Git) -> tuple[KnownRun, ...]:
    """Return the branches of runs, this clone's own before others, the newest run first."""
    refs = git.text("for-each-ref", "--format=%(refname)", "refs/heads/loop", "refs/remotes").split("\n")
    found = [(match, ref) for ref in refs if (match := _RUN_REF.fullmatch(ref))]
    found.sort(key=lambda pair: (not pair[1].startswith("refs/heads/"), -int(pair[0]["number"])))
    return tuple(KnownRun(match["name"], ref) for match, ref in found)


def _event(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "data": data}


def _criteria(trailers: Mapping[str, str]) -> list[str]:
    return [] if trailers["Criteria"] == "none" else trailers["Criteria"].split(", ")


def _frozen(trailers: Mapping[str, str]) -> dict[str, str] | None:
    found = _FROZEN.fullmatch(trailers.get("Frozen", ""))
    return found and found.groupdict()


def _measured(git: Git, commit: str, hub: str) -> dict[str, tuple[str, ...]]:
    """Return what failed after a turn, as its hub has it."""
    try:
        measured = json.loads(git.blob(commit, f"{hub}{MEASURED}") or b"{}")
    except ValueError:
        measured = {}
    return {key: tuple(measured.get(key, ())) for key in ("failing", "failures")}


def _payload(git: Git, commit: str, trailers: Mapping[str, str], body: str) -> dict[str, Any]:
    """Return a turn as the journal had it when it was committed."""
    role, verdict = Role(trailers["Role"]), Verdict(trailers["Verdict"])
    record = TurnRecord(
        turn=trailers["Turn-Id"],
        role=role,
        iteration=int(trailers["Iteration"]),
        focus=trailers["Focus"],
        verdict=verdict,
        progress=verdict is Verdict.PROGRESS,
        dwell=int(trailers["Dwell"]),
        phase=trailers.get("Phase", ""),
        verified=tuple(_criteria(trailers)),
        tests="" if trailers["Tests"] == "none" else trailers["Tests"],
        hub=trailers["Hub"],
        tree=trailers["Verified-Tree"],
        reasons=tuple(line.removeprefix("- ") for line in body.split("\n") if line.startswith("- ")),
        commit=commit,
        **(_measured(git, commit, trailers["Hub"]) if role is Role.ENGINEER else {"failing": ()}),
    )
    status, note = trailers["Status"], trailers.get("Note", "")
    return {
        "turn": record.turn,
        "record": asdict(record),
        "status": status,
        "note": note,
        "frozen": _frozen(trailers),
    }


def _approval(commit: str, trailers: Mapping[str, str]) -> dict[str, Any]:
    """Return a person's approval as the journal had it."""
    return {
        "item": trailers["Focus"],
        "approved": trailers["Approved"],
        "commit": commit,
        "verified": _criteria(trailers),
        "frozen": _frozen(trailers),
    }


def _from_ledger(git: Git, base: str, head: str, turned: Collection[str]) -> list[dict[str, Any]]:
    """Return what only the ledger tells, as events: priorities, and where items without a turn stand."""
    before, after = (parse_ledger(git.document(commit, LEDGER)) for commit in (base, head))
    stood = {item.id: item for item in before.items}
    events = []
    for item in after.items:
        old = stood.get(item.id, item)
        if item.id not in turned and (item.status, item.status_note) != (old.status, old.status_note):
            standing = {"item": item.id, "status": item.status.value, "note": item.status_note}
            events.append(_event("item.status", standing))
        if item.priority is not old.priority:
            level = {"id": "", "kind": "prioritise", "item": item.id, "level": item.priority.label}
            events.append(_event("override", level))
    return events


def rebuild_run(git: Git, known: KnownRun, worktree: str) -> dict[str, Any] | None:
    """Return the run of a branch as one event's data; None when no commit of it is a turn of that run.

    Focus, dwell, criteria, attempts and statuses are as they were; what refused and abandoned turns cost, what a
    person asked for and where a turn was cut short stood in the journal only.
    """
    fields = git.text("log", "-z", "--topo-order", "--reverse", _FORMAT, known.ref, "--").split("\0")
    shallow = git.text("rev-parse", "--is-shallow-repository") == "true"
    events, turned, seen, base = [], set[str](), set[str](), ""
    for name, parents, block, body in zip(*(iter(fields),) * 4, strict=False):
        commit = name.strip("\n")
        trailers = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if trailers.get("Turn-Id", "").startswith(f"{known.name}/") and trailers["Turn-Id"] not in seen:
            if shallow:
                raise RecordError(f"{known.ref}: its history is cut off; `git fetch --unshallow`, then start again")
            base = base or parents.split(" ")[0]
            seen.add(trailers["Turn-Id"])
            try:
                events.append(_event("turn.committed", _payload(git, commit, trailers, body)))
            except (KeyError, ValueError) as error:
                cure = "correct its message, or start anew with --fresh"
                raise RecordError(
                    f"{known.ref}: commit {commit[:8]}: trailers of a turn, came none for {error}; {cure}"
                ) from error
            turned.add(trailers["Focus"])
        elif base and trailers.get("Role") == "person" and {"Approved", "Focus", "Criteria"} <= set(trailers):
            events.append(_event("item.approved", _approval(commit, trailers)))
        elif trailers.get("Run") == known.name and "Synced" in trailers:
            events.append(_event("base.synced", {"theirs": trailers["Synced"], "commit": commit}))
    if not base:
        return None
    return {
        "run": known.name,
        "branch": f"loop/{known.name}",
        "base": base,
        "worktree": worktree,
        "from": known.ref,
        "events": [*events, *_from_ledger(git, base, known.ref, turned)],
        "unknown": "what refused and abandoned turns cost, and other requests of people",
    }
