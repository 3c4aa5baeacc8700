"""Where Python processes may import from, and a note of those that import from elsewhere.

It is copied out of the running harness: beside pytest's launcher, and as `sitecustomize` into a folder on the module
path of a row, with `origins.json` beside it. It uses the standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

__all__ = ["Origins", "is_older", "trusted"]


def trusted(root: str) -> tuple[str, ...]:
    """Return the folders, with a separator at the end, that code may come from: the checkout and what is installed.

    The user's own checkout, around the one at `root`, is none of them, but for an environment that lies in it.
    """
    home = next((parent.parent for parent in Path(root).parents if parent.name == ".orchestrator"), Path(root))
    around = f"{home}{os.sep}"
    installed = [os.path.realpath(path) + os.sep for path in (sys.prefix, sys.base_prefix, sys.exec_prefix)]
    given = [os.path.realpath(path) + os.sep for path in sys.path]
    own = f"{Path(__file__).parent}{os.sep}"
    return (root + os.sep, own, *installed, *(path for path in given if not path.startswith(around)))


def is_older(file: str, moment: float) -> bool:
    """Whether a file was there before; what a run makes itself is its own."""
    try:
        return Path(file).stat().st_ctime < moment
    except OSError:
        return False


class Origins:
    """Writes down what this process imports from elsewhere, a whole line at once: other processes do so too."""

    def __init__(self, folder: Path) -> None:
        asked = json.loads((folder / "origins.json").read_text(encoding="utf-8"))
        self.started: float = asked["started"]
        self.record: str = asked["record"]
        self.trusted = trusted(asked["root"])

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at a file that is opened; only the import system asks for code in this way."""
        if event != "open" or not isinstance(arguments[0], str) or not arguments[0].endswith((".py", ".pyc")):
            return
        caller = sys._getframe().f_back
        if caller is None or "importlib" not in caller.f_code.co_filename or arguments[0].startswith(self.trusted):
            return
        file = os.path.realpath(arguments[0])
        if not file.startswith(self.trusted) and is_older(file, self.started):
            with open(self.record, "ab", buffering=0) as record:  # noqa: PTH123 -- pathlib may not be loaded any more
                record.write(f"{file}\n".encode(errors="surrogateescape"))


def _start() -> None:
    """Begin to take notes, then run the environment's own `sitecustomize`, whose name this copy has taken."""
    folder = Path(__file__).parent
    sys.addaudithook(Origins(folder).see)
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry != str(folder)])
    if spec and spec.loader:
        spec.loader.exec_module(module_from_spec(spec))


if __name__ == "sitecustomize":
    _start()
