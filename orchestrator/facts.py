"""The records that cross module borders: what an agent is given, what was measured, what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

__all__ = [
    "AgentOutcome",
    "Claim",
    "CodeDiff",
    "ExpectResult",
    "Facts",
    "Frozen",
    "PathChange",
    "PathClass",
    "Role",
    "RowResult",
    "RowVerdict",
    "TestRun",
    "TurnRecord",
    "TurnRequest",
    "Verdict",
]


class Role(StrEnum):
    """Who works in a turn."""

    SUPERVISOR = "galph"
    ENGINEER = "ralph"
    REVIEWER = "reviewer"


class PathClass(StrEnum):
    """What kind of file a changed path is; progress and fences depend on it."""

    PRODUCTION = "production"
    TESTS = "tests"
    PLAN = "plan-local"
    DOCS = "docs"
    EVIDENCE = "evidence"
    LOCK = "lock file"


class Verdict(StrEnum):
    """What the harness makes of a turn."""

    PROGRESS = "progress"  # something new holds, and the harness measured it
    NO_PROGRESS = "no-progress"  # nothing contradicts the agent, nothing new holds
    REFUSED = "refused"  # a claim is contradicted, a rule is broken or a mapped test fails
    FAILED = "failed"  # the agent's process failed; the tree stays as it was
    HANDOFF = "handoff"  # a supervisor's turn that leaves a valid handoff
    SELECTION = "selection"  # a supervisor's turn that only reviews or plans, and hands nothing over
    REVIEW = "review"  # a reviewer's turn that leaves its review


class RowVerdict(StrEnum):
    """The outcome of one runnable row."""

    VERIFIED = "verified"
    FAILED = "failed"
    NOT_RUN = "not-run"


@dataclass(frozen=True)
class PathChange:
    """One changed path of a turn; `status` is git's letter (A, M, D, T)."""

    path: str
    status: str
    kind: PathClass


@dataclass(frozen=True)
class CodeDiff:
    """A production diff as code: changed functions with their first line, by file; and files that are no Python.

    Of those `data` is what a Python process can be seen to open, `other` what other programs and libraries read, and
    files that are gone.
    """

    units: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    other: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What a test can be seen to use: changed functions as `path::name`, and data."""
        return (*(f"{path}::{name}" for path, units in self.units.items() for name in units), *self.data)

    @property
    def is_same(self) -> bool:
        """Whether nothing would run otherwise than before."""
        return not (self.units or self.data or self.other)


@dataclass(frozen=True)
class TestRun:
    """One pytest run by the harness: counts as pytest reported them, what failures say, and the tree they hold for.

    `causes` are exception and message by failing test; `excused` tells of those that are not charged, why; `fixed`
    failed before and pass now; `not_run` were skipped and the plan allows it; `executed` are the changed functions
    (`path::name`) that tests which passed have run; `told` was noted of the run and does not keep it from counting.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    selectors: tuple[str, ...]
    collected: int
    passed: int
    failed: int
    skipped: int
    seconds: float
    exit_code: int | None
    tree: str
    failing: tuple[str, ...] = ()
    skipped_nodes: tuple[str, ...] = ()
    imported_from: Mapping[str, str] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    causes: Mapping[str, str] = field(default_factory=dict)
    excused: Mapping[str, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    executed: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    note: str = ""
    counts: bool = True

    @property
    def counted(self) -> str:
        """What passed and what was allowed not to run, as every count shows it."""
        return f"{self.passed} passed" + (f", {len(self.not_run)} not run" if self.not_run else "")

    @property
    def charged(self) -> tuple[str, ...]:
        """The failing tests that nothing but this run's work can have broken."""
        return tuple(node for node in self.failing if node not in self.excused)

    @property
    def ok(self) -> bool:
        """Whether the run counts, a test passed, and every test that was collected passed or failed without charge."""
        ended = self.exit_code == (1 if self.failing else 0)
        return self.counts and ended and self.passed > 0 and not self.charged and self.skipped == 0


@dataclass(frozen=True)
class ExpectResult:
    """One `Expect:` of a row: its text, the value found (None when absent), whether it holds, and whether it might."""

    text: str
    found: object
    holds: bool
    decided: bool = False


@dataclass(frozen=True)
class RowResult:
    """One runnable row as the harness ran it; `files` are the SHA-256 of what it wrote, by name.

    `setting` tells apart what decides the outcome beside the tree. Not everything was run now: `recorded` names the
    turn whose result this is, `rechecked` the one whose saved files were evaluated again.
    """

    row: str
    verdict: RowVerdict
    reason: str
    seconds: float = 0.0
    exit_code: int | None = None
    expects: tuple[ExpectResult, ...] = ()
    tests: TestRun | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    setting: str = ""
    recorded: str = ""
    rechecked: str = ""


@dataclass(frozen=True)
class Claim:
    """Something an agent said that can be compared with a fact; `fact` is what the harness measured."""

    path: str
    line: int
    text: str
    fact: str
    contradicted: bool


@dataclass(frozen=True)
class Frozen:
    """An item's criteria when work on it started: digests of the plan's rows and of all that evaluates them."""

    rows: str
    evaluators: str

    @property
    def text(self) -> str:
        """The digests as a commit's trailer has them."""
        return f"rows {self.rows}, evaluators {self.evaluators}"


@dataclass(frozen=True)
class Facts:
    """Everything the harness measured in one turn, before any judgement.

    `refusals` send the turn back, `crossed` names what was put back, `told` what is only worth telling.
    `new_tests` are the test functions the turn wrote or changed, of which `proving` fail on the production code that
    the run started with and pass now, and `announced` fail as a handoff in Mode TDD said they would.
    """

    tree: str
    changes: tuple[PathChange, ...] = ()
    code: CodeDiff = field(default_factory=CodeDiff)
    new_tests: tuple[str, ...] = ()
    proving: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    crossed: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    tests: tuple[TestRun, ...] = ()
    rows: tuple[RowResult, ...] = ()
    claims: tuple[Claim, ...] = ()

    @property
    def runs(self) -> tuple[TestRun, ...]:
        """Every test run of the turn: of mapped tests, and of rows."""
        return (*self.tests, *(row.tests for row in self.rows if row.tests))


@dataclass(frozen=True)
class TurnRecord:
    """One committed turn, as the journal and the commit's trailers keep it; `failures` are signatures."""

    turn: str
    role: Role
    iteration: int
    focus: str
    verdict: Verdict
    progress: bool
    dwell: int
    phase: str
    verified: tuple[str, ...]
    failing: tuple[str, ...]
    tests: str
    hub: str
    tree: str
    reasons: tuple[str, ...]
    commit: str = ""
    failures: tuple[str, ...] = ()

    @property
    def has_focus(self) -> bool:
        """Whether the turn was one on an item; `focus` only says what else it was for where it was not."""
        return self.verdict not in {Verdict.SELECTION, Verdict.REVIEW}


@dataclass(frozen=True)
class TurnRequest:
    """What an agent is given; written as JSON beside the prompt."""

    turn: str
    role: Role
    iteration: int
    worktree: Path
    prompt_path: Path
    request_path: Path
    log_path: Path
    hub: str
    branch: str
    facts: Mapping[str, object]


@dataclass(frozen=True)
class AgentOutcome:
    """How an agent's process ended: one input to the verdict, never the verdict."""

    ending: str
    code: int | None
    seconds: float
    log: Path
    log_bytes: int
    redacted: int = 0
