"""git in machine form: plumbing with NUL-terminated output, a cleaned environment and a time limit."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from orchestrator.errors import GitError
from orchestrator.lineage import Wait, make_mark, open_pidfd
from orchestrator.objects import FOLDER, Objects, TreeEntry

__all__ = ["Change", "Git", "TreeEntry"]

# Whatever changes the output, runs other programs or waits for a person in somebody's configuration.
_SETTINGS = (
    "core.quotepath=off",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "commit.gpgsign=false",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "trailer.separators=:",
)
_PREFIX = ("git", *(word for setting in _SETTINGS for word in ("-c", setting)))
_FIXED = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
_OFFLINE = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
_FALLBACK_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "orchestrator"), ("EMAIL", "orchestrator@localhost"))
}
_SOURCES = (":/", ":(top,exclude,glob)**/*.py[co]")  # compiled code may differ from its source; it is never taken
_NULL_ID = "0" * 64  # as long as the longest ids; SHA-1 uses 40 of them
_NEW_FILE_MODE = "100644"
_PRIVATE_INDEX = "orchestrator-index"
_INDEXES_KEPT = 4
_STDERR_KEPT = 800


class Change(NamedTuple):
    """One changed path between two trees; `status` is git's letter: A, M, D or T."""

    status: str
    path: str


class _Process(subprocess.Popen[bytes]):
    """A child that is waited for without the naps which the standard library takes where there is a time limit."""

    def wait(self, timeout: float | None = None) -> int:
        pidfd = open_pidfd(self.pid) if self.returncode is None else None
        if pidfd is not None and timeout is not None:
            with Wait([pidfd], {}) as wait:
                wait.once(timeout)
        return super().wait(timeout)


