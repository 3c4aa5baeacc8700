"""Claims about tests and exit codes against the runs of a hub; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.audit.logs import OUTCOMES, Run, base_name
from orchestrator.audit.surroundings import ARTIFACT, Around, part_names
from orchestrator.policy.counts import Tally, agrees
from orchestrator.records.claims import Said

__all__ = ["Fact", "Judged", "Judgement", "judge_code", "judge_counts"]


class Judgement(StrEnum):
    """What the audit makes of a claim."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNVERIFIABLE = "unverifiable"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True)
class Fact:
    """What an artifact says, and where."""

    path: str
    line: int
    text: str


@dataclass(frozen=True)
class Judged:
    """The judgement of a claim: why, and the facts on the other side."""

    judgement: Judgement
    why: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class _Scope:
    """What a claim names: artifacts, test files, parts of node ids, and words that label its tests."""

    artifacts: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    words: frozenset[str] = field(default_factory=frozenset)


_TEST = re.compile(r"[\w./-]*\b(?P<file>test_\w+\.py|\w+_test\.py)(?:::(?P<node>[\w:\[\].-]+|\{[^}]*\}))?")
_LABEL = re.compile(r"(?P<label>[A-Za-z][\w` /.-]*?)\W*[:—–(]\W*$")
_LAST = re.compile(r"(?P<label>(?:[A-Za-z][\w-]*\s+){1,3})$")
_FOR = re.compile(r"^[\s)]*(?:in|for|from|of|on|via|including)\s+(?P<label>[^,;().]*)")
# Words that pick no test out of the others.
_GENERAL = re.compile(
    r"an?|and|the|all|of|in|on|for|with|by|at|to|is|are|now|were|was|that|this|it|as|or|its|via|new|our|mapped|selected|"
    r"targeted|tests?|pytest|pass(?:ed|es|ing)?|fail(?:ed|s|ing)?|skip(?:ped)?|collect(?:ed|s)?|results?|status|metrics|"
    r"counts?|outcomes?|runs?|ran|suite|selectors?|evidence|verified|verification|validation|summary|measured|phase|total|"
    r"unit|acceptance|cases?|items?|green|logs?|report|nodes?|py|checks?|claim(?:s|ed)?|completed?|tasks?|final|turn|"
    r"commit|re|rerun|ok|code|only"
)
_BEFORE = re.compile(
    r"(?<![a-z])(?:red|before|base|baseline|pre|fail|failing|failure|failed|debug|repro|old|prior|broken|initial)(?![a-z])",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"\b(?!test_)[\w/]+\.(?:py|sh)\b")
_FAILURE = re.compile(r"\bfail(?:ed|s|ing|ures?)?\b", re.IGNORECASE)
_NO_FAILURE = re.compile(r"\b(?:no|zero|0|without|any)\s+(?:new\s+|test\s+)*(?:tests?\s+)?fail\w*", re.IGNORECASE)
_LOOSE = frozenset({"near", "hub"})  # nothing in the words of the claim tells the run
_GUESS_RATIO, _GUESS_GAP = 3, 10


