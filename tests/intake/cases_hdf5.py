"""What an HDF5 file may hold: types, dimensions, layouts, names; and what is refused with a remedy that works."""
import os
import shutil
import subprocess
import sys

import h5py
import numpy

from small_runs import SOURCE, close

R = numpy.random.default_rng(3)
COUNTS = R.poisson(2, (60, 6))
FAST = ["run.precision=double", "optim.steps=2"]


def elbo(run):
    return run.good().read("/trace/elbo")


def same(c, reference, *others, more=()):
    """Each of the lists of keys is the same data as the first."""
    expected = elbo(c.run(*FAST, *more, *reference))
    for keys in others:
        found = elbo(c.run(*FAST, *more, *keys))
        assert numpy.array_equal(found, expected), (keys, found, expected)


def case_numbers_of_every_type(c):
    """Shared case 8, and floats, byte orders, bool: all are the numbers that numpy sees."""
    types = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">u2", ">i8", "f2", "f4", "f8", ">f4", ">f8", "f16"]
    for t in types:
        c.write(COUNTS.astype(t), dataset=t.replace(">", "big"))
    c.write(COUNTS > 1, dataset="bool").write((COUNTS > 1).astype("f8"), dataset="as_float")
    # 17 starts of the program would take half of the time of this script: the types of each kind share one.
    same(c, ["data.dataset=f8"], *[[f"data.dataset={t.replace('>', 'big')}"] for t in types[:-4]])
    same(c, ["data.dataset=as_float"], ["data.dataset=bool"])


def case_large_integers(c):
    """Integers that single precision rounds are said; double precision holds them."""
    c.write((COUNTS + 2**25).astype("i8"))
    c.run("--dry-run").ends(78, "warning.*integers up to 3355.*single precision", "run.precision = double")
    c.run("run.precision=double", "--dry-run").good().silent("are rounded")
    c.run("data.standardise=yes").good().silent("are rounded")


def case_bitfield(c):
    """How PyTables writes bool."""
    with c.file() as file:
        space = h5py.h5s.create_simple((60, 6))
        set_ = h5py.h5d.create(file.id, b"x", h5py.h5t.STD_B8LE, space)
        set_.write(h5py.h5s.ALL, h5py.h5s.ALL, (COUNTS > 1).astype("u1"), mtype=h5py.h5t.NATIVE_B8)
    c.write((COUNTS > 1).astype("u1"), dataset="y")
    same(c, ["data.dataset=y"], ["data.dataset=x"])


def case_dimensions(c):
    """Shared case 10: rows of any shape; images with channels first and last."""
    x = R.random((50, 3, 8, 8)).astype("f4")
    c.write(x, dataset="first").write(x.reshape(50, 192), dataset="flat").write(x[:, :1], dataset="grey").write(x[:, 0], dataset="plain").write(x.reshape(50, 2, 2, 2, 24), dataset="five")
    c.write(x.transpose(0, 2, 3, 1).copy(), dataset="last")
    same(c, ["data.dataset=flat"], ["data.dataset=first"], ["data.dataset=five"])
    same(c, ["data.dataset=plain"], ["data.dataset=grey"])
    c.run("data.dataset=first").good(r"50 rows of 3 x 8 x 8 \(channels first\)")
    c.run("data.dataset=last").good(r"50 rows of 8 x 8 x 3 \(channels last\)")
    c.run("data.dataset=grey").good("50 rows of 8 x 8,").read("/images/sample")
    c.write(R.integers(0, 256, (50, 3, 8, 8)).astype("u1"), dataset="bytes")
    c.run("data.dataset=bytes", "model.likelihood=bernoulli").good("stored value / 255").read("/rows/sample")


