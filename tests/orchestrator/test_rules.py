"""Every rule has a page, a test that shows it fire and one that shows it silent; `lint` and the settings know them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config import resolve_config
from orchestrator.errors import ConfigError
from orchestrator.lint import lint
from orchestrator.policy.handoff import HandoffContext, check_handoff
from orchestrator.policy.rules import RULES, Rulebook, Severity, breach, render_rules
from orchestrator.records.handoff import parse_handoff

from .conftest import Project

Make = Callable[[str], Project]

ROOT = Path(__file__).parents[2]
TESTS = "tests/orchestrator"
DWELL = f"{TESTS}/policy/test_dwell.py"
HANDOFF_FIRES = f"{TESTS}/test_rules.py::test_a_handoff_breaks_one_rule"
HANDOFF_SILENT = f"{TESTS}/test_rules.py::test_a_good_handoff_breaks_none"
LINT_FIRES = f"{TESTS}/test_rules.py::test_lint_names_the_rule_and_the_place"
LINT_SILENT = f"{TESTS}/test_rules.py::test_lint_finds_nothing_in_a_sound_tree"
SPREAD = f"{TESTS}/test_secrets.py::test_what_brings_a_secret_is_put_back_with_its_line_and_the_rest_of_the_turn_counts"
HONEST = f"{TESTS}/test_cheats.py::test_an_agent_program_that_does_its_work_is_believed_by_its_evidence"
PROGRESS_FIRES = f"{TESTS}/policy/test_progress.py::test_a_diff_that_proves_nothing_is_discounted_by_one_rule"
PROGRESS_SILENT = f"{TESTS}/policy/test_progress.py::test_a_diff_that_proves_something_is_progress"

EVIDENCE_FIRES = f"{TESTS}/evidence/test_witness.py::test_a_run_that_is_not_honest_does_not_count"
EVIDENCE_SILENT = f"{TESTS}/evidence/test_witness.py::test_an_honest_run_counts_whatever_its_tests_are_made_of"

PROOFS = {
    "HANDOFF-FOCUS": (HANDOFF_FIRES, HANDOFF_SILENT),
    "HANDOFF-WORK": (HANDOFF_FIRES, HANDOFF_SILENT),
    "HANDOFF-PATH": (HANDOFF_FIRES, HANDOFF_SILENT),
    "HANDOFF-SELECTOR": (HANDOFF_FIRES, HANDOFF_SILENT),
    "HANDOFF-BRANCH": (HANDOFF_FIRES, HANDOFF_SILENT),
    "HANDOFF-HUB": (HANDOFF_FIRES, HANDOFF_SILENT),
    "HANDOFF-FINDING": (HANDOFF_FIRES, HANDOFF_SILENT),
    "HANDOFF-INSPECT": (HANDOFF_FIRES, HANDOFF_SILENT),
    "HANDOFF-REWRITTEN": (f"{TESTS}/test_cheats.py::test_a_supervisor_that_leaves_nothing_is_refused", HONEST),
    "MEMORY-ENTRY": (f"{TESTS}/test_cheats.py::test_a_supervisor_that_leaves_nothing_is_refused", HONEST),
    "MEMORY-GRAMMAR": (LINT_FIRES, LINT_SILENT),
    "LEDGER-GRAMMAR": (LINT_FIRES, LINT_SILENT),
    "LEDGER-UNKNOWN": (LINT_FIRES, LINT_SILENT),
    "LEDGER-CIRCLE": (LINT_FIRES, LINT_SILENT),
    "LEDGER-WIP": (LINT_FIRES, LINT_SILENT),
    "PLAN-GRAMMAR": (LINT_FIRES, LINT_SILENT),
    "FINDINGS-GRAMMAR": (LINT_FIRES, LINT_SILENT),
    "FENCE-ROLE": (f"{TESTS}/test_cheats.py::test_production_code_written_by_the_supervisor_is_taken_out", HONEST),
    "FENCE-FROZEN": (f"{TESTS}/test_cheats.py::test_a_supervisor_that_loosens_an_expectation_changes_nothing", HONEST),
    "FENCE-LINK": (f"{TESTS}/test_sabotage.py::test_a_ledger_that_is_a_link_to_a_users_file_does_not_reach_it", HONEST),
    "FENCE-FINDING": (f"{TESTS}/test_waking.py::test_a_finding_is_waited_for_and_no_agent_takes_it_away", HONEST),
    "SECRET-COMMITTED": (SPREAD, HONEST),
    "SECRET-PRINTED": (SPREAD, HONEST),
    "FENCE-SHADOW": (f"{TESTS}/test_damage.py::test_a_repository_with_longer_ids_works", HONEST),
    "EVIDENCE-ORIGIN": (EVIDENCE_FIRES, EVIDENCE_SILENT),
    "EVIDENCE-OUTCOME": (EVIDENCE_FIRES, EVIDENCE_SILENT),
    "EVIDENCE-EQUAL": (EVIDENCE_FIRES, EVIDENCE_SILENT),
    "EVIDENCE-STEADY": (EVIDENCE_FIRES, EVIDENCE_SILENT),
    "EVIDENCE-BLIND": (EVIDENCE_FIRES, EVIDENCE_SILENT),
    "LOCK-CHANGED": (f"{TESTS}/test_cheats.py::test_a_lock_file_is_told_and_no_progress", HONEST),
    "CLAIM-FALSE": (
        f"{TESTS}/test_cheats.py::test_a_message_of_the_agents_own_commit_is_held_against_the_facts",
        HONEST,
    ),
    "CLAIM-REVIEW": (
        f"{TESTS}/test_cheats.py::test_a_supervisor_that_reviews_wrongly_is_told_in_its_next_prompt",
        HONEST,
    ),
    "ROW-REPEATED": (
        f"{TESTS}/test_cheats.py::test_a_row_handed_over_again_with_nothing_changed_is_not_run_again_unless_somebody_says_why",
        HONEST,
    ),
    "PROGRESS-CODE": (PROGRESS_FIRES, PROGRESS_SILENT),
    "PROGRESS-EXECUTED": (PROGRESS_FIRES, PROGRESS_SILENT),
    "PROGRESS-TESTS": (PROGRESS_FIRES, PROGRESS_SILENT),
    "PROGRESS-CRITERION": (f"{TESTS}/policy/test_progress.py::test_code_without_a_criterion_is_progress_for_a_while",)
    * 2,
    "PROGRESS-AGAIN": (PROGRESS_FIRES, PROGRESS_SILENT),
    "HANDOFF-SELECTION": (f"{DWELL}::test_of_two_supervisor_turns_in_a_row_one_hands_work_over",) * 2,
    "DWELL-CRITERION": (f"{DWELL}::test_an_item_that_stands_still_needs_work_on_an_open_criterion",) * 2,
    "DWELL-STILL": (
        f"{DWELL}::test_an_item_that_stands_still_is_blocked_and_then_out_of_reach",
        f"{DWELL}::test_an_item_below_its_limits_goes_on",
    ),
    "DWELL-ESCALATION": (
        f"{DWELL}::test_an_item_that_stands_still_is_blocked_and_then_out_of_reach",
        f"{DWELL}::test_an_item_below_its_limits_goes_on",
    ),
    "DWELL-TWIN": (f"{DWELL}::test_a_twin_of_an_item_that_stands_still_is_not_begun",) * 2,
    "DWELL-PROPOSAL": (
        f"{DWELL}::test_what_a_supervisor_adds_to_the_ledger_is_a_proposal_and_what_stands_stays",
        HONEST,
    ),
}
"""The test that shows a rule fire, which names it, and the one that shows it silent."""

DO_NOW = """1. Implement: calc.py::mean — make it a mean, see what test_mean compares
2. Test: pytest tests/test_a.py"""
HANDOFF = f"""Focus: FIX-A-001 — fix it
Branch: loop/run-1
Mapped tests:
- tests/test_a.py
Artifacts: plans/active/FIX-A-001/reports/2026-01-01T000000Z/
Findings Applied: CONFIG-001
Do Now:
{DO_NOW}
"""
CONTEXT = HandoffContext(
    runnable=["FIX-A-001"],
    branch="loop/run-1",
    hub="plans/active/FIX-A-001/reports/2026-01-01T000000Z/",
    findings={"CONFIG-001"},
    open_rows=["A1"],
    collects=lambda selector: 0 if "none" in selector else 3,
    repeated=["tests/test_a.py::test_mean[2]: AssertionError: assert <number> == <number>"],
    last=parse_handoff("Focus: FIX-A-001 — fix it\nDo Now:\n1. Test: `test_mean`\n"),
)


def find_tests(path: Path) -> dict[str, str]:
    """Every test function of a file with its source, decorators included."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def test_every_rule_has_a_test_that_names_it_and_one_that_shows_it_silent() -> None:
    assert [rule.id for rule in RULES] == list(dict.fromkeys(rule.id for rule in RULES))
    assert set(PROOFS) == {rule.id for rule in RULES}
    for rule_id, nodes in PROOFS.items():
        for node in nodes:
            path, _, name = node.partition("::")
            tests = find_tests(ROOT / path)
            assert name in tests, f"{rule_id}: {node}"
        path, _, name = nodes[0].partition("::")
        assert rule_id in find_tests(ROOT / path)[name], f"{nodes[0]} does not name {rule_id}"


