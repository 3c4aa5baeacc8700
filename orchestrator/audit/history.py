"""What the repository of a tree knows: commits, and whether the commits of turns hold what their trailers say."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.audit.judgement import Fact, Judged, Judgement
from orchestrator.errors import GitError, RecordError
from orchestrator.facts import Role
from orchestrator.git import Git
from orchestrator.layout import ARCHIVES, HANDOFF, LEDGER, MANIFEST, MEASURED, MEMORY, plan_path, summary_path
from orchestrator.objects import Found
from orchestrator.policy.counts import Tally, agrees
from orchestrator.records.claims import ClaimKind, read_claims
from orchestrator.records.hub import parse_manifest
from orchestrator.records.ledger import parse_ledger

__all__ = ["Audited", "History", "open_history"]

_FORMAT = "--format=%H%x00%T%x00%(trailers:only,unfold)%x00%B"
_TICK = re.compile(r"^(\s*[-*] )\[[ xX]\]", re.MULTILINE)
_FIELDS = 4


@dataclass(frozen=True)
class Audited:
    """One claim, where it stands, and what came of it."""

    kind: ClaimKind
    text: str
    path: str
    line: int
    judged: Judged


@dataclass(frozen=True)
class _Turn:
    """A turn's commit: its trailers, and the line of its message that each stands on."""

    commit: str
    tree: str
    trailers: dict[str, str]
    lines: dict[str, int]

    def audited(self, trailer: str, judgement: Judgement, why: str, *facts: Fact) -> Audited:
        text = f"{trailer}: {self.trailers[trailer]}"
        place = f"commit:{self.commit[:10]}"
        return Audited(ClaimKind.TURN, text, place, self.lines.get(trailer, 1), Judged(judgement, why, facts))


def _first_line(commit: str, content: bytes) -> str:
    message = content.partition(b"\n\n")[2].decode("utf-8", "replace")
    return f"commit {commit[:10]}: {message.partition(chr(10))[0]}"


class History:
    """The repository of a tree, or why there is none to ask.

    Attributes
    ----------
    why : str
        Why a commit that is not found may exist all the same; empty where it cannot.
    """

    def __init__(self, git: Git | None, head: str, why: str) -> None:
        self.git = git
        self.head = head
        self.why = why
        self._known: dict[str, str] = {}

    @property
    def is_whole(self) -> bool:
        """Whether a commit that is not found does not exist."""
        return self.git is not None and not self.why

    def look_up(self, words: Iterable[str]) -> None:
        """Ask for many words at once: on a busy machine one answer after the other takes its time."""
        names = [word for word in dict.fromkeys(words) if word not in self._known]
        if self.git is None or not names:
            return
        asked = "".join(f"{name}^{{commit}}\n" for name in names).encode()
        try:
            answers = self.git.run("cat-file", "--batch", "--buffer", stdin=asked)
        except GitError:
            return  # they are asked for one by one
        at = 0
        for name in names:
            head, _, _ = answers[at:].partition(b"\n")
            at += len(head) + 1
            id_, kind, size = (*head.split(b" "), b"", b"")[:3]
            if kind == b"commit":
                self._known[name] = _first_line(id_.decode(), answers[at : at + int(size)])
                at += int(size) + 1
            else:
                self._known[name] = ""

    def subject(self, word: str) -> str:
        """Return the first line of a commit's message, empty where the word names no commit."""
        if word not in self._known:
            found = self._ask(f"{word}^{{commit}}")
            self._known[word] = _first_line(found.id, found.content) if found else ""
        return self._known[word]

    def _ask(self, name: str) -> Found | None:
        try:
            return self.git.kept.ask(name) if self.git and self.git.kept else None
        except GitError as error:
            self.why = f"its repository is damaged: {error}"
            return None

    def _turns(self) -> Iterator[_Turn]:
        if self.git is None:
            return
        fields = self.git.text("log", "-z", _FORMAT, self.head, "--").split("\0")
        for name, tree, block, body in zip(*(iter(fields),) * _FIELDS, strict=False):
            trailers = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if {"Turn-Id", "Role", "Focus", "Verified-Tree", "Hub"} <= trailers.keys():
                lines = {line.partition(":")[0]: number for number, line in enumerate(body.split("\n"), 1)}
                yield _Turn(name.strip("\n"), tree, trailers, lines)

    def judge_turns(self) -> Iterator[Audited]:
        """Judge the trailers of every turn: against its tree, its hub's manifest and what was measured.

        Raises
        ------
        GitError
            The repository is damaged.
        """
        for turn in self._turns():
            yield self._judge_tree(turn)
            if turn.trailers["Role"] == Role.ENGINEER:
                yield from self._judge_hub(turn)

    def _owned(self, turn: _Turn) -> set[str]:
        """Return the documents that the harness renders after it has measured."""
        focus, owned = turn.trailers["Focus"], {LEDGER, *ARCHIVES.values()}
        if turn.trailers["Role"] == Role.SUPERVISOR:
            return owned | {MEMORY, HANDOFF}
        with contextlib.suppress(RecordError):
            owned.add(plan_path(parse_ledger(self._document(turn.commit, LEDGER)).item(focus)))
        return owned | {summary_path(focus)}

    def _document(self, tree: str, path: str) -> str:
        return self.git.document(tree, path) if self.git else ""

    def _judge_tree(self, turn: _Turn) -> Audited:
        """Judge that between the tree that was measured and the commit only the harness's own paths differ."""
        found = self._ask(f"{turn.trailers['Verified-Tree']}^{{tree}}")
        if self.git is None or self.git.kept is None or found is None:
            return turn.audited("Verified-Tree", Judgement.UNVERIFIABLE, "the tree is not in this repository any more")
        measured = found.id
        owned, hub = self._owned(turn), turn.trailers["Hub"]
        changed = [path for path in self.git.kept.differing(measured, turn.tree) if not path.startswith(hub)]
        other = [path for path in changed if path not in owned or not self._only_ticks(turn, measured, path)]
        facts = [Fact(f"{turn.commit[:10]}:{path}", 1, "differs from what was measured") for path in other]
        if facts:
            return turn.audited("Verified-Tree", Judgement.CONTRADICTED, "a path that is not the harness's", *facts)
        return turn.audited(
            "Verified-Tree", Judgement.CONFIRMED, "", Fact(f"commit:{turn.commit[:10]}", 1, f"tree {turn.tree[:10]}")
        )

    def _only_ticks(self, turn: _Turn, measured: str, path: str) -> bool:
        if not path.endswith("implementation.md"):
            return True
        before, after = (_TICK.sub(r"\1[ ]", self._document(tree, path)) for tree in (measured, turn.tree))
        return before == after

    def _judge_hub(self, turn: _Turn) -> Iterator[Audited]:
        hub = turn.trailers["Hub"]
        manifest_text = self._document(turn.commit, hub + MANIFEST)
        manifest = parse_manifest(manifest_text)
        place = Fact(f"{turn.commit[:10]}:{hub}{MANIFEST}", 1, f"turn {manifest.turn}, tree {manifest.tree[:10]}")
        if not manifest_text:
            yield turn.audited("Hub", Judgement.UNVERIFIABLE, "it has no manifest in the commit")
        else:
            same = (manifest.turn, manifest.tree) == (turn.trailers["Turn-Id"], turn.trailers["Verified-Tree"])
            yield turn.audited("Hub", Judgement.CONFIRMED if same else Judgement.CONTRADICTED, "", place)
        text = self._document(turn.commit, hub + MEASURED)
        path = f"{turn.commit[:10]}:{hub}{MEASURED}"
        try:
            measured = json.loads(text) if text else None
        except ValueError:
            measured = None
        if not isinstance(measured, dict):
            yield turn.audited("Verified-Tree", Judgement.UNVERIFIABLE, f"{path} is not there, or no JSON")
            return
        yield from _judge_measured(turn, measured, text, path)


