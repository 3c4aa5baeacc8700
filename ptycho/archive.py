"""Arrays and JSON values in .npz files: written whole or not at all, read without running code."""

from __future__ import annotations

import json
import os
import secrets
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ptycho.errors import DataError

__all__ = [
    "DAMAGE",
    "Arrays",
    "cast_array",
    "check_keys",
    "load_arrays",
    "parse_choice_entry",
    "parse_json_entry",
    "parse_number_entry",
    "parse_text_entry",
    "read_arrays",
    "render_json_entry",
    "replace_whole",
    "save_arrays",
]

Arrays = dict[str, NDArray[np.generic]]
Choice = TypeVar("Choice", bound=StrEnum)

DAMAGE = (
    *(OSError, ValueError, EOFError, AttributeError, MemoryError, RuntimeError, OverflowError),
    *(SyntaxError, TypeError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)  # what numpy, zipfile and h5py raise on the way through a damaged file


@contextmanager
def replace_whole(path: Path) -> Iterator[Path]:
    """Give the name of a file to write beside `path`; it takes the place of `path`, so that no reader sees half a file.

    The block closes what it opened. Where it fails, or the disk is full, `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk does not say which
        raise
    finally:
        temporary.unlink(missing_ok=True)


def save_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays to `path`, whole or not at all."""
    with replace_whole(path) as temporary, temporary.open("xb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_arrays(path: Path, required: Collection[str] = (), skip: Collection[str] = ()) -> Arrays:
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


def read_arrays(file: BinaryIO, where: str, required: Collection[str] = (), skip: Collection[str] = ()) -> Arrays:
    """Return all arrays of an open .npz file.

    Parameters
    ----------
    file
        Binary and seekable.
    where
        What to call it in errors.
    required
        Keys that must be there; a mapping tells the shape of each too, as text for the message.
    skip
        Keys that are not read.

    Raises
    ------
    DataError
        If the file is truncated, holds Python objects, or lacks a required key.
    """
    if not zipfile.is_zipfile(file):
        raise DataError(
            f"{where}: expected a complete .npz file of plain arrays, found no zip archive: it is truncated, or of "
            "another format; write it again with np.savez"
        )
    file.seek(0)
    try:
        with np.load(file, allow_pickle=False) as archive:
            members = {key: archive[key] for key in archive.files if key not in skip}
    except DAMAGE as error:
        raise DataError(f"{where}: expected a complete .npz file of plain arrays: {error}") from error
    arrays: Arrays = {key: array for key, array in members.items() if isinstance(array, np.ndarray)}
    check_keys(arrays, required, where)
    return arrays


def check_keys(arrays: Mapping[str, NDArray[np.generic]], required: Collection[str], where: str) -> None:
    """Raise `DataError` unless all required keys are there.

    Parameters
    ----------
    arrays
        What was found.
    required
        As in `read_arrays`.
    where
        Says in which file they should be.
    """
    missing = [key for key in required if key not in arrays]
    if missing:
        shape = f" {required[missing[0]]}" if isinstance(required, Mapping) else ""
        found = ", ".join(f"{key} {array.shape}" for key, array in sorted(arrays.items())) or "no arrays"
        raise DataError(f"{where}: expected key {missing[0]!r}{shape}, found {found}")


def cast_array(where: str, key: str, array: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Return an array in another precision, contiguous, the same one where it is so already.

    Raises
    ------
    DataError
        If its values are of another kind: texts for numbers, complex for real, fractions for whole numbers.
    """
    given = np.asarray(array)
    if not np.can_cast(given.dtype, dtype, "same_kind"):
        raise DataError(f"{where}: {key}: expected {np.dtype(dtype)}, found {given.shape} of {given.dtype}")
    with np.errstate(over="ignore"):  # what became infinite is found by whoever asks for finite values
        return np.asarray(given, dtype, order="C")


def render_json_entry(value: Mapping[str, object]) -> NDArray[np.generic]:
    """Return a mapping of JSON values as a zero-dimensional array of text."""
    return np.array(json.dumps(dict(value), sort_keys=True))


def parse_text_entry(where: str, key: str, array: NDArray[np.generic]) -> str:
    """Return the text under `key`.

    Raises
    ------
    DataError
        If it is not one text.
    """
    if array.shape != () or array.dtype.kind != "U":
        raise DataError(f"{where}: {key}: expected one text (), found {array.shape} of {array.dtype}")
    return str(array)


def parse_choice_entry(where: str, key: str, array: NDArray[np.generic], choices: type[Choice]) -> Choice:
    """Return the choice whose name stands under `key`.

    Raises
    ------
    DataError
        If it is none of the choices.
    """
    text = parse_text_entry(where, key, array)
    if text not in set(choices):
        raise DataError(f"{where}: {key}: expected one of {', '.join(choices)}, found {text!r}")
    return choices(text)


def parse_number_entry(where: str, key: str, array: NDArray[np.generic]) -> float:
    """Return the number under `key`.

    Raises
    ------
    DataError
        If it is not one real number.
    """
    if array.shape != () or array.dtype.kind not in "uif":
        raise DataError(f"{where}: {key}: expected one number (), found {array.shape} of {array.dtype}")
    return float(array.astype(np.float64))


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