def case_transposed(c):
    """Shared case 12: MATLAB, R and Julia write the dimensions the other way round."""
    x, images = R.normal(size=(90, 7)), R.normal(size=(40, 5, 6))
    c.write(x, dataset="x").write(x.T.copy(), dataset="turned").write(images, dataset="images").write(images.transpose(2, 1, 0).copy(), dataset="turned_images")
    c.write(x.T.copy(), dataset="chunked", chunks=(3, 11), compression="gzip")
    with c.file() as file:
        d = file.create_dataset("matlab", data=x.T.copy())
        d.attrs["MATLAB_class"] = numpy.bytes_("double")
    same(c, ["data.dataset=x"], ["data.dataset=turned", "data.transpose=yes"], ["data.dataset=matlab"], ["data.dataset=chunked", "data.transpose=yes"])
    same(c, ["data.dataset=images"], ["data.dataset=turned_images", "data.transpose=yes"])
    assert numpy.array_equal(elbo(c.run(*FAST, "optim.tile=30", "run.reproducible=yes", "data.dataset=chunked", "data.transpose=yes", ranks=3)),
                             elbo(c.run(*FAST, "optim.tile=30", "run.reproducible=yes", "data.dataset=x")))
    c.run("data.dataset=turned").good("7 rows of 90 values", "use data.transpose = yes")
    c.run("data.dataset=x").good().silent("data.transpose")
    c.run("data.dataset=matlab", "data.transpose=no").good("7 rows of 90 values")
    c.write(R.integers(0, 256, (8, 8, 200)).astype("u1"), dataset="stack")
    c.run("data.dataset=stack").good("8 rows of 8 x 200", "use data.transpose = yes")
    c.run("data.dataset=stack", "data.transpose=yes").good("200 rows of 8 x 8")


def case_compound(c):
    """Shared case 25: numbers beside an id and a label; fields that are arrays (pandas' values_block_0)."""
    t = numpy.zeros(60, dtype=[("id", "i8"), ("a", ">f4"), ("b", "f8"), ("name", "S4"), ("block", "f8", (3,)), ("ok", "?")])
    t["id"], t["a"], t["b"], t["block"], t["ok"] = R.permutation(60), COUNTS[:, 0], COUNTS[:, 1], COUNTS[:, 2:5], COUNTS[:, 5] > 1
    c.write(t).write(t, dataset="chunked", chunks=(7,), compression="gzip", shuffle=True)
    c.write(numpy.column_stack([t["b"], t["a"]]), dataset="ba").write(numpy.column_stack([t["block"], t["ok"]]), dataset="block")
    c.run().ends(65, "compound rows", r"use data.columns with some of its numbers: id, a, b, block, ok$|use data.columns with some of its numbers: id, a, b, block, ok\n")
    c.run("data.columns=a, name").ends(65, "name is no number")
    c.run("data.columns=a, c").ends(65, "c is none of its fields")
    c.run("data.columns=a, a").ends(65, "named twice")
    same(c, ["data.dataset=ba"], ["data.columns=b, a"], ["data.dataset=chunked", "data.columns=b,a"])
    same(c, ["data.dataset=block"], ["data.columns=block, ok"])
    run = c.run("data.columns=b, block")
    assert run.good().read("/data/columns") == b"b\nblock[0]\nblock[1]\nblock[2]", run.read("/data/columns")
    c.run("data.dataset=ba", "data.test_dataset=x", "data.columns=0, 1").ends(65, "0 is none of its fields")


def case_columns(c):
    """Columns of a plain table, by number, by an attribute, by a dimension scale."""
    x = R.normal(size=(60, 6))
    c.write(x).write(x[:, [4, 0, 1, 2]], dataset="picked").write(x.T.copy(), dataset="turned").write(x[:, 3].copy(), dataset="one")
    with c.file() as file:
        file["x"].attrs["columns"] = ["alpha", "beta", "gamma", "delta", "1", "zeta"]
        scaled = file.create_dataset("scaled", data=x)
        file["genes"] = numpy.array(["alpha", "beta", "gamma", "delta", "one", "zeta"], dtype=h5py.string_dtype())
        file["genes"].make_scale("gene")
        scaled.dims[1].attach_scale(file["genes"])
    same(c, ["data.dataset=picked"], ["data.dataset=turned", "data.columns=4, 0..2", "data.transpose=yes"], ["data.dataset=scaled", "data.columns=one, alpha, 1..2"],
         ["data.columns=1, alpha, beta, gamma"])  # a name wins over a number
    same(c, ["data.dataset=one"], ["data.columns=delta"])
    assert c.run("data.dataset=scaled", "data.columns=one, alpha").good().read("/data/columns") == b"one\nalpha"
    c.run("data.columns=epsilon").ends(65, "epsilon is none of its columns", "0..5", "alpha, beta")
    c.run("data.columns=6", "data.dataset=turned", "data.transpose=yes").ends(65, "6 is none of its columns", "its columns have no names")
    c.run("data.columns=4..2").ends(65, "4..2 is none")


def sparse(file, name, x, form="csr", values="f4", index="i4", **how):
    order = x if form == "csr" else x.T
    r, k = numpy.nonzero(order)
    g = file.create_group(name)
    g.attrs["encoding-type"], g.attrs["encoding-version"], g.attrs["shape"] = f"{form}_matrix", "0.1.0", x.shape
    for part, v in (("data", order[r, k].astype(values)), ("indices", k.astype(index)), ("indptr", numpy.r_[0, numpy.cumsum((order != 0).sum(1))].astype(index))):
        g.create_dataset(part, data=v, **how)
    return g


