"""Walls around children: what an agent or a test can see, and the little it can change, where bubblewrap is there."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.config import Config, child_environment, known_secrets
from orchestrator.errors import ConfigError
from orchestrator.git import Git
from orchestrator.process import Limits, last_line, run_child
from orchestrator.secrets import redact

__all__ = ["NO_SANDBOX", "Sandbox", "find_sandbox"]

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix", "/gnu")
_SYSTEM_FILES = (
    *("/sys/bus", "/sys/class", "/sys/dev", "/sys/devices"),  # processors and graphics cards are counted there
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/fonts"),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/resolv.conf", "/etc/host.conf"),
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/crypto-policies", "/etc/services", "/etc/protocols"),
    *("/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/gitconfig", "/etc/OpenCL", "/etc/terminfo"),
)
_DEVICES = ("nvidia*", "dri", "kfd")
_PRIVATE = ("/tmp", "/var/tmp")  # noqa: S108 -- made anew for each child
_PRIVATE_BY_NAME = ("HOME", "TMPDIR", "XDG_CACHE_HOME")
_EMPTY, _READ, _WRITE = "--tmpfs", "--ro-bind-try", "--bind-try"
_PROBE_S = 10.0


@dataclass(frozen=True)
class Sandbox:
    """What a child may see and change; all that is not named here does not exist for it.

    Attributes
    ----------
    program : str
        bubblewrap; empty where there are no walls, and children run as they are.
    note : str
        What the walls are, or why there are none.
    hidden : Path or None
        The user's checkout: an empty folder but for what below it is named under `read` or `write`.
    read, write : tuple of Path
        What is there beside the system, to be read, and to be written too; what does not exist is left out.
    masks : tuple of pairs of Path
        Files that are shown in place of others: the one behind, the one in front.
    network : bool
        Whether the child shares the machine's network; otherwise it has an empty one of its own.
    """

    program: str = ""
    note: str = "none"
    hidden: Path | None = None
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    masks: tuple[tuple[Path, Path], ...] = ()
    network: bool = False

    def opened(self, *, read: Iterable[Path] = (), write: Iterable[Path] = (), network: bool = False) -> Sandbox:
        """Return the same walls with more behind them."""
        reads, writes = (*self.read, *read), (*self.write, *write)
        return replace(self, read=reads, write=writes, network=self.network or network)

    def wrap(self, argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> list[str]:
        """Return the command that runs `argv` within the walls; a program that does not exist stays as it is.

        The child has a process table of its own, and everything in it ends with the harness or with the child. It has
        no rights beyond those of its user, and finds home, cache and temporary folders empty; they vanish with it.
        """
        if not self.program or not _exists(argv[0], cwd, env):
            return list(argv)
        words = [self.program, "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL"]
        words += [] if self.network else ["--unshare-net"]
        for entry in sorted(Path("/").iterdir()):
            if entry.is_symlink():
                words += ["--symlink", str(entry.readlink()), str(entry)]
            elif str(entry) in _SYSTEM:
                words += ["--ro-bind", str(entry), str(entry)]
        words += ["--dev", "/dev", "--proc", "/proc"]
        for name in _SYSTEM_FILES:
            words += ["--ro-bind-try", name, name]
        for device in (path for pattern in _DEVICES for path in Path("/dev").glob(pattern)):
            words += ["--dev-bind-try", str(device), str(device)]
        for path, option in self._mounts(env):
            words += [option, str(path)] if option == _EMPTY else [option, str(path), str(path)]
        for behind, front in self.masks:
            words += ["--ro-bind", str(front), str(behind)]
        for folder in (*filter(None, [self.hidden]), Path("/")):
            words += ["--remount-ro", str(folder)]
        return [*words, "--chdir", str(cwd), "--", *argv]

    def _mounts(self, env: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
        """Give what is mounted beside the system, the outer before the inner; the last wish for a path counts."""
        private = [Path(path) for path in (*_PRIVATE, *(env.get(name, "") for name in _PRIVATE_BY_NAME)) if path]
        empty = [path for path in private if path.is_dir() and not any(Path(s).is_relative_to(path) for s in _SYSTEM)]
        wishes = ((_EMPTY, (*empty, *filter(None, [self.hidden]))), (_READ, self.read), (_WRITE, self.write))
        options = {place: option for option, paths in wishes for path in paths for place in _places(path)}
        mounted = dict.fromkeys(map(Path, _SYSTEM), _READ)
        for path, option in sorted(options.items(), key=lambda mount: mount[0].parts):
            around = next((mounted[parent] for parent in path.parents if parent in mounted), _EMPTY)
            if option == _EMPTY or option != around:
                mounted[path] = option
                yield path, option


NO_SANDBOX = Sandbox()


def _places(path: Path) -> set[Path]:
    """Return where a path has to be put: where it is named, and where it really lies."""
    real = Path(os.path.realpath(path))
    top = Path(*path.parts[:2])
    return {real} if top.is_symlink() else {Path(os.path.normpath(path)), real}


def _exists(program: str, cwd: Path, env: Mapping[str, str]) -> bool:
    if "/" in program:
        return os.access(cwd / program, os.X_OK)
    folders = (str(cwd / folder) for folder in env.get("PATH", os.defpath).split(os.pathsep))
    return shutil.which(program, path=os.pathsep.join(folders)) is not None


def _interpreter() -> Iterator[Path]:
    """Give what the harness's own interpreter consists of, links on the way to it included."""
    yield from (Path(sys.prefix), Path(sys.base_prefix))
    yield from (Path(path) for path in sys.path if Path(path).name in {"site-packages", "dist-packages"})
    hop = Path(sys.executable)
    while hop.is_symlink():
        yield hop
        hop = Path(os.path.normpath(hop.parent / hop.readlink()))
    yield hop


