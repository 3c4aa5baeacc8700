"""Plans: phases, rows, ticks and expectations, and the plans that cannot be carried out."""

import pytest

from orchestrator.errors import RecordError
from orchestrator.records.plan import Expectation, RowState, parse_expectation, parse_plan, with_ticks

PLAN = """\
# RECON-STAR-001 — Reconstruct the star

Why this is worth doing.

- Evaluator: `ptycho/metrics`, `tests/test_frc.py`

| who | decides |
|---|---|
| a person | thresholds |

## Phase A — Load
- Goal: a scan that can be trusted
- Exit Criteria: every row
  - and its tests

- [ ] A1: The scan is loaded
  and checked
  Run: `python -m ptycho info star --out {hub}`
  - Expect: `info.json:frames == 516`
  - Expect: info.json exists
  - Recheck: `python -m ptycho info --again`
  - Limit: 5 min
  - Needs: dataset:siemens-star, A2
  - Allow-skip: tests/a.py::b — no GPU
  - Stochastic: yes
  - Implement: a/b.py::f — what
- [x] **A2**: Its tests pass
  Test: `pytest tests/test_scan.py`

## Phase G-scaled — The study
- Prereqs: phase A

| ID | Task Description | State | How/Why & Guidance |
|---|---|---|---|
| **G1** | measure | [P] | slowly<br>Run: `true` |
| G2 | write | [ ] | well |

Done when the table is full.
"""


def test_every_field_of_a_row_is_read() -> None:
    plan = parse_plan(PLAN)
    assert plan.problems == ()
    assert plan.evaluators == ("ptycho/metrics", "tests/test_frc.py")
    row = plan.row("A1")
    assert (row.phase, row.text, row.state, row.line) == ("A", "The scan is loaded and checked", RowState.OPEN, 16)
    assert row.run == "python -m ptycho info star --out {hub}"
    assert row.expects == ("info.json:frames == 516", "info.json exists")
    assert (row.recheck, row.limit_s) == ("python -m ptycho info --again", 300)
    assert (row.needs, row.allow_skip) == (("dataset:siemens-star", "A2"), ("tests/a.py::b — no GPU",))
    assert (row.stochastic, row.implement) == (True, ("a/b.py::f — what",))
    assert (plan.row("A2").test, plan.row("A2").state) == ("pytest tests/test_scan.py", RowState.DONE)


def test_phases_are_read_with_their_goals() -> None:
    first, second = parse_plan(PLAN).phases
    assert (first.letter, first.name, first.goal) == ("A", "Load", "a scan that can be trusted")
    assert (first.exit_criteria, first.line) == ("every row\n- and its tests", 11)
    assert (second.letter, second.name, second.prereqs) == ("G-scaled", "The study", "phase A")


def test_rows_of_a_table_are_read() -> None:
    plan = parse_plan(PLAN)
    assert plan.row("G1").run == "true"
    assert (plan.row("G1").state, plan.row("G2").text) == (RowState.PARTIAL, "write — well")


def test_an_unknown_row_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(RecordError, match="expected a row 'Z9', the plan has A1, A2, G1, G2"):
        parse_plan(PLAN).row("Z9")


def test_ticks_change_brackets_only() -> None:
    text = with_ticks(PLAN, {"A1": RowState.DONE, "A2": RowState.DONE, "G1": RowState.OPEN, "G2": RowState.PARTIAL})
    expected = PLAN.replace("[ ] A1", "[x] A1").replace("[P]", "[ ]").replace("write | [ ]", "write | [P]")
    assert text == expected


