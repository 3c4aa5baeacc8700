"""What mapped tests prove of a turn: whom a failure is charged to, which changed code ran, what a new test shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from orchestrator.evidence.checkout import Checkout
from orchestrator.evidence.criteria import evaluator_paths
from orchestrator.evidence.excuses import excuses
from orchestrator.evidence.recall import Recall, setting_of
from orchestrator.evidence.store import ArtifactStore
from orchestrator.evidence.testing import TestBench
from orchestrator.evidence.units import MODULE, changed_units, code_diff
from orchestrator.evidence.verification import Verification
from orchestrator.facts import CodeDiff, PathChange, PathClass, Role, RowResult, RowVerdict, TurnRecord, Verdict
from orchestrator.git import Git
from orchestrator.records.plan import Row, parse_plan

CALC = """import os
LIMIT = 3

class Mean:
    def of(self, values):
        return sum(values)

def mean(values):
    return 0

def child():
    return 1
"""

START = {
    "calc.py": CALC,
    "tests/test_calc.py": (
        "import pytest\nfrom calc import mean\n\ndef test_mean():\n    assert mean([]) == 0\n\n"
        "@pytest.mark.skip\ndef test_later():\n    assert False\n"
    ),
    "tests/test_old.py": "def test_old():\n    assert 1 == 2\n\ndef test_file():\n    open('no such file')\n",
    "tests/test_foreign.py": "import no_such_library\n\ndef test_foreign():\n    assert True\n",
}


@pytest.fixture
def verify(tmp_path: Path) -> Callable[[Mapping[str, str]], Verification]:
    """Verification of the files of START with some of them changed."""
    root, checkout = tmp_path / "repository", tmp_path / "check out"
    for path, text in START.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    user = ["-c", "user.name=u", "-c", "user.email=u@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*user, "commit", "-qm", "start"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    subprocess.run(["git", "worktree", "add", "-q", "--detach", str(checkout)], cwd=root, check=True)
    git = Git(root)

    def make(files: Mapping[str, str]) -> Verification:
        tree = git.tree_with("HEAD", {path: text.encode() for path, text in files.items()})
        changes = [PathChange(path, "M", PathClass.PRODUCTION) for path in files if not path.startswith("tests/")]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(checkout), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        bench = TestBench(
            Checkout(checkout, Git(checkout)),
            environment,
            packages=("calc",),
            scratch=tmp_path / "scratch",
            forbidden=tmp_path / "forbidden",
            seconds=60,
            allow_skip=("`tests/test_calc.py::test_later` — when there is a beam",),
            code=code_diff(lambda path: START.get(path, ""), lambda path: files[path], changes),
        )
        return Verification(
            bench=bench,
            git=git,
            store=ArtifactStore(tmp_path / "store"),
            tree=tree,
            base="HEAD",
            start="HEAD",
            is_test=lambda path: path.startswith("tests/"),
            stage=tmp_path / "stage",
            outputs=lambda _: {},
            recall=Recall(git, ArtifactStore(tmp_path / "store")),
            tell=lambda *_: None,
        )

    return make


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("return sum(values)", "return  sum( values )  # the sum", []),
        ("def mean(values):\n", 'def mean(values):\n    """Mean."""\n\n', []),
        ("LIMIT = 3\n", "__all__ = ['mean']\nLIMIT = 3\n", []),
        ("return sum(values)", "return len(values)", ["Mean.of"]),
        ("return 0", "return 1", ["mean"]),
        ("LIMIT = 3", "LIMIT = 4", [MODULE]),
        ("def mean(values):\n    return 0\n", "", [MODULE]),
        ("def child", "def pad_1():\n    return 1\n\ndef child", ["pad_1"]),
        ("def mean", "def (", [MODULE]),
    ],
)
def test_a_function_has_changed_when_it_would_run_otherwise(old: str, new: str, changed: list[str]) -> None:
    assert old in CALC
    assert list(changed_units(CALC, CALC.replace(old, new))) == changed


@pytest.mark.slow
def test_failures_of_before_and_of_the_machine_are_not_charged_and_others_are(
    verify: Callable[[Mapping[str, str]], Verification],
) -> None:
    right = CALC.replace("return 0", "return len(values)")
    verification = verify({"calc.py": right})
    (run,) = verification.mapped_tests(["tests"])
    assert run.ok, run
    assert (run.counted, run.skipped) == ("1 passed, 1 not run", 0)
    without = replace(verification, bench=replace(verification.bench, allow_skip=()))
    assert not without.mapped_tests(["tests/test_calc.py"])[0].ok
    assert {node: why.partition(":")[0] for node, why in run.excused.items()} == {
        "tests/test_old.py::test_old": "pre-existing",
        "tests/test_old.py::test_file": "environment",
        "tests/test_foreign.py": "environment",
    }
    assert run.note == ""
    assert run.executed == ("calc.py::mean",)
    broken = verify({"calc.py": "import no_such_library\n" + CALC})
    (run,) = broken.mapped_tests(["tests"])
    assert run.charged == ("tests/test_calc.py",)
    assert run.note == "1 failing: tests/test_calc.py"
    assert not run.ok


def test_an_excuse_needs_the_same_fault_at_the_start() -> None:
    missing, wrong = "ModuleNotFoundError: No module named 'lib.part'", "AssertionError: assert 1 == 2"
    now = {"a": missing, "b": wrong, "c": missing, "d": wrong}
    foreign = excuses(now, {"a": "", "b": missing, "d": ""}, lambda _: False)
    assert {node: why.partition(":")[0] for node, why in foreign.items()} == {"b": "pre-existing", "c": "environment"}
    assert set(excuses(now, {"a": "", "b": wrong}, lambda name: name == "lib")) == {"b"}


CHILD = """import subprocess, sys
from calc import mean
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}

