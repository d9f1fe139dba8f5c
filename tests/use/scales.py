"""Every file of results names its dimensions: a walker asserts one attached scale per axis, in the dataset's group, with the name that attribute `axes` says; xarray then opens every group with these
dimensions. What is walked: run.h5 with images, trace, local factors, gap, exact and diagnose; rows.h5, samples.h5 of both kinds, data.h5, sweep.h5."""
import sys

import h5py
import numpy

from runs import Failure, Skip, empty_ini, fit, main, start

PPCA = ["model.name=ppca", "model.latent=2", "inference.hidden=8", "inference.family=gaussian_full", "optim.batch=40", "optim.epochs=4", "output.local=yes", "log.profile=yes"]
# Scales that hold the coordinates of their axis; the others have a size alone.
COORDINATES = {"step", "row", "column"}


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def write(path, names):
    generator = numpy.random.default_rng(1)
    with h5py.File(path, "w") as file:
        for name, rows in (("x", 90), ("x_test", 50)):
            file[name] = generator.normal(size=(rows, 2)) @ generator.normal(size=(2, 5)) + 0.5 * generator.normal(size=(rows, 5))
            file[name].attrs["columns"] = names
            file.create_dataset(f"{name}_names", data=[f"{name} größe {k}" for k in range(rows)], dtype=h5py.string_dtype())
            file[f"{name}_names"].make_scale("names")
            file[name].dims[0].attach_scale(file[f"{name}_names"])
    return path


def make(scratch):
    """{name: file} of every kind of results."""
    ini, data = empty_ini(scratch), write(scratch / "d.h5", [f"gene {k}" for k in range(5)])
    keys = [*PPCA, "data.source=hdf5", f"data.path={data}", "data.dataset=x", "data.test_dataset=x_test"]
    run = fit(scratch / "fit", *keys, "run.after=exact, gap, diagnose", np=3, ini=ini)
    images = fit(scratch / "images", "data.rows=120", "data.test_rows=40", "optim.batch=40", "optim.epochs=1", "model.hidden=6", "model.latent=3", "inference.hidden=7", "model.global=gaussian")
    for task, *more in (("evaluate",), ("reconstruct",), ("sample", "sample.count=30")):
        start(2, [run, f"run.task={task}", "-q", f"run.output={scratch / task}", *more])
    start(None, [run, "run.task=sample", "sample.of=posterior", "rows.draws=3", "-q", f"run.output={scratch / 'drawn'}"])
    start(None, [ini, "run.task=simulate", "data.source=model", "model.name=ppca", "data.rows=20", "data.test_rows=10", "-q", f"run.output={scratch / 'data'}"])
    start(None, [ini, "run.task=exact", "data.source=model", "model.name=linear", "data.rows=60", "run.exact_degree=2", "-q", f"run.output={scratch / 'exact'}"])
    start(2, ["--sweep", "run.seed=1|2", ini, *keys, "-q", f"run.output={scratch / 'sweep'}"])
    return {"fit": run / "run.h5", "images": images / "run.h5", "evaluate": scratch / "evaluate/rows.h5", "reconstruct": scratch / "reconstruct/rows.h5", "prior": scratch / "sample/samples.h5",
            "posterior": scratch / "drawn/samples.h5", "data": scratch / "data/data.h5", "sweep": scratch / "sweep/sweep.h5",
            "exact": scratch / "exact/run.h5"}


def look_at(where, item, file):
    for name in ("description", "units", "axes"):
        if name not in item.attrs:
            raise Failure(f"{where} has no attribute {name}")
    if not text(item.attrs["description"]):
        raise Failure(f"{where} is not described")
    if item.attrs["units"] and text(item.attrs["units"]) == "nats" and text(item.attrs["axes"]) == "row":
        raise Failure(f"{where} has a value per row, in nats")
    axes = [a for a in text(item.attrs["axes"]).split(", ") if a]
    if len(axes) != item.ndim or len(set(axes)) != len(axes):
        raise Failure(f"{where} of shape {item.shape} has axes {axes}")
    if h5py.h5ds.is_scale(item.id):
        bare = text(item.attrs["NAME"]).startswith("This is a netCDF dimension but not a netCDF variable.")
        if bare == ("checksum" in item.attrs) or axes != [item.name.split("/")[-1]] or bare and item.id.get_storage_size():
            raise Failure(f"{where}: a scale that holds values has a checksum and is named like its axis; attributes {dict(item.attrs)}")
        if not bare and axes[0] not in COORDINATES:
            raise Failure(f"{where} is a scale with values")
        return 0
    for d, (axis, size) in enumerate(zip(axes, item.shape)):
        if len(item.dims[d]) != 1:
            raise Failure(f"{where} has {len(item.dims[d])} scales on dimension {d}")
        scale = item.dims[d][0]
        if not h5py.h5ds.is_scale(scale.id) or scale.name.rsplit("/", 1) != [item.parent.name.rstrip("/"), axis] or scale.shape != (size,):
            raise Failure(f"{where}, dimension {d} ({axis}, {size}): the scale is {scale.name} {scale.shape}")
        back = [(file[r].name, int(k)) for r, k in scale.attrs["REFERENCE_LIST"]]
        if back.count((item.name, d)) != 1:
            raise Failure(f"{scale.name} does not say that it is attached to {where}, dimension {d}")
    return item.ndim


