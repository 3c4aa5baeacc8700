"""Every claim of a tree, bound to its hubs and judged."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath

from orchestrator.audit.artifacts import Listed, listed_files, read_runs
from orchestrator.audit.history import Audited, History
from orchestrator.audit.judgement import Fact, Judged, Judgement, judge_code, judge_counts
from orchestrator.audit.logs import Run
from orchestrator.audit.passages import Passage, named_hubs, read_passages
from orchestrator.audit.surroundings import ARTIFACT, Around, look_around
from orchestrator.audit.trees import Tree
from orchestrator.errors import GitError
from orchestrator.layout import LEDGER, MANIFEST, MEMORY
from orchestrator.records.claims import ClaimKind, Said, read_claims
from orchestrator.records.text import Problem

__all__ = ["Audit", "Audited", "audit_tree"]

_Hub = tuple[str, str]

_SEVERAL = 3
_AGENTS = "/agent/"
_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{7,40}(?![0-9a-f])")
_DIGEST = re.compile(rb"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{32})(?![0-9a-f])")
_TELLING = 5  # a smaller count alone is found in some hub or other
_RESET = re.compile(r"\breset\b", re.IGNORECASE)
_PLANNED = re.compile(r"\b(?:galph|supervisor|planning|review(?:ed)?|handoff)\b", re.IGNORECASE)
_DENIED = re.compile(r"\bno\s+(?:production|implementation|code)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Audit:
    """What was found in one tree."""

    root: str
    claims: tuple[Audited, ...]
    problems: tuple[Problem, ...]
    hubs: int

    def count(self, judgement: Judgement) -> int:
        """Return how many claims were judged so."""
        return sum(claim.judged.judgement is judgement for claim in self.claims)


def _digits(stamp: str) -> str:
    return re.sub(r"\D", "", stamp)[:14]


def _said(line: str, *, shown: bool) -> Iterator[Said]:
    """Yield what a line claims; one in a code block counts only, as a fact where it names the artifact."""
    for said in read_claims(line):
        if not shown:
            yield said
        elif said.kind is ClaimKind.COUNTS:
            yield replace(said, firm=said.firm and bool(ARTIFACT.search(line)))


class _Auditor:
    def __init__(self, tree: Tree, history: History, passages: tuple[Passage, ...]) -> None:
        self.tree = tree
        self.history = history
        self.passages = passages
        self._runs: dict[str, tuple[Run, ...]] = {}
        self._named = Counter((passage.path, hub) for passage in passages for hub in set(passage.hubs))
        self._of_items: dict[str, list[_Hub]] = {}
        for hub in tree.hubs:
            self._of_items.setdefault(hub[0], []).append(hub)

    @cached_property
    def digests(self) -> frozenset[str]:
        """Every long hex word in what was read, and the hashes of what lies in the hubs: none of them is a commit."""
        texts = (self.tree.read(path) for path in self.tree.files if path in self._runs or path.endswith(".md"))
        found = {match.decode() for text in texts if text for match in _DIGEST.findall(text)}
        hashed = (self.tree.sha256(path) for path in self._runs)
        return frozenset(found | {digest for digest in hashed if digest})

    def runs(self, folders: Iterable[str]) -> list[Run]:
        """Return what the files below some folders tell of test runs."""
        found: list[Run] = []
        for path in self.tree.below(folders):
            if path not in self._runs:
                self._runs[path] = () if self.is_agents(path) else read_runs(self.tree, path)
            found += self._runs[path]
        return found

    def is_ours(self, folder: str) -> bool:
        """Whether a folder is a hub of this loop's own kind, in which every run of its turn is recorded."""
        manifest = f"{folder}/{MANIFEST}"
        return manifest in self.tree.files and b'"hub-manifest/1"' in (self.tree.read(manifest) or b"")[:100]

    def is_agents(self, path: str) -> bool:
        """Whether an agent left a file in such a hub: that proves nothing."""
        return _AGENTS in path and self.is_ours(path.partition(_AGENTS)[0])

    def folders(self, passage: Passage, line: str) -> list[str]:
        """Return the folders that a line is bound to: what it names itself, or else what its passage names."""
        item = passage.hubs[0][0] if passage.hubs else ""
        own = [folder for hub in named_hubs(line, item) for folder in self.tree.find_hub(hub)]
        return own or [folder for hub in passage.hubs for folder in self.tree.find_hub(hub)]

    def judge(self) -> Iterator[Audited]:
        self.history.look_up(word for passage in self.passages for word in _HEX.findall(passage.text))
        for passage in self.passages:
            yield from self.of_passage(passage)
        yield from self.of_manifests()
        yield from self.of_dwell()

    def of_passage(self, passage: Passage) -> Iterator[Audited]:
        seen: set[tuple[ClaimKind, str]] = set()
        for number, line, around in look_around(passage.lines):
            for said in _said(line, shown=number in passage.shown):
                key = (said.kind, said.value)
                if said.value and said.kind is not ClaimKind.EXIT_CODE and key in seen:
                    continue
                seen.add(key)
                judged = self.judge_one(passage, line, said, around)
                if judged:
                    yield Audited(said.kind, said.text, passage.path, number, judged)

    def judge_one(self, passage: Passage, line: str, said: Said, around: Around) -> Judged | None:
        folders = self.folders(passage, line)
        if said.kind is ClaimKind.PATH:
            return self.of_path(said.value, folders)
        if said.kind is ClaimKind.COMMIT:
            return self.of_commit(said, passage.path)
        if not folders:
            return Judged(Judgement.UNVERIFIABLE, "its hub is not there" if passage.hubs else "it names no hub")
        return self.of_tests(passage, line, said, around, folders)

    def of_tests(self, passage: Passage, line: str, said: Said, around: Around, folders: Sequence[str]) -> Judged:
        """Judge a claim about tests by the hub that the text lies in; by others that it names only to bear it out."""
        home = self.tree.hub(passage.path) if not named_hubs(line, "") else None
        places = self.tree.find_hub(home) if home else folders
        runs, ours = self.runs(places), all(map(self.is_ours, places))
        if said.kind is ClaimKind.EXIT_CODE:
            return judge_code(said, runs)
        issued = not named_hubs(line, "") and self.is_issued(passage)
        shared = any(self._named[passage.path, hub] > 1 for hub in passage.hubs)
        found = judge_counts(said, runs, around, line, grows=issued or shared, complete=ours)
        if found.judgement is Judgement.CONFIRMED or not (issued or home):
            return found
        if issued:
            return self.of_earlier(passage, said, around) or found
        other = judge_counts(said, self.runs(folders), around, line)
        telling = len(other.facts) == 1 and (len(said.counts) > 1 or any(n >= _TELLING for n in said.counts.values()))
        telling = telling or found.judgement is Judgement.CONTRADICTED
        return other if other.judgement is Judgement.CONFIRMED and telling else found

    def is_issued(self, passage: Passage) -> bool:
        """Whether the hub of a supervisor's text was made with it: what lies there came after what the text reviews."""
        begun, by = _digits(passage.stamp), passage.kind == "memory" or _PLANNED.search(passage.text[:200])
        stamps = [stamp for _, stamp in passage.hubs if stamp[:1].isdigit()]
        return bool(begun and by) and all(_digits(stamp)[: len(begun)] >= begun for stamp in stamps)

    def of_earlier(self, passage: Passage, said: Said, around: Around) -> Judged | None:
        """Judge by an older hub of the same item, newest first; only one that bears the claim out counts."""
        begun = _digits(passage.stamp)
        older = [hub for item in {hub[0] for hub in passage.hubs} for hub in self._of_items.get(item, ())]
        for hub in sorted(older, key=lambda hub: hub[1], reverse=True):
            if hub not in passage.hubs and _digits(hub[1]) <= begun:
                found = judge_counts(said, self.runs(self.tree.hubs[hub]), around)
                if found.judgement is Judgement.CONFIRMED:
                    return Judged(found.judgement, "in an older hub of the item", found.facts)
        return None

    def of_commit(self, said: Said, path: str) -> Judged | None:
        """Judge a hex word; one that no line calls a commit is one only if the repository knows it."""
        known = self.history.subject(said.value)
        if known:
            return Judged(Judgement.CONFIRMED, "", (Fact("git", 0, known),))
        if not said.firm or any(digest.startswith(said.value) for digest in self.digests):
            return None
        if self.is_guest(path):
            return Judged(Judgement.UNVERIFIABLE, "it lies in a tree of its own, whose repository is not there")
        if self.history.is_whole:
            return Judged(Judgement.CONTRADICTED, "", (Fact("git", 0, "no such commit in this repository"),))
        return Judged(Judgement.UNVERIFIABLE, self.history.why)

    def is_guest(self, path: str) -> bool:
        """Whether a document belongs to a whole tree that was put into this one, with a memory or ledger of its own."""
        above = PurePosixPath(path).parents[:-1]
        return any(self.tree.has(f"{folder}/{own}") for folder in above for own in (MEMORY, LEDGER))

    def of_path(self, path: str, folders: Sequence[str]) -> Judged | None:
        name = path.rstrip("/").rpartition("/")[2]
        hub = self.tree.hub(path) if "/" in path else None
        inner = re.split(r"/(?:\d{4}-\d\d-\d\dT[^/]*|\d{8}T[^/]*)/", f"/{path}", maxsplit=1)[-1] if hub else path
        places = [
            path,
            *(f"{folder}/{inner}".lstrip("/") for folder in (*folders, *(self.tree.find_hub(hub) if hub else ()))),
        ]
        found = next((place for place in places if self.tree.has(place)), None)
        if found is None and "/" not in path:
            lying = [
                place for place in self.tree.named(name) if any(place.startswith(f"{folder}/") for folder in folders)
            ]
            found = next(iter(lying or self.tree.named(name)), None)
        if found is None:
            return Judged(Judgement.UNVERIFIABLE, "neither in the tree nor in its hub")
        size = self.tree.files.get(found)
        return Judged(Judgement.CONFIRMED, "", (Fact(found, 1, "a folder" if size is None else f"{size} bytes"),))

    def of_manifests(self) -> Iterator[Audited]:
        for path in self.tree.below(folder for folders in self.tree.hubs.values() for folder in folders):
            for listed in listed_files(self.tree, path):
                yield Audited(ClaimKind.MANIFEST, listed.path, path, listed.line, self.of_listed(listed))

    def of_listed(self, listed: Listed) -> Judged:
        folder = listed.manifest.rpartition("/")[0]
        places = (f"{folder}/{listed.path}".lstrip("/"), listed.path)
        found = next((place for place in places if place in self.tree.files), None)
        if found is None:
            return Judged(Judgement.UNVERIFIABLE, "in the artifact store" if listed.stored else "the file is not there")
        size = self.tree.files[found]
        if listed.size is not None and size != listed.size:
            return Judged(Judgement.CONTRADICTED, f"{listed.size} bytes are listed", (Fact(found, 1, f"{size} bytes"),))
        digest = self.tree.sha256(found) if listed.sha256 else ""
        if digest is None:
            return Judged(Judgement.UNVERIFIABLE, "the file cannot be read")
        if digest != listed.sha256:
            return Judged(
                Judgement.CONTRADICTED,
                f"SHA-256 {listed.sha256[:12]} is listed",
                (Fact(found, 1, f"SHA-256 {digest[:12]}"),),
            )
        return Judged(Judgement.CONFIRMED, "", (Fact(found, 1, f"{size} bytes"),))

    def of_dwell(self) -> Iterator[Audited]:
        """Judge dwell by a memory's own words: a commit that landed, and the rule that it sets dwell to nought."""
        entries = [passage for passage in self.passages if passage.piece]
        rule = {
            passage.path: (each.line, each.note)
            for passage in entries
            for each in (passage.piece.fields if passage.piece else ())
            if each.name == "dwell" and each.value == "0" and _RESET.search(each.note) and "commit" in each.note.lower()
        }
        for passage in entries:
            piece = passage.piece
            dwell = next((each for each in piece.fields if each.name == "dwell"), None) if piece else None
            if piece is None or dwell is None or not dwell.value.isdigit() or dwell.value == "0":
                continue
            last = set(piece.values("ralph_last_commit"))
            landed = next(
                (
                    (number, said.value)
                    for number, line in passage.lines
                    if "ralph_last_commit" not in line
                    for said in read_claims(line)
                    if said.kind is ClaimKind.COMMIT and said.firm and said.value in last
                ),
                None,
            )
            earlier = {
                value
                for other in entries
                if other is not passage
                and other.piece
                and set(other.piece.ids) & set(piece.ids)
                and other.stamp < passage.stamp
                for value in other.piece.values("ralph_last_commit")
            }
            denied = _DENIED.search(dwell.note)
            if landed and landed[1] not in earlier and (denied or passage.path in rule):
                facts = [Fact(passage.path, landed[0], f"commit {landed[1]} landed since")]
                if passage.path in rule:
                    facts.append(Fact(passage.path, rule[passage.path][0], f"dwell 0: {rule[passage.path][1]}"))
                judged = Judged(Judgement.CONTRADICTED, "by the memory's own words", tuple(facts))
                yield Audited(ClaimKind.DWELL, f"dwell: {dwell.value} ({dwell.note})", passage.path, dwell.line, judged)


