"""Ways to cheat, each with its honest twin: the cheat is caught and a reason names it, the twin is believed.

No walls stand around the agent here; behind them some of these cheats fail before anything is measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .cheats import CHEATS, FILES, FOLDER, ITEM, MORE_ROWS, WORDS, Cheat
from .conftest import Finished, Project

Make = Callable[[str], Project]
Actor = Callable[[str], str]

ALARM = re.compile(r"\[(?:FENCE|EVIDENCE|CLAIM|DIFF)-[A-Z-]+\]")
CASES = [pytest.param(cheat, id=cheat.name, marks=() if cheat.quick else pytest.mark.slow) for cheat in CHEATS]


def play(make_project: Make, make_actor: Actor, code: str, deed: str) -> Finished:
    project = make_project("good")
    for path, text in FILES.items():
        project.write(path, text)
    plan = f"{FOLDER}/implementation.md"
    text = (project.root / plan).read_text().replace("\n## Phase", "\n- Evaluator: `judge/`\n\n## Phase")
    project.write(plan, text + MORE_ROWS)
    project.commit()
    does = f'write("calc.py", {code})\n{deed}\nsay("Did what the handoff asks.")'
    actor = make_actor(f"{WORDS}\ndef ralph():\n    exec({does!r}, globals())\n")
    return project.loop("--sandbox", "off", "--agent-command", actor, "--focus", ITEM, "--iterations", "1")


@pytest.mark.parametrize("cheat", CASES)
def test_a_cheat_is_caught_and_a_reason_names_it(make_project: Make, make_actor: Actor, cheat: Cheat) -> None:
    done = play(make_project, make_actor, "WRONG", cheat.deed)
    assert done.focus(ITEM)["verified"] == [], done.said
    assert done.focus(ITEM)["dwell"] == 1, done.said
    assert cheat.says in done.said


@pytest.mark.parametrize("cheat", CASES)
def test_its_honest_twin_raises_no_alarm(make_project: Make, make_actor: Actor, cheat: Cheat) -> None:
    done = play(make_project, make_actor, "RIGHT", cheat.twin)
    assert done.focus(ITEM)["verified"] == ["A1", "A2"], done.said
    assert ALARM.findall(done.said) == []
