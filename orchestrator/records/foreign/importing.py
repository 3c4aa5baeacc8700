"""A foreign ledger as a ledger of ours: one item for each of its items, and a note on all that stays behind."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orchestrator.records.foreign.document import Field, Piece
from orchestrator.records.foreign.items import read_ledger
from orchestrator.records.foreign.words import find_foreign_ids, plain
from orchestrator.records.items import Item, Priority, Status
from orchestrator.records.ledger import render_item
from orchestrator.records.text import is_id, on_one_line, shown

__all__ = ["Imported", "import_ledger"]

_STATUSES = {
    **{status.value: status for status in Status},
    **dict.fromkeys(("complete", "completed", "shipped", "fixed", "closed", "resolved"), Status.DONE),
    **dict.fromkeys(("superseded", "obsolete"), Status.ARCHIVED),
    **dict.fromkeys(("planning", "in_planning", "partial", "in_review", "open", "todo", "ready"), Status.PENDING),
}
_PATH = re.compile(r"\S*/\S*")


@dataclass(frozen=True)
class Imported:
    """The new ledger's text, and what could not be carried over into it: ``path:line: what``."""

    text: str
    notes: tuple[str, ...] = ()


def import_ledger(text: str, path: str) -> Imported:
    """Turn a foreign ledger into one that our reader takes without a problem, whatever the input.

    Parameters
    ----------
    text : str
        The foreign ledger.
    path : str
        Where it stands; named by every item and every note.
    """
    foreign = read_ledger(text, path)
    problems = [*foreign.problems, *(found.as_problem(path) for found in foreign.contradictions)]
    notes = [on_one_line(str(problem)) for problem in problems]
    items: dict[str, list[Piece]] = {}
    for piece in (piece for piece in foreign.pieces if piece.ids):
        items.setdefault(_our_id(piece.ids[0].partition(".")[0] if piece.stamp else piece.ids[0]), []).append(piece)
    known = [item_id for item_id, found in items.items() if is_id(item_id) and not all(piece.stamp for piece in found)]
    notes += [
        on_one_line(f"{path}:{piece.line}: {shown(piece.ids[0])} names no item of the new ledger")
        for item_id in items.keys() - set(known)
        for piece in items[item_id]
    ]
    parts = [f"# Fix plan\n\nImported from {on_one_line(path)}, which keeps the attempts.\n"]
    for item_id in known:
        # An item's own section comes before what an index or a roadmap says of it.
        pieces = sorted(items[item_id], key=lambda piece: (bool(piece.stamp), not piece.heading))
        parts.append(_import_item(item_id, pieces, path, known, notes))
    return Imported("\n".join(parts), tuple(notes))


def _our_id(text: str) -> str:
    return plain(text).upper().replace(".", "-")


def _import_item(item_id: str, pieces: Sequence[Piece], path: str, known: Collection[str], notes: list[str]) -> str:
    """Write one item; what it says of its attempts, and in lines without a field, stays behind."""
    line = pieces[0].line
    found = {each.name: each for piece in reversed(pieces) for each in reversed(piece.fields) if each.value}
    owner = on_one_line(f"imported from {path}:{line}")

    def note(name: str, what: str) -> None:
        notes.append(on_one_line(f"{path}:{found[name].line if name in found else line}: {item_id}: {what}"))

    def text(name: str) -> str:
        lines = textwrap.dedent(found[name].value).split("\n") if name in found else []
        whole = "\n".join(line.rstrip() for line in lines).strip("\n")
        return whole if "\n" in whole else whole.strip()

    status, prose = _status(found.get("status"))
    if status is Status.BLOCKED and not prose.startswith("blocked"):
        note("status", f"status {shown(prose)}: the item is blocked")
    priority = found["priority"].value.upper() if "priority" in found else "MEDIUM"
    if priority not in Priority.__members__:
        note("priority", f"priority {shown(priority)} became Medium")
    depends_on = _depends_on(item_id, text("depends_on"), known)
    told = ", ".join(depends_on) or "None"
    if text("depends_on").strip(" `.").lower() not in {told.lower(), ""}:
        note("depends_on", f"dependencies {shown(text('depends_on'), 200)} became {told}")
    attempts = sum(bool(piece.stamp) + len(piece.values("attempt")) for piece in pieces)
    others = sum(len(piece.text) for piece in pieces)
    if attempts or others:
        note("", f"{attempts} attempts and {others} other lines stay in the old ledger")
    return render_item(
        Item(
            item_id,
            on_one_line(next((piece.title for piece in pieces if piece.title), "")) or item_id,
            depends_on,
            Priority.__members__.get(priority, Priority.MEDIUM),
            status,
            prose,
            owner=owner,
            working_plan=_path(text("working_plan")),
            reports_hub=_path(text("reports_hub")),
            goals=text("goals"),
            exit_criteria=text("exit_criteria"),
            return_condition=text("return_condition"),
        )
    )


def _path(text: str) -> str:
    """Return the path a field begins with; `TBD (see elsewhere)` is none."""
    words = text.replace("`", "").split()
    return words[0] if words and "/" in words[0] else ""


def _status(found: Field | None) -> tuple[Status, str]:
    """Return our status and its note; a word that we do not know blocks the item and becomes the note."""
    if found is None:
        return Status.BLOCKED, "its ledger names no status"
    known = [key for key in _STATUSES if found.value == key or found.value.startswith(f"{key}_")]
    status = _STATUSES[max(known, key=len)] if known else Status.BLOCKED
    return status, on_one_line(found.note if found.value in known else f"{found.value} {found.note}").lstrip("— ")


def _depends_on(item_id: str, text: str, known: Collection[str]) -> tuple[str, ...]:
    names = find_foreign_ids(_PATH.sub(" ", text))
    ours = (_our_id(name if _our_id(name) in known else name.partition(".")[0]) for name in names)
    return tuple(name for name in dict.fromkeys(ours) if name in known and name != item_id)