def test_the_page_of_rules_is_made_from_the_code() -> None:
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == render_rules()


def test_every_rule_says_what_it_demands_and_ends_in_a_cure() -> None:
    for rule in RULES:
        assert re.fullmatch(r"[A-Z]+(-[A-Z]+)+", rule.id)
        assert rule.demands.endswith("."), rule.id
        assert rule.cure, rule.id
        assert rule.seen, rule.id
        assert "|" not in rule.demands + rule.cure + rule.seen, rule.id
        assert breach(rule.id, "found", "here").text == f"here: found: {rule.cure} [{rule.id}]"


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("HANDOFF-FOCUS", "FIX-A-001 — fix it", "FIX-B-001 — another"),
        ("HANDOFF-FOCUS", "Focus: FIX-A-001 — fix it\n", ""),
        ("HANDOFF-WORK", DO_NOW, "1. Think of test_mean."),
        ("HANDOFF-INSPECT", DO_NOW, "1. Test: `test_mean`"),
        ("HANDOFF-INSPECT", "test_mean", "it"),
        ("HANDOFF-PATH", "calc.py::mean", "../calc.py::mean"),
        ("HANDOFF-SELECTOR", "- tests/test_a.py", "- tests/test_none.py"),
        ("HANDOFF-BRANCH", "loop/run-1", "main"),
        ("HANDOFF-HUB", "T000000Z", "T000001Z"),
        ("HANDOFF-FINDING", "CONFIG-001", "CONFIG-009"),
    ],
)
def test_a_handoff_breaks_one_rule(rule: str, old: str, new: str) -> None:
    assert old in HANDOFF
    found = check_handoff(parse_handoff(HANDOFF.replace(old, new)), CONTEXT)
    assert [each.rule.id for each in found] == [rule]


