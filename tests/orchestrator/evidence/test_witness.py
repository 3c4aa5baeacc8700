"""What a test run gives away of itself: outcomes that were not earned, lying classes, code from elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.evidence.checkout import Checkout
from orchestrator.evidence.shadows import search_places, shadowing
from orchestrator.evidence.testing import TestBench, run_tests
from orchestrator.evidence.testwise import find_testwise, find_yes_men
from orchestrator.facts import PathChange, PathClass, TestRun
from orchestrator.git import Git
from orchestrator.policy.rules import Rulebook
from orchestrator.records.plan import parse_plan

Run = Callable[..., TestRun]

TEST = "from calc import mean\n\ndef test_mean():\n    assert mean([1, 2, 6]) == 3\n"
RIGHT = "def mean(values):\n    return sum(values) / len(values)\n"
WRONG = "def mean(values):\n    return max(values)\n"
HOOK = """import pytest

@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(call):
    call.excinfo = None
    found = yield
    found.get_result().outcome = "passed"
"""
SKIPPING = """import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call():
    return True
"""
NOT_RUN = """from _pytest.reports import TestReport

def pytest_runtest_protocol(item):
    for when in ("setup", "call", "teardown"):
        item.ihook.pytest_runtest_logreport(report=TestReport(item.nodeid, item.location, {}, "passed", None, when))
    return True
"""
PATCHING = """
import _pytest.runner
call = _pytest.runner.CallInfo.from_call
def lie(func, when, reraise=None):
    found = call(func, when, reraise)
    found.excinfo = None
    return found
_pytest.runner.CallInfo.from_call = lie
"""
EQUAL = "class Mean(float):\n    def __eq__(self, other):\n        return True\n    __hash__ = float.__hash__\n\n"
EQUAL_LATER = 'def mean(values):\n    return type("M", (), {"__eq__": lambda *_: 1 == 1})()\n'
IMPORTING = "import sys\nsys.path.insert(0, '{elsewhere}')\nfrom really import mean\n"
REWRITING = WRONG + f"from pathlib import Path\nPath(__file__).write_text({RIGHT!r})\n"
FORGING = """import json, os
for path in ["../scratch/report.json"]:
    report = {"word": "", "collected": 1, "exit_status": 0, "outcomes": {"tests/test_calc.py::test_mean": "passed"}}
    empty = {"messages": {}, "causes": {}, "errors": [], "imported_from": {}, "unrun": [], "liars": {}, "reads": {}}
    open(path, "w").write(json.dumps(report | empty))
os._exit(0)
"""
REWRITING_TESTS = """from pathlib import Path

path = Path(__file__).with_name("tests").joinpath("test_calc.py")
was = path.read_text()
path.write_text("def test_mean():\\n    pass\\n")

def mean(values):
    return 0
"""
RESTORING = """
import atexit
atexit.register(path.write_text, was)
"""
READING = """import re
from pathlib import Path

