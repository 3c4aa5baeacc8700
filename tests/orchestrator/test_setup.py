"""A checkout that has to be set up before anything can be measured in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Finished, Project

Make = Callable[[str], Project]
Actor = Callable[[str], str]
FIX = "MEAN-FIX-001"
BUILD = "import pathlib\npathlib.Path('built.py').write_text('ONE = 1\\n')\n"
NEEDS_BUILT = """
def ralph():
    write("calc.py", "from built import ONE\\n\\n\\ndef mean(values):\\n    return ONE * sum(values) / len(values)\\n")
    {more}
    say("Did what the handoff asks.")
"""


def play(project: Project, actor: str, setup: str) -> Finished:
    project.write(".gitignore", "built.py\n")
    project.write("build.py", BUILD)
    project.write("orchestration.yaml", f"verify_setup: {setup}\n" if setup else "silence_minutes: 5\n")
    project.commit()
    return project.loop("--agent-command", actor, "--focus", FIX, "--iterations", "1")


def test_code_that_has_to_be_built_is_built_where_it_is_measured(make_project: Make, make_actor: Actor) -> None:
    project = make_project("good")
    done = play(project, make_actor(NEEDS_BUILT.format(more="")), "python build.py")
    assert done.focus(FIX)["verified"] == ["A1"], done.said
    assert not (project.work / "built.py").exists()


def test_a_set_up_that_fails_where_the_run_starts_ends_it_with_its_own_code(make_project: Make) -> None:
    done = play(make_project("good"), "true", "python -c 'raise SystemExit(\"no compiler\")'")
    assert done.code == 15, done.said
    assert "failed: no compiler; correct `verify_setup:` until it succeeds at" in done.said


@pytest.mark.slow
def test_a_set_up_that_an_engineer_broke_is_charged_to_it(make_project: Make, make_actor: Actor) -> None:
    breaks = 'write("build.py", "raise SystemExit(\'broken\')")'
    done = play(make_project("good"), make_actor(NEEDS_BUILT.format(more=breaks)), "python build.py")
    assert done.focus(FIX)["verified"] == []
    assert done.focus(FIX)["dwell"] == 1
    assert "set-up `python build.py` failed: broken" in done.said


@pytest.mark.slow
def test_without_it_such_code_is_not_verified(make_project: Make, make_actor: Actor) -> None:
    done = play(make_project("good"), make_actor(NEEDS_BUILT.format(more="")), "")
    assert done.focus(FIX)["verified"] == [], done.said
