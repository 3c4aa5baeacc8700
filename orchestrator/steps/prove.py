"""Steps verify and judge: what the harness measures on tree T, and what follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from orchestrator.approval import start_of
from orchestrator.errors import EvidenceError
from orchestrator.evidence.claims import check_claims
from orchestrator.evidence.criteria import evaluator_paths, freeze
from orchestrator.evidence.hubs import files_of
from orchestrator.evidence.recall import Recall, read_measured
from orchestrator.evidence.testwise import suspicions
from orchestrator.evidence.units import code_diff
from orchestrator.evidence.verification import Verification
from orchestrator.facts import Facts, PathChange, PathClass, Role, RowResult, RowVerdict, TurnRecord, Verdict
from orchestrator.layout import LEDGER, MANIFEST, is_record, plan_path, summary_path
from orchestrator.policy.dwell import Fate, fate_of, limits_of
from orchestrator.policy.fences import classify
from orchestrator.policy.progress import (
    Judgement,
    false_claims,
    gained_by_tests,
    judge_engineer,
    judge_handoff,
    to_beat,
)
from orchestrator.policy.rules import Severity, breach
from orchestrator.policy.signatures import is_announced, signatures_of
from orchestrator.records.handoff import announced_failures, reruns
from orchestrator.records.ledger import Status
from orchestrator.records.plan import parse_plan
from orchestrator.steps.base import Turn, TurnFailed
from orchestrator.submissions import new_sentences

__all__ = ["judge", "verified_after", "verify"]


def _check_frozen(turn: Turn) -> None:
    """Hold tree T against what was frozen when work on the focus started; fences should leave no difference."""
    frozen = turn.state.item(turn.item.id).frozen
    path = plan_path(turn.item)
    if frozen and freeze(parse_plan(turn.text(path), path), turn.session.worktree.git, turn.tree) != frozen:
        reason = f"criteria of {turn.item.id} or what evaluates them differ from what was frozen when work started"
        raise TurnFailed(f"{reason}; put them back, or start anew with --fresh to measure with the new ones")


def _hubs_of_verified_rows(turn: Turn) -> dict[str, str]:
    """Return where each row was verified that still counts as such."""
    known = turn.state.item(turn.item.id)
    return {row: past.hub for past in known.turns for row in past.verified if row in known.verified}


def verify(turn: Turn) -> Turn:
    """Run mapped tests and rows on tree T in the kept checkout, then compare the engineer's claims with them."""
    if not turn.role.is_measured:
        return _with_review_held(turn)
    started = time.monotonic()
    _check_frozen(turn)
    session = turn.session
    hubs = _hubs_of_verified_rows(turn)

    def outputs(row: str) -> Mapping[str, str]:
        manifest = turn.base_text(f"{hubs[row]}{MANIFEST}")
        if not manifest:
            raise EvidenceError(f"{hubs[row]}{MANIFEST} is missing: run row {row} again")
        return files_of(manifest, row)

    code = code_diff(turn.base_text, turn.text, _of_class(turn, PathClass.PRODUCTION))
    known, start, bench = turn.state.item(turn.item.id), start_of(session, turn.item.id), turn.bench
    verification = Verification(
        bench=replace(
            bench,
            earlier=known.failing,
            code=code,
            allow_skip=_allowed_skips(turn),
            suspicions=suspicions(session.worktree.git, start, turn.tree, _is_production(turn)),
        ),
        git=session.worktree.git,
        store=session.workspace.store,
        tree=turn.tree,
        base=turn.base,
        start=start,
        is_test=bench.is_test,
        stage=turn.stage,
        outputs=outputs,
        recall=_recall(turn),
        tell=session.live.work,
    )
    rows = turn.agenda.open_rows(turn.item, turn.state)
    tests = verification.mapped_tests(verification.selectors(turn.handoff.mapped_tests if turn.handoff else (), rows))
    results = _held_together(turn, verification, verification.rows(rows, hubs), hubs)
    if session.interrupted():
        raise TurnFailed("ended by a person during verification", interrupted=True)
    claims = tuple(claim for said in _said(turn) for claim in check_claims(*said, tests, results, _knows(turn)))
    again = (f"{row} was run again because {why}" for row, why in verification.recall.again.items())
    facts = replace(turn.facts, tree=turn.tree, code=code, tests=tests, rows=results, claims=claims)
    told = dict.fromkeys(text for run in facts.runs for text in run.told)
    facts = replace(facts, told=(*facts.told, *told, *again))
    return replace(turn, facts=_with_new_tests(turn, facts, verification), seconds=round(time.monotonic() - started, 3))