def mean(values):
    return int(re.search("== ([0-9]+)", Path(__file__).with_name("tests").joinpath("test_calc.py").read_text())[1])
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """One run of the tests on a repository of these files."""

    def make(files: Mapping[str, str], rules: Mapping[str, str] | None = None) -> TestRun:
        elsewhere = str(tmp_path / "elsewhere")
        root, checkout = tmp_path / "repository", tmp_path / ".orchestrator" / "check out"
        for path, text in {"tests/test_calc.py": TEST, "calc.py": RIGHT, **files}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(
                text.replace("{elsewhere}", elsewhere).replace("{around}", f"{checkout}/../../elsewhere")
            )
        user = ["-c", "user.name=u", "-c", "user.email=u@localhost"]
        for command in (["init", "-q"], ["add", "-A"], [*user, "commit", "-qm", "start"]):
            subprocess.run(["git", *command], cwd=root, check=True)
        subprocess.run(["git", "worktree", "add", "-q", "--detach", str(checkout)], cwd=root, check=True)
        bench = TestBench(
            Checkout(checkout, Git(checkout)),
            {"PATH": os.environ["PATH"], "PYTHONPATH": str(checkout), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            packages=("calc",),
            scratch=tmp_path / ".orchestrator" / "scratch",
            forbidden=tmp_path / ".orchestrator" / "runs",
            seconds=60,
            rulebook=Rulebook(rules or {}),
            is_test=lambda path: path.startswith("tests/"),
        )
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/really.py").write_text(RIGHT)
        return run_tests(bench, ["tests"], "HEAD", tmp_path / "out")

    return make


UNRUN = "tests/test_calc.py::test_mean: reported as passed, and did not run to its end"
EARLY = "the test process ended with code 0 before its tests did"


@pytest.mark.parametrize(
    ("files", "rule", "says"),
    [
        ({"calc.py": WRONG, "conftest.py": HOOK}, "EVIDENCE-OUTCOME", UNRUN),
        ({"calc.py": WRONG, "conftest.py": SKIPPING}, "EVIDENCE-OUTCOME", UNRUN),
        ({"calc.py": WRONG, "conftest.py": NOT_RUN}, "EVIDENCE-OUTCOME", UNRUN),
        ({"calc.py": WRONG + PATCHING}, "EVIDENCE-OUTCOME", UNRUN),
        ({"calc.py": EQUAL + "def mean(_):\n    return Mean(0)\n"}, "EVIDENCE-EQUAL", "calc.py: Mean says it equals"),
        ({"calc.py": EQUAL_LATER}, "EVIDENCE-EQUAL", "calc.py: M says it equals anything"),
        ({"calc.py": REWRITING_TESTS}, "EVIDENCE-STEADY", "tests/test_calc.py: changed while the tests ran"),
        (
            {"calc.py": REWRITING_TESTS + RESTORING},
            "EVIDENCE-STEADY",
            "tests/test_calc.py: changed while the tests ran",
        ),
        ({"calc.py": READING}, "EVIDENCE-BLIND", "calc.py: reads the test tests/test_calc.py"),
        ({"calc.py": IMPORTING}, "EVIDENCE-ORIGIN", "not imported from the checkout: really from "),
        ({"calc.py": IMPORTING.replace("{elsewhere}", "{around}")}, "EVIDENCE-ORIGIN", "checkout: really from "),
        ({"calc.py": REWRITING}, "EVIDENCE-ORIGIN", "calc.py: rewritten while the tests ran"),
        ({"calc.py": FORGING + WRONG}, "", EARLY),
        ({"calc.py": "import os\ndef mean(values):\n    os._exit(0)\n"}, "", EARLY),
    ],
    ids=[
        "hook",
        "no call",
        "no test",
        "patch",
        "equal",
        "equal later",
        "rewriting",
        "restoring",
        "reading",
        "elsewhere",
        "around",
        "rewritten",
        "forged",
        "silent end",
    ],
)
def test_a_run_that_is_not_honest_does_not_count(run: Run, files: Mapping[str, str], rule: str, says: str) -> None:
    found = run(files)
    assert not found.ok
    assert not found.counts
    assert says in found.note
    assert not rule or f"[{rule}]" in found.note


HONEST = """import sys
from pathlib import Path
from dataclasses import dataclass

@dataclass(frozen=True)
class Mean:
    value: float

    def __eq__(self, other):
        return self.value == getattr(other, "value", other)

    __hash__ = object.__hash__

class Never:
    def __eq__(self, other):
        raise TypeError("cannot be compared")

def mean(values):
    assert Path(__file__).read_text()
    return Mean(sum(values) / len(values))
"""
HONEST_TESTS = '''import asyncio, importlib.util, inspect, unittest, warnings
import pytest
from calc import mean

class Anything:
    def __eq__(self, other):
        return True

def test_mean():
    assert mean([1, 2, 6]) == 3
    assert mean([1]) == Anything()

@pytest.mark.parametrize("n", [1, 2])
def test_numbers(n):
    assert mean([n]) == n

@pytest.fixture
def module(tmp_path):
    (tmp_path / "made.py").write_text("X = 1")
    spec = importlib.util.spec_from_file_location("made", tmp_path / "made.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    import sys
    sys.modules["made"] = module
    return module

def test_module(module):
    """
    >>> 1 + 1
    2
    """
    assert module.X == 1
    assert inspect.getsource(test_mean)

class TestMethods:
    def test_method(self):
        assert mean([4]) == 4

class TestCase(unittest.TestCase):
    def test_case(self):
        self.assertEqual(mean([4]), 4)
'''


@pytest.mark.slow
def test_an_honest_run_counts_whatever_its_tests_are_made_of(run: Run) -> None:
    found = run({"calc.py": HONEST, "tests/test_more.py": HONEST_TESTS})
    assert (found.note, found.told, found.ok, found.passed) == ("", (), True, 7)


def test_a_rule_about_runs_can_be_lowered_and_is_told_then(run: Run) -> None:
    found = run({"calc.py": READING}, {"EVIDENCE-BLIND": "report"})
    assert found.ok, found.note
    assert found.told[0].startswith("calc.py: reads the test tests/test_calc.py: let it do the same for everybody")


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("import sys\nFAST = 'pytest' in sys.modules\n", {"'pytest' in sys.modules": 2}),
        ("import os\nif os.environ.get('PYTEST_CURRENT_TEST'):\n    x = 1\n", 1),
        ("import sys\nx = any('_pytest' in name for name in sys.modules)\n", 1),
        ("from sys import modules\nx = modules.get('unittest')\n", 1),
        ("import os\nx = os.getenv('PYTEST_VERSION')\n", 1),
        ("import sys\nFAST = 'numpy' in sys.modules\n", 0),
        ("import sys\nargv = [sys.executable, '-m', 'pytest']\n", 0),
        ("words = []\nis_runner = words[0] == 'pytest'\n", 0),
        ("import os\nx = os.environ.get('CALC_DEBUG')  # for pytest\n", 0),
        ("'pytest' in (\n", 0),
    ],
)
def test_code_that_asks_whether_it_is_tested_is_found(source: str, asked: object) -> None:
    found = find_testwise(source)
    assert found == asked if isinstance(asked, dict) else bool(found) == bool(asked)