def walk(path):
    """Number of axes with a scale."""
    axes, order = [], []
    with h5py.File(path) as file:
        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                axes.append(look_at(f"{path.name}: /{name}", item, file))
            else:
                order.append(item.id.get_create_plist().get_link_creation_order())
        order.append(h5py.h5g.open(file.id, b"/").get_create_plist().get_link_creation_order())
        file.visititems(visit)
    if not all(order):
        raise Failure(f"{path}: groups that do not keep the order of their links")
    return sum(axes)


def scales(scratch):
    found = {name: walk(path) for name, path in make(scratch).items()}
    few = {"fit": 60, "images": 30, "evaluate": 10, "reconstruct": 6, "prior": 6, "posterior": 6, "data": 4, "sweep": 10, "exact": 8}
    with h5py.File(scratch / "exact/run.h5") as file:
        sizes = {text(file["exact"][name].attrs["axes"]).split(",")[0] for name in ("coefficients_constant", "coefficients_degree_1", "coefficients_degree_2", "monomials")}
    if sizes != {"monomial", "monomial_2", "monomial_3"}:
        raise Failure(f"axes of one name and several sizes: {sizes}")
    short = {name: n for name, n in found.items() if n < few[name]}
    if short:
        raise Failure(f"so few axes were looked at: {short}")
    return f"{sum(found.values())} axes of {len(found)} files, each with its scale"


def groups_of(path):
    with h5py.File(path) as file:
        found = ["/"] if any(isinstance(item, h5py.Dataset) for item in file.values()) else []
        file.visititems(lambda name, item: found.append("/" + name) if isinstance(item, h5py.Group) and any(isinstance(i, h5py.Dataset) for i in item.values()) else None)
    return found


def open_all(xarray, path):
    sets = 0
    with h5py.File(path) as file:
        for group in groups_of(path):
            with xarray.open_dataset(path, group=group, engine="h5netcdf") as opened:
                for name, item in file[group].items():
                    if not isinstance(item, h5py.Dataset) or "checksum" not in item.attrs:
                        continue
                    axes = tuple(a for a in text(item.attrs["axes"]).split(", ") if a)
                    got = opened[name]
                    if got.dims != axes:
                        raise Failure(f"{path.name}: {group}/{name} has dimensions {got.dims} in xarray, {axes} in its attribute")
                    if item.dtype.kind in "fiu" and not numpy.array_equal(got.values, item[()], equal_nan=item.dtype.kind == "f"):
                        raise Failure(f"{path.name}: {group}/{name} has other values in xarray")
                    sets += 1
    return sets


def xarray(scratch):
    try:
        import h5netcdf  # noqa: F401
        import xarray
    except ImportError as missing:
        raise Skip(f"{missing}; use apt-get install python3-xarray python3-h5netcdf") from None
    files = make(scratch)
    sets = sum(open_all(xarray, path) for path in files.values())
    with xarray.open_dataset(files["fit"], group="trace", engine="h5netcdf") as trace:
        last = int(trace.step[-1])
        if float(trace.elbo.sel(step=last)) != float(trace.elbo[-1]) or trace.elbo.attrs["units"] != "nats":
            raise Failure(f"a step of the trace is not found by its number: {trace}")
    with xarray.open_dataset(files["fit"], group="local", engine="h5netcdf") as local, xarray.open_dataset(files["evaluate"], engine="h5netcdf") as rows:
        both = xarray.merge([local[["mean"]].rename(mean="of_fit"), rows[["mean", "elbo"]]], join="inner").sel(row="x größe 17")
        if numpy.max(numpy.abs(both.of_fit - both["mean"])) > 1e-5 or float(both.elbo) != float(rows.elbo[17]):
            raise Failure(f"rows are not joined by their names: {both}")
    return f"{sets} datasets of {len(files)} files have the dimensions of their attributes"


if __name__ == "__main__":
    main(*([xarray] if "xarray" in sys.argv[1:] else [scales]))
