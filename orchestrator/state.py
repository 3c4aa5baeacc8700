"""The state of a run, folded from the journal: pure, and the same however often the loop was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from orchestrator.facts import Frozen, Role, TurnRecord, Verdict
from orchestrator.journal import Event
from orchestrator.records.items import Status

__all__ = ["ItemState", "OpenTurn", "RunInfo", "State", "UserInput", "fold", "record_to_data"]

_R = TypeVar("_R", "State", "ItemState", "OpenTurn")


@dataclass(frozen=True)
class RunInfo:
    """One run: its name, branch, the commit it started from, and the worktree's folder."""

    name: str
    branch: str
    base: str
    worktree: str


@dataclass(frozen=True)
class ItemState:
    """What the run knows of one item beyond the ledger as it stood at the start.

    `priority` is set by a person's override; `criteria_from` is the run's commit that brought in
    the criteria a person approved, empty while those from its start hold. `held` says that a person blocked it,
    `met` that its return condition was last seen to hold; `granted` is the dwell up to which it may go on for that.
    Results of rows count as recorded from turn number `retried` on: the item was let go on then.
    """

    status: str | None = None
    note: str = ""
    priority: str = ""
    criteria_from: str = ""
    held: bool = False
    met: bool = False
    granted: int = 0
    dwell: int = 0
    iterations: int = 0
    verified: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    frozen: Frozen | None = None
    last_engineer_commit: str | None = None
    turns: tuple[TurnRecord, ...] = ()
    retried: int = 0

    @property
    def last_iteration(self) -> int:
        """Number of the iteration that last had a turn on the item; 0 when none had."""
        return self.turns[-1].iteration if self.turns else 0


@dataclass(frozen=True)
class OpenTurn:
    """A turn that was started and neither committed nor abandoned: a run that died leaves one behind."""

    turn: str
    base: str
    iteration_before: int = 0
    verified: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class UserInput:
    """What a person wrote to the supervisor, until a handoff has answered it."""

    id: str
    text: str