def test_in_a_child_with_an_environment_of_its_own():
    code = "import sys; sys.path.insert(0, '.'); import calc; calc.child()"
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True)

def test_that_fails():
    mean([])
    assert False

def test_that_reads_a_file(monkeypatch):
    monkeypatch.chdir("data")
    assert open("beam.yaml").read() == "energy: 9"
"""


def test_code_counts_as_executed_where_a_test_that_passes_runs_it_in_whatever_process(
    verify: Callable[[Mapping[str, str]], Verification],
) -> None:
    assert sys.version_info >= (3, 11)
    text = CALC.replace("return 0", "return 2").replace("return 1", "return 3") + "\ndef pad():\n    return 7\n"
    data = {"data/beam.yaml": "energy: 9", "data/other.yaml": "energy: 8", "beam.c": "int main;"}
    verification = verify({"calc.py": text, "tests/test_child.py": CHILD, **data})
    used = ("calc.py::mean", "calc.py::child", "calc.py::pad", "data/beam.yaml", "data/other.yaml")
    assert (verification.bench.code.names, verification.bench.code.other) == (used, ("beam.c",))
    run = verification.mapped_tests(["tests/test_child.py"])[-1]
    assert run.passed == 2, run.messages
    assert run.executed == ("calc.py::child", "data/beam.yaml")


@pytest.mark.slow
def test_another_tracer_leaves_what_was_imported(verify: Callable[[Mapping[str, str]], Verification]) -> None:
    text = "import sys, calc\n\ndef test_traced():\n    sys.settrace(None)\n"
    verification = verify({"calc.py": CALC.replace("return 0", "return 2"), "tests/test_trace.py": text})
    assert verification.mapped_tests(["tests/test_trace.py"])[-1].executed == ("calc.py::mean",)
    unchanged = replace(verification, bench=replace(verification.bench, code=CodeDiff()))
    assert unchanged.mapped_tests(["tests/test_trace.py"])[-1].executed == ()


def test_a_new_test_proves_something_if_it_fails_on_the_code_of_the_start(
    verify: Callable[[Mapping[str, str]], Verification],
) -> None:
    text = "import calc\n\ndef test_new():\n    assert calc.mean([1]) == 1\n\ndef test_idle():\n    assert True\n"
    verification = verify({"calc.py": CALC.replace("return 0", "return len(values)"), "tests/test_new.py": text})
    new = ["tests/test_new.py::test_new", "tests/test_new.py::test_idle"]
    assert verification.proving(new, lambda path: path == "calc.py") == (new[0],)


DEAR = """import json, sys
from pathlib import Path
with open({count!r}, "a") as count:
    count.write("x")
