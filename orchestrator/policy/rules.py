"""The rules: what each demands, how hard it is held, and what to do about a breach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.policy.dwell_rules import DWELL_RULES
from orchestrator.policy.evidence_rules import EVIDENCE_RULES
from orchestrator.policy.progress_rules import PROGRESS_RULES
from orchestrator.policy.rule import Rule, Severity

__all__ = ["RULES", "Breach", "Rule", "Rulebook", "Severity", "breach", "render_rules"]


_HANDOFFS = (
    Rule(
        "HANDOFF-FOCUS",
        Severity.REFUSE,
        "A handoff names one item that can be worked on now.",
        "write `Focus: <ID> — <title>` with one that is runnable",
        "an engineer sent to an item that was blocked, done or not in the ledger",
        fixed=True,
    ),
    Rule(
        "HANDOFF-WORK",
        Severity.REFUSE,
        "Do Now holds something a machine can check.",
        "give `Implement: path::symbol — what` with a mapped test, or an open row's `Run:`",
        "most loops of an evening held prose only and changed no code",
    ),
    Rule(
        "HANDOFF-PATH",
        Severity.REFUSE,
        "What is to be implemented lies inside the repository.",
        "give a path below its root",
        "work on files that no commit holds",
    ),
    Rule(
        "HANDOFF-SELECTOR",
        Severity.REFUSE,
        "Every mapped test exists, unless the first step writes it.",
        "correct it, or let the first step write that test",
        "selectors that collected nothing were reported as green",
    ),
    Rule(
        "HANDOFF-BRANCH",
        Severity.REFUSE,
        "A handoff that names a branch names the run's.",
        "leave the line out, or write the branch of this run",
        "work done on another branch than the one that was measured",
    ),
    Rule(
        "HANDOFF-HUB",
        Severity.REFUSE,
        "A handoff that names a hub names the one that was issued.",
        "leave the line out, or write the issued hub",
        "evidence of two iterations in one folder under an invented time stamp",
    ),
    Rule(
        "HANDOFF-FINDING",
        Severity.REFUSE,
        "Findings that a handoff applies are in docs/findings.md.",
        "add it there or cite another",
        "findings cited that nobody had written down",
    ),
    Rule(
        "HANDOFF-INSPECT",
        Severity.REFUSE,
        "A failure seen in two turns in a row is looked into: the next handoff names its test and has another Do Now.",
        "name the test under Do Now or Priorities, and hand over an inspection or another approach",
        "the same broken test handed over with the same words until the evening was gone",
    ),
    Rule(
        "HANDOFF-SELECTION",
        Severity.REFUSE,
        "Of two supervisor turns in a row, one hands work over.",
        "choose an item that can be worked on, and hand over its next step",
        "iterations of planning that nobody worked on",
        fixed=True,
    ),
    Rule(
        "HANDOFF-REWRITTEN",
        Severity.REFUSE,
        "Every supervisor turn writes its own handoff.",
        "rewrite input.md for this iteration",
        "an engineer carried out the handoff of the day before",
        fixed=True,
    ),
)
_DOCUMENTS = (
    Rule(
        "MEMORY-ENTRY",
        Severity.REFUSE,
        "A supervisor's turn appends one entry to galph_memory.md and changes no older one.",
        "append exactly one at the end, beginning with `# <stamp>: <ID> — <title>`",
        "a memory rewritten after the fact",
        fixed=True,
    ),
    Rule(
        "MEMORY-GRAMMAR",
        Severity.REPORT,
        "galph_memory.md can be read.",
        "correct the line; `python -m orchestrator parse memory FILE` shows what is read",
        "memories whose fields and text contradict each other",
    ),
    Rule(
        "LEDGER-GRAMMAR",
        Severity.REFUSE,
        "docs/fix_plan.md can be read.",
        "correct the line; `python -m orchestrator parse ledger FILE` shows what is read",
        "a misspelt status that was taken for `pending`",
        fixed=True,
    ),
    Rule(
        "LEDGER-UNKNOWN",
        Severity.REFUSE,
        "What an item waits for is in the ledger or in docs/findings.md.",
        "correct the id, or take out the line that names it",
        "an item that waited for ever for one that had been renamed",
        fixed=True,
    ),
    Rule(
        "LEDGER-CIRCLE",
        Severity.REFUSE,
        "No items wait for each other, by `Depends on` or `Return Condition`.",
        "let one of them not wait for the next",
        "two items each of which was to be done first",
        fixed=True,
    ),
    Rule(
        "LEDGER-WIP",
        Severity.REPORT,
        "At most two items are in progress.",
        "finish or block one before the next is begun",
        "five initiatives begun in a night and none finished",
    ),
    Rule(
        "PLAN-GRAMMAR",
        Severity.REFUSE,
        "A plan's rows can be read and run without a shell.",
        "correct the line; `python -m orchestrator parse plan FILE` shows what is read",
        "the exit code of `tee` taken for that of the tests",
        fixed=True,
    ),
    Rule(
        "FINDINGS-GRAMMAR",
        Severity.REPORT,
        "docs/findings.md is a table of findings.",
        "correct the line; `python -m orchestrator parse findings FILE` shows what is read",
        "a table without its separator row, of which nothing was read",
    ),
)
_FENCES = (
    Rule(
        "FENCE-ROLE",
        Severity.RESTORE,
        "Each role writes only what is its own.",
        "the change is in fences.patch; leave such files to whom they belong",
        "a supervisor that wrote the production code it was to review",
    ),
    Rule(
        "FENCE-FROZEN",
        Severity.RESTORE,
        "Rows of a plan, and what evaluates them, stay as they were when the run began.",
        "the change is in fences.patch; a person changes criteria on the base branch and may `approve` them",
        "an expectation loosened until it held",
        fixed=True,
    ),
    Rule(
        "FENCE-LINK",
        Severity.RESTORE,
        "Documents and plans are files, not links.",
        "write the file itself; the change is in fences.patch",
        "a document that pointed at a file outside the repository",
        fixed=True,
    ),
    Rule(
        "FENCE-FINDING",
        Severity.RESTORE,
        "A finding that stands is not taken away; items, plans and handoffs name it.",
        "add to docs/findings.md, and say in a finding's status that it is resolved; the change is in fences.patch",
        "a list of findings rewritten, and handoffs that cited what was gone",
        fixed=True,
    ),
    Rule(
        "FENCE-SHADOW",
        Severity.RESTORE,
        "No new file stands in for a module that evidence is produced with, where Python looks first.",
        "give the file another name; the change is in fences.patch",
        "a `pytest.py` that reported success",
        fixed=True,
    ),
)
_SECRETS = (
    Rule(
        "SECRET-COMMITTED",
        Severity.RESTORE,
        "No key, token or password gets into a commit.",
        "read it from the environment; write made-up ones with the word EXAMPLE in them",
        "a key in the history of a public repository",
    ),
    Rule(
        "SECRET-PRINTED",
        Severity.REPORT,
        "No key, token or password is printed.",
        "it was replaced in the log; print that it is there, not what it is, and change it if others saw it",
        "keys in logs and transcripts that were sent along with a question",
    ),
)
RULES: tuple[Rule, ...] = (
    *_HANDOFFS,
    *_DOCUMENTS,
    *_FENCES,
    *_SECRETS,
    *EVIDENCE_RULES,
    *PROGRESS_RULES,
    *DWELL_RULES,
)
_BY_ID = {rule.id: rule for rule in RULES}


@dataclass(frozen=True)
class Breach:
    """One place where a rule does not hold; `where` is a path, or a path and a line."""

    rule: Rule
    found: str
    where: str = ""

    @property
    def text(self) -> str:
        """Where, what was found, what to do about it, and the rule's id."""
        return f"{self.where + ': ' if self.where else ''}{self.found}: {self.rule.cure} [{self.rule.id}]"