@dataclass(frozen=True)
class State:
    """The run as the journal tells it.

    `items` holds only what differs from the ledger; `open_handoff` is the supervisor's turn that no engineer has
    answered yet; `failures` counts the turns each role had abandoned in a row since the loop was started;
    `harness` is the process that opened the run last. `taken` holds the ids of all requests people made; of what they
    asked, `paused` and `stop_asked` hold the reason (empty: not asked), `more_iterations` and `more_minutes` widen
    this call's limits, `approvals` are pairs of item and commit not yet brought in, `inputs` wait for a supervisor.
    `synced` is the commit of another branch that was merged in last; `reviewed` the iteration after which a reviewer
    worked last, `review` its turn until a supervisor has seen it.
    `sandbox` says what the children of that process are behind.
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
    sandbox: str = ""
    failures: Mapping[str, int] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    paused: str = ""
    stop_asked: str = ""
    more_iterations: int = 0
    more_minutes: float = 0.0
    approvals: tuple[tuple[str, str], ...] = ()
    inputs: tuple[UserInput, ...] = ()
    synced: str = ""
    reviewed: int = 0
    review: TurnRecord | None = None

    def item(self, item_id: str) -> ItemState:
        """State of one item; an empty one when the run has not touched it."""
        return self.items.get(item_id) or ItemState()


def record_to_data(record: TurnRecord) -> dict[str, Any]:
    """Turn record as JSON-ready data; `fold` reads it back."""
    return asdict(record)


def _record(data: Mapping[str, Any]) -> TurnRecord:
    tuples = {key: tuple(data.get(key, ())) for key in ("verified", "failing", "reasons", "failures")}
    known = {key: data[key] for key in TurnRecord.__dataclass_fields__ if key in data}
    return TurnRecord(**(known | tuples | {"role": Role(data["role"]), "verdict": Verdict(data["verdict"])}))


def _with(record: _R, **changes: object) -> _R:
    """Return a copy with other values, as `replace` does, which looks at every field and takes ten times as long."""
    copy = object.__new__(type(record))
    vars(copy).update(vars(record), **changes)
    return copy


def _with_item(state: State, item_id: str, **changes: object) -> State:
    item = _with(state.item(item_id), **changes)
    return _with(state, items={**state.items, item_id: item})


def _run(state: State, data: Mapping[str, Any]) -> State:
    info = RunInfo(data["run"], data["branch"], data["base"], data["worktree"])
    kept = {name: getattr(state, name) for name in ("harness", "taken", "paused", "stop_asked", "inputs")}
    return State(run=info, runs=(*state.runs, info.name), **kept)


def _rebuilt(state: State, data: Mapping[str, Any]) -> State:
    state = _run(state, data)
    for event in data["events"]:
        state = _FOLDS[event["kind"]](state, event["data"])
    last = state.turns[-1]
    started = int(last.turn.rpartition("/")[2].partition("-")[0])
    return _with(state, started=started, iteration=last.iteration, taken=state.taken | set(data["taken"]))


def _ended(state: State, _data: Mapping[str, Any]) -> State:
    return _with(state, stop_asked="")


def _started(state: State, data: Mapping[str, Any]) -> State:
    turn = OpenTurn(data["turn"], data["base"], state.iteration)
    return _with(state, open_turn=turn, started=state.started + 1, iteration=data["iteration"])


def _verified(state: State, data: Mapping[str, Any]) -> State:
    if state.open_turn is None:
        return state
    return _with(state, open_turn=_with(state.open_turn, verified=data))


def _committed(state: State, data: Mapping[str, Any]) -> State:
    record = _record(data["record"])
    state = _on_item(state, record, data) if record.has_focus else state
    return _with(
        state,
        turns=(*state.turns, record),
        open_turn=None,
        open_handoff=record if record.verdict is Verdict.HANDOFF else None,
        **_heard(state, record),
    )


def _heard(state: State, record: TurnRecord) -> dict[str, Any]:
    """Return what a committed turn changes beside its item: who failed before, and what was answered."""
    if record.role is Role.REVIEWER:
        return {"reviewed": record.iteration, "review": record}
    changes: dict[str, Any] = {"failures": {**state.failures, record.role.value: 0}}
    return changes | ({"inputs": (), "review": None} if record.role is Role.SUPERVISOR else {})


def _on_item(state: State, record: TurnRecord, data: Mapping[str, Any]) -> State:
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
            "granted": item.granted if record.dwell else 0,
        }
    if data.get("frozen"):
        changes["frozen"] = Frozen(data["frozen"]["rows"], data["frozen"]["evaluators"])
    return _with_item(state, record.focus, **changes)


def _abandoned(state: State, data: Mapping[str, Any]) -> State:
    left, state = state.open_turn, _with(state, open_turn=None)
    if data["interrupted"]:  # the iteration is taken up again under its number
        return _with(state, iteration=left.iteration_before) if left else state
    role = data["role"]
    if role == Role.REVIEWER:  # nobody waits for a review: the next one is due as if this one had been left
        return _with(state, reviewed=state.iteration)
    state = _with(state, open_handoff=None, failures={**state.failures, role: state.failures.get(role, 0) + 1})
    charge = data["charge"]
    if charge is None:
        return state
    iterations = state.item(charge["item"]).iterations + 1
    changes = {key: charge[key] for key in ("dwell", "status", "note")}
    return _with_item(state, charge["item"], iterations=iterations, **changes)


def _opened(state: State, data: Mapping[str, Any]) -> State:
    harness = ((data["pid"], data["identity"]),)
    sandbox = data.get("sandbox", "")
    return _with(state, failures={}, harness=harness, sandbox=sandbox, more_iterations=0, more_minutes=0.0)


def _item(state: State, data: Mapping[str, Any]) -> State:
    return _with_item(state, data["item"], status=data["status"], note=data["note"])


def _condition(state: State, data: Mapping[str, Any]) -> State:
    if not data["met"]:
        return _with_item(state, data["item"], met=False)
    return _freed(state, data["item"], data["note"], met=True, granted=data["granted"])


def _without_handoff_of(state: State, item_id: str) -> State:
    stale = state.open_handoff is not None and state.open_handoff.focus == item_id
    return _with(state, open_handoff=None) if stale else state


def _freed(state: State, item_id: str, note: str, **changes: object) -> State:
    """Let work on an item go on; it is in progress again when a handoff takes it up."""
    retried = len(state.item(item_id).turns)
    return _with_item(state, item_id, status=Status.PENDING.value, note=note, retried=retried, **changes)


def _clear(state: State, data: Mapping[str, Any]) -> State:
    if state.item(data["item"]).status == Status.DONE:  # `reopen` begins it anew; there is nothing to let go on
        return _with_item(state, data["item"], dwell=0)
    return _freed(state, data["item"], data["note"], dwell=0, held=False, met=False, granted=0)


def _reopen(state: State, data: Mapping[str, Any]) -> State:
    known = state.item(data["item"])
    if known.status == Status.BLOCKED_ESCALATION:  # only `clear` brings it back
        return state
    again = {"verified": (), "frozen": None} if known.status == Status.DONE else {}
    return _freed(state, data["item"], data["note"], held=False, **again)


def _block(state: State, data: Mapping[str, Any]) -> State:
    if state.item(data["item"]).status == Status.BLOCKED_ESCALATION:  # it is out of reach already
        return state
    state = _with_item(state, data["item"], status=Status.BLOCKED.value, note=data["note"], held=True)
    return _without_handoff_of(state, data["item"])


def _approved(state: State, data: Mapping[str, Any]) -> State:
    pending = tuple(pair for pair in state.approvals if list(pair) != [data["item"], data["approved"]])
    frozen = Frozen(**data["frozen"]) if data["frozen"] else None
    changes = {"criteria_from": data["commit"], "frozen": frozen, "verified": tuple(data["verified"])}
    state = _with(_with_item(state, data["item"], **changes), approvals=pending)
    return _without_handoff_of(state, data["item"])


def _synced(state: State, data: Mapping[str, Any]) -> State:
    return _with(state, synced=data["theirs"])


_OVERRIDES: Mapping[str, Callable[[State, Mapping[str, Any]], State]] = {
    "clear": _clear,
    "reopen": _reopen,
    "block": _block,
    "prioritise": lambda state, data: _with_item(state, data["item"], priority=data["level"]),
    "approve": lambda state, data: _with(state, approvals=(*state.approvals, (data["item"], data["commit"]))),
    "raise-budget": lambda state, data: _with(
        state,
        more_iterations=state.more_iterations + data["iterations"],
        more_minutes=state.more_minutes + data["minutes"],
    ),
    "pause": lambda state, data: _with(state, paused="" if data["off"] else data["note"]),
    "stop": lambda state, data: _with(state, stop_asked=data["note"]),
}


def _override(state: State, data: Mapping[str, Any]) -> State:
    step = _OVERRIDES.get(data["kind"])
    state = _with(state, taken=state.taken | {data["id"]})
    return step(state, data) if step else state


def _input(state: State, data: Mapping[str, Any]) -> State:
    inputs = (*state.inputs, UserInput(data["id"], data["text"]))
    return _with(state, taken=state.taken | {data["id"]}, inputs=inputs)


_START = State()
_FOLDS = {
    "run.started": _run,
    "run.rebuilt": _rebuilt,
    "run.ended": _ended,
    "override": _override,
    "user.input": _input,
    "item.approved": _approved,
    "run.opened": _opened,
    "turn.started": _started,
    "turn.verified": _verified,
    "turn.committed": _committed,
    "turn.abandoned": _abandoned,
    "item.status": _item,
    "base.synced": _synced,
    "item.condition": _condition,
}


def fold(events: Iterable[Event], state: State = _START) -> State:
    """State after the events that follow on `state`; kinds this version does not know change nothing."""
    for event in events:
        step = _FOLDS.get(event.kind)
        state = step(state, event.data) if step else state
    return state
