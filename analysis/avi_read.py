"""Reads what a run of avi_mpi left behind: run.h5, without knowing more than the names in it.

    from avi_read import Run
    run = Run("runs/vae")                   # a folder, or a run.h5
    run.trace["step"], run.trace["elbo"]    # arrays, one value per logged step
    run.global_["decoder.0.weight"]["mean"] # parameters, shaped as in the model
    run.local["mean"]                       # (rows, dimensions), in the order of the data
    run.config["model"]["name"]             # the configuration that was in force, as text

Needs h5py and numpy. The file is open as long as the Run is; `with Run(...) as run:` closes it.
"""

import collections.abc
import configparser
import os
import sys

# Reading needs no lock, and some network file systems have none. Must be set before h5py is loaded.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import h5py  # noqa: E402

FORMAT = "avi_mpi run"
NOT_A_RUN = 65  # exit status: the file is not what it should be
NOTHING_THERE = 66  # exit status: no such file, or the run has nothing of the kind that was asked for


class RunError(Exception):
    """Something that the person who called should read: a message and the exit status of a script that ends by it."""

    def __init__(self, message, status=NOT_A_RUN):
        super().__init__(message)
        self.status = status


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
    """A group of run.h5: its datasets as arrays, read when asked for; its groups as Groups; `attributes` as a dict."""

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

    def dataset(self, name):
        """The h5py dataset itself: for slices of what is too large to read whole."""
        if self._group is None:
            raise RunError(f"{self._run.path}: this run has no {self._path}", NOTHING_THERE)
        if name not in self:
            there = ", ".join(self) or "nothing"
            raise RunError(f"{self._run.path}: this run has no {self._path}/{name} (in {self._path}: {there})", NOTHING_THERE)
        return self._group[name]

    def about(self, name):
        """description, units and axes of a dataset."""
        return _attributes(self.dataset(name))

    def units(self, name):
        return str(self.about(name).get("units", ""))


def _text_or_array(dataset):
    if not h5py.check_string_dtype(dataset.dtype):
        return dataset[()]
    return _text(dataset[()]) if dataset.shape == () else dataset.asstr()[()]


class Run:
    """One run.h5. Parts that a run does not have are empty Groups, which are false and name themselves when read."""

    def __init__(self, path):
        self.path = os.path.join(path, "run.h5") if os.path.isdir(path) else path
        self.folder = os.path.dirname(os.path.abspath(self.path))
        if not os.path.isfile(self.path):
            raise RunError(f"{self.path}: there is no such file; give the folder of a run, or its run.h5", NOTHING_THERE)
        try:
            self.file = h5py.File(self.path, "r")
        except OSError as error:
            raise RunError(f"{self.path}: not an HDF5 file, or damaged ({error})") from error
        self.attributes = _attributes(self.file)
        if self.attributes.get("format") != FORMAT:
            found = self.attributes.get("format", "none")
            self.close()
            raise RunError(f"{self.path}: not the result of a run: its attribute format is {found!r}, not {FORMAT!r}")
        self.status = self.attributes.get("status", "")
        self.provenance = Group(self, "/provenance").attributes
        self.config = self._read_config()
        self.trace = Group(self, "/trace")
        self.eval = Group(self, "/eval")
        self.global_ = Group(self, "/global")
        self.inference = Group(self, "/inference")
        self.local = Group(self, "/local")
        self.images = Group(self, "/images")

    def group(self, path):
        """Any other group, for example run.group("/exact")."""
        return Group(self, path)

    def _read_config(self):
        parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",), strict=False)
        group = Group(self, "/config")
        text = group.attributes.get("effective") or (group["effective"] if "effective" in group else "")
        try:
            parser.read_string(text)
        except configparser.Error:
            parser.clear()
        return parser

    def setting(self, section, key, fallback=""):
        """A value of the configuration that was in force, as text."""
        return self.config.get(section, key, fallback=fallback)

    @property
    def name(self):
        return os.path.basename(self.folder)

    @property
    def origin(self):
        """Where this comes from, in one line: for the foot of a figure."""
        about = self.provenance
        parts = [f"avi_mpi {about.get('version', '?')}", f"revision {about.get('git_revision', 'unknown')}", self.name]
        if "ranks" in about:
            parts.append(f"{about['ranks']} rank{'s' if about['ranks'] != 1 else ''}")
        if self.status and self.status != "done":
            parts.append(str(self.status))
        return ", ".join(parts)

    def close(self):
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def as_script(main):
    """Runs a script's main() and turns a RunError into a message and an exit status."""
    try:
        main()
    except RunError as error:
        print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
        sys.exit(error.status)
