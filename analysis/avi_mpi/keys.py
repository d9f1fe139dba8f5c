"""Keys of the configuration as Python arguments: section__key=value."""

import collections.abc
import os

import numpy

from .errors import ConfigError, UsageError


def text_of(value):
    """A value as the program reads it: True is yes, a sequence is separated by commas, a matrix has a ; after each row."""
    if value is None:
        return ""
    if isinstance(value, (bool, numpy.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, numpy.integer)):
        return str(int(value))
    if isinstance(value, (float, numpy.floating)):
        return repr(float(value))
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, numpy.ndarray) and value.ndim == 2:
        return "; ".join(text_of(row) for row in value)
    if isinstance(value, (collections.abc.Sequence, numpy.ndarray)):
        return ", ".join(text_of(one) for one in value)
    raise ConfigError(f"{value!r} cannot be the value of a key; use a number, a text, True or False, or a list of them")


def overrides(keys, taken=()):
    """{"model__hidden": [16, 8]} as ["model.hidden=16, 8"].

    taken   {"run__output": "output"}: keys that are set by another argument, and its name
    UsageError for what is no section__key, or is taken.
    """
    found = []
    for name, value in keys.items():
        section, mark, key = name.partition("__")
        if not (mark and section and key):
            raise UsageError(f"{name} is no argument and no key; write a key as section__key, for example model__hidden=64 (avi_mpi --help-keys lists them)")
        if name in taken:
            raise UsageError(f"{name} is set by the argument {taken[name]}; use that")
        value = text_of(value)
        if "\n" in value:
            raise ConfigError(f"{name}: the value has more than one line; use one")
        found.append(f"{section}.{key}={value}")
    return found
