"""Starts pytest for the harness: runner and plugin are loaded before the checkout under test can be imported.

Copied out of the running harness and run by path: ``python -P orchestrator_launch.py CHECKOUT ARGUMENTS``.
"""

from __future__ import annotations

import os
import sys

__all__: list[str] = []


def main() -> int:
    """Import the runner, then put the checkout on the path of this process and of its children."""
    import orchestrator_probe  # type: ignore[import-not-found]  # noqa: PLC0415 -- lies beside the copy of this file
    import pytest  # noqa: PLC0415 -- from the harness's own environment, before anything of the checkout

    checkout, *arguments = sys.argv[1:]
    sys.path.insert(0, checkout)
    os.environ["PYTHONPATH"] = checkout  # noqa: TID251 -- this file runs in the child
    return int(pytest.main(arguments, plugins=[orchestrator_probe]))


if __name__ == "__main__":
    raise SystemExit(main())