def _not_theirs(claims: list[Audited]) -> list[Audited]:
    """Take back what was made of commits where none of several is known: the repository is not that of the texts."""
    commits = [claim for claim in claims if claim.kind is ClaimKind.COMMIT]
    missing = {claim.text for claim in commits if claim.judged.judgement is Judgement.CONTRADICTED}
    if len(missing) < _SEVERAL or any(claim.judged.judgement is Judgement.CONFIRMED for claim in commits):
        return claims
    judged = Judged(Judgement.UNVERIFIABLE, "the repository knows none of the commits that are named")
    return [replace(claim, judged=judged) if claim.kind is ClaimKind.COMMIT else claim for claim in claims]


def audit_tree(tree: Tree, history: History, *, only: str | None = None, root: str = "") -> Audit:
    """Judge every claim of a tree.

    Parameters
    ----------
    history
        The tree's repository, or that there is none.
    only
        The one document to look at.
    root
        How the tree is called; by default its path.
    """
    auditor = _Auditor(tree, history, tuple(read_passages(tree, only=only)))
    claims = _not_theirs(list(auditor.judge()))
    try:
        claims += history.judge_turns()
    except GitError as error:
        tree.note(".git", "a whole repository", str(error), 0)
    return Audit(root or str(tree.root), tuple(claims), tuple(tree.problems), len(tree.hubs))
