"""The roles' prompts: Jinja2 templates, loaded once from where the harness runs, strict about every variable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigError

__all__ = ["Prompts", "prompt_folders"]


def prompt_folders(workspace: Path | None = None) -> tuple[Path, ...]:
    """Folders that may hold templates, the workspace's own first, then those that came with the harness."""
    package = Path(__file__).resolve().parent
    shipped = package / "prompts" if (package / "prompts").is_dir() else package.parent / "prompts"
    own = workspace / "prompts" if workspace else shipped
    return (own, shipped) if own.is_dir() and own != shipped else (shipped,)


class Prompts:
    """Templates by file name, read when the run starts; later changes in a worktree do not reach the run."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        import jinja2  # noqa: PLC0415 -- `--help` needs the standard library only

        sources: dict[str, str] = {}
        for folder in reversed(folders):
            sources |= {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
        self._sources = sources
        self._environment = jinja2.Environment(
            loader=jinja2.DictLoader(sources),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 -- prompts are plain text
        )

    def sha256(self, name: str) -> str:
        """Hash of a template's source, as the commit's Prompt-Sha trailer gives it."""
        return hashlib.sha256(self._sources[name].encode()).hexdigest()

    def render(self, name: str, facts: Mapping[str, Any]) -> str:
        """Fill in a template.

        Raises
        ------
        ConfigError
            The template does not exist, or names a variable the harness does not provide.
        """
        import jinja2  # noqa: PLC0415 -- as above

        if name not in self._sources:
            raise ConfigError(f"prompts/{name}: missing; known are {', '.join(sorted(self._sources))}")
        try:
            return self._environment.get_template(name).render(**facts)
        except jinja2.TemplateError as error:
            raise ConfigError(f"prompts/{name}: {error}; variables are {', '.join(sorted(facts))}") from error