@pytest.mark.parametrize(
    ("body", "says_yes"),
    [
        ("return self.v is not None", True),
        ("return isinstance(other, (int, float))", True),
        ("return isinstance(other, Mark)", False),
        ("return self.v == other", False),
        ("return NotImplemented", False),
        ("return False", False),
        ("return (isinstance(other, int) and self.v == other)", False),
    ],
)
def test_a_comparison_that_ignores_its_other_side_is_found(body: str, says_yes: bool) -> None:
    source = f"class Mark:\n    def __eq__(self, other):\n        {body}\n"
    assert find_yes_men(source) == ({"Mark": 2} if says_yes else {})


SHADOW_PLAN = """# X-001

## Phase A — a
- Goal: g
- [ ] A1: a
  - Run: `PYTHONPATH=lib python eval/score.py {hub}`
  - Expect: `s.json:a == 1`
- [ ] A2: b
  - Test: `pytest checks/test_calc.py pkg/test_beside.py`
"""


def test_new_files_where_python_looks_first_take_no_name_that_is_in_use(tmp_path: Path) -> None:
    stood = ("calc.py", "eval/score.py", "checks/test_calc.py", "pkg/__init__.py", "pkg/test_beside.py", "queue/x.txt")
    for path in stood:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=u", "-c", "user.email=u@l", "commit", "-qm", "s"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    git = Git(tmp_path)
    places = search_places(parse_plan(SHADOW_PLAN, "p").rows, lambda folder: folder == "pkg")
    assert places == {"src", "lib", "eval", "checks"}
    bad = {"json.py", "random.so", "eval/json.py", "lib/sitecustomize.py", "a/b/sitecustomize.py", "checks/calc.py"}
    bad |= {"checks/__init__.py", "checks/pytest/__init__.py", "src/json.py", "lib/calc/__init__.py"}
    good = {
        "helpers.py",
        "eval/plots.py",
        "pkg/json.py",
        "pkg/random/__init__.py",
        "src/calc.py",
        "checks/test_more.py",
    }
    good |= {"queue/y.py", "tests/json.py", "checks/conftest.py", "eval/data.json", "docs/calc.py"}
    changes = [PathChange(path, "A", PathClass.PRODUCTION) for path in (*bad, *good)]
    found = shadowing(git, "HEAD", changes, places, lambda path: path.startswith("tests/"))
    assert found == bad
