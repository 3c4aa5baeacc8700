"""What a call of the loop would do: its settings with their origin, and the items in order."""

from __future__ import annotations

import json
import sys

from orchestrator.arguments import LoopCall
from orchestrator.config import SETTINGS
from orchestrator.report.status import make_status, status_lines

__all__ = ["tell_plan"]


def tell_plan(call: LoopCall) -> int:
    """Print settings (`--show-config`) and what would be worked on (`--dry-run`); nothing is changed."""
    shown: dict[str, object] = {}
    lines = []
    if call.show_config:
        values = {setting.key: getattr(call.config, setting.key) for setting in SETTINGS}
        shown["config"] = {key: {"value": value, "origin": call.config.origins[key]} for key, value in values.items()}
        lines += [
            f"{key} = {json.dumps(value, default=str) if value else 'none'}  ({call.config.origins[key]})"
            for key, value in values.items()
        ]
    if call.dry_run:
        status = make_status(call.workspace, call.config, fresh=call.fresh)
        shown["status"] = status
        lines += [*status_lines(status), "would work on: " + (", ".join(status["runnable"]) or "nothing")]
    text = json.dumps(shown, indent=1, default=str) if call.as_json else "\n".join(lines)
    sys.stdout.write(text + "\n")
    return 0