def _said(turn: Turn) -> Iterator[tuple[Iterable[tuple[int, str]], str]]:
    """Yield what an engineer says of its turn, line by line, and where: its summary, messages of its own commits."""
    path = summary_path(turn.item.id)
    yield new_sentences(turn.base_text(path), turn.text(path), path)[1], path
    if turn.own:
        found = turn.session.worktree.git.text("log", "-z", "--format=%h%n%B", *turn.own, f"^{turn.base}", "--")
        for message in filter(None, found.split("\0")):
            name, _, text = message.strip("\n").partition("\n")
            yield enumerate(text.split("\n"), 1), f"commit {name}"


def _knows(turn: Turn) -> Callable[[str], bool]:
    return lambda commit: turn.session.worktree.git.rev(f"{commit}^{{commit}}") is not None


def _with_review_held(turn: Turn) -> Turn:
    """Hold what a supervisor wrote anew in memory and ledger against the last engineer turn; what is wrong is told."""
    last = next((past for past in reversed(turn.state.turns) if past.role is Role.ENGINEER), None)
    if turn.entry is None or last is None:
        return turn
    tests, rows = read_measured(turn.session.worktree.git, last)
    text = "\n".join(filter(None, (turn.entry.title, turn.entry.body, turn.entry.next_bullet)))
    before, ledger = turn.base_text(LEDGER).rstrip("\n"), turn.text(LEDGER)
    said = (("new entry", text), ("new item", ledger[len(before) :] if ledger.startswith(before) else ""))
    lines = ((name, enumerate(part.split("\n"), 1)) for name, part in said)
    claims = tuple(claim for name, part in lines for claim in check_claims(part, name, tests, rows, _knows(turn)))
    found = turn.session.config.rulebook.held(false_claims(claims, "CLAIM-REVIEW"), Severity.REPORT)
    told = tuple(claim.text for claim in found)
    return replace(turn, facts=replace(turn.facts, claims=claims, told=(*turn.facts.told, *told)))


def _held_together(
    turn: Turn, verification: Verification, results: tuple[RowResult, ...], hubs: Mapping[str, str]
) -> tuple[RowResult, ...]:
    """Return the results of open rows; none is verified by code with which tests of a row verified before now fail."""
    if not any(result.verdict is RowVerdict.VERIFIED for result in results):
        return results
    plan, git = turn.agenda.plans.get(turn.item.id), turn.session.worktree.git
    known = turn.state.item(turn.item.id).turns
    old = [
        row
        for past in known
        if past.verified and not all(is_record(change.path) for change in git.diff_tree(past.tree, turn.tree))
        for row in past.verified
    ]
    standing = [
        row for row in (plan.rows if plan else ()) if row.id in hubs and row.id in old and row.test and not row.run
    ]
    lost = [found for found in verification.rows(standing, hubs) if found.verdict is RowVerdict.FAILED]
    why = "; ".join(f"{found.row} held before and does not with this code ({found.reason})" for found in lost)
    return tuple(
        replace(found, verdict=RowVerdict.FAILED, reason=why) if why and found.verdict is RowVerdict.VERIFIED else found
        for found in results
    )


def _allowed_skips(turn: Turn) -> tuple[str, ...]:
    plan = turn.agenda.plans.get(turn.item.id)
    return tuple(entry for row in (plan.rows if plan else ()) for entry in row.allow_skip)


def _recall(turn: Turn) -> Recall:
    """Give access to what earlier turns of the item measured."""
    session, known, plan = turn.session, turn.state.item(turn.item.id), turn.agenda.plans.get(turn.item.id)
    worked = [(n, past) for n, past in enumerate(known.turns) if past.role is turn.role.role]
    counts = session.config.rulebook.severity(breach("ROW-REPEATED", "").rule) is Severity.DISCOUNT
    return Recall(
        git=session.worktree.git,
        store=session.workspace.store,
        turns=tuple(past for _, past in reversed(worked)),
        since=sum(number >= known.retried for number, _ in worked) if counts else 0,
        evaluators=evaluator_paths(plan) if plan else (),
        again=_asked_again(turn),
    )


def _asked_again(turn: Turn) -> dict[str, str]:
    """Return why the handoff wants rows to be run again, by row."""
    asked = reruns(turn.handoff) if turn.handoff else {}
    rows = turn.agenda.open_rows(turn.item, turn.state)
    return {row.id: asked[text] for row in rows for text in (row.run, row.test) if text in asked}


