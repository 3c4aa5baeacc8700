"""The state of a run, folded from the journal: pure, and the same however often the loop was stopped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from orchestrator.facts import Frozen, Role, TurnRecord, Verdict
from orchestrator.journal import Event

__all__ = ["ItemState", "OpenTurn", "RunInfo", "State", "fold", "record_to_data"]


@dataclass(frozen=True)
class RunInfo:
    """One run: its name, branch, the commit it started from, and the worktree's folder."""

    name: str
    branch: str
    base: str
    worktree: str


@dataclass(frozen=True)
class ItemState:
    """What the run knows of one item beyond the ledger as it stood at the start."""

    status: str | None = None
    note: str = ""
    dwell: int = 0
    iterations: int = 0
    verified: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    frozen: Frozen | None = None
    last_engineer_commit: str | None = None
    turns: tuple[TurnRecord, ...] = ()


@dataclass(frozen=True)
class OpenTurn:
    """A turn that was started and neither committed nor abandoned: a run that died leaves one behind."""

    turn: str
    base: str
    verified: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class State:
    """The run as the journal tells it.

    `items` holds only what differs from the ledger; `open_handoff` is the supervisor's turn that no engineer has
    answered yet; `failures` counts the turns each role had abandoned in a row since the loop was started;
    `harness` is the process that opened the run last.
    """

    run: RunInfo | None = None
    runs: tuple[str, ...] = ()
    turns: tuple[TurnRecord, ...] = ()
    items: Mapping[str, ItemState] = field(default_factory=dict)
    started: int = 0
    iteration: int = 0
    open_turn: OpenTurn | None = None
    open_handoff: TurnRecord | None = None
    harness: tuple[tuple[int, str | None], ...] = ()
    failures: Mapping[str, int] = field(default_factory=dict)

    def item(self, item_id: str) -> ItemState:
        """State of one item; an empty one when the run has not touched it."""
        return self.items.get(item_id, ItemState())


def record_to_data(record: TurnRecord) -> dict[str, Any]:
    """Turn record as JSON-ready data; `fold` reads it back."""
    return asdict(record)


def _record(data: Mapping[str, Any]) -> TurnRecord:
    tuples = {key: tuple(data[key]) for key in ("verified", "failing", "reasons")}
    known = {key: data[key] for key in TurnRecord.__dataclass_fields__ if key in data}
    return TurnRecord(**(known | tuples | {"role": Role(data["role"]), "verdict": Verdict(data["verdict"])}))


def _with_item(state: State, item_id: str, **changes: object) -> State:
    item = replace(state.item(item_id), **changes)  # type: ignore[arg-type]
    return replace(state, items={**state.items, item_id: item})


def _run(state: State, data: Mapping[str, Any]) -> State:
    info = RunInfo(data["run"], data["branch"], data["base"], data["worktree"])
    return State(run=info, runs=(*state.runs, info.name), harness=state.harness)


def _started(state: State, data: Mapping[str, Any]) -> State:
    turn = OpenTurn(data["turn"], data["base"])
    return replace(state, open_turn=turn, started=state.started + 1, iteration=data["iteration"])


def _verified(state: State, data: Mapping[str, Any]) -> State:
    if state.open_turn is None:
        return state
    return replace(state, open_turn=replace(state.open_turn, verified=data))


def _committed(state: State, data: Mapping[str, Any]) -> State:
    record = _record(data["record"])
    item = state.item(record.focus)
    changes: dict[str, Any] = {
        "turns": (*item.turns, record),
        "verified": tuple(dict.fromkeys((*item.verified, *record.verified))),
        "status": data.get("status") or item.status,
        "note": data.get("note", item.note),
    }
    if record.role is Role.ENGINEER:
        changes |= {
            "dwell": record.dwell,
            "iterations": item.iterations + 1,
            "failing": record.failing,
            "last_engineer_commit": record.commit,
        }
    if data.get("frozen"):
        changes["frozen"] = Frozen(data["frozen"]["rows"], data["frozen"]["evaluators"])
    state = _with_item(state, record.focus, **changes)
    handoff = record if record.role is Role.SUPERVISOR else None
    failures = {**state.failures, record.role.value: 0}
    return replace(state, turns=(*state.turns, record), open_turn=None, open_handoff=handoff, failures=failures)


def _abandoned(state: State, data: Mapping[str, Any]) -> State:
    state = replace(state, open_turn=None)
    if data["interrupted"]:
        return state
    role = data["role"]
    state = replace(state, open_handoff=None, failures={**state.failures, role: state.failures.get(role, 0) + 1})
    charge = data["charge"]
    if charge is None:
        return state
    iterations = state.item(charge["item"]).iterations + 1
    changes = {key: charge[key] for key in ("dwell", "status", "note")}
    return _with_item(state, charge["item"], iterations=iterations, **changes)


def _opened(state: State, data: Mapping[str, Any]) -> State:
    return replace(state, failures={}, harness=((data["pid"], data["identity"]),))


def _item(state: State, data: Mapping[str, Any]) -> State:
    return _with_item(state, data["item"], status=data["status"], note=data["note"])


_FOLDS = {
    "run.started": _run,
    "run.opened": _opened,
    "turn.started": _started,
    "turn.verified": _verified,
    "turn.committed": _committed,
    "turn.abandoned": _abandoned,
    "item.status": _item,
}


def fold(events: Iterable[Event]) -> State:
    """State after the events; kinds this version does not know change nothing."""
    state = State()
    for event in events:
        step = _FOLDS.get(event.kind)
        state = step(state, event.data) if step else state
    return state
