"""Where Python processes may import from, and a note of those that import from elsewhere.

It is copied out of the running harness: beside pytest's launcher, and as `sitecustomize` into a folder on the module
path of a row, with `origins.json` beside it. It uses the standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["Origins", "Trust"]


class Trust:
    """Tells code from elsewhere: not of the checkout, not installed, and there before the run.

    The user's own checkout, around the one at `root`, is elsewhere, but for an environment that lies in it.
    """

    def __init__(self, root: str, moment: float) -> None:
        self.moment = moment
        home = next((parent.parent for parent in Path(root).parents if parent.name == ".orchestrator"), Path(root))
        self.around = f"{home}{os.sep}"
        self.installed = _folders([sys.prefix, sys.base_prefix, sys.exec_prefix])
        given = [path for path in _folders(sys.path) if not path.startswith(self.around)]
        self.folders = (*_folders([root, str(Path(__file__).parent)]), *self.installed, *given)

    def is_foreign(self, file: str) -> bool:
        """Whether a file comes from elsewhere; what a run makes itself is its own."""
        if file.startswith(self.installed) and ".." not in file:  # nearly all of them
            return False
        file = os.path.realpath(file)
        try:
            older = Path(file).stat().st_ctime < self.moment
        except OSError:
            return False
        return older and not file.startswith((*self.folders, *self._developed()))

    def _developed(self) -> list[str]:
        """List the folders of packages that are installed where they are developed."""
        from importlib.metadata import distributions  # noqa: PLC0415 -- where something is doubtful only

        places = [path for path in sys.path if (os.path.realpath(path) + os.sep).startswith(self.installed)]
        urls = [json.loads(d.read_text("direct_url.json") or "{}") for d in distributions(path=places)]
        paths = [unquote(urlsplit(url["url"]).path) for url in urls if url.get("dir_info", {}).get("editable")]
        return [path for path in _folders(paths) if not path.startswith(self.around)]


def _folders(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(os.path.realpath(path) + os.sep for path in paths)


class Origins:
    """Writes down what this process imports from elsewhere, a whole line at once: other processes do so too."""

    def __init__(self, folder: Path) -> None:
        asked = json.loads((folder / "origins.json").read_text(encoding="utf-8"))
        self.record: str = asked["record"]
        self.trust = Trust(asked["root"], asked["started"])

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at a file that is opened; only the import system asks for code in this way."""
        if event != "open" or not isinstance(arguments[0], str) or not arguments[0].endswith((".py", ".pyc")):
            return
        caller = sys._getframe().f_back
        if caller and "importlib" in caller.f_code.co_filename and self.trust.is_foreign(arguments[0]):
            with open(self.record, "ab", buffering=0) as record:  # noqa: PTH123 -- pathlib may not be loaded any more
                record.write(f"{os.path.realpath(arguments[0])}\n".encode(errors="surrogateescape"))


def _start() -> None:
    """Begin to take notes, then run the environment's own `sitecustomize`, whose name this copy has taken."""
    folder = Path(__file__).parent
    sys.addaudithook(Origins(folder).see)
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry != str(folder)])
    if spec and spec.loader:
        spec.loader.exec_module(module_from_spec(spec))


if __name__ == "sitecustomize":
    _start()