def case_sparse(c):
    """Shared case 11: AnnData's compressed rows, its layers and its names."""
    x = R.poisson(0.7, (90, 12))
    x[13] = 0
    with c.file() as file:
        sparse(file, "X", x)
        sparse(file, "layers/counts", x, values="i8", index="i8", chunks=(17,), compression="gzip")
        sparse(file, "columns", x, form="csc")
        file["dense"], file["picked"] = x.astype("f8"), x[:, [3, 11, 0]].astype("f8")
        var = file.create_group("var")
        var.attrs["_index"] = "gene"
        var["gene"] = numpy.array([f"g{i}" for i in range(12)], dtype=h5py.string_dtype())
        tenx = file.create_group("matrix")
        r, k = numpy.nonzero(x)
        tenx["data"], tenx["indices"], tenx["indptr"], tenx["shape"] = x[r, k], k, numpy.r_[0, numpy.cumsum((x > 0).sum(1))], [12, 90]
    same(c, ["data.dataset=dense"], ["data.dataset=X"], ["data.dataset=layers/counts"], ["data.dataset=matrix"])
    assert numpy.array_equal(elbo(c.run(*FAST, "optim.tile=30", "run.reproducible=yes", "data.dataset=layers/counts", ranks=3)),
                             elbo(c.run(*FAST, "optim.tile=30", "run.reproducible=yes", "data.dataset=dense")))
    same(c, ["data.dataset=picked"], ["data.dataset=X", "data.columns=g3, 11, g0"])
    assert c.run("data.dataset=X").good("sparse matrix X").read("/data/columns").startswith(b"g0\ng1\n")
    c.run("data.dataset=X/data").ends(65, r"sparse matrix X \(90 rows of 12\)", "use data.dataset = X")
    c.run("data.dataset=columns").ends(65, "csc", r"adata.X = adata.X.tocsr\(\)")
    with c.file() as file:
        sparse(file, "layers/spread", x, form="csc", index="i8")
        sparse(file, "layers/zeros", numpy.zeros((90, 12)))
        other = R.poisson(0.5, (90, 20))
        for group in ("raw", "mod/rna"):
            sparse(file, f"{group}/X", other)
            own = file.create_group(f"{group}/var")
            own.attrs["_index"] = "_index"
            own["_index"] = numpy.array([f"{group[:3]}{i}" for i in range(20)], dtype=h5py.string_dtype())
        file["mod/rna/layers/dense"], file["other"] = other.astype("f8"), other[:, [3, 7]].astype("f8")
    c.run("data.dataset=layers/spread").ends(65, r'adata.layers\["spread"\] = adata.layers\["spread"\].tocsr\(\)')
    c.run("data.dataset=layers/zeros").ends(65, "layers/zeros is 0 everywhere")
    same(c, ["data.dataset=other"], ["data.dataset=raw/X", "data.columns=raw3,raw7"], ["data.dataset=/mod/rna/X", "data.columns=mod3,mod7"],
         ["data.dataset=mod/rna/layers/dense", "data.columns=mod3,mod7"])
    c.run("data.dataset=Y").ends(65, r"no such dataset", r"X \(sparse\)").silent("X/data")
    with c.file() as file:
        file["X/indptr"][50] = 10**6
    c.run("data.dataset=X").ends(65, "damaged in row 49|damaged in row 50")


def case_lzf(c):
    """Shared case 13: a filter that this HDF5 lacks is no damage."""
    c.write(COUNTS.astype("f4"), chunks=(20, 6), compression="lzf", shuffle=True)
    c.run().ends(65, r"filter 32000 \(lzf\), which this HDF5 lacks", "HDF5_PLUGIN_PATH", 'compression="gzip"').silent("truncated")


def case_filters(c):
    """Filters that HDF5 has: scale-offset (which makes next to nothing of a constant), shuffle, checksums."""
    zeros = numpy.zeros((20000, 6), "i4")
    zeros[0] = 1
    c.write(zeros, dataset="offset", chunks=(10000, 6), scaleoffset=0).write(zeros.astype("f8"), dataset="plain")
    same(c, ["data.dataset=plain"], ["data.dataset=offset"])