def breach(rule_id: str, found: str, where: str = "") -> Breach:
    """Return a breach of the rule with this id; an id that no rule has is a `KeyError`."""
    return Breach(_BY_ID[rule_id], found, where)


@dataclass(frozen=True)
class Rulebook:
    """The rules as one workspace holds them; `chosen` has what differs from the defaults.

    Raises
    ------
    ValueError
        An unknown rule or severity, or a rule that cannot be lowered; the message says what was expected.
    """

    chosen: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule_id, severity in self.chosen.items():
            rule = _BY_ID.get(rule_id)
            if rule is None:
                raise ValueError(f"made of rules from docs/rules.md ({rule_id!r} is not there)")
            possible = self.possible(rule)
            if severity not in possible:
                raise ValueError(f"for {rule_id} one of {', '.join(possible)}")

    @staticmethod
    def possible(rule: Rule) -> tuple[Severity, ...]:
        """Return the severities that a person can choose for a rule."""
        return (rule.severity,) if rule.fixed else tuple(dict.fromkeys((rule.severity, Severity.REPORT, Severity.OFF)))

    def severity(self, rule: Rule) -> Severity:
        """Return how a rule is held here."""
        return Severity(self.chosen.get(rule.id, rule.severity))

    def held(self, breaches: Iterable[Breach], *severities: Severity) -> tuple[Breach, ...]:
        """Return the breaches of rules that are held at one of these severities."""
        return tuple(found for found in breaches if self.severity(found.rule) in severities)


def render_rules() -> str:
    """Return the page of rules, as docs/rules.md holds it."""
    lines = [
        "# Rules",
        "",
        "What the harness enforces. A message names its rule in brackets and ends in the cure. `orchestration.yaml` "
        "lowers a rule, as `rules: {HANDOFF-WORK: report}`; those that are fixed cannot be, because evidence would "
        "prove nothing without them. `python -m orchestrator lint` holds the documents of a working tree against "
        "those that need no run. This page is made from the code: `python -m orchestrator lint --rules`.",
        "",
        "| severity | a breach means |",
        "|---|---|",
        "| refuse | the handoff is sent back, the turn or the run is not accepted |",
        "| restore | the change is put back and kept as a patch |",
        "| block | the item is taken out of the loop's reach |",
        "| discount | it does not count as progress, or as evidence |",
        "| report | it is told and nothing else |",
        "| off | it is not looked at |",
        "",
        "| rule | severity | demands | cure | without it |",
        "|---|---|---|---|---|",
    ]
    for rule in RULES:
        severity = f"{rule.severity}, fixed" if rule.fixed else str(rule.severity)
        lines.append(f"| {rule.id} | {severity} | {rule.demands} | {rule.cure} | {rule.seen} |")
    return "\n".join(lines) + "\n"
