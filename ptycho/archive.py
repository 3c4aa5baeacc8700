"""Arrays and JSON values in .npz files: written whole or not at all, read without running code."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptycho.errors import DataError

__all__ = ["Arrays", "load_arrays", "parse_json_entry", "render_json_entry", "save_arrays"]

Arrays = dict[str, NDArray[np.generic]]


def save_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays to `path` through a temporary file beside it, so that no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def load_arrays(path: Path, required: tuple[str, ...] = ()) -> Arrays:
    """Return all arrays of an .npz file.

    Parameters
    ----------
    path
        The file.
    required
        Keys that must be there.

    Raises
    ------
    DataError
        If the file is missing, truncated, holds Python objects, or lacks a required key.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: Arrays = {key: archive[key] for key in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: expected a complete .npz file of plain arrays: {error}") from error
    missing = [key for key in required if key not in arrays]
    if missing:
        found = ", ".join(f"{key} {array.shape}" for key, array in sorted(arrays.items())) or "no arrays"
        raise DataError(f"{path}: expected key {missing[0]!r}, found {found}")
    return arrays


def render_json_entry(value: Mapping[str, object]) -> NDArray[np.generic]:
    """Return a mapping of JSON values as a zero-dimensional array of text."""
    return np.array(json.dumps(dict(value), sort_keys=True))


def parse_json_entry(path: Path, key: str, array: NDArray[np.generic]) -> dict[str, object]:
    """Return the mapping that `render_json_entry` wrote under `key` of `path`.

    Raises
    ------
    DataError
        If it is not JSON text of a mapping.
    """
    try:
        value = json.loads(str(array.item()))
    except ValueError as error:
        raise DataError(
            f"{path}: {key}: expected JSON text, found {array.dtype} {array.shape}: {error}"
        ) from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: {key}: expected a JSON mapping, found {type(value).__name__}")
    return value
