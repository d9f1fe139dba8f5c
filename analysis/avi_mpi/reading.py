"""Reads the HDF5 files that avi_mpi leaves behind, without knowing more than the names in them."""

import collections.abc
import configparser
import os

# Reading needs no lock, and some network file systems have none. Must be set before h5py is loaded.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import h5py  # noqa: E402

from .errors import DataError, NotFound  # noqa: E402


def _text(value):
    """Text of an attribute or a scalar dataset, whatever way it was stored."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _attributes(item):
    return {name: _text(value) for name, value in item.attrs.items() if name not in ("DIMENSION_LIST", "REFERENCE_LIST")}


def _has_values(item):
    """False of the dimension scales that name an axis and hold nothing."""
    return not str(_text(item.attrs.get("NAME", ""))).startswith("This is a netCDF dimension but not")


class Group(collections.abc.Mapping):
    """A group of a file of results: a mapping of names to arrays, which are read when asked for.

    `group["elbo"]` is a numpy array, a str for a text, or a Group for a group inside; each call reads anew.
    `group.dataset("mean")[:1000]` reads a part. `group.attributes` is a dict. A group that the file does not have is
    empty and false; reading from it raises NotFound, which names what there is.
    """

    def __init__(self, run, path):
        self._run, self._path = run, path
        self._group = run.file.get(path)
        self.attributes = {} if self._group is None else _attributes(self._group)
        self._names = [] if self._group is None else [name for name, item in self._group.items() if _has_values(item)]

    def __bool__(self):
        return self._group is not None

    def __len__(self):
        return len(self._names)

    def __contains__(self, name):
        return name in self._names

    def __iter__(self):
        return iter(self._names)

    def __getitem__(self, name):
        item = self.dataset(name)
        return Group(self._run, item.name) if isinstance(item, h5py.Group) else _text_or_array(item)

    def __repr__(self):
        if self._group is None:
            return f"<no {self._path} in {self._run.path}>"
        lines = []
        for name in self:
            item = self._group[name]
            if isinstance(item, h5py.Group):
                lines.append(f"  {name}/  ({', '.join(item) or 'empty'})")
            else:
                about = _attributes(item)
                units = f" {about['units']}" if about.get("units") else ""
                lines.append(f"  {name} {item.shape}{units}: {about.get('description', '')}".rstrip(": "))
        return "\n".join([f"{self._path} of {self._run.path}", *lines])

    def _ipython_key_completions_(self):
        return list(self)

    def dataset(self, name):
        """The h5py dataset `name` itself, for slices of what is too large to read whole.

        It is open as long as the file is. NotFound where there is none.
        """
        if self._group is None:
            raise NotFound(f"{self._run.path}: this run has no {self._path}")
        if name not in self:
            there = ", ".join(self) or "nothing"
            raise NotFound(f"{self._run.path}: this run has no {self._path.rstrip('/')}/{name} (in {self._path}: {there})")
        return self._group[name]

    def about(self, name):
        """Attributes of a dataset as a dict: description, units and axes (str). NotFound where there is none."""
        return _attributes(self.dataset(name))

    def units(self, name):
        """Units of a dataset (str, "" where it has none). NotFound where there is none."""
        return str(self.about(name).get("units", ""))

    def to_xarray(self):
        """The group as an xarray.Dataset whose variables are read when used; with the groups inside it.

        Dimensions have the names of the axes in the file. Names of variables of groups inside are joined by "_".
        Values stay readable while the file is open. ImportError without xarray.
        """
        from .convert import to_dataset

        return to_dataset({"": self})


def _text_or_array(dataset):
    if not h5py.check_string_dtype(dataset.dtype):
        return dataset[()]
    return _text(dataset[()]) if dataset.shape == () else dataset.asstr()[()]


def configuration(text):
    """Sections and keys of a configuration (ConfigParser); empty where the text is none."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",), strict=False)
    parser.optionxform = str  # hmm has keys A and C
    try:
        parser.read_string(text)
    except configparser.Error:
        parser.clear()
    return parser


class Store:
    """A file of results, open for reading: what Run and Rows have in common.

    path        of the file (str)
    folder      that it is in (str)
    attributes  of the file (dict)
    provenance  version, git_revision, compiler, mpi, hosts, ranks, started_at, seconds, ... (dict)
    config      the configuration in force: config["model"]["name"] is a str
    file        the h5py.File itself

    `with` closes it; close() does too.
    """

    _format, _kind = "", ""

    def __init__(self, path):
        self.path = os.fspath(path)
        self.folder = os.path.dirname(os.path.abspath(self.path))
        self._open()

    def _open(self):
        if not os.path.isfile(self.path):
            raise NotFound(f"{self.path}: there is no such file; give the folder of a run, or its run.h5")
        try:
            self.file = h5py.File(self.path, "r")
        except OSError as error:
            raise DataError(f"{self.path}: not an HDF5 file, or damaged ({error})") from error
        self.attributes = _attributes(self.file)
        if self.attributes.get("format") != self._format:
            found = self.attributes.get("format", "none")
            self.close()
            raise DataError(f"{self.path}: not {self._kind}: its attribute format is {found!r}, not {self._format!r}")
        self.provenance = Group(self, "/provenance").attributes
        self.config = self._read_config()

    def _read_config(self):
        group = Group(self, "/config")
        return configuration(group.attributes.get("effective") or (group["effective"] if "effective" in group else ""))

    def group(self, path):
        """Any group of the file, for example group("/exact"). A Group, which is false where there is none."""
        return Group(self, path)

    def setting(self, section, key, fallback=""):
        """A value of the configuration that was in force, as text; `fallback` where there is none."""
        return self.config.get(section, key, fallback=fallback)

    def close(self):
        """Closes the file. What was read stays; what is read later raises."""
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
