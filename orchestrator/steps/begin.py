"""Steps open, brief and act: from the journal's first word to the end of the agent's process."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from orchestrator.agents.catalog import EMBEDDED, make_agent
from orchestrator.briefing import make_facts
from orchestrator.facts import TurnRequest
from orchestrator.policy.rules import Severity, breach
from orchestrator.process import Ending, Limits
from orchestrator.records.handoff import StepKind
from orchestrator.review import course_of, pending_review
from orchestrator.roles import Leaving
from orchestrator.steps.base import Turn, TurnFailed

__all__ = ["act", "brief", "open_turn"]


def open_turn(turn: Turn) -> Turn:
    """Record that the turn has begun, before anything else happens."""
    turn = replace(turn, state=replace(turn.state, started=turn.state.started + 1))
    turn.session.journal.append(
        "turn.started",
        {
            "turn": turn.id,
            "role": turn.role.role.value,
            "iteration": turn.state.iteration,
            "base": turn.base,
            "stamp": turn.stamp_text,
            "focus": turn.focus.id if turn.focus else None,
        },
    )
    turn.stage.mkdir(parents=True, exist_ok=True)
    return turn


def brief(turn: Turn) -> Turn:
    """Write the facts and the prompt the agent gets."""
    session = turn.session
    own = {"turn": turn.id, "role": turn.role.role.value, "branch": session.run.branch}
    facts = make_facts(
        turn.agenda, turn.state, session.config, focus=turn.focus, stamp=turn.stamp, refusals=turn.refusals, own=own
    )
    facts["review"] = pending_review(session, turn.state) if turn.role.writes_handoff else None
    if turn.role.leaves is Leaving.REVIEW:
        facts["course"] = course_of(session, turn.agenda, turn.state, turn.hub)
    request = TurnRequest(
        turn=turn.id,
        role=turn.role.role,
        iteration=turn.state.iteration,
        worktree=session.worktree.root,
        prompt_path=turn.folder / "prompt.md",
        request_path=turn.folder / "request.json",
        log_path=turn.folder / "agent.log",
        hub=turn.hub,
        branch=session.run.branch,
        facts=facts,
    )
    request.prompt_path.write_text(session.prompts.render(turn.role.prompt, facts), encoding="utf-8")
    data = {key: str(value) if key.endswith(("path", "worktree")) else value for key, value in asdict(request).items()}
    request.request_path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return replace(turn, request=request)


def _agent_name(turn: Turn) -> str:
    """Who plays the turn: a handoff that only runs rows needs no agent program, whichever is configured."""
    config = turn.session.config
    if not turn.role.is_measured:
        return config.supervisor if turn.role.writes_handoff else config.reviewer
    steps = turn.handoff.do_now if turn.handoff else ()
    if all(step.kind in {StepKind.RUN, StepKind.TEST} for step in steps):
        return EMBEDDED
    if config.engineer == EMBEDDED and turn.item.engineer:
        return turn.item.engineer
    return config.engineer


def act(turn: Turn) -> Turn:
    """Run the agent; anything but an ordinary end with code 0 fails the turn."""
    session, config = turn.session, turn.session.config
    if turn.request is None:
        raise AssertionError("act comes after brief")
    agent = make_agent(_agent_name(turn), config, session.worktree.root, session.sandbox)
    session.live.step(f"{agent.name} is at work", turn.request.log_path)
    limits = Limits(wall_s=config.turn_minutes * 60, silence_s=config.silence_minutes * 60)
    session.worktree.git.rest()  # what the agent does to the repository is met by a git that starts afterwards
    outcome = agent.act(turn.request, limits, session.interrupted)
    costs = {key: getattr(outcome, key) for key in ("ending", "code", "seconds", "log_bytes")}
    cost = {"name": agent.name, **costs}
    if outcome.ending == Ending.STOPPED:
        raise TurnFailed("ended by a person", interrupted=True, agent=cost)
    if outcome.ending != Ending.EXITED or outcome.code != 0:
        how = f"exit code {outcome.code}" if outcome.ending == Ending.EXITED else f"ended ({outcome.ending})"
        raise TurnFailed(f"agent {agent.name}: {how} after {outcome.seconds:.0f} s; log {outcome.log}", agent=cost)
    printed = [breach("SECRET-PRINTED", "its output held a secret", str(outcome.log))] if outcome.redacted else []
    return replace(
        turn,
        agent=cost,
        facts=replace(turn.facts, told=tuple(found.text for found in config.rulebook.held(printed, Severity.REPORT))),
    )
