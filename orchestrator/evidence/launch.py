"""Starts pytest for the harness: runner and plugins are loaded before the checkout under test can be imported.

Copied out of the running harness and run by path, without the environment's module path, which is the checkout's and
meant for the children of tests only: ``python -E -P orchestrator_launch.py CHECKOUT ARGUMENTS``. What the probe is
asked comes on standard input, which the tests find empty.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

__all__: list[str] = []


def _watch(recorder: Path) -> list[Any]:
    """Start the recorder of executed functions where the harness left one."""
    spec = spec_from_file_location("orchestrator_watch", recorder) if recorder.exists() else None
    if spec is None or spec.loader is None:
        return []
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return [module.start()]


def main() -> int:
    """Import runner and plugin, then put the checkout on the path."""
    folder = Path(__file__).parent
    sys.path.insert(0, str(folder))
    import orchestrator_origins  # type: ignore[import-not-found]  # noqa: PLC0415 -- lies beside the copy of this file
    import orchestrator_probe  # type: ignore[import-not-found]  # noqa: PLC0415 -- as above
    import orchestrator_witness  # type: ignore[import-not-found]  # noqa: PLC0415 -- as above
    import pytest  # noqa: PLC0415 -- from the harness's own environment

    asked = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    checkout, *arguments = sys.argv[1:]
    witness = orchestrator_witness.start(checkout, orchestrator_origins.Trust(checkout, time.time()))
    sys.path[0] = checkout
    watch = _watch(folder / "watch" / "sitecustomize.py")
    return int(pytest.main(arguments, plugins=[orchestrator_probe.Probe(asked, witness), witness, *watch]))


if __name__ == "__main__":
    raise SystemExit(main())
