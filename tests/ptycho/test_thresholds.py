"""The thresholds stand in one module; plans and documents repeat them, and must not drift."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ptycho.metrics.criteria import CRITERIA, Comparison

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "plans" / "active"
PASSING = ("RECON-SIEMENS-STAR-001", "RECON-SIMULATED-001")
CONTROLS = "RECON-STAR-CONTROLS-001"
NETWORK = "NET-SIEMENS-STAR-001"
COMPARED = re.compile(r"^ +- Expect: comparison\.json:result\.(\S+) (\S+) (\S+)$", re.MULTILINE)
EXPECT = re.compile(r"^ +- Expect: metrics\.json:(\S+) (\S+) (\S+)$", re.MULTILINE)


def read_expectations(name: str) -> set[tuple[str, str, str]]:
    """The (key, operator, value) of every expectation on metrics.json in a plan."""
    return set(EXPECT.findall((PLANS / name / "implementation.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda criterion: criterion.name)
def test_a_plan_that_must_pass_names_every_threshold(name: str, criterion: object) -> None:
    assert isinstance(criterion, type(CRITERIA[0]))
    wanted = (criterion.metric, criterion.comparison.value, f"{criterion.threshold:g}")
    assert wanted in read_expectations(name)


@pytest.mark.parametrize("name", PASSING)
def test_a_plan_that_must_pass_asks_for_the_verdict_too(name: str) -> None:
    assert ("passed", "==", "true") in read_expectations(name)


def test_every_control_must_be_refused_by_a_margin() -> None:
    text = (PLANS / CONTROLS / "implementation.md").read_text(encoding="utf-8")
    phases = re.split(r"^## Phase ", text, flags=re.MULTILINE)[1:]
    assert len(phases) == 3
    criteria = {criterion.metric: criterion for criterion in CRITERIA}
    for phase in phases:
        found = EXPECT.findall(phase)
        assert ("passed", "==", "false") in found
        missed = 0
        for key, operator, value in found:
            if key not in criteria:
                continue
            criterion = criteria[key]
            beyond = float(value) / criterion.threshold
            if criterion.comparison is Comparison.AT_MOST:
                assert (operator, beyond >= 1.2) == (">=", True), f"{key} {operator} {value}"
            else:
                assert (operator, beyond <= 0.9) == ("<=", True), f"{key} {operator} {value}"
            missed += 1
        assert missed >= 3


def test_the_plans_run_the_same_settings() -> None:
    commands = [
        command
        for name in (*PASSING, CONTROLS)
        for command in re.findall(
            r"`python -m ptycho (reconstruct [^`]*)`", (PLANS / name / "implementation.md").read_text()
        )
    ]
    assert len(commands) == 4 + 3 + 9
    assert {re.sub(r"reconstruct \S+ --frames \S+|--sabotage \S+ ", "", command).strip() for command in commands} == {
        "--epochs 20 --out {hub}"
    }


def test_the_document_shows_the_thresholds() -> None:
    text = (ROOT / "docs" / "thresholds.md").read_text(encoding="utf-8")
    for criterion in CRITERIA:
        sign = "≤" if criterion.comparison is Comparison.AT_MOST else "≥"
        assert f"| `{criterion.name}` | `{criterion.metric}` | {sign} {criterion.threshold:g}" in text


def test_the_plan_of_the_network_keeps_the_thresholds_that_need_no_halves() -> None:
    text = (PLANS / NETWORK / "implementation.md").read_text(encoding="utf-8")
    trained, one_step = (COMPARED.findall(part) for part in re.split(r"^- \[ \] D2", text, flags=re.MULTILINE))
    for criterion in CRITERIA:
        if criterion.metric.startswith("fidelity."):
            assert (criterion.metric, criterion.comparison.value, f"{criterion.threshold:g}") in trained
            refused = {name: (sign, float(value)) for name, sign, value in one_step}[criterion.metric]
            sign = ">=" if criterion.comparison is Comparison.AT_MOST else "<="
            assert refused[0] == sign
            assert (refused[1] > criterion.threshold) is (sign == ">=")
        elif criterion.metric.startswith("star."):
            assert ("star_contrast", criterion.comparison.value, f"{criterion.threshold:g}") in trained


@pytest.mark.parametrize("name", [*PASSING, CONTROLS, NETWORK])
def test_all_code_that_scores_is_frozen_and_no_solver_is_among_it(name: str) -> None:
    """What a fresh `evaluate` loads could change the scores, so the plan freezes it."""
    script = (
        "import sys, ptycho.cli, ptycho.commands.evaluate, ptycho.commands.compare, ptycho.commands.info\n"
        "print(*(module.__file__ for key, module in sys.modules.items() if key.partition('.')[0] == 'ptycho'))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    loaded = {Path(file).relative_to(ROOT).as_posix() for file in done.stdout.split()} | {"ptycho/__main__.py"}
    text = (PLANS / name / "implementation.md").read_text(encoding="utf-8")
    head = re.search(r"^- Evaluator: (.*)$", text, re.MULTILINE)
    assert head is not None
    frozen = tuple(re.findall(r"`([^`]+)`", head[1]))
    assert all((ROOT / entry).exists() for entry in frozen)
    assert {path for path in loaded if not path.startswith(frozen)} == set()
    assert not any(path.startswith("ptycho/solvers/") for path in loaded)
