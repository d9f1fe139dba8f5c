"""What is written opens elsewhere with the user's names: covariances of q(z_n) against the closed form and against the factor's Cholesky in numpy; names of columns and rows, of AnnData (dense and
sparse), dimension scales and compound fields, with held-out rows, on 1 and 3 ranks, in run.h5, rows.h5 and samples.h5."""
import h5py
import numpy

from arrays import close, read, write
from runs import Failure, empty_ini, fit, main, start

PPCA = ["model.name=ppca", "model.latent=3", "data.source=hdf5", "data.dataset=x", "inference.family=gaussian_full", "optim.batch=40", "optim.learning_rate=0.02", "run.precision=double"]


def of_factor(nu, latent):
    """C C' of rows nu = (mean, rows of the lower triangle C, its diagonal as logarithm)."""
    factor = numpy.zeros((len(nu), latent, latent))
    factor[(slice(None), *numpy.tril_indices(latent))] = nu[:, latent:]
    at = numpy.arange(latent)
    factor[:, at, at] = numpy.exp(factor[:, at, at])
    return factor @ factor.transpose(0, 2, 1)


def covariance(scratch):
    """Own factors at their optimum are the posterior N(S W' (x - mu) / s^2, S), S = (I + W' W / s^2)^-1; those of a network are C C' of what the network gives."""
    generator = numpy.random.default_rng(1)
    x = generator.normal(size=(90, 3)) @ generator.normal(size=(3, 6)) + 3 + 0.5 * generator.normal(size=(90, 6))
    data = write(scratch / "d.h5", x=x)
    first = fit(scratch / "first", *PPCA, f"data.path={data}", "inference.hidden=8", "optim.epochs=10", "output.local=yes", ini=empty_ini(scratch))
    weights = [f"inference/encoder.{i}.{part}" for i in range(2) for part in ("weight", "bias")]
    w0, b0, w1, b1, centre, spread, mean, log_sd, got = read(first / "run.h5", *weights, "inference/feature_mean", "inference/feature_sd", "local/mean", "local/log_sd", "local/covariance")
    nu = numpy.maximum((x - centre) / spread @ w0.T + b0.ravel(), 0) @ w1.T + b1.ravel()
    want = of_factor(nu, 3)
    close("means of a network's factors", mean, nu[:, :3], 1e-10)
    close("covariances of a network's factors", got, want, 1e-10)
    close("sds and covariances", numpy.exp(2 * log_sd), numpy.einsum("nii->ni", got), 1e-10)
    own = fit(scratch / "own", *PPCA, f"data.path={data}", "inference.function=factorized", f"model.theta_from={first}", "model.theta_fixed=yes", "objective.draws=0", "optim.method=lbfgs",
              "optim.batch=0", "optim.steps=60", np=2, ini=empty_ini(scratch))
    w, bias, log_s = read(own / "run.h5", "global/decoder.weight/mean", "global/decoder.bias/mean", "global/log_noise_sd/mean")
    precision = float(numpy.exp(-2 * log_s.ravel()[0]))
    s = numpy.linalg.inv(numpy.eye(3) + precision * w.T @ w)
    mean, got = read(own / "run.h5", "local/mean", "local/covariance")
    close("means of own factors", mean, precision * (x - bias.ravel()) @ w @ s, 1e-8)
    close("covariances of own factors", got, s[None], 1e-8)
    start(None, [own, "run.task=encode", "rows.tolerance=1e-12", "-q", f"run.output={scratch / 'codes'}"])
    close("covariances of encoded rows", read(scratch / "codes/rows.h5", "covariance")[0], s[None], 1e-5)
    return f"covariances equal C C' of the network, and the posterior's to {numpy.max(numpy.abs(got - s)):.1g}"


CELLS = [f"zelle ü{k}" if k % 7 else f"c{k}" * 3 for k in range(120)]
GENES = ["alpha", "β-actin", "CD4", "x", "y 2", "z"]


def h5ad(path, sparse):
    """AnnData, as anndata writes it: X (cells, genes), names in obs and var."""
    counts = numpy.random.default_rng(3).poisson(2.0, size=(120, 6))
    with h5py.File(path, "w") as file:
        if sparse:
            rows, columns = numpy.nonzero(counts)
            group = file.create_group("X")
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": counts.shape})
            group["data"], group["indices"] = counts[rows, columns].astype("f4"), columns.astype("i4")
            group["indptr"] = numpy.concatenate([[0], numpy.cumsum((counts > 0).sum(1))]).astype("i4")
        else:
            file["X"] = counts.astype("f4")
        for group, names, index in (("obs", CELLS, "cell_id"), ("var", GENES, "_index")):
            file.create_group(group).attrs["_index"] = index
            file[group].create_dataset(index, data=names, dtype=h5py.string_dtype())
    return path