@dataclass(frozen=True)
class Git:
    """A repository seen from one of its folders.

    Attributes
    ----------
    root
        Where git is run.
    timeout_s
        Seconds that one call may take.
    env
        Environment to start from; its `GIT_*` variables are dropped. Empty: only where programs and the
        home folder are, so that the user's identity and ignore rules hold.
    git_dir
        The git directory of the checkout at `root`; by default git looks for it. A checkout that somebody else
        may change is given its own, so that without its `.git` git does not find the repository around it.
    kept
        A reader that stays between calls (see `keeping_reader`); without one every call starts its own.
    offline
        Whether git must not fetch what a partial clone lacks, which may run whatever its settings name.

    Notes
    -----
    Every method raises `GitError` when git is missing, ends with an unexpected code or runs out of time.
    Paths are as git has them, relative to the top of the tree; undecodable bytes become surrogates.
    """

    root: Path
    timeout_s: float = field(default=60.0, kw_only=True)
    env: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    git_dir: Path | None = field(default=None, kw_only=True)
    kept: Objects | None = field(default=None, kw_only=True, compare=False, repr=False)
    offline: bool = field(default=False, kw_only=True)
    _indexes: dict[str, tuple[bytes, int]] = field(default_factory=dict, kw_only=True, compare=False, repr=False)
    _left: dict[str, tuple[bytes, int]] = field(default_factory=dict, kw_only=True, compare=False, repr=False)

    def run(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        ok: Sequence[int] = (0,),
    ) -> bytes:
        """Run one git command and return what it printed.

        Parameters
        ----------
        *args
            The command and its arguments.
        env
            Variables to add, `GIT_INDEX_FILE` for one.
        stdin
            Its standard input; None is an empty one.
        ok
            The exit codes that are expected.

        Raises
        ------
        GitError
            If git is not installed, ends with another code, or takes longer than `timeout_s`.
        """
        shown = self._shown(args)
        process = self._start(args, env or {}, new_session=True)
        with process:
            try:
                out, err = process.communicate(stdin or b"", timeout=self.timeout_s)
            except BaseException as error:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise GitError(
                        f"{shown}: expected an end within {self.timeout_s:g} s, came none; "
                        "look for a lock, a slow disk or a filter that waits"
                    ) from error
                raise
        if process.returncode not in ok:
            said = err.decode(errors="replace").strip()[-_STDERR_KEPT:] or "it said nothing"
            expected = " or ".join(map(str, ok))
            raise GitError(f"{shown}: expected exit code {expected}, came {process.returncode}: {said}")
        return out

    def text(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        ok: Sequence[int] = (0,),
    ) -> str:
        """Run one git command and return what it printed as text, without the line break at its end."""
        return _decode(self.run(*args, env=env, stdin=stdin, ok=ok)).removesuffix("\n")

    def head(self) -> str:
        """Return the id of the commit that is checked out."""
        return self.text("rev-parse", "--verify", "HEAD^{commit}")

    def rev(self, ref: str) -> str | None:
        """Return the id that a ref or an expression names; None if it names nothing that is there."""
        with self._objects() as objects:
            found = objects.ask(ref)
        return found.id if found else None

    def common_dir(self) -> Path:
        """Return the git directory that all worktrees share."""
        return self._common_dir

    @cached_property
    def _common_dir(self) -> Path:
        return Path(self.text("rev-parse", "--path-format=absolute", "--git-common-dir"))

    def patch(self, before: str, after: str, paths: Iterable[str] = ()) -> bytes:
        """Return what `git apply` takes from one tree or commit to another, whatever the user's settings of diff."""
        literal = (f":(literal){path}" for path in paths)
        options = ("-p", "-r", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv")
        return self.run("diff-tree", *options, before, after, "--", *literal)

    def diff_tree(self, before: str, after: str) -> tuple[Change, ...]:
        """List what differs between two trees or commits, file by file; a rename is a D and an A."""
        if self.rev(f"{before}^{{tree}}") == self.rev(f"{after}^{{tree}}"):
            return ()
        out = self.run("diff-tree", "-r", "-z", "--no-renames", "--name-status", before, after)
        fields = _decode(out).split("\0")[:-1]
        return tuple(map(Change, fields[::2], fields[1::2]))

    def ls_tree(self, tree: str, path: str = "") -> dict[str, TreeEntry]:
        """Return every file that a tree or commit holds at or below `path`, by path, folders unfolded."""
        with self._objects() as objects:
            return objects.files(tree, path)

    def folder(self, tree: str) -> dict[str, TreeEntry]:
        """Return what lies at the root of a tree or commit, by name, folders too."""
        with self._objects() as objects:
            return objects.folder(tree)

    def entry(self, tree: str, path: str) -> TreeEntry | None:
        """Return what a tree or commit holds under a path, a folder too; None if it has no such path."""
        with self._objects() as objects:
            return objects.entry(tree, path)

    def files(self, tree: str, paths: Iterable[str]) -> dict[str, TreeEntry | None]:
        """Return the file that a tree or commit holds under each of some paths; None where there is none."""
        found = {path: self.entry(tree, path) for path in paths}
        return {path: entry if entry and entry.mode != FOLDER else None for path, entry in found.items()}

    def document(self, tree: str, path: str) -> str:
        """Return a document of a tree or commit, empty when it is not there; damaged bytes become U+FFFD."""
        return (self.blob(tree, path) or b"").decode("utf-8", errors="replace")

    def blob(self, tree: str, path: str) -> bytes | None:
        """Return the content of a file in a tree or commit; None if it has no such path."""
        with self._objects() as objects:
            entry = objects.entry(tree, path)
            return objects.get(entry.blob, "blob").content if entry else None

    def tree_with(self, base: str, changes: Mapping[str, bytes | str | TreeEntry | None]) -> str:
        """Compose a tree from another one; neither a checkout nor its index is looked at.

        Parameters
        ----------
        base
            The tree or commit to start from.
        changes
            By path: the new content, the id of a blob, an entry with its mode (of `ls_tree`), or None to
            take the path out. Contents and ids keep the mode the path has in `base`.

        Returns
        -------
        str
            Id of the new tree.
        """
        contents = {path: new for path, new in changes.items() if isinstance(new, bytes)}
        with tempfile.TemporaryDirectory(prefix="orchestrator-") as folder:
            ids = self._write_blobs(Path(folder), contents.values())
            new = {path: change for path, change in changes.items() if not isinstance(change, bytes)}
            new |= zip(contents, ids, strict=True)
            with self._objects() as objects:
                length = len(objects.get(f"{base}^{{tree}}", "tree").id)
                lines = [_index_line(path, what, objects.entry(base, path), length) for path, what in new.items()]
            index = Path(folder, "index")
            self._fill(index, base)
            private = {"GIT_INDEX_FILE": str(index)}
            self.run("update-index", "-z", "--index-info", env=private, stdin=_encode("".join(lines)))
            return self._write_index(index)

    def tree_of_worktree(self, worktree: Path, index: Path | None = None, *, base: str = "HEAD") -> str:
        """Write what a worktree holds as a tree, without touching its own index.

        What is tracked in `base` and what is not ignored counts; what lies in the worktree's index, ignored
        files that somebody forced into it for one, does not, nor does Python's bytecode.

        Parameters
        ----------
        worktree
            Root of the checkout.
        index
            A file that is written anew; by default it lies beside the worktree's own index. Where this git wrote
            `base` itself, only changed files are read again.
        base
            The tree or commit that says which ignored files are tracked all the same.

        Returns
        -------
        str
            Id of the tree.
        """
        there = replace(self, root=worktree)
        if index is None and self.git_dir is not None:
            index = self.git_dir / _PRIVATE_INDEX
        elif index is None:
            index = Path(there.text("rev-parse", "--path-format=absolute", "--git-path", _PRIVATE_INDEX))
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)  # only a git that was killed leaves one
        there._fill(index, base)
        there.run("add", "--all", "--", *_SOURCES, env={"GIT_INDEX_FILE": str(index.absolute())})
        return there._write_index(index)

    def commit_tree(self, tree: str, parents: Sequence[str], message: str) -> str:
        """Store a commit in the user's name, or in ours if git knows no user, and return its id."""
        arguments = [word for parent in parents for word in ("-p", parent)]
        command = ("commit-tree", tree, *arguments, "-F", "-")
        try:
            return self.text("-c", "user.useConfigOnly=true", *command, stdin=_encode(message))
        except GitError:
            return self.text(*command, env=_FALLBACK_IDENTITY, stdin=_encode(message))

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether a commit is the other one, or one that it goes back to."""
        return not self.run("rev-list", "-n", "1", older, f"^{newer}", "--")

    def merge_tree(self, ours: str, theirs: str) -> tuple[str, list[str]]:
        """Return the tree of two commits merged, and the paths in conflict; nothing is checked out.

        Raises
        ------
        GitError
            Also when git is older than 2.38.
        """
        told = self.text("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs, ok=(0, 1))
        tree, *conflicts = told.rstrip("\0").split("\0")
        return tree, list(dict.fromkeys(conflicts))

    def update_ref(self, ref: str, new: str, old: str | None) -> None:
        """Move a ref, only if it still is at `old`; None means that it must not exist yet."""
        self.run("update-ref", "--no-deref", "-m", "orchestrator", ref, new, old or "")

    def attach(self, ref: str) -> None:
        """Have the HEAD of this checkout name a branch; asked of its file first, for that costs nothing."""
        head = self.git_dir and self.git_dir / "HEAD"
        if not (head and head.is_file() and head.read_bytes() == f"ref: {ref}\n".encode()):
            self.run("symbolic-ref", "HEAD", ref)

    def trailers(self, commit: str) -> dict[str, str]:
        """Return the trailers of a commit's message; of a repeated one the last value counts."""
        return _parse_trailers(self.text("log", "-1", "--format=%(trailers:only,unfold)", commit, "--"))

    def check_place(self) -> None:
        """Check that `root` is where it was, not a link that somebody put there.

        Raises
        ------
        GitError
            If a link leads from `root` to another folder: whatever is written there would be somebody else's.
        """
        real = os.path.realpath(self.root)
        if real != str(self.root):
            raise GitError(f"{self.root}: expected the checkout, came a link to {real}; remove the link")

    def unlock(self) -> None:
        """Remove the locks that a killed git left in the git directory of this checkout."""
        if self.git_dir is not None:
            for name in ("index.lock", "HEAD.lock"):
                (self.git_dir / name).unlink(missing_ok=True)

    def show(self, tree: str) -> None:
        """Make the checkout hold what a tree holds.

        Its index is put back as this git left it, or made anew: a flag in it (`assume-unchanged`, `skip-worktree`)
        would leave a file as somebody else changed it.
        """
        self.unlock()
        if self.git_dir is not None:
            index = self.git_dir / "index"
            left = self._left.get(str(index))
            index.unlink(missing_ok=True)
            if left is None:
                self.run("read-tree", tree)
                self.run("update-index", "-q", "--refresh", ok=(0, 1))
            else:
                index.write_bytes(left[0])
                os.utime(index, ns=(left[1], left[1]))
        self.run("read-tree", "-u", "--reset", tree)
        if self.git_dir is not None:
            self._left[str(index)] = (index.read_bytes(), index.stat().st_mtime_ns)

    def rest(self) -> None:
        """End the reader that is kept, until the next question."""
        if self.kept is not None:
            self.kept.close()

    @contextlib.contextmanager
    def keeping_reader(self) -> Iterator[Git]:
        """Give a git whose reading calls share one process, ended with the block."""
        with self._objects() as objects:
            yield replace(self, kept=objects)

    @contextlib.contextmanager
    def _objects(self) -> Iterator[Objects]:
        """Give the reader that is kept, or one for this call."""
        if self.kept is not None:
            yield self.kept
            return
        # In our own session, so that it is never taken for something that a child left behind.
        start = partial(self._start, ("cat-file", "--batch"), {}, new_session=False)
        with contextlib.closing(Objects(start, self.timeout_s)) as objects:
            yield objects

    def _start(self, args: Sequence[str], env: Mapping[str, str], *, new_session: bool) -> subprocess.Popen[bytes]:
        """Start git out of the reach of Ctrl-C, which must not end it in the middle of a write."""
        try:
            return _Process(
                (*_PREFIX, *args),
                cwd=self.root,
                env={**self._environment(), **self._place(), **(_OFFLINE if self.offline else {}), **env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=new_session,
                process_group=None if new_session else 0,
            )
        except OSError as error:
            shown = self._shown(args)
            raise GitError(f"{shown}: cannot be started: {error}; is git installed, does the folder exist?") from error

    def _shown(self, args: Sequence[str]) -> str:
        return f"git {shlex.join(args)} (in {self.root})"

    def _place(self) -> dict[str, str]:
        if self.git_dir is None:
            return {}
        self.check_place()
        return {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(self.root)}

    def _environment(self) -> dict[str, str]:
        start = self.env or {"PATH": os.pathsep.join(os.get_exec_path()), "HOME": str(Path.home())}
        return {name: value for name, value in start.items() if not name.startswith("GIT_")} | _FIXED | make_mark()

    def _fill(self, index: Path, tree: str) -> None:
        """Have an index hold a tree: as we last wrote it, which nobody else had a hand in, or by reading the tree."""
        known = self._indexes.get(self.rev(f"{tree}^{{tree}}") or "")
        index.unlink(missing_ok=True)  # whatever lies there, a link to a file of the user's for one
        if known is None:
            self.run("read-tree", "--reset", tree, env={"GIT_INDEX_FILE": str(index.absolute())})
            return
        index.write_bytes(known[0])
        os.utime(index, ns=(known[1], known[1]))  # git compares it with the times of the files

    def _write_index(self, index: Path) -> str:
        """Store what an index holds as a tree, and remember how it is written."""
        tree = self.text("write-tree", env={"GIT_INDEX_FILE": str(index.absolute())})
        self._indexes[tree] = (index.read_bytes(), index.stat().st_mtime_ns)
        for old in list(self._indexes)[:-_INDEXES_KEPT]:
            del self._indexes[old]
        return tree

    def _write_blobs(self, folder: Path, contents: Iterable[bytes]) -> list[str]:
        """Store several contents with one call, by way of files in an empty folder."""
        paths = []
        for number, content in enumerate(contents):
            path = folder / f"blob-{number}"
            path.write_bytes(content)
            paths.append(f"{path}\n")
        if not paths:
            return []
        return self.text("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=_encode("".join(paths))).split()


def _index_line(path: str, new: str | TreeEntry | None, known: TreeEntry | None, length: int) -> str:
    """Write a line of `update-index --index-info`; ids of the repository have `length` digits."""
    if new is None:
        return f"0 {_NULL_ID[:length]}\t{path}\0"
    if isinstance(new, str):
        keeps_mode = known is not None and known.mode.startswith("100")
        new = TreeEntry(known.mode if known and keeps_mode else _NEW_FILE_MODE, new)
    return f"{new.mode} {new.blob}\t{path}\0"


def _parse_trailers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
