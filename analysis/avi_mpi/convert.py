"""Groups of results as an xarray.Dataset whose variables are read when used."""

import h5py
import numpy


def _lazy(dataset):
    """A variable's values: nothing is read before they are used, and then only the part."""
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Array(BackendArray):
        shape, dtype = dataset.shape, dataset.dtype

        def __getitem__(self, key):
            return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, lambda index: dataset[index])

    return indexing.LazilyIndexedArray(Array())


def _walk(group, prefix=()):
    for name in group:
        item = group.dataset(name)
        if isinstance(item, h5py.Group):
            yield from _walk(group[name], (*prefix, name))
        else:
            yield (*prefix, name), item, group


def _name(parts):
    return "_".join(part for part in parts if part).replace(".", "_").replace("/", "_")


def _axes(about, shape):
    named = [axis.strip().replace(" ", "_") for axis in str(about.get("axes", "")).split(",") if axis.strip()]
    if len(named) != len(shape):
        named = [f"axis_{k}" for k in range(len(shape))]
    for k, axis in enumerate(named):  # (dimension, dimension): an xarray.Dataset wants two names
        if axis in named[:k]:
            named[k] = f"{axis}_{k}"
    return named


def to_dataset(groups, attributes=None, leave_out=()):
    """{prefix: Group} as one Dataset; names are PREFIX_NAME, with the groups inside in between.

    A dimension keeps the name of its axis while its size is the same everywhere; else the group is put in front, or
    the variable where it has several sizes in one group.
    """
    import xarray

    found, sizes = [], {}
    for prefix, group in groups.items():
        for parts, item, inside in _walk(group):
            if parts[0] in leave_out:
                continue
            about = inside.about(parts[-1])
            axes = _axes(about, item.shape)
            found.append(((prefix, *parts), item, about, axes))
            for axis, size in zip(axes, item.shape):
                sizes.setdefault(axis, set()).add(size)
                sizes.setdefault(((prefix, *parts[:-1]), axis), set()).add(size)
    variables = {}
    for parts, item, about, axes in found:
        dims = []
        for axis, size in zip(axes, item.shape):
            inside = parts[:-1]
            dims.append(axis if len(sizes[axis]) == 1 else _name((*inside, axis) if len(sizes[inside, axis]) == 1 else (*parts, axis)))
        # The steps of a trace, the names of columns: a coordinate has the name of its dimension.
        name = dims[0] if len(dims) == 1 and parts[-1] == axes[0] else _name(parts)
        about = {key: value for key, value in about.items() if key in ("units", "description") and value}
        values = _lazy(item) if item.shape and item.dtype.kind in "iuf" else item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]
        variables[name] = xarray.Variable(dims, values, about)
    return xarray.Dataset(variables, attrs={key: value if isinstance(value, (str, int, float)) else str(numpy.asarray(value)) for key, value in (attributes or {}).items()})
