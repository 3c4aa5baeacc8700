"""Arrays of .npz and HDF5 files mapped into memory instead of read: pages come when they are touched."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptycho.archive import DAMAGE
from ptycho.errors import DataError

__all__ = ["map_array"]

LOCAL_HEADER_BYTES = 30  # of a zip entry; then come its name and its extra field (APPNOTE 4.3.7)


def map_array(path: Path, key: str) -> NDArray[Any] | None:
    """Return the array `key` of a file, read-only and mapped; None where the file has no such key.

    Raises
    ------
    DataError
        If the file is damaged, or does not itself store the array in one uncompressed piece.
    """
    try:
        return _map_hdf5(path, key) if h5py.is_hdf5(path) else _map_npz(path, key)
    except KeyError:
        return None
    except DAMAGE as error:
        raise DataError(f"{path}: {key}: expected a complete file with an array that can be mapped: {error}") from error


def _map_hdf5(path: Path, key: str) -> NDArray[Any]:
    """Map a contiguous HDF5 data set."""
    with h5py.File(path, "r") as file:
        stored = file[key]
        lies_here = isinstance(file.get(key, getlink=True), h5py.HardLink) and isinstance(stored, h5py.Dataset)
        offset = stored.id.get_offset() if lies_here and not stored.external else None
        if offset is None or stored.dtype.hasobject:
            raise DataError(
                f"{path}: {key}: expected a contiguous data set in this file, found none of it, chunks, filters, a "
                "group or a link; read it without memory_map, or store it plainly"
            )
        shape, dtype = stored.shape, stored.dtype
    return np.memmap(path, dtype, "r", offset, shape)


def _map_npz(path: Path, key: str) -> NDArray[Any]:
    """Map an uncompressed member of an .npz file."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{key}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        raise DataError(f"{path}: {key}: expected it uncompressed, found it compressed; np.savez stores it plainly")
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        local = file.read(LOCAL_HEADER_BYTES)
        file.seek(int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little"), 1)
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        if dtype.hasobject:
            raise DataError(f"{path}: {key}: expected plain numbers, found Python objects")
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran else "C")
