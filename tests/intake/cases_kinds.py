"""Files as other programs write them: fields of fields, complex numbers, arrays as elements, netCDF's packed numbers, MATLAB's other classes, links, groups, storage; and codes of outcomes and
missing values."""
import h5py
import numpy

from cases_hdf5 import FAST, elbo, same
from small_runs import close

R = numpy.random.default_rng(8)
X = R.normal(size=(60, 6))


def case_fields_of_fields(c):
    """A compound in a compound, arrays and text beside it: numbers are named by their paths."""
    t = numpy.zeros(60, dtype=[("id", "i4"), ("pos", [("x", "f8"), ("y", ">f4")]), ("tag", "S3"), ("v", "i2", (2, 2)), ("deep", [("q", [("a", "f8"), ("b", "u1", (2,))])])])
    t["id"], t["pos"]["x"], t["pos"]["y"], t["v"] = R.permutation(60), X[:, 0], X[:, 1], R.integers(-9, 9, (60, 2, 2))
    t["deep"]["q"]["a"], t["deep"]["q"]["b"] = X[:, 2], R.integers(0, 9, (60, 2))
    c.write(t).write(t, dataset="chunked", chunks=(7,), compression="gzip", shuffle=True)
    whole = numpy.column_stack([t["v"].reshape(60, 4), t["deep"]["q"]["a"], t["deep"]["q"]["b"], t["pos"]["x"], t["pos"]["y"]])
    c.write(whole, dataset="whole").write(numpy.column_stack([t["pos"]["y"], t["deep"]["q"]["b"], t["id"]]), dataset="some")
    same(c, ["data.dataset=whole"], ["data.columns=v, deep, pos"], ["data.dataset=chunked", "data.columns=v, deep.q, pos"])
    same(c, ["data.dataset=some"], ["data.columns=pos.y, deep.q.b, id"])
    assert c.run("data.columns=pos, v, deep.q.b").good().read("/data/columns") == b"pos.x\npos.y\nv[0]\nv[1]\nv[2]\nv[3]\ndeep.q.b[0]\ndeep.q.b[1]"
    c.run().ends(65, "use data.columns with some of its numbers: id, pos, v, deep\n")
    c.run("data.columns=pos.x, pos.y").ends(65, "pos.y is of a field that is named twice")
    c.run("data.columns=pos.z").ends(65, "pos.z is none of its fields")
    c.run("data.columns=tag").ends(65, "tag is no number")
    c.write(numpy.zeros(60, dtype=[("name", "S4"), ("when", "S10")]), dataset="text")
    c.run("data.dataset=text").ends(65, "none of their fields is a number").silent("it has none")


def case_complex(c):
    """A matrix of complex numbers, as h5py and as MATLAB write it."""
    z = X + 1j * R.normal(size=X.shape)
    c.write(z).write(numpy.stack([z.real, z.imag], -1).reshape(60, 12), dataset="both").write(z.imag.copy(), dataset="imag")
    turned = numpy.zeros((6, 60), dtype=[("real", "f8"), ("imag", "f8")])
    turned["real"], turned["imag"] = z.T.real, z.T.imag
    c.write(turned, dataset="matlab")
    with c.file() as file:
        file["matlab"].attrs["MATLAB_class"] = numpy.bytes_("double")
    c.run().ends(65, "some of its numbers: r, i\n")
    same(c, ["data.dataset=both"], ["data.columns=r, i"], ["data.dataset=matlab", "data.columns=real, imag"])
    same(c, ["data.dataset=imag"], ["data.columns=i"])


def case_arrays_as_elements(c):
    c.write(R.normal(size=(60, 2, 3)), dataset="plain")
    with c.file() as file:
        x = file["plain"][()]
        file.create_dataset("x", (60,), dtype=numpy.dtype(("f4", (2, 3))))[:] = x.astype("f4")
        file["flat"] = x.astype("f4").reshape(60, 6)
        file.create_dataset("text", (60,), dtype=numpy.dtype(("S3", (2,))))
    same(c, ["data.dataset=flat"], [])
    c.run("data.columns=0").ends(65, "dimensions of arrays; leave the key out")
    c.run("data.dataset=text").ends(65, "arrays as elements that are not of numbers")