def test_a_good_handoff_breaks_none() -> None:
    assert check_handoff(parse_handoff(HANDOFF), CONTEXT) == ()


def rules_broken(project: Project) -> list[tuple[str, str]]:
    found = lint(project.root, resolve_config(project.root, {}))
    return [(each.rule.id, each.where) for each in found]


LEDGER = "docs/fix_plan.md"
ITEM = "\n### [{0}] title\n- Depends on: {1}\n- Priority: Low\n- Status: {2}\n"


@pytest.mark.parametrize(
    ("rule", "path", "added", "line"),
    [
        ("MEMORY-GRAMMAR", "galph_memory.md", "# someday: X-001 — no stamp\n- focus=X dwell=many\n", None),
        ("LEDGER-GRAMMAR", LEDGER, ITEM.format("ODD-001", "None", "donee"), 4),
        ("LEDGER-UNKNOWN", LEDGER, ITEM.format("ODD-001", "NO-SUCH-001", "pending"), 2),
        ("LEDGER-CIRCLE", LEDGER, ITEM.format("ODD-001", "ODD-001", "pending"), 1),
        (
            "LEDGER-WIP",
            LEDGER,
            "".join(ITEM.format(f"BEGUN-00{number}", "None", "in_progress") for number in range(3)),
            11,
        ),
        ("PLAN-GRAMMAR", "plans/active/MEAN-FIX-001/implementation.md", "- [ ] A9: odd\n  - Run: `ls | tee log`\n", 2),
        ("FINDINGS-GRAMMAR", "docs/findings.md", "| id | no separator |\n| A-001 | x |\n", None),
    ],
)
def test_lint_names_the_rule_and_the_place(
    make_project: Make, rule: str, path: str, added: str, line: int | None
) -> None:
    project = make_project("good")
    target = project.root / path
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    before = before.rstrip("\n") + "\n" if before else ""
    project.write(path, before + added)
    found = rules_broken(project)
    assert {name for name, _ in found} == {rule}
    if line is not None:
        assert (rule, f"{path}:{before.count(chr(10)) + added.startswith(chr(10)) + line}") in found
    told = json.loads(project.command("orchestrator", "lint", "--json").stdout)
    assert {each["rule"] for each in told} == {rule}
    assert all(each["cure"] for each in told)


