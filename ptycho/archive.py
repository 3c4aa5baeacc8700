"""Arrays and JSON values in .npz files: written whole or not at all, read without running code."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ptycho.errors import DataError

__all__ = ["Arrays", "check_keys", "load_arrays", "parse_json_entry", "read_arrays", "render_json_entry", "save_arrays"]

Arrays = dict[str, NDArray[np.generic]]


def save_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays to `path` through a temporary file beside it, so that no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_arrays(path: Path, required: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> Arrays:
    """Return all arrays of the .npz file at `path`; as `read_arrays`.

    Raises
    ------
    DataError
        If the file is missing or wrong.
    """
    try:
        with path.open("rb") as file:
            return read_arrays(file, str(path), required, skip)
    except OSError as error:
        raise DataError(f"{path}: expected an .npz file: {error.strerror}") from error


def read_arrays(file: BinaryIO, where: str, required: tuple[str, ...] = (), skip: tuple[str, ...] = ()) -> Arrays:
    """Return all arrays of an open .npz file.

    Parameters
    ----------
    file
        Binary and seekable.
    where
        What to call it in errors.
    required
        Keys that must be there.
    skip
        Keys that are not read.

    Raises
    ------
    DataError
        If the file is truncated, holds Python objects, or lacks a required key.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays: Arrays = {key: archive[key] for key in archive.files if key not in skip}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{where}: expected a complete .npz file of plain arrays: {error}") from error
    check_keys(arrays, required, where)
    return arrays


def check_keys(arrays: Mapping[str, NDArray[np.generic]], required: tuple[str, ...], where: str) -> None:
    """Raise `DataError` unless all required keys are there; `where` says in which file they should be."""
    missing = [key for key in required if key not in arrays]
    if missing:
        found = ", ".join(f"{key} {array.shape}" for key, array in sorted(arrays.items())) or "no arrays"
        raise DataError(f"{where}: expected key {missing[0]!r}, found {found}")


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
        raise DataError(f"{path}: {key}: expected JSON text, found {array.dtype} {array.shape}: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: {key}: expected a JSON mapping, found {type(value).__name__}")
    return value
