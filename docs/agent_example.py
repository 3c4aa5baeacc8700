"""The smallest agent program that plays both roles. Copy it, and do your own work in `ralph`.

It is started as ``python agent_example.py REQUEST_FILE`` and uses nothing but the standard library.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]

HANDOFF = """\
Summary: phase {phase} of {id}
Mode: Implementation
Focus: {id} — {title}
Branch: {branch}
Mapped tests: none
Artifacts: {hub}
Do Now:
{steps}
If Blocked: write down what is missing, in the summary
Priorities & Rationale: best first among what can run
How-To Map: {plan}
Pitfalls To Avoid: none
Findings Applied: none
Pointers: {plan}
Next Up: the next phase
"""

ENTRY = """
# {stamp}: {id} — phase {phase} handed over

- Focus issue: {id} — {title}
- Action type: Implementation handoff
- Mode: Implementation
- Documents reviewed: {plan}
- <Action State>: [ready_for_implementation]
- focus={id} state=ready_for_implementation dwell=0 ralph_last_commit=none artifacts={hub} next_action=phase {phase}
"""


def galph(facts: dict[str, Any], work: Path) -> None:
    """Choose an item, write the handoff and one memory entry."""
    item = facts["candidates"][0]  # the best first; `others` says why the rest cannot run
    steps = [f"Implement: {text}" for text in item["implement"]]
    steps += [f"{'Run' if row['run'] else 'Test'}: `{row['run'] or row['test']}`" for row in item["rows"]]
    told = {**item, "branch": facts["branch"], "stamp": facts["stamp"]}
    told["steps"] = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    (work / "input.md").write_text(HANDOFF.format(**told), encoding="utf-8")
    with (work / "galph_memory.md").open("a", encoding="utf-8") as memory:
        memory.write(ENTRY.format(**told))


def ralph(facts: dict[str, Any], work: Path) -> None:
    """Do what the handoff asks, and say what was done; the harness runs tests and rows afterwards."""
    item = facts["item"]
    # Your work: read input.md, change files below `work`.
    summary = work / "plans/active" / item["id"] / "summary.md"
    before = summary.read_text(encoding="utf-8") if summary.exists() else ""
    said = "### Turn Summary\nRead the handoff.\nNothing was changed yet.\nNext: write the code.\n"
    summary.write_text(f"{said}\n{before}", encoding="utf-8")


def main() -> int:
    """Play the role that the request names."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    play = galph if request["role"] == "galph" else ralph
    play(request["facts"], Path(request["worktree"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