def _words(text: str) -> frozenset[str]:
    found = re.findall(r"[a-z]{2,}|[a-z]\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower().replace("_", " "))
    return frozenset(word.rstrip("s") for word in found if not _GENERAL.fullmatch(word))


def _scope(said: Said) -> _Scope:
    before, _, after = said.about.partition(said.text)
    tests = list(_TEST.finditer(said.about))
    parts = [part for match in tests if match["node"] for part in re.findall(r"[\w\[\].-]+", match["node"])]
    label, last = _LABEL.search(before), _LAST.search(before)
    behind = _FOR.match(after)
    told = [re.split(r"[.,;(]\s", found["label"])[-1] for found in (label, behind) if found]
    if last and re.fullmatch(r"[\d/ ]+", said.text):
        told.append(last["label"])
    words = _words(" ".join(told)) | (_words(re.sub(r"\([^)]*\)?", "", said.text)) if said.part else frozenset())
    return _Scope(
        frozenset(ARTIFACT.findall(said.about)), frozenset(match["file"] for match in tests), frozenset(parts), words
    )


def _run_words(run: Run) -> frozenset[str]:
    return _words(" ".join([base_name(run.path).rpartition(".")[0], *(name.removesuffix(".py") for name in run.files)]))


def _choose(scope: _Scope, runs: Sequence[Run], around: Around) -> tuple[list[Run], str]:
    """Return the runs that a claim may be about, and what tells so; the empty word: nothing that is there."""
    if scope.artifacts:
        found = [run for run in runs if base_name(run.path) in scope.artifacts]
        if found:
            return found, "artifact"
    if scope.tests:
        found = [run for run in runs if run.files & scope.tests or not run.files]
        return found, "tests" if any(run.files for run in found) else ""
    if scope.artifacts:
        return [], ""
    if scope.words:
        scores = [len(scope.words & _run_words(run)) for run in runs]
        best = max(scores, default=0)
        return (
            ([run for run, score in zip(runs, scores, strict=True) if score == best], "label")
            if best
            else (list(runs), "")
        )
    pools = ([run for run in runs if base_name(run.path) in circle] for circle in around.circles)
    found = next(filter(None, pools), [])
    return (found, "near") if found else (_by_heading(runs, around.heading), "hub")


def _by_heading(runs: Sequence[Run], heading: str) -> list[Run]:
    """Return the runs of one thing whose file is named after the heading; all where that tells none from the rest."""
    told = _words(heading)
    found = [run for run in runs if told & _words(base_name(run.path).rpartition(".")[0])]
    return found if found and _one_thing(found) else list(runs)


def _of_part(runs: Sequence[Run], text: str) -> list[Run]:
    """Leave out the runs of other parts, where a text names one of the parts that a suite was run in."""
    told = part_names(text)
    for kind in {kind for kind, _ in told}:
        parts = {run.path: {part for part in part_names(run.path) if part[0] == kind} for run in runs}
        if any(parts.values()):
            runs = [run for run in runs if parts[run.path] & told]
    return list(runs)


def _of_tests(runs: Sequence[Run], tests: frozenset[str]) -> list[Run]:
    """Leave out the runs of other test files, where what stands above a claim names some."""
    return [run for run in runs if not tests or not run.files or run.files & tests]


def _part(run: Run, scope: _Scope) -> Tally | None:
    """Count the outcomes of the tests that a claim names; None where the run names none of them."""
    counts = Counter(
        OUTCOMES.get(outcome, outcome)
        for node, outcome in run.outcomes.items()
        if base_name(node) in scope.tests and (not scope.nodes or any(part in node for part in scope.nodes))
    )
    return Tally(**counts) if counts else None


def _sums(runs: Sequence[Run]) -> list[tuple[Tally, list[Run]]]:
    """Return runs added up as somebody may who splits one run into several: by file, by folder, by kind."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        if run.tally.ran:
            folder = run.path.rpartition("/")[0]
            for key in ((run.path,), (folder, run.kind), ("", run.kind, "")):
                groups.setdefault(key, []).append(run)
    return [(Tally.sum(run.tally for run in group), group) for group in groups.values() if len(group) > 1]


def _fact(run: Run) -> Fact:
    return Fact(run.path, run.line, str(run.tally) if run.kind != "code" else f"exit code {run.code}")


def _support(said: Said, chosen: Sequence[Run], scope: _Scope) -> list[Run]:
    """Return the runs that bear a claim out, one or several added up; none where nothing does."""
    for run in reversed(chosen):
        if agrees(said, run.tally):
            return [run]
    for run in reversed(chosen):
        part = _part(run, scope) if scope.tests else None
        if part and agrees(said, part):
            return [run]
    return next((group for tally, group in _sums(chosen) if agrees(said, tally)), [])


def _same_tests(run: Run, other: Run) -> bool:
    return bool(run.files) and run.files == other.files


def _dissent(said: Said, found: Run, runs: Sequence[Run]) -> Run | None:
    """Return a run of the same tests that says something else than the one that bears a claim out."""
    at = runs.index(found)
    folder = found.path.rpartition("/")[0]
    for index, run in enumerate(runs):
        beside = run.path.rpartition("/")[0] == folder
        if not run.tally.ran:
            early = _BEFORE.search(base_name(run.path))
            none_there = beside and not (early or run.tally.collected or run.tally.deselected) and found.tally.ran
            if none_there or (_same_tests(run, found) and max(run.tally.sizes) < min(found.tally.sizes)):
                return run
        elif agrees(said, run.tally) or not (
            _same_tests(run, found) or (beside and run.kind != found.kind and not run.files)
        ):
            continue
        elif run.path == found.path:
            if index > at:
                return run
        elif run.kind != found.kind and not any(
            other.kind == run.kind and agrees(said, other.tally) for other in runs if _same_tests(other, found)
        ):
            return run
    return None


def _claimed_size(said: Said) -> int:
    counts = said.counts
    most = max((counts.get(name, 0) for name in ("of", "tests", "collected")), default=0)
    return most or sum(number for name, number in counts.items() if name != "of")


def _one_thing(runs: Sequence[Run]) -> bool:
    """Whether all runs are of the same tests, as far as they tell."""
    return len({run.files or run.path for run in runs}) == 1


def _against(said: Said, chosen: Sequence[Run], basis: str, scope: _Scope, *, grows: bool) -> Run | None:
    """Return the run that contradicts a claim which no run bears out; None where it may be about something else."""
    outcomes, size = bool(set(said.counts) - {"collected", "tests"}), _claimed_size(said)
    ran = [run for run in chosen if run.tally.ran or not outcomes]
    if basis == "tests":
        ran = [run for run in ran if run.files and run.files <= scope.tests]
        ran = [run for run in ran if not scope.nodes or size in run.tally.sizes]
    if basis not in {"artifact", "near"}:
        ran = [run for run in ran if not _BEFORE.search(base_name(run.path))]
    if grows:
        ran = [run for run in ran if size >= max(run.tally.sizes)]
    alike = [run for run in ran if size in run.tally.sizes]
    if said.part or not basis:
        return alike[-1] if alike and basis and _one_thing(ran) else None
    if not ran:
        return None
    if basis in _LOOSE and not _one_thing(ran):
        return ran[-1] if any(size in tally.sizes for tally, group in _sums(ran) if len(group) == len(ran)) else None
    other = max(size, 1) / max(*ran[-1].tally.sizes, 1)
    far = (
        basis in {*_LOOSE, "label"}
        and not 1 / _GUESS_RATIO < other < _GUESS_RATIO
        and abs(size - max(ran[-1].tally.sizes)) >= _GUESS_GAP
    )
    elsewhere = not said.counts.keys() - {"failed", "errors", "of"} and size not in ran[-1].tally.sizes
    vague = basis == "label" and (elsewhere or not _one_thing(ran))
    return None if far or vague else (alike or ran)[-1]


def _failing(run: Run) -> set[str]:
    return {node for node, outcome in run.outcomes.items() if outcome in {"failed", "error", "errors"}}


def _redeemed(run: Run, runs: Iterable[Run]) -> bool:
    """Whether a run that fails is one from before: what failed in it passes in another, or its name says so."""
    others = [other for other in runs if other is not run]
    nodes = _failing(run)
    if nodes and all(any(other.outcomes.get(node) == "passed" for other in others) for node in nodes):
        return True
    clean = [other for other in others if other.tally.passed and not other.tally.failed and not other.tally.errors]
    return bool(_BEFORE.search(base_name(run.path))) or any(_same_tests(run, other) for other in clean)


def _judge_every(said: Said, chosen: Sequence[Run], basis: str, runs: Sequence[Run], line: str) -> Judged:
    """Judge that all tests pass, where no number is given; a line that tells of a failure too does not mean every."""
    owned = basis in _LOOSE and _FAILURE.search(_NO_FAILURE.sub("", line))
    ran = [run for run in chosen if run.tally.ran]
    bad = [run for run in ran if (run.tally.failed or run.tally.errors) and not _redeemed(run, runs)]
    if not ran:
        return Judged(Judgement.UNVERIFIABLE, "no run of these tests is there")
    if not bad and (basis or len(ran) == len(runs)):
        clean = [run for run in ran if not run.tally.failed and not run.tally.errors]
        return Judged(Judgement.CONFIRMED, "no test fails", (_fact((clean or ran)[-1]),))
    if (
        bad
        and said.firm
        and basis
        and not owned
        and (basis not in _LOOSE or _one_thing(ran) or any(map(_failing, bad)))
    ):
        return Judged(Judgement.CONTRADICTED, "a test fails", (_fact(bad[-1]),))
    return Judged(Judgement.UNVERIFIABLE, "which tests it is about is not told")


def judge_counts(
    said: Said, runs: Sequence[Run], around: Around, line: str = "", *, grows: bool = False, complete: bool = False
) -> Judged:
    """Judge a claim about tests.

    Parameters
    ----------
    runs
        Of the hubs that the claim is bound to, in the order of their paths.
    around, line
        What stands around the claim, and the line that makes it.
    grows
        The hub was made after the claim: it may hold more tests, and a larger run contradicts nothing.
    complete
        Every run is recorded: nobody counted more tests than all of them have.
    """
    ended = [run for run in runs if run.kind != "code" and run.whole]
    cut = [run for run in runs if not run.whole and not ended]
    scope = _scope(said)
    above = around.tests if not scope.artifacts | scope.tests else frozenset()
    whole = _of_tests(_of_part(ended, f"{around.heading}\n{line}"), above)
    if not whole:
        why = "no run of this part or of these tests is there" if ended else "no run of tests is in its hub"
        return Judged(
            Judgement.UNVERIFIABLE, "a log ends before its run does" if cut else why, tuple(map(_fact, cut[:1]))
        )
    chosen, basis = _choose(scope, whole, around)
    if said.every and not said.counts:
        return _judge_every(said, chosen, basis, whole, line)
    support = _support(said, chosen, scope) or (_support(said, whole, scope) if basis in _LOOSE else [])
    if support:
        other = _dissent(said, support[-1], whole) if len(support) == 1 else None
        facts = tuple(map(_fact, support))
        if other:
            return Judged(Judgement.DISAGREEMENT, "one artifact bears it out, another does not", (*facts, _fact(other)))
        return Judged(Judgement.CONFIRMED, "added up" if len(support) > 1 else "", facts)
    against = _against(said, chosen, basis, scope, grows=grows) if said.firm else None
    if complete and said.firm and not against and _claimed_size(said) > sum(max(run.tally.sizes) for run in whole):
        against = whole[-1]
    if against:
        return Judged(Judgement.CONTRADICTED, "", (_fact(against),))
    return Judged(Judgement.UNVERIFIABLE, "no run there is known to be the one it is about")


def judge_code(said: Said, runs: Sequence[Run]) -> Judged:
    """Judge a claim about an exit code; a file of its own may hold that of the last command of a pipe."""
    names = frozenset(ARTIFACT.findall(said.about))
    codes = [run for run in runs if run.code is not None]
    codes = [run for run in codes if base_name(run.path) in names] or codes
    right = [run for run in codes if str(run.code) == said.value]
    bad = [run for run in runs if run.tally.ran and (run.tally.failed or run.tally.errors)]
    if (
        right
        and said.value == "0"
        and right[-1].kind == "code"
        and bad
        and len([r for r in runs if r.tally.ran]) == len(bad)
    ):
        return Judged(
            Judgement.DISAGREEMENT,
            "the recorded code may be that of a pipe's last command",
            (_fact(right[-1]), _fact(bad[-1])),
        )
    if right:
        return Judged(Judgement.CONFIRMED, "", (_fact(right[-1]),))
    if (
        codes
        and said.firm
        and len({run.code for run in codes}) == 1
        and not (codes[-1].kind == "code" and codes[-1].code == 0 and (bad or not any(run.tally.ran for run in runs)))
    ):
        return Judged(
            Judgement.CONTRADICTED, "", (Fact(codes[-1].path, codes[-1].line, f"exit code {codes[-1].code}"),)
        )
    return Judged(Judgement.UNVERIFIABLE, "no exit code of it is recorded", tuple(map(_fact, codes[:1])))
