"""What happened in one run, in order, as the journal tells it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from orchestrator.errors import RecordError
from orchestrator.facts import TurnRecord
from orchestrator.journal import Event
from orchestrator.state import fold

__all__ = ["TurnStory", "events_of_run", "read_chronicle"]


@dataclass(frozen=True)
class TurnStory:
    """One turn as the journal tells it.

    Attributes
    ----------
    outcome : str
        The verdict; ``abandoned`` for a turn that left nothing on the branch, ``cut short`` when a person or a crash
        ended it, ``under way`` while the journal knows no end of it.
    started, ended : str
        Time stamps; empty where the journal has none.
    end : mapping
        The journal's last word on the turn, what it cost among it.
    fate : mapping
        What the turn meant for its focus: `dwell`, `status` and `note`; empty when it meant nothing.
    """

    id: str
    role: str = ""
    iteration: int = 0
    focus: str = ""
    started: str = ""
    ended: str = ""
    outcome: str = "under way"
    reasons: tuple[str, ...] = ()
    record: TurnRecord | None = None
    end: Mapping[str, Any] = field(default_factory=dict)
    fate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The turn without its run: the name of its page."""
        return self.id.rpartition("/")[2]

    @property
    def seconds(self) -> float | None:
        """How long it took, from its first to its last word in the journal; negative where the clock went back."""
        if not (self.started and self.ended):
            return None
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.started)).total_seconds()


def _ended(story: TurnStory, time: str, data: Mapping[str, Any]) -> TurnStory:
    """Return the turn with what its last event says."""
    if "record" not in data:
        fate, outcome = data["charge"] or {}, "cut short" if data["interrupted"] else "abandoned"
        changes = {"reasons": tuple(data["reasons"]), "focus": fate.get("item", story.focus)}
    else:
        record = fold([Event(1, time, "turn.committed", data)]).turns[-1]
        fate, outcome = {"dwell": record.dwell, **data}, record.verdict.value
        changes = {key: getattr(record, key) for key in ("iteration", "focus", "reasons")}
        changes |= {"id": record.turn, "role": record.role.value, "record": record}
    return replace(story, ended=time, outcome=outcome, end=data, fate=fate, **changes)


def events_of_run(events: Iterable[Event], name: str | None = None) -> list[Event]:
    """Return the events of one run, by default the last.

    Raises
    ------
    RecordError
        The journal knows no run, or not this one.
    """
    known = list(events)
    marks = [(n, str(e.data["run"])) for n, e in enumerate(known) if e.kind in {"run.started", "run.rebuilt"}]
    starts = {run: n for n, run in marks}
    if not starts or (name and name not in starts):
        names = ", ".join(starts) or "none; `python -m orchestrator.loop` makes one"
        raise RecordError(f"expected the name of a run, came {name or 'nothing'}; known are {names}")
    first = starts[name or next(reversed(starts))]
    return known[first : min((n for n, _ in marks if n > first), default=None)]


def _told(events: Iterable[Event]) -> Iterator[Event]:
    """Give all events, those that were rebuilt from commits among them, which have no time."""
    for event in events:
        yield event
        data: Mapping[str, Any] = event.data
        for inner in data["events"] if event.kind == "run.rebuilt" else ():
            yield Event(event.seq, "", inner["kind"], inner["data"])


def read_chronicle(events: Iterable[Event]) -> list[TurnStory | Event]:
    """Return the turns of a run and, between them, every event that is no part of a turn."""
    entries: dict[str, TurnStory | Event] = {}
    for event in _told(events):
        data: Mapping[str, Any] = event.data
        turn = data.get("turn", "")
        known = entries.get(turn)
        if event.kind == "turn.started":
            entries[turn] = TurnStory(turn, data["role"], data["iteration"], data["focus"] or "", event.time)
        elif event.kind in {"turn.committed", "turn.abandoned"}:
            entries[turn] = _ended(known if isinstance(known, TurnStory) else TurnStory(turn), event.time, data)
        elif event.kind != "turn.verified":
            entries[f"event {len(entries)}"] = event
    return list(entries.values())