def _is_production(turn: Turn) -> Callable[[str], bool]:
    config = turn.session.config
    return lambda path: classify(path, tests=config.tests, docs=config.docs) is PathClass.PRODUCTION


def _of_class(turn: Turn, kind: PathClass) -> tuple[PathChange, ...]:
    return tuple(change for change in turn.facts.changes if change.kind is kind)


def _with_new_tests(turn: Turn, facts: Facts, verification: Verification) -> Facts:
    """Add which test functions the turn wrote, and what they prove by themselves."""
    names = code_diff(turn.base_text, turn.text, _of_class(turn, PathClass.TESTS)).names
    new = tuple(
        f"{path}::{name.replace('.', '::')}"
        for path, _, name in (test.partition("::") for test in names)
        if name.rpartition(".")[2].startswith("test")
    )
    if not new or not facts.tests:
        return replace(facts, new_tests=new)
    announced = announced_failures(turn.handoff) if turn.handoff else {}
    causes = {node.partition("[")[0]: cause for run in facts.tests for node, cause in run.causes.items()}
    seen = tuple(node for node in new if is_announced(causes.get(node, ""), announced.get(node, "")))
    proving: tuple[str, ...] = ()
    if facts.code.is_same and all(run.ok for run in facts.tests):
        proving = verification.proving(new, _is_production(turn))
    return replace(facts, new_tests=new, announced=seen, proving=proving)


def _tests_line(turn: Turn) -> str:
    runs = turn.facts.runs
    if not runs:
        return ""
    not_run, skipped = sum(len(run.not_run) for run in runs), sum(run.skipped for run in runs)
    line = f"{sum(run.passed for run in runs)}/{sum(run.collected for run in runs)} passed"
    return line + (f", {not_run} not run" if not_run else "") + (f", {skipped} skipped" if skipped else "")


def judge(turn: Turn) -> Turn:
    """Apply the policy to the facts; a turn that does not leave what its role is for ends here."""
    if turn.role.is_measured:
        return _judge_work(turn)
    without_focus = Verdict.SELECTION if turn.role.writes_handoff else Verdict.REVIEW
    judgement = judge_handoff(turn.facts, Verdict.HANDOFF if turn.focus else without_focus)
    if judgement.verdict is Verdict.REFUSED:
        raise TurnFailed(*judgement.reasons)
    if turn.focus is None:
        return _judged(turn, judgement)
    known = turn.state.item(turn.item.id)
    plan_text = turn.text(plan_path(turn.item))
    if known.frozen is None and plan_text:
        frozen = freeze(parse_plan(plan_text, plan_path(turn.item)), turn.session.worktree.git, turn.tree)
        turn = replace(turn, frozen=frozen)
    return _judged(turn, judgement, Fate(known.dwell, Status.IN_PROGRESS, ""))


def _judge_work(turn: Turn) -> Turn:
    """Judge an engineer's turn by what was measured."""
    known = turn.state.item(turn.item.id)
    judgement = judge_engineer(
        turn.facts,
        known.failing,
        turn.session.config.rulebook,
        tests_again=gained_by_tests(known.turns),
        must_beat=to_beat(known.turns[known.retried :], limits_of(turn.item)[1]),
    )
    fate = fate_of(
        turn.item,
        known,
        turn.agenda.plans.get(turn.item.id),
        progress=judgement.progress,
        verified=judgement.verified,
        reasons=judgement.reasons,
    )
    return _judged(turn, judgement, fate)


def _judged(turn: Turn, judgement: Judgement, fate: Fate | None = None) -> Turn:
    """Return the turn with its record, which the journal has by then; one without a focus means nothing to any item."""
    phase = turn.agenda.phase(turn.focus, turn.state) if turn.focus else None
    record = TurnRecord(
        turn=turn.id,
        role=turn.role.role,
        iteration=turn.state.iteration,
        focus=turn.subject,
        verdict=judgement.verdict,
        progress=judgement.progress,
        dwell=fate.dwell if fate else 0,
        phase=phase.letter if phase else "",
        verified=judgement.verified,
        failing=judgement.failing,
        tests=_tests_line(turn),
        hub=turn.hub,
        tree=turn.tree,
        reasons=judgement.reasons,
        failures=signatures_of(turn.facts),
    )
    turn = replace(turn, record=record, status=fate.status.value if fate else "", note=fate.note if fate else "")
    turn.session.journal.append("turn.verified", turn.payload())
    return turn


def verified_after(turn: Turn) -> tuple[str, ...]:
    """Rows verified once this turn counts."""
    return tuple(dict.fromkeys((*turn.state.item(turn.item.id).verified, *turn.judged.verified)))
