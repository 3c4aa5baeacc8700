"""The handoff: read as it was written, in each spelling, and what it lacks is told."""

from dataclasses import replace

import pytest

from orchestrator.errors import RecordError
from orchestrator.records.handoff import Handoff, Step, StepKind, parse_handoff, render_handoff, with_owned_fields

HANDOFF = Handoff(
    summary="Fix the mean.",
    mode="Implementation",
    focus="PARALLEL-API-INFERENCE",
    focus_title="One API",
    branch="loop/night",
    mapped_tests=("tests/test_mean.py::test_it", "tests/test_mean.py::test_it[a, b]"),
    artifacts="plans/active/PARALLEL-API-INFERENCE/reports/2026-01-15T225850Z/",
    do_now=(
        Step(StepKind.IMPLEMENT, "guard it — twice", path="a/b.py", symbol="mean"),
        Step(StepKind.IMPLEMENT, "", path="docs/x.md"),
        Step(StepKind.TEST, "", command="pytest tests/test_mean.py -q"),
        Step(StepKind.RUN, "row B1", command="python -m mean --out {hub}"),
        Step(StepKind.TEXT, "Write the summary."),
    ),
    if_blocked="Stop.",
    rationale="- first\n- second",
    how_to="See `docs`.",
    pitfalls="none of the obvious ones",
    findings=("CONFIG-001", "BASELINE-CHUNKED-002"),
    pointers="docs/index.md",
    next_up="Phase C.",
)
TEXT = render_handoff(HANDOFF)


def problems_of(text: str) -> list[str]:
    return [str(problem) for problem in parse_handoff(text).problems]


def test_a_handoff_is_read_as_it_was_written() -> None:
    found = parse_handoff(TEXT)
    assert found == HANDOFF
    assert found.problems == ()
    assert found.do_now[0].line == TEXT.splitlines().index("1. Implement: a/b.py::mean — guard it — twice") + 1


def test_an_empty_handoff_says_none_in_every_section() -> None:
    text = render_handoff(replace(Handoff(), focus="A-001"))
    assert text.count(": none\n") == 13
    assert parse_handoff(text).problems == ()


def test_a_handoff_is_written_back_byte_for_byte() -> None:
    text = TEXT.replace("\n\n", "\n\n\n")
    assert render_handoff(parse_handoff(text)) == text


def test_a_changed_handoff_is_written_anew() -> None:
    assert "Branch: loop/other\n" in render_handoff(replace(parse_handoff(TEXT), branch="loop/other"))


@pytest.mark.parametrize("form", ["## {}\n", "## {}: ", "**{}:** ", "**{}**: ", "{}: ", "## {} (hard)\n"])
def test_sections_are_read_in_each_spelling(form: str) -> None:
    text = TEXT
    for key in ("Summary", "Mode", "If Blocked", "Next Up"):
        text = text.replace(f"\n{key}: ", f"\n{form.format(key)}")
    assert parse_handoff(text) == HANDOFF


@pytest.mark.parametrize(
    "listed",
    [
        " `tests/a.py::b`; `tests/c.py`",
        " tests/a.py::b, tests/c.py",
        "\n- tests/a.py::b (new)\n* `tests/c.py` — regression",
        "\n- `VAR=1 pytest -k 'x/y' tests/a.py::b -v`\n- `python -m pytest tests/c.py`",
        "\n- pytest --collect-only tests/a.py::b\n- pytest tests/a.py::b\n- tests/c.py",
    ],
)
def test_selectors_are_read_in_each_spelling(listed: str) -> None:
    text = TEXT.replace(TEXT[TEXT.index("\n- `tests/") : TEXT.index("\n\nArtifacts")], listed)
    assert parse_handoff(text).mapped_tests == ("tests/a.py::b", "tests/c.py")
    assert parse_handoff(text).problems == ()


@pytest.mark.parametrize("word", ["none", "none — evidence-only", "None: only documents"])
def test_a_handoff_may_map_no_test(word: str) -> None:
    text = TEXT.replace(TEXT[TEXT.index("\n- `tests/") : TEXT.index("\n\nArtifacts")], f" {word}")
    assert parse_handoff(text).mapped_tests == ()
    assert parse_handoff(text).problems == ()


@pytest.mark.parametrize("key", ["Summary", "Mode", "Focus", "Mapped tests", "Do Now", "Findings Applied", "Next Up"])
def test_a_missing_or_empty_section_is_reported(key: str) -> None:
    renamed = problems_of(TEXT.replace(f"{key}:", "Else:", 1))
    assert any(f"expected a section '{key}:'" in problem for problem in renamed), renamed
    start = TEXT.index(f"{key}:") + len(key) + 1
    end = TEXT.find("\n\n", start)
    emptied = problems_of(TEXT[:start] + (TEXT[end:] if end > 0 else "\n"))
    assert any(f"expected text in section '{key}'" in problem for problem in emptied), emptied


def test_a_handoff_that_was_cut_short_is_reported() -> None:
    for cut in range(10, len(TEXT) - len("Phase C.\n"), 7):
        assert problems_of(TEXT[:cut]), TEXT[:cut]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "Focus: PARALLEL-API-INFERENCE",
            "Focus: something",
            "expected Focus: ID — title, found 'something",
        ),
        ("- `tests/test_mean.py::test_it`", "- the usual", "expected a selector such as"),
        ("a/b.py::mean", "the mean of a", "expected Implement: path::symbol — what"),
        ("Mode: Implementation", "Mode: Implementation\nMode: TDD", "expected one section 'Mode', found a second one"),
    ],
)
def test_what_cannot_be_read_is_reported(old: str, new: str, expected: str) -> None:
    assert old in TEXT
    found = problems_of(TEXT.replace(old, new, 1))
    assert any(expected in problem for problem in found), found


def test_a_selection_turn_has_a_pseudo_focus() -> None:
    assert parse_handoff(TEXT.replace("Focus: PARALLEL-API-INFERENCE", "Focus: FOCUS_SELECTION")).problems == ()


def test_the_harness_writes_its_own_sections_and_nothing_else() -> None:
    text = with_owned_fields(TEXT, branch="loop/other", artifacts="hub/")
    assert text == TEXT.replace("loop/night", "loop/other").replace(HANDOFF.artifacts, "hub/")


def test_the_harness_adds_its_own_sections_where_they_are_missing() -> None:
    text = TEXT.replace("Branch: loop/night\n\n", "").replace(f"Artifacts: {HANDOFF.artifacts}\n\n", "")
    assert with_owned_fields(text, branch="b", artifacts="h/") == text + "\nBranch: b\n\nArtifacts: h/\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"summary": "x\nMode: forged"},
        {"summary": "none"},
        {"mapped_tests": ("--collect-only",)},
        {"findings": ("config",)},
        {"do_now": (Step(StepKind.TEXT, "Run: `rm`"),)},
        {"do_now": (Step(StepKind.RUN, "", command="a `b`"),)},
    ],
)
def test_a_value_that_would_be_read_as_something_else_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RecordError, match="read back"):
        render_handoff(replace(HANDOFF, **changes))