def test_lint_finds_nothing_in_a_sound_tree(make_project: Make) -> None:
    project = make_project("good")
    assert rules_broken(project) == []
    done = project.command("orchestrator", "lint")
    assert (done.returncode, done.stdout) == (0, "every rule holds\n")


def test_a_circle_of_dependencies_is_named(make_project: Make) -> None:
    project = make_project("good")
    circle = ITEM.format("ONE-001", "TWO-001", "pending") + ITEM.format("TWO-001", "ONE-001", "pending")
    project.write(LEDGER, (project.root / LEDGER).read_text() + circle)
    done = project.command("orchestrator", "lint")
    assert done.returncode == 1
    assert "items wait for each other in a circle: ONE-001 → TWO-001 → ONE-001: " in done.stdout
    assert done.stdout.rstrip().endswith("broken in 1 place")


def test_a_person_lowers_a_rule_but_not_one_that_evidence_rests_on(make_project: Make) -> None:
    project = make_project("good")
    project.write("orchestration.yaml", "rules:\n  LEDGER-WIP: off\n  HANDOFF-WORK: report\n")
    begun = "".join(ITEM.format(f"BEGUN-00{number}", "None", "in_progress") for number in range(3))
    project.write(LEDGER, (project.root / LEDGER).read_text() + begun)
    assert project.command("orchestrator", "lint").stdout == "every rule holds\n"
    rulebook = resolve_config(project.root, {}).rulebook
    prose = check_handoff(
        parse_handoff(HANDOFF.replace("Implement: calc.py::mean", "Look at").replace("Test:", "")), CONTEXT
    )
    assert [each.rule.id for each in prose] == ["HANDOFF-WORK"]
    assert rulebook.held(prose, Severity.REFUSE) == ()
    assert rulebook.held(prose, Severity.REPORT) == prose
    for text, said in (
        ("FENCE-FROZEN: report", "for FENCE-FROZEN one of restore"),
        ("HANDOFF-WORK: maybe", "for HANDOFF-WORK one of refuse, report, off"),
        ("NO-SUCH: off", "'NO-SUCH' is not there"),
    ):
        project.write("orchestration.yaml", f"rules:\n  {text}\n")
        with pytest.raises(ConfigError, match=said):
            resolve_config(project.root, {})


def test_the_default_rulebook_holds_every_rule_as_its_page_says() -> None:
    assert [Rulebook().severity(rule) for rule in RULES] == [rule.severity for rule in RULES]