Path(sys.argv[1], "array.json").write_text(json.dumps([1, 2, 6]))
import metric
metric.main(sys.argv[1])
"""
METRIC = """import json, sys
from pathlib import Path

def main(folder):
    values = json.loads(Path(folder, "array.json").read_text())
    Path(folder, "metric.json").write_text(json.dumps({"mean": sum(values) / 2}))

if __name__ == "__main__":
    main(sys.argv[1])
"""
PLAN = """# X-001
- Evaluator: `metric.py`
## Phase A — dear
- [ ] A1: an array is made
  - Run: `python dear.py {hub}`
  - Recheck: `python metric.py {hub}`
  - Expect: `metric.json:mean == 3`
"""


def test_a_row_that_failed_gives_its_result_back_until_something_that_decides_it_has_changed(
    verify: Callable[[Mapping[str, str]], Verification], tmp_path: Path
) -> None:
    count = tmp_path / "count"
    files = {"dear.py": DEAR.replace("{count!r}", repr(str(count))), "metric.py": METRIC}
    plan = parse_plan(PLAN)
    (row,) = plan.rows
    turns: list[TurnRecord] = []

    def run(path: str = "", text: str = "", row: Row = row, since: int = 9, again: str = "") -> RowResult:
        """Measure as the next turn would, and leave its hub behind."""
        files.update({path: text} if path else {})
        verification = verify(files)
        git, number = verification.git, len(turns) + 1
        asked = {row.id: again} if again else {}
        recall = Recall(git, verification.store, tuple(reversed(turns)), since, evaluator_paths(plan), asked)
        (result,) = replace(verification, recall=recall).rows([row], {})
        hub = f"plans/active/X-001/reports/{number}/"
        measured = json.dumps({"rows": [asdict(result)]}).encode()
        commit = git.tree_with(verification.tree, {f"{hub}measured.json": measured})
        record = TurnRecord("", Role.ENGINEER, 1, "X-001", Verdict.PROGRESS, False, 0, "", (), (), "", "", "", ())
        turns.append(replace(record, turn=f"turn {number}", hub=hub, tree=verification.tree, commit=commit))
        return result

    def runs() -> int:
        return len(count.read_text())

    first = run()
    assert (first.reason, runs()) == ("does not hold: metric.json:mean == 3 (found 4.5)", 1)
    assert replace(run("galph_memory.md", "a new entry"), recorded="") == first
    assert run().recorded == "turn 1"
    assert runs() == 1
    assert run(since=0).recorded == ""
    assert run(row=replace(row, stochastic=True)).recorded == ""
    assert run(again="the disk was full").recorded == ""
    assert run("dear.py", files["dear.py"] + "# another tree\n").recorded == ""
    assert runs() == 5
    mended = run("metric.py", METRIC.replace("/ 2", "/ 3"))
    assert (mended.verdict, mended.rechecked, runs()) == (RowVerdict.VERIFIED, "turn 7", 5), mended
    assert set(mended.files) == {"array.json", "metric.json"}
    assert run().rechecked == "turn 7"
    assert run("dear.py", files["dear.py"] + "# and another\n").rechecked == ""
    assert runs() == 6


def test_a_setting_is_told_apart_by_command_inputs_environment_and_the_tests_that_judge_it() -> None:
    (row,) = parse_plan(PLAN).rows
    known = [
        setting_of(row, {}, {}, "a"),
        setting_of(replace(row, run="python other.py"), {}, {}, "a"),
        setting_of(row, {"A0": {"x.json": "1"}}, {}, "a"),
        setting_of(row, {}, {"SEED": "2"}, "a"),
        setting_of(row, {}, {}, "b"),
    ]
    assert len(set(known)) == len(known)
    assert setting_of(replace(row, expects=(), text="other"), {}, {}, "a") == known[0]


def test_a_file_with_functions_that_are_compiled_counts_when_it_is_imported() -> None:
    change = [PathChange("net.py", "M", PathClass.PRODUCTION)]
    code = code_diff(lambda _: "import numba\n", lambda _: "import numba\n@numba.njit\ndef f():\n    pass\n", change)
    assert code.names == ("net.py::f", f"net.py::{MODULE}")
    assert code_diff(lambda _: "", lambda _: "def f():\n    pass\n", change).names == ("net.py::f",)
