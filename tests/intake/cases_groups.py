"""Groups of any number of entries: long tables with a key column, in any order, and compressed rows; what is refused."""
import h5py
import numpy

R = numpy.random.default_rng(23)
MODEL = ["model.name=hier_logistic", "inference.function=factorized", "optim.steps=4", "optim.batch=8", "run.reproducible=yes"]
SIZES = [3, 1, 30, 2, 5, 4, 1, 7, 2, 6]


def table(sizes=SIZES):
    """(entries, 4): key, outcome, two covariates; keys in no order."""
    keys = R.permutation(1000)[: len(sizes)] * 1.5
    key = numpy.repeat(keys, sizes)
    return numpy.column_stack([key, R.integers(0, 2, len(key)), R.normal(size=(len(key), 2))])


def same(a, b, what):
    for name in ("/trace/elbo", "/local/mean", "/global/beta/mean"):
        assert numpy.array_equal(a.read(name), b.read(name)), f"{what}: other bits of {name}"


def case_forms(c):
    """One set of groups in every form: contiguous or torn apart, key in any place, by name and number, compound, turned, chunked, compressed rows, single bytes of keys."""
    x = table()
    first = numpy.concatenate([[0], numpy.cumsum(SIZES)])
    c.write(x[:, 1:], dataset="g/data").write(first, dataset="g/indptr")
    whole = c.run(*MODEL, "data.dataset=g").good("groups of g of .*d.h5: 10 groups with 61 entries \\(1 to 30 each\\) of 3 values")
    c.write(x)
    same(whole, c.run(*MODEL, "data.group=0", ranks=3).good("groups by 0 of dataset x"), "key first")
    with c.file() as file:
        names = file.create_dataset("named", data=x[:, [1, 0, 2, 3]], chunks=(7, 2), compression="gzip")
        names.attrs["columns"] = ["y", "school", "a", "b"]
        record = numpy.zeros(len(x), dtype=[("school", "i4"), ("y", "i1"), ("a", "f8"), ("b", "f8")])
        record["school"], record["y"], record["a"], record["b"] = numpy.unique(x[:, 0], return_inverse=True)[1], x[:, 1], x[:, 2], x[:, 3]
        file["fields"] = record
        file["turned"] = x.T.copy()
    same(whole, c.run(*MODEL, "data.dataset=named", "data.group=school").good("groups by school"), "key by name, in the middle")
    same(whole, c.run(*MODEL, "data.dataset=named", "data.group=1", "data.columns=y, a, b", ranks=2).good(), "columns picked")
    same(whole, c.run(*MODEL, "data.dataset=fields", "data.group=school", "data.columns=y,a,b").good(), "fields")
    same(whole, c.run(*MODEL, "data.dataset=turned", "data.group=0", "data.transpose=yes").good(), "turned")
    # Rows of the groups anywhere, but in order within their group, and the groups in order of their first rows.
    apart = numpy.concatenate([first[:-1], R.permutation(numpy.setdiff1d(numpy.arange(len(x)), first[:-1]))])
    group = numpy.repeat(numpy.arange(len(SIZES)), SIZES)
    for g in range(len(SIZES)):
        at = numpy.flatnonzero(group[apart] == g)
        apart[at] = numpy.sort(apart[at])
    c.write(x[apart], dataset="apart")
    torn = c.run(*MODEL, "data.dataset=apart", "data.group=0").good("10 groups with 61 entries")
    same(whole, torn, "rows of groups anywhere")
    keys = [float(name) for name in torn.read("/local/row")]  # the names of rows, by which other tables are joined
    assert keys == list(x[first[:-1], 0]), f"keys of groups: {keys}"
    held = c.run(*MODEL, "data.dataset=apart", "data.group=0", "data.holdout=3", "optim.batch=4", ranks=2).good()
    assert [float(n) for n in held.read("/local/row")] == list(numpy.delete(x[first[:-1], 0], held.read("/data/held_out"))), "keys where groups are held out"
    same(whole, c.run(*MODEL, "data.dataset=apart", "data.group=0", ranks=3).good(), "the same on 3 ranks")
    same(c.run(*MODEL, "data.dataset=apart", "data.group=0", "data.rows=9").good(), c.run(*MODEL, "data.dataset=g", "data.rows=9").good("9 groups"), "the first groups")
    # Messages name the row of the table.
    bad = x[apart].copy()
    bad[17, 2] = numpy.nan
    bad[40, 1] = 0.5
    c.write(bad, dataset="bad")
    c.run(*MODEL, "data.dataset=bad", "data.group=0").ends(65, "row 17, column 1 \\(both from 0\\) is NaN")
    bad[17, 2] = 0
    c.write(bad, dataset="half")
    c.run(*MODEL, "data.dataset=half", "data.group=0", ranks=2).ends(65, "row 40, column 0 \\(both from 0\\) is 0.5, but the likelihood needs 0 or 1")