def _judge_measured(turn: _Turn, measured: dict[str, Any], text: str, path: str) -> Iterator[Audited]:
    """Judge the trailers that repeat what was measured."""

    def fact(key: str, told: str) -> Fact:
        return Fact(path, text.count("\n", 0, max(text.find(f'"{key}"'), 0)) + 1, told)

    def judge(*, holds: bool) -> Judgement:
        return Judgement.CONFIRMED if holds else Judgement.CONTRADICTED

    tests, rows = (measured[key] if isinstance(measured.get(key), list) else [] for key in ("tests", "rows"))
    rows = [row for row in rows if isinstance(row, dict)]
    runs = [run for run in (*tests, *(row.get("tests") for row in rows)) if isinstance(run, dict)]
    verified = {str(row.get("row")) for row in rows if row.get("verdict") == "verified"}
    criteria = set(filter(None, turn.trailers.get("Criteria", "none").replace("none", "").split(", ")))
    known = ", ".join(sorted(verified)) or "none"
    yield turn.audited("Criteria", judge(holds=criteria <= verified), "", fact("verdict", f"verified: {known}"))
    names = ("passed", "failed", "skipped", "collected")
    numbers = [{name: run[name] for name in names if isinstance(run.get(name), int)} for run in runs]
    whole = Tally.sum(Tally(**counts) for counts in numbers) if runs else Tally()
    said = [each for each in read_claims(turn.trailers.get("Tests", "")) if each.kind is ClaimKind.COUNTS]
    if said:
        right = all(agrees(each, whole) for each in said)
        yield turn.audited("Tests", judge(holds=right), "", fact("tests", str(whole)))
    tree = str(measured.get("tree"))
    holds = tree == turn.trailers["Verified-Tree"]
    yield turn.audited("Verified-Tree", judge(holds=holds), "", fact("tree", f"tree {tree[:10]}"))


@contextlib.contextmanager
def open_history(root: Path, git: Git | None = None, head: str = "HEAD") -> Iterator[History]:
    """Give the repository of a tree, read through one process that neither fetches nor runs anything.

    Parameters
    ----------
    root
        The tree; only a `.git` folder of its own counts, for anything else leads out of it.
    git, head
        A repository that is known to belong to it.
    """
    folder = root / ".git"
    if git is None:
        if folder.is_symlink() or not folder.is_dir():
            yield History(None, head, "there is no repository to ask")
            return
        git = Git(root, git_dir=folder)
    git = replace(git, offline=True)
    try:
        common = git.common_dir()
        whole = not (common / "shallow").exists() and b"partialclone" not in (common / "config").read_bytes().lower()
        known = git.rev(f"{head}^{{commit}}") is not None
    except (GitError, OSError) as error:
        yield History(None, head, f"its repository cannot be read: {error}")
        return
    if not known:
        yield History(None, head, "its repository has no commit")
        return
    with git.keeping_reader() as reading:
        yield History(reading, head, "" if whole else "its repository holds a part of the history only")
