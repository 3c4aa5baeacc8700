"""The published names of the settings; nothing in the library reads them."""

from ptycho.compat.params import cfg, get, get_bigN, get_padded_size, override, params, set

__all__ = ["cfg", "get", "get_bigN", "get_padded_size", "override", "params", "set"]
