"""Any program as an agent: what it is given, and how its end is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.agents.command import CommandAgent
from orchestrator.errors import ConfigError
from orchestrator.facts import Role, TurnRequest
from orchestrator.process import Limits

from .conftest import HARNESS, Project


@pytest.fixture
def request_(tmp_path: Path) -> TurnRequest:
    """A turn whose folders have a space in their names, prompt in place."""
    worktree, folder = tmp_path / "work tree", tmp_path / "turn é"
    worktree.mkdir()
    folder.mkdir()
    (folder / "prompt.md").write_text("do this\nund das – €\n", encoding="utf-8")
    return TurnRequest(
        turn="run-1/0001-galph",
        role=Role.SUPERVISOR,
        iteration=1,
        worktree=worktree,
        prompt_path=folder / "prompt.md",
        request_path=folder / "request.json",
        log_path=folder / "agent.log",
        hub="plans/active/X/reports/Y/",
        branch="loop/run-1",
        facts={},
    )


def script(source: str, *arguments: str, **env: str) -> CommandAgent:
    return CommandAgent("mine", (sys.executable, "-c", source, *arguments), {"PYTHONUTF8": "1", **env})


def test_placeholders_are_filled_within_arguments_that_stay_whole(request_: TurnRequest) -> None:
    agent = script(
        "import sys; print(*sys.argv[1:], sep='\\n')",
        "--file={prompt_file}", "{request_file}", "{role}:{role}", "{worktree}", "{} {1,2} ${HOME} {\"a\": 1} {-x}",
    )  # fmt: skip
    outcome = agent.act(request_, Limits(10))
    assert (outcome.ending, outcome.code, outcome.log) == ("exited", 0, request_.log_path)
    assert outcome.log.read_text(encoding="utf-8").splitlines() == [
        f"--file={request_.prompt_path}",
        str(request_.request_path),
        "galph:galph",
        str(request_.worktree),
        '{} {1,2} ${HOME} {"a": 1} {-x}',
    ]


def test_the_prompt_comes_on_standard_input_and_ends(request_: TurnRequest) -> None:
    agent = script("import sys; sys.stdout.write(sys.stdin.read().upper())")
    assert agent.act(request_, Limits(10)).log.read_text(encoding="utf-8") == "DO THIS\nUND DAS – €\n"


def test_the_program_runs_in_the_worktree_with_the_given_environment_only(request_: TurnRequest) -> None:
    agent = script("import os; open('here', 'w').write(' '.join(sorted(os.environ)))", GIVEN="1")
    assert agent.act(request_, Limits(10)).code == 0
    assert (request_.worktree / "here").read_text() == "GIVEN LC_CTYPE ORCHESTRATOR_PARENT PYTHONUTF8"


def test_limits_and_stops_reach_the_program(request_: TurnRequest) -> None:
    agent = script("import time; time.sleep(60)")
    assert agent.act(request_, Limits(0.3)).ending == "wall"
    assert agent.act(request_, Limits(60, silence_s=0.3)).ending == "silence"
    assert agent.act(request_, Limits(60), lambda: True).ending == "stopped"
    assert script("while True: print('x' * 999)").act(request_, Limits(60, output_bytes=5000)).ending == "output"


def test_a_program_that_is_not_there_is_an_outcome(request_: TurnRequest) -> None:
    outcome = CommandAgent("mine", ("no-such-agent", "{prompt_file}"), {}).act(request_, Limits(5))
    assert (outcome.ending, outcome.code) == ("not-started", None)
    assert "no-such-agent" in outcome.log.read_text()


def test_an_unknown_placeholder_is_named_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r"agent mine: expected one of \{prompt_file\}, .* came \{promt_file\}"):
        CommandAgent("mine", ("prog", "--in={promt_file}"), {})


def test_an_empty_command_line_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a command line"):
        CommandAgent("mine", (), {})


def test_the_documents_example_of_an_agent_hands_over_and_reports(make_project: Callable[[str], Project]) -> None:
    project = make_project("good")
    example = HARNESS / "docs/agent_example.py"
    done = project.loop("--iterations", "1", "--agent-command", f"{sys.executable} {example} {{request_file}}")
    assert done.code == 13, done.said
    assert "handoff: MEAN-FIX-001, phase A" in done.said
    assert "A1: 2 failing" in done.said
    assert "Nothing was changed yet." in (project.work / "plans/active/MEAN-FIX-001/summary.md").read_text()