def test_a_tick_for_an_unknown_row_is_an_error() -> None:
    with pytest.raises(RecordError, match="expected a row 'Z9'"):
        with_ticks(PLAN, {"Z9": RowState.DONE})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m.json:a.b <= 1.5e-3", Expectation("m.json", "a.b", "<=", "1.5e-3")),
        ("`out/m.json:a == two words`", Expectation("out/m.json", "a", "==", "two words")),
        ("m.json:a exists", Expectation("m.json", "a", "exists", None)),
        ("picture.png exists", Expectation("picture.png", "", "exists", None)),
        ("m.json:a = 1", None),
        ("m.json:a <=", None),
        ("m.json <= 1", None),
        ("/etc/m.json:a <= 1", None),
        ("../m.json:a <= 1", None),
        ("m.json:a <= 1 \n m.json:b <= 2", None),
        ("", None),
    ],
)
def test_an_expectation_is_read_or_is_none(text: str, expected: Expectation | None) -> None:
    assert parse_expectation(text) == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("frames == 516", "frames = 516", "19: expected 'file.json:key op value'"),
        ("  - Expect: `info", "  - Exepct: `info", "19: expected one of Allow-skip, Expect, Hypothesis, Implement"),
        ("  - Recheck: `python", "  - Run: `python", "21: expected one Run in row 'A1'"),
        ("--again`", "'again`", "21: expected a command in Recheck that can be split into words"),
        ("5 min", "5 minutes or so", "22: expected a limit such as '90 s'"),
        ("Limit: 5 min", "Limit: 0 s", "22: expected a limit such as '90 s'"),
        ("Stochastic: yes", "Stochastic: perhaps", "25: expected yes or no"),
        ("f — what\n", "f — what", "26: expected a line break in front of a row"),
        ("- [x] **A2**", "  [x] **A2**", "27: expected '- [ ] A1: text'"),
        ("**A2**", "**A1**", "27: expected each row id once"),
        ("**A2**", "**B2**", "27: expected a row of phase 'A', found row 'B2'"),
        ("- [x] **A2**", "- [q] **A2**", "27: expected a state [ ], [P] or [x], found [q]"),
        ("- [x] **A2**", "- x] **A2**", "27: expected '- [ ] A1: text'"),
        ("- Goal: ", "- Gaol: ", "12: expected '- [ ] A1: text' or one of Goal, Prereqs"),
        ("## Phase A", "## Phas A", "16: expected a heading '## Phase …' above the row"),
        ("## Phase G-scaled — The", "## Phase A — The", "30: expected each phase once"),
        ("| [ ] | well", "| open | well", "36: expected an id such as A1 and a state such as [ ]"),
        ("write | [ ]", "write [ ]", "36: expected a row of 4 cells"),
        ("| ID | Task", "| Id. | Task", "35: expected a row of 0 cells below a heading"),
        ("The study\n", "The study\n  Run: `x`\n", "31: expected a row above this line"),
        ("full.\n", "full", "38: expected a newline at the end of the file"),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_line(old: str, new: str, message: str) -> None:
    assert old in PLAN
    found = [str(problem) for problem in parse_plan(PLAN.replace(old, new, 1), "plan.md").problems]
    assert any(problem.startswith(f"plan.md:{message}") for problem in found), found


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("echo a | grep b", "expected a command without a shell in Run"),
        ("echo a|grep b", "'|' in 'echo a|grep b'"),
        ("true && false", "'&&'"),
        ("true || false", "'|'"),
        ("cd x; make", "';'"),
        ("make > out.txt", "'>'"),
        ("make 2>&1", "'>'"),
        ("sort < in.txt", "'<'"),
        ("sleep 9 &", "'&'"),
        ("echo $(date)", "'$('"),
        ('echo "$(date)"', "'$('"),
        ("echo `date`", "'`' in 'echo `date`'"),
        ("echo {hubb}", "no other placeholders in Run: known are {hub}, {artifacts}, found {hubb} in"),
        ('sh run.sh --out="{hubb}/a"', "{hubb}"),
        ("echo ${HOME}", "{HOME}"),
    ],
)
def test_a_command_that_means_a_shell_or_an_unknown_placeholder_is_a_problem(run: str, said: str) -> None:
    (problem,) = parse_plan(f"# X\n\n## Phase A — p\n- [ ] A1: t\n  - Run: {run}\n", "plan.md").problems
    assert str(problem).startswith("plan.md:5: ")
    assert said in str(problem)


@pytest.mark.parametrize(
    "run",
    [
        "python -c \"import json; print(1 > 0 and 'a|b' or f'{hubb}')\" {hub}",
        """python check.py '{"a": 1}' {hub}/a {artifacts}/A1""",
        "grep '|' notes.txt",
        "grep \\| notes.txt",
        "fetch http://localhost/?a=1&b=2",
        "awk '{print}' notes.txt",
        'sh run.sh "{hub}"',
        "echo {} {0} {a,b}",
    ],
)
def test_quotes_and_other_braces_are_left_alone(run: str) -> None:
    assert parse_plan(f"# X\n\n## Phase A — p\n- [ ] A1: t\n  - Run: `{run}`\n").problems == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "plan.md:1: expected a phase, with a heading such as '## Phase A — name', found none"),
        ("# X\n", "plan.md:1: expected a phase"),
        ("# X\n## Phase A — p\n- [ ] A1: t\n  - Expect: a.json exists\n", "plan.md:3: expected a `Run:` or a `Test:`"),
        ("# X\n## Phase A — p\n- [ ] A1: t\n  - Needs: A1\n", "found only Needs"),
        ("# X\n## Phase A — p\n- [ ] A1: t\n  - Limit: 5 s\n", "found only Limit"),
        (
            "# X\n## Phase A — p\n- [ ] A1: t\n  - Run: true\n  - Needs: B7\n",
            "plan.md:3: expected in Needs of A1 a row of this plan, one of A1, or kind:name, found 'B7'",
        ),
        ("# X\n## Phase A — p\n- [ ] A1: t\n  - Test: pytest {hub}\n", "no other placeholders in Test"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_has_a_problem(text: str, said: str) -> None:
    (problem,) = parse_plan(text, "plan.md").problems
    assert said in str(problem)


def test_an_expectation_that_cannot_be_read_stays_in_the_row() -> None:
    row = parse_plan(PLAN.replace("frames == 516", "frames = 516")).row("A1")
    assert row.expects == ("info.json:frames = 516", "info.json exists")