def case_netcdf(c):
    """Packed integers and fill values are the numbers that they stand for."""
    stored = R.integers(0, 1000, (60, 6)).astype("i2")
    gone = R.random(stored.shape) < 0.1
    stored[gone] = -32767
    stored[3, 2] = -1
    gone[3, 2] = True
    floats = numpy.where(gone, 9.969209968386869e36, X).astype("f4")
    c.write(stored).write(numpy.where(gone, numpy.nan, stored * 0.01 + 273.15), dataset="whole").write(floats, dataset="floats").write(numpy.where(gone, numpy.nan, floats), dataset="nan")
    c.write(X, dataset="fill_is_nan")
    with c.file() as file:
        file["x"].attrs.update({"scale_factor": numpy.float32(0.01).astype("f8").round(4), "add_offset": 273.15, "_FillValue": numpy.int16(-32767), "missing_value": numpy.int16([-1])})
        file["floats"].attrs["_FillValue"] = numpy.float32([9.969209968386869e36])
        file["fill_is_nan"].attrs["_FillValue"] = numpy.nan
    c.run().ends(65, "is NaN", f"{gone.sum()} of 360 values")
    mask = ["data.missing=mask", "data.standardise=yes", "run.precision=double", "optim.steps=2"]
    run = c.run(*mask).good(r"\(stored value \* 0.01 \+ 273.15, -32767 is missing, -1 is missing\)")
    close(run.read("/trace/elbo"), c.run(*mask, "data.dataset=whole").good().read("/trace/elbo"), 1e-9, "ELBO of packed numbers")
    assert run.attribute("/data", "packing") in (b"stored value * 0.01 + 273.15, -32767 is missing, -1 is missing", "stored value * 0.01 + 273.15, -32767 is missing, -1 is missing")
    assert c.run("data.dataset=nan", *mask).good().attribute("/data", "packing") in (b"none", "none")
    close(run.read("/data/largest"), numpy.where(gone, -1, stored * 0.01 + 273.15).max(0), 1e-9, "largest values")
    same(c, ["data.dataset=nan"], ["data.dataset=floats"], more=["data.missing=mask"])
    c.run("data.dataset=fill_is_nan").good().silent("stored value|missing")


def case_matlab_classes(c):
    """What MATLAB keeps as integers without being numbers: text, tables, the shape of what is empty."""
    for name, kind, more in (("text", "char", {}), ("table", "table", {"MATLAB_object_decode": numpy.int32(3)}), ("empty", "double", {"MATLAB_empty": numpy.uint8(1)}),
                             ("bits", "logical", {"MATLAB_int_decode": numpy.int32(1)})):
        c.write((R.random((4, 60)) < 0.5).astype("u1"), dataset=name)
        with c.file() as file:
            file[name].attrs["MATLAB_class"] = numpy.bytes_(kind)
            file[name].attrs.update(more)
    c.run("data.dataset=text").ends(65, "MATLAB's class char", "x = double")
    c.run("data.dataset=table").ends(65, "MATLAB's class table", "table2array")
    c.run("data.dataset=empty").ends(65, "empty in MATLAB")
    c.run("data.dataset=bits", "model.likelihood=bernoulli").good("60 rows of 4")


def case_names_that_lead_elsewhere(c):
    """Groups, links to other files, to nowhere and to themselves: what is there is named."""
    c.write(X, dataset="g/h/x").write(X, name="b.h5").write(X, dataset="plain")
    with c.file() as file:
        file.create_group("only").attrs["x"] = X
        file["soft"], file["outside"] = h5py.SoftLink("/g/h/x"), h5py.ExternalLink("b.h5", "/x")
        file["dangling"], file["loop"], file["gone"] = h5py.SoftLink("/nowhere"), h5py.SoftLink("/loop"), h5py.ExternalLink("gone.h5", "/x")
    same(c, ["data.dataset=plain"], ["data.dataset=soft"], ["data.dataset=outside"], ["data.dataset=/g/h/x"])
    c.run("data.dataset=g").ends(65, r"is a group of \S+d.h5, not a dataset; it has: g/h/x \(60, 6\)")
    c.run("data.dataset=only").ends(65, "group .* that has no datasets .attributes are not read")
    c.run("data.dataset=dangling").ends(65, "is a link to /nowhere, which leads to no dataset")
    c.run("data.dataset=loop").ends(65, "is a link to /loop, which leads to no dataset")
    c.run("data.dataset=gone").ends(65, "link to /x of the file gone.h5", "HDF5_EXT_PREFIX")
    c.run().ends(65, "no such dataset.*it has: .*g/h/x .60, 6., .*outside .link., plain")


