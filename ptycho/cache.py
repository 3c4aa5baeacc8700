"""The published names of the disk cache for data sets."""

from ptycho.compat.cache import _hash_numpy, _hash_payload, _normalize_for_hash, memoize_raw_data

__all__ = ["_hash_numpy", "_hash_payload", "_normalize_for_hash", "memoize_raw_data"]