def case_unwritten(c):
    """Shared case 23: chunks that were never written are no zeros, compressed or not; data.rows leaves them out."""
    with c.file() as file:
        for name, how in (("x", dict(compression="gzip")), ("plain", {})):
            d = file.create_dataset(name, (100, 6), "f4", chunks=(20, 6), fillvalue=0, **how)
            d[:60] = COUNTS
        file["whole"] = COUNTS.astype("f4")
        turned = file.create_dataset("turned", (6, 100), "f4", chunks=(3, 20), fillvalue=0)
        turned[:, :60] = COUNTS.T
    for more in (["data.dataset=x"], ["data.dataset=plain"], ["data.dataset=turned", "data.transpose=yes"]):
        c.run(*more).ends(65, "row 60 on was never written", "use data.rows = 60")
    same(c, ["data.dataset=whole"], ["data.rows=60"], ["data.dataset=plain", "data.rows=60"], ["data.dataset=turned", "data.transpose=yes", "data.rows=60"])


def case_elsewhere(c):
    """Virtual and external datasets are refused, and the remedy works as it is told."""
    c.write(COUNTS.astype("f4"), name="part.h5", dataset="p")
    layout = h5py.VirtualLayout((60, 6), "f4")
    layout[:] = h5py.VirtualSource(str(c.folder / "part.h5"), "p", (60, 6))
    with c.file() as file:
        file.create_virtual_dataset("x", layout)
    said = c.run().ends(65, "keeps its values in other files", "from Python: ")
    command = said.text.split("from Python: ")[1].split(", and use data.dataset = ")
    exec("import h5py\n" + command[0])  # pylint: disable=exec-used
    c.run(f"data.dataset={command[1].split()[0]}").good("60 rows of 6")


def case_no_numbers(c):
    """Text, rows of different lengths, references, a scalar: each with what to do."""
    with c.file() as file:
        file["text"] = numpy.array([b"1.5", b"2"] * 30)
        ragged = file.create_dataset("ragged", (60,), dtype=h5py.vlen_dtype("f8"))
        ragged[0] = [1.0, 2.0]
        file["scalar"] = 3.0
        file["complex"] = R.normal(size=60) + 1j
        file["cells"] = numpy.array([file["text"].ref] * 4, dtype=h5py.ref_dtype)
        file.create_group("empty")
    for name, words in (("text", "holds text.*csv2h5"), ("ragged", "different lengths.*data.missing = mask"), ("scalar", "has no dimensions"),
                        ("complex", "data.columns with some of its numbers: r, i"),
                        ("cells", "references"), ("empty", "has no datasets")):
        c.run(f"data.dataset={name}").ends(65, words)
    c.run("data.dataset=complex", "data.columns=r, i").good("60 rows of 2")


def case_left_open(c):
    """Shared case 26: a writer in SWMR mode was killed. The message names h5clear, which helps where it is installed."""
    killed = """import h5py, numpy, os, sys
file = h5py.File(sys.argv[1], "w", libver="latest")
x = file.create_dataset("x", data=numpy.random.default_rng(0).normal(size=(60, 6)), maxshape=(None, 6), chunks=(10, 6))
file.swmr_mode = True
x.flush()
os._exit(9)"""
    path = c.folder / "open.h5"
    subprocess.run([sys.executable, "-c", killed, path], check=False)
    c.run(f"data.path={path}").ends(65, "h5clear -s")
    if shutil.which("h5clear"):
        subprocess.run(["h5clear", "-s", path], check=True)
        c.run(f"data.path={path}").good("60 rows of 6")


def case_pandas(c):
    """What pandas' to_hdf writes, by hand: the fixed form has a matrix beside its names."""
    with c.file() as file:
        g = file.create_group("df")
        g["axis0"] = numpy.array([b"a", b"b", b"c"])
        d = g.create_dataset("block0_values", data=COUNTS[:, :3].astype("f8"))
        d.attrs["transposed"] = True
    c.run("data.dataset=df").ends(65, "it has: .*df/block0_values")
    c.run("data.dataset=df/block0_values").good("60 rows of 3")


def case_shared_counts(c):
    """Real counts in AnnData's layout, where they are at hand."""
    path = os.environ.get("AVI_COUNTS", os.path.join(SOURCE, "..", "shared", "data", "counts", "cells.h5ad"))
    if os.path.exists(path):
        run = c.run(f"data.path={path}", "data.dataset=X", "data.transform=log1p", "optim.batch=1000", "optim.steps=3").good("10000 rows of 1000", r"log\(1 \+ value\)")
        assert len(run.read("/data/columns").splitlines()) == 1000
        close(run.read("/data/smallest"), 0, 0, "smallest count")