def _object_folders(common: Path) -> Iterator[Path]:
    """Give the git directory, and where a shared clone has the objects that it does not hold itself."""
    yield common
    alternates = common / "objects" / "info" / "alternates"
    if alternates.is_file():
        yield from (common / "objects" / line for line in alternates.read_text(errors="replace").splitlines() if line)


def _masks(common: Path, home: Path) -> Iterator[tuple[Path, Path]]:
    """Give a copy of git's settings without the passwords that stand in them, where there are any."""
    settings, front = common / "config", home / "git-config"
    shown = redact(settings.read_bytes(), known_secrets()) if settings.is_file() else b""
    if shown and shown != settings.read_bytes():
        front.write_bytes(shown)
        yield settings, front


def find_sandbox(config: Config, git: Git, home: Path | None = None) -> Sandbox:
    """Return the walls that every child of a run is put behind, tried out once; without a `program` there are none.

    With `home`, the loop's own folder, passwords in git's settings are covered too.

    Raises
    ------
    ConfigError
        A sandbox is required, and there is none.
    """
    if config.sandbox == "off":
        return Sandbox(note="none, as configured")
    program = shutil.which("bwrap")
    why = "bubblewrap (bwrap) is not on the PATH"
    if program:
        package = Path(__file__).parent
        read = (*_interpreter(), package, *_object_folders(git.common_dir()), *config.sandbox_read)
        reads = (*read, *config.needs_folder)
        masks = tuple(_masks(git.common_dir(), home)) if home else ()
        walls = Sandbox(program, "bubblewrap", hidden=config.workspace, read=reads, masks=masks)
        with tempfile.TemporaryDirectory() as folder:
            env = child_environment(config, Path(folder))
            probe = walls.opened(read=[Path(folder)]).wrap([sys.executable, "-S", "-c", ""], Path(folder), env)
            log = Path(folder, "log")
            result = run_child(probe, cwd=Path(folder), env=env, log=log, limits=Limits(_PROBE_S))
            if result.ok:
                return walls
            why = f"bubblewrap does not work here: {last_line(log) or result.ending.value}"
    if config.sandbox == "required":
        raise ConfigError(f"sandbox: required, but {why}; install or permit it, or set sandbox: auto")
    return Sandbox(note=f"none, {why}")
