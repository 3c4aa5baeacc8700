"""One renderer for every page the product makes: strict templates, everything escaped, a folder it owns."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestrator.errors import WorkspaceError

__all__ = ["render_page", "write_pages"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_MARKER = ".orchestrator-report"
# What a terminal would obey and a page cannot show, and what turns the direction of text around.
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def _visible(value: object) -> object:
    """Return text without terminal colours; undecodable bytes, controls and marks of direction become escapes."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    text = _COLOURS.sub("", value).replace("\r\n", "\n").replace("\r", "\n")
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@functools.cache
def _environment() -> Any:  # noqa: ANN401 -- jinja2 is imported when it is needed
    import jinja2  # noqa: PLC0415 -- `--help` needs the standard library only
    import markupsafe  # noqa: PLC0415 -- as above

    blocks: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    loader = jinja2.FileSystemLoader(_TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, finalize=_visible, **blocks)
    for name, file in (("style", "report.css"), ("script", "report.js")):
        source = (_TEMPLATES / file).read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        environment.globals |= {name: markupsafe.Markup(source), f"{name}_hash": f"sha256-{digest}"}  # noqa: S704 -- ours
    return environment


def render_page(template: str, **data: Any) -> str:  # noqa: ANN401 -- a template takes what it names
    """Fill in a page's template; whatever text it is given is shown as text.

    Parameters
    ----------
    template
        Name of a file in `templates/`.
    **data
        Every variable that the template names; one that is missing is an error.
    """
    return str(_environment().get_template(template).render(**data))


def write_pages(folder: Path, pages: Iterable[tuple[str, str | bytes]]) -> int:
    """Write pages into a folder that holds nothing else; return how many.

    All are made before the first takes its place, so that an earlier report stays whole until there is a new one.

    Parameters
    ----------
    folder
        A new or empty folder, or one that an earlier call wrote; other files in it are left alone.
    pages
        Name below the folder and content, made one after the other while they are written.

    Raises
    ------
    WorkspaceError
        The folder holds somebody's files.
    """
    is_ours = folder.is_dir() and ((folder / _MARKER).is_file() or not any(folder.iterdir()))
    if os.path.lexists(folder) and not is_ours:
        raise WorkspaceError(f"{folder}: expected a new folder, an empty one or an earlier report; give another name")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as made:
        names: dict[str, None] = {}
        for name, content in pages:
            part = Path(made, name)
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content if isinstance(content, bytes) else content.encode())
            names[name] = None
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Path(made, name).replace(folder / name)
    return len(names)