def case_storage(c):
    """Compact, with few bits, scaled, checksummed, with any number of rows and columns: the same numbers."""
    n = R.integers(0, 1000, (60, 6)).astype("i4")
    c.write(n, dataset="plain").write(n, dataset="scaled", chunks=(20, 6), scaleoffset=0).write(n, dataset="checked", chunks=(7, 4), compression="gzip", shuffle=True, fletcher32=True)
    c.write(n, dataset="open", maxshape=(None, None), chunks=True).write(n[:50], dataset="grown", maxshape=(None, 6), chunks=(7, 6))
    with c.file() as file:
        file["grown"].resize((60, 6))
        file["grown"][50:] = n[50:]
        space = h5py.h5s.create_simple((60, 6))
        compact, bits = h5py.h5p.create(h5py.h5p.DATASET_CREATE), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        bits.set_chunk((20, 6))
        bits.set_filter(h5py.h5z.FILTER_NBIT)
        ten = h5py.h5t.NATIVE_INT32.copy()
        ten.set_precision(11)
        ten.set_offset(3)
        made = ["scaled", "checked", "open", "grown"]
        for name, kind, plan in (("compact", h5py.h5t.NATIVE_INT32, compact), ("bits", ten, bits)):
            try:
                h5py.h5d.create(file.id, name.encode(), kind, space, plan).write(h5py.h5s.ALL, h5py.h5s.ALL, n)
            except ValueError as error:
                if "unusual datatype" not in str(error):  # HDF5 1.14 makes no numbers with few bits, unless it is told to
                    raise
                continue
            made.append(name)
    same(c, ["data.dataset=plain"], *[[f"data.dataset={name}"] for name in made])


def case_outcomes_of_two_signs(c):
    """Outcomes as -1 and 1: the likelihood would take each -1 for a trial that is not there."""
    y = R.choice([-1.0, 1.0], (60, 3))
    c.write(numpy.hstack([y, X[:, :3]])).write(numpy.hstack([(y + 1) / 2, X[:, :3]]), dataset="good")
    y[0, 0] = 0
    c.write(numpy.hstack([y, X[:, :3]]), dataset="absent").write(numpy.hstack([numpy.where(y < 1, -2, y), X[:, :3]]), dataset="ones")
    model = ["model.name=hier_logistic", "model.trials=3", "model.covariates=1"]
    for ranks in (1, 2):
        c.run(*model, "optim.tile=20", ranks=ranks).ends(65, "the outcomes are -1 or 1 and none is 0", "write 0 in place of -1")
    for name in ("good", "absent", "ones"):
        c.run(*model, f"data.dataset={name}").good()
    c.run("model.name=hier_logistic").ends(65, "it explains rows of 30 .model.trials outcomes")
    c.run("model.name=linear", "inference.function=factorized").ends(65, "use data.columns to choose 1 of them")
    c.run("model.name=linear", "inference.function=factorized", "data.columns=4").good("60 rows of 1 value")


def case_images_of_two_signs(c):
    x = R.random((60, 4, 4)) * 2 - 1
    c.write(x).write((x + 1) / 2, dataset="unit")
    c.run("model.likelihood=bernoulli").ends(65, "needs a number from 0 to 1", r"write \(x \+ 1\) / 2 where -1 to 1 are black to white, or use model.likelihood = gaussian")
    c.run("model.likelihood=bernoulli", "data.dataset=unit").good()


def case_codes_of_missing_values(c):
    """-999 and its kin are numbers to the program; a note says so, and none is made of ordinary values."""
    x = R.normal(size=(60, 3))
    x[5, 1] = x[9, 1] = -999
    c.write(x).write(numpy.where(x == -999, numpy.nan, x), dataset="nan").write(numpy.where(x == -999, 1e20, x), dataset="large")
    c.write(R.integers(-999, 1000, (4000, 3)), dataset="ordinary").write(R.integers(-20, 100, (60, 3)), dataset="small")
    c.run().good("note +-999 is a value of column 1 .from 0.; where it stands for a missing value, write NaN and use data.missing = mask")
    c.run("data.dataset=nan", "data.missing=mask").good("2 of 180 values are missing").silent("note  .*missing")
    c.run("data.dataset=large", "data.standardise=yes").good("note +1e.20 is a value of column 1")
    for name in ("ordinary", "small"):
        c.run(f"data.dataset={name}").good().silent("is a value of column")


def case_constant_and_offset_columns(c):
    """Columns of one value, of 1e-8 and 1e8 beside each other, and far from 0: standardised they are what numpy makes of them."""
    x = R.normal(size=(90, 5)) * [1e-8, 1e8, 1, 0, 1] + [0, 0, 1e6, 4, 0]
    sd = x.std(0)
    sd[3] = 1
    c.write(x).write((x - x.mean(0)) / sd, dataset="by_hand")
    hand = elbo(c.run(*FAST, "data.dataset=by_hand"))
    close(elbo(c.run(*FAST, "data.standardise=yes")), hand, 1e-4, "ELBO of columns of many scales")
    run = c.run(*FAST, "data.standardise=yes", "optim.tile=30", ranks=2).good()
    assert numpy.isfinite(run.read("/rows/reconstruction")).all()
    c.run("data.columns=2").ends(78, "use run.precision = double, or data.standardise = yes")
    c.run("data.columns=2", "run.precision=double").good()
