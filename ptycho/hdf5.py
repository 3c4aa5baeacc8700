"""Arrays in HDF5 files, one data set each: written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ptycho.archive import DAMAGE, Arrays, replace_whole
from ptycho.errors import DataError

__all__ = ["load_hdf5_arrays", "save_hdf5_arrays"]


def save_hdf5_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write numbers as contiguous data sets and texts as attributes, whole or not at all."""
    with replace_whole(path) as temporary, h5py.File(temporary, "x") as file:
        for key, array in arrays.items():
            if array.dtype.kind == "U":
                file.attrs[key] = str(array)
            else:
                file.create_dataset(key, data=array)


def load_hdf5_arrays(path: Path, skip: tuple[str, ...] = ()) -> Arrays:
    """Return all data sets and all texts of the root of an HDF5 file, but for the keys in `skip`.

    Raises
    ------
    DataError
        If the file is missing, truncated, or holds something else than plain arrays.
    """
    arrays: Arrays = {}
    try:
        path.open("rb").close()
    except OSError as error:
        raise DataError(f"{path}: expected an HDF5 file: {error.strerror}") from error
    try:
        with h5py.File(path, "r") as file:
            for key in file:
                if not isinstance(key, str):  # damaged: h5py gives the bytes that are no text
                    continue
                link = file.get(key, getlink=True)
                if key in skip or not isinstance(link, h5py.HardLink) or not isinstance(file[key], h5py.Dataset):
                    continue
                if file[key].dtype.hasobject:
                    raise DataError(f"{path}: {key}: expected plain numbers, found {file[key].dtype}")
                arrays[key] = file[key][()]
            texts = {key: value for key, value in file.attrs.items() if isinstance(value, str)}
    except (KeyError, *DAMAGE) as error:
        raise DataError(f"{path}: expected a complete HDF5 file: {error}") from error
    return {key: np.asarray(array) for key, array in arrays.items()} | {k: np.array(v) for k, v in texts.items()}
