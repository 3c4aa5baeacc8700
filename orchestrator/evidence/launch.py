"""Starts pytest for the harness: runner and plugin are loaded before the checkout under test can be imported.

Copied out of the running harness and run by path, without the environment's module path, which is the checkout's and
meant for the children of tests only: ``python -E -P orchestrator_launch.py CHECKOUT ARGUMENTS``.
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__: list[str] = []


def main() -> int:
    """Import runner and plugin, then put the checkout on the path."""
    sys.path.insert(0, str(Path(__file__).parent))
    import orchestrator_probe  # type: ignore[import-not-found]  # noqa: PLC0415 -- lies beside the copy of this file
    import pytest  # noqa: PLC0415 -- from the harness's own environment

    sys.path[0], *arguments = sys.argv[1:]
    return int(pytest.main(arguments, plugins=[orchestrator_probe]))


if __name__ == "__main__":
    raise SystemExit(main())