def scaled_table(path):
    """A table whose dimension scales name its rows and columns."""
    with h5py.File(path, "w") as file:
        file["x"] = numpy.random.default_rng(4).normal(size=(120, 6))
        for d, (name, words) in enumerate((("cell", CELLS), ("gene", GENES))):
            file.create_dataset(name, data=words, dtype=h5py.string_dtype())
            file[name].make_scale(name)
            file["x"].dims[d].attach_scale(file[name])
    return path


def texts(path, name):
    with h5py.File(path) as file:
        return list(file[name].asstr()[()])


def same(what, got, want):
    if got != list(want):
        raise Failure(f"{what}: {got[:8]}, {list(want)[:8]} expected")


def names(scratch):
    """Names reach every file as coordinates of the axes row and column."""
    model = ["model.name=ppca", "model.latent=2", "inference.hidden=4", "optim.batch=40", "optim.epochs=2", "output.local=yes", "data.source=hdf5"]
    tables = [(h5ad(scratch / "sparse.h5ad", True), "X"), (h5ad(scratch / "dense.h5ad", False), "X"), (scaled_table(scratch / "table.h5"), "x")]
    for k, (path, dataset) in enumerate(tables):
        run = fit(scratch / f"fit{k}", *model, f"data.path={path}", f"data.dataset={dataset}", *(["data.holdout=0.2"] if k < 2 else []), np=3 if k == 0 else None, ini=empty_ini(scratch))
        held = set(read(run / "run.h5", "data/held_out")[0]) if k < 2 else set()
        same(f"{path.name}: names of /local", texts(run / "run.h5", "local/row"), [c for i, c in enumerate(CELLS) if i not in held])
        for place in ("data/column", "global/decoder.weight/column", "global/decoder.bias/column", "rows/column"):
            same(f"{path.name}: names of {place}", texts(run / "run.h5", place), GENES)
        for np in (None, 3) if k == 0 else (None,):
            start(np, [run, "run.task=reconstruct", "data.holdout=0", "rows.block=64", "-q", f"run.output={scratch / f'back{k}{np}'}"])
            same(f"{path.name}: rows.h5, {np} ranks", texts(scratch / f"back{k}{np}/rows.h5", "row") + texts(scratch / f"back{k}{np}/rows.h5", "column"), [*CELLS, *GENES])
    start(None, [scratch / "fit2", "run.task=sample", "sample.of=posterior", "rows.draws=2", "data.rows=50", "-q", f"run.output={scratch / 'drawn'}"])
    same("samples.h5", texts(scratch / "drawn/samples.h5", "posterior/row") + texts(scratch / "drawn/samples.h5", "posterior/column"), [*CELLS[:50], *GENES])
    start(2, [scratch / "fit2", "run.task=sample", "sample.count=20", "-q", f"run.output={scratch / 'prior'}"])
    same("draws of the prior", texts(scratch / "prior/samples.h5", "prior/column"), GENES)
    with h5py.File(scratch / "fields.h5", "w") as file:
        file["x"] = numpy.array([(1.0, 2), (2.0, 1), (0.5, 4)] * 20, dtype=[("größe", "f8"), ("n", "i4")])
    run = fit(scratch / "fields", *model, f"data.path={scratch / 'fields.h5'}", "data.dataset=x", "data.columns=größe, n", "data.holdout=10", "model.latent=1", "run.after=exact",
              ini=empty_ini(scratch))
    same("compound fields", texts(run / "run.h5", "data/column") + texts(run / "run.h5", "exact/column"), ["größe", "n"] * 2)
    start(None, [empty_ini(scratch), *model, f"data.path={scratch / 'fields.h5'}", "data.dataset=x", "data.columns=größe, n", "model.latent=1", "run.task=exact", f"run.output={scratch / 'alone'}"])
    same("exact answers without a fit", texts(scratch / "alone/run.h5", "exact/column"), ["größe", "n"])
    held = set(read(run / "run.h5", "data/held_out")[0])
    same("numbers of rows without names", list(read(run / "run.h5", "local/row")[0]), [i for i in range(60) if i not in held])
    start(None, [run / "config.ini", "run.task=gap", "-q", f"run.output={run}"])
    same("columns of what another task keeps", texts(run / "run.h5", "exact/column"), ["größe", "n"])
    return "rows and columns have their names in run.h5, rows.h5 and samples.h5"


if __name__ == "__main__":
    main(covariance, names)