def case_large(c):
    """More rows than a piece, in an order of no kind: the same as sorted."""
    key = R.integers(0, 300, 150000)
    x = numpy.column_stack([key, R.integers(0, 2, len(key)), R.normal(size=(len(key), 1))]).astype("f4")
    order = numpy.argsort(numpy.unique(key, return_index=True)[1][key], kind="stable")
    c.write(x, chunks=(1000, 3), compression="gzip").write(x[order], dataset="sorted")
    how = [*MODEL, "data.group=0", "model.covariates=1", "optim.batch=100", "optim.steps=2", "log.eval_every=-1"]
    same(c.run(*how, "data.dataset=sorted").good("150000 entries"), c.run(*how, ranks=2).good(), "sorted")


def case_refused(c):
    """What cannot be served says so, with what to use."""
    x = table()
    c.write(x).write(x[:, 0], dataset="one").write(numpy.zeros((4, 3, 2)), dataset="cubes")
    c.write(x[:, 1:], dataset="g/data").write(numpy.concatenate([[0], numpy.cumsum(SIZES)]), dataset="g/indptr")
    c.run(*MODEL, "data.group=school").ends(65, "\\[data\\] group = school: no key column: .*use numbers from 0 to 3")
    c.run(*MODEL, "data.group=0..1").ends(65, "is not one column but 2; name one")
    c.run(*MODEL, "data.group=0", "data.dataset=one").ends(65, "use a dataset \\(entries, columns\\)")
    c.run(*MODEL, "data.group=0", "data.dataset=cubes").ends(65)
    c.run(*MODEL, "data.group=0", "data.dataset=g").ends(65, "leave data.group out")
    c.run(*MODEL, "data.group=0", "model.covariates=1").ends(78, "an entry of the data has 3 values, an outcome and its covariates; use 2")
    c.run(*MODEL, "data.group=0", "model.covariates=2", "data.columns=1,2").ends(78, "use 1")
    c.run("data.group=0").ends(78, "\\[model\\] name = vae: vae explains rows of one width.*use model.name = hier_logistic")
    c.run(*MODEL, "data.group=0", "data.storage=stream").ends(78, "come from a file, so they cannot be drawn anew at each step; use memory or auto")
    c.run(*MODEL, "data.group=0", "inference.function=constant", "inference.domain=next").ends(78, "no window of neighbours; use self")
    c.run(*MODEL, "data.group=0", "data.missing=mask").ends(78, "cannot leave out single values")
    c.run(*MODEL, "data.group=0", "data.height=2").ends(78, "are no images; use 0")
    c.run(*MODEL, "data.group=0", "data.rows=11").ends(78, "has 10 rows; give at most 10")
    c.run(*MODEL, "data.group=0", "run.after=diagnose").ends(65, "10 rows are too few to compare; use at least 24")
    c.run(*MODEL, "data.group=0", "data.test_dataset=g", ranks=2).ends(65, "leave data.group out")
    keys = x.copy()
    keys[33, 0] = numpy.nan
    c.write(keys, dataset="keys")
    c.run(*MODEL, "data.group=0", "data.dataset=keys", ranks=3).ends(65, "row 33 of dataset keys has no group")
    text = numpy.zeros(3, dtype=[("school", "S4"), ("y", "i1")])
    c.write(text, dataset="text")
    c.run(*MODEL, "data.group=school", "data.columns=y", "data.dataset=text").ends(65, "school is no number")
    for name, starts, words in (("down", [0, 5, 3, 61], "indptr\\[2\\] is 3"), ("short", [0, 5, 60], "indptr\\[2\\] is 60"), ("long", [0, 70], "indptr\\[1\\] is 70"),
                                ("late", [1, 61], "indptr\\[0\\] is 1")):
        c.write(x[:, 1:], dataset=f"{name}/data").write(numpy.array(starts), dataset=f"{name}/indptr")
        c.run(*MODEL, f"data.dataset={name}").ends(65, f"{words}; its numbers must ascend from 0 to the 61 entries")
    c.write(x[:, 1:], dataset="float/data").write(numpy.array([0.0, 61.0]), dataset="float/indptr")
    c.run(*MODEL, "data.dataset=float").ends(65, "write one dimension of integers")
    c.write(numpy.zeros((0, 3)), dataset="none/data").write(numpy.zeros(3, int), dataset="none/indptr")
    c.run(*MODEL, "data.dataset=none").ends(65)


def case_damaged(c):
    """A child meets a file that is cut short, and the run ends with a message."""
    c.write(table(), chunks=(10, 4), compression="gzip")
    whole = (c.folder / "d.h5").read_bytes()
    (c.folder / "cut.h5").write_bytes(whole[: len(whole) * 2 // 3])
    c.run(*MODEL, "data.path=cut.h5", "data.group=0", ranks=2).ends(65)
    with h5py.File(c.folder / "d.h5") as file:
        info = file["x"].id.get_chunk_info(2)
    broken = bytearray(whole)
    broken[info.byte_offset:info.byte_offset + info.size] = bytes(info.size)
    (c.folder / "broken.h5").write_bytes(broken)
    c.run(*MODEL, "data.path=broken.h5", "data.group=0", ranks=2).ends(65)
