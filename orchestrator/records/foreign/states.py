"""The ancestors' `sync/state.json`: whose turn it was, and which."""

from __future__ import annotations

import json

from orchestrator.records.foreign.document import Field, Foreign, Piece
from orchestrator.records.text import Problem, ProblemList, shown

__all__ = ["read_state"]

_NUMBERS = frozenset({"iteration", "step_index"})
_TEXTS = frozenset({"workflow_name", "expected_step", "expected_actor", "status", "last_update", "lease_expires_at"})


class _Pairs(list[tuple[str, object]]):
    """What an object holds, keys that stand twice included."""


def read_state(text: str, path: str) -> Foreign:
    """Read the state: fields that are not known are kept, a value of another type than its field's is reported."""
    try:
        pairs = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        problem = Problem(path, getattr(error, "lineno", 1), "a JSON object", str(error))
        return Foreign("state", text, problems=(problem,), path=path)
    if not isinstance(pairs, _Pairs):
        return Foreign("state", text, problems=(Problem(path, 1, "a JSON object", shown(text)),), path=path)
    problems = ProblemList(path)
    fields: list[Field] = []
    at = 0
    for key, value in pairs:
        at = max(at, text.find(json.dumps(key, ensure_ascii=False), at))
        line = text.count("\n", 0, at) + 1
        wanted = int if key in _NUMBERS else str if key in _TEXTS else object
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            problems.add(line, f"{key}: a {'whole number' if wanted is int else 'text'}", shown(repr(value)))
        if key in {each.name for each in fields}:
            problems.add(line, "each key once", f"a second {key!r}")
        fields.append(Field(key, value if isinstance(value, str) else json.dumps(value), line))
    piece = Piece(1, end=text.count("\n") + 1, fields=tuple(fields), raw=text)
    return Foreign("state", "", (piece,), (), problems.sorted(), path)
