"""posterior.nc (output.idata): one attached scale of its own group on every axis, nothing but attributes and groups in the root; densities and moments against numpy, k-hat against an independent
implementation and the gap ledger, the same bits on 1, 2 and 3 ranks; every kind of model; netCDF4, xarray, ArviZ and R where they are here; a disk that is full, a run that is killed; which rows."""
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "gap"))

from ledger import reference_khat  # noqa: E402
from runs import SOURCE, Failure, Skip, command, empty_ini, fit, main, measured, refusal, start  # noqa: E402

GROUPS = ["constant_data", "log_likelihood", "observed_data", "posterior", "posterior_predictive", "sample_stats"]
LOG_2PI = numpy.log(2 * numpy.pi)
DRAWS, ROWS = 200, 90
PPCA = ["model.name=ppca", "model.latent=2", "inference.hidden=8", "optim.batch=30", "optim.tile=10", "optim.epochs=4", "optim.learning_rate=0.02", "output.local=yes", "output.idata=yes",
        "run.reproducible=yes"]


def expect(condition, words):
    if not condition:
        raise Failure(words)


def near(what, found, wanted, tolerance):
    apart = float(numpy.max(numpy.abs(numpy.asarray(found, dtype=float) - wanted))) if numpy.shape(found) == numpy.shape(wanted) else numpy.inf
    expect(apart <= tolerance, f"{what}: {numpy.shape(found)} and {numpy.shape(wanted)}, {apart:.3g} apart, at most {tolerance:.3g} expected")


def write(path, rows=ROWS):
    """A table whose rows and columns have names, of more than ASCII."""
    generator = numpy.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file["x"] = generator.normal(size=(rows, 2)) @ generator.normal(size=(2, 5)) + 0.5 * generator.normal(size=(rows, 5))
        file["x"].attrs["columns"] = [f"größe {k}" for k in range(5)]
        file.create_dataset("names", data=[f"row {'ж' * (k % 4)}{k}" for k in range(rows)], dtype=h5py.string_dtype())
        file["names"].make_scale("names")
        file["x"].dims[0].attach_scale(file["names"])
    return ["data.source=hdf5", f"data.path={path}", "data.dataset=x"]


def values(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def same_bits(what, a, b):
    one, other = values(a), values(b)
    expect(sorted(one) == sorted(other), f"{what}: other datasets")
    wrong = [name for name in one if (list(one[name]) != list(other[name]) if one[name].dtype.kind == "O" else one[name].tobytes() != other[name].tobytes())]
    expect(not wrong, f"{what}: not the same bits in {wrong}")


# ---- the walker ----

def ordered(plist):
    both = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED
    return (not hasattr(plist, "get_link_creation_order") or plist.get_link_creation_order() == both) and plist.get_attr_creation_order() == both


def walk(path, groups=GROUPS):
    """What netCDF-4, ArviZ and R ask of the file."""
    with h5py.File(path) as file:
        expect(sorted(file) == sorted(groups), f"groups {sorted(file)}")
        expect(all(isinstance(item, h5py.Group) for item in file.values()), "datasets in the root")
        expect(ordered(file["/"].id.get_create_plist()), "the order of creation is not tracked in the file")
        for group in file.values():
            expect(ordered(group.id.get_create_plist()), f"{group.name} does not track the order of creation")
            expect(group.attrs["inference_library"] in (b"avi_mpi", "avi_mpi") and "created_at" in group.attrs, f"{group.name} does not say who made it")
            expect(all(isinstance(item, h5py.Dataset) for item in group.values()), f"{group.name} has groups")
            for name, item in group.items():
                walk_dataset(group, f"{group.name}/{name}", name, item)


def walk_dataset(group, where, name, item):
    expect(ordered(item.id.get_create_plist()), f"{where} does not track the order of creation")
    kind = item.id.get_type()
    if isinstance(kind, h5py.h5t.TypeStringID):
        expect(kind.is_variable_str() and kind.get_cset() == h5py.h5t.CSET_UTF8 and item.ndim == 1, f"{where}: texts of another kind")
    else:
        expect(isinstance(kind, (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)), f"{where} is of type {kind}")
    is_scale = h5py.h5ds.is_scale(item.id)
    bare = is_scale and item.attrs["NAME"].startswith(b"This is a netCDF dimension but not a netCDF variable.")
    expect(is_scale == (bare or name in ("chain", "draw", "row", "column", "dimension")), f"{where}: a scale, or none")
    if is_scale:
        expect(item.ndim == 1 and "REFERENCE_LIST" in item.attrs, f"{where} is on no dataset")
        return
    expect(item.attrs["description"] and item.chunks is None and item.compression is None, f"{where} is not described, or not in one piece")
    named = item.attrs["axes"].decode() if isinstance(item.attrs["axes"], bytes) else item.attrs["axes"]
    for axis in range(item.ndim):
        on = list(item.dims[axis].values())
        expect(len(on) == 1 and on[0].parent == group and on[0].shape == (item.shape[axis],), f"{where}, axis {axis}: {[one.name for one in on]}")
        expect(on[0].name.split("/")[-1] == named.split(", ")[axis], f"{where}, axis {axis} is {named.split(', ')[axis]} and has {on[0].name}")


# ---- numbers ----

def check_weights(found, draws=DRAWS, what="k-hat"):
    """k-hat, log p(x) and ESS of constant_data from log_p and log_q, by other code."""
    weights = (found["sample_stats/log_p"] - found["sample_stats/log_q"])[0]
    scaled = numpy.exp(weights - weights.max(0))
    tail = int(min(numpy.ceil(0.2 * draws), numpy.ceil(3 * numpy.sqrt(draws))))
    told = numpy.flatnonzero((scaled - numpy.sort(scaled, 0)[-tail - 1] > 0).sum(0) >= 5)
    expect(len(told) > 0.5 * weights.shape[1], f"{what}: {len(told)} of {weights.shape[1]} rows have weights with a tail")
    near("k-hat", found["constant_data/khat"][told], [reference_khat(weights[:, r]) for r in told], 1e-6)
    near("log p(x)", found["constant_data/log_p"], weights.max(0) + numpy.log(scaled.mean(0)), 1e-9)
    near("its error", found["constant_data/log_p_error"], scaled.std(0, ddof=1) / scaled.mean(0) / numpy.sqrt(draws), 1e-9)
    near("ESS", found["constant_data/ess"], scaled.sum(0) ** 2 / (scaled**2).sum(0), 1e-6 * draws)
    near("ELBO", found["constant_data/elbo"], weights.mean(0), 1e-9)


def normal_lpdf(x, mean, log_sd):
    return -0.5 * LOG_2PI - log_sd - 0.5 * ((x - mean) * numpy.exp(-log_sd)) ** 2


def check_ppca(found, x, theta):
    """log q, log p(x | z), log p of the draws from the draws themselves; theta: weight, bias and log sd, or draws of them."""
    z, mean, log_sd = found["posterior/z"][0], found["constant_data/mean"], found["constant_data/log_sd"]
    near("log q", found["sample_stats/log_q"][0], normal_lpdf(z, mean, log_sd).sum(-1), 1e-8)
    weight, bias, noise = theta
    centre = numpy.einsum("krl,kcl->krc", z, numpy.broadcast_to(weight, (len(z), *weight.shape[-2:]))) + bias
    loglik = normal_lpdf(x, centre, noise).sum(-1)
    near("log likelihood", found["log_likelihood/x"][0], loglik, 1e-8)
    near("log p", found["sample_stats/log_p"][0], loglik + normal_lpdf(z, 0, 0).sum(-1), 1e-8)
    score = (found["posterior_predictive/x"][0] - centre) * numpy.exp(-noise)
    near("mean of the posterior predictive in standard errors", score.mean() * numpy.sqrt(score.size), 0, 4.5)
    near("sd of the posterior predictive", score.std(), 1, 0.02)
    return z, mean, log_sd


def whole(scratch):
    """A fit on 3 ranks of rows and columns with names; its draws are those of the gap ledger, and of 1 and 2 ranks."""
    data, ini = write(scratch / "d.h5"), empty_ini(scratch)
    keys = [*PPCA, *data, "run.precision=double", f"gap.draws={DRAWS}"]
    runs = {np: fit(scratch / f"run{np}", *keys, *(["run.after=gap"] if np == 3 else []), np=np, ini=ini) for np in (3, 1, 2)}
    path = runs[3] / "posterior.nc"
    walk(path)
    for np in (1, 2):
        same_bits(f"{np} and 3 ranks", path, runs[np] / "posterior.nc")
    found = values(path)
    with h5py.File(scratch / "d.h5") as file:
        x, names = file["x"][:], [name.decode() for name in file["names"][:]]
    for group in GROUPS:
        expect([name.decode() for name in found[f"{group}/row"]] == names, f"names of rows in {group}")
        expect(f"{group}/column" not in found or found[f"{group}/column"][3].decode() == "größe 3", f"names of columns in {group}")
    near("observed data", found["observed_data/x"], x, 0)
    theta = [found[f"constant_data/decoder.{name}"] for name in ("weight", "bias")] + [found["constant_data/log_noise_sd"]]
    z, mean, log_sd = check_ppca(found, x, theta)
    check_weights(found)
    with h5py.File(runs[3] / "run.h5") as file:
        near("mean in /local", mean, file["local/mean"][:], 0)
        near("log sd in /local", log_sd, file["local/log_sd"][:], 0)
        near("theta in /global", theta[0], file["global/decoder.weight/mean"][:], 0)
        near("k-hat of the gap ledger", found["constant_data/khat"], file["gap/train/khat_avi"][:], 1e-6)
    score = (z.mean(0) - mean) * numpy.exp(-log_sd) * numpy.sqrt(DRAWS)
    near("means of z in standard errors", score, 0 * score, 4.8)
    near("their mean square", numpy.mean(score**2), 1, 0.35)
    near("sds of z", z.std(0) * numpy.exp(-log_sd), numpy.ones(mean.shape), 0.25)
    return f"{len(found)} datasets, the same bits on 1 to 3 ranks, k-hat {found['constant_data/khat'].min():.2f} to {found['constant_data/khat'].max():.2f} as in the gap ledger"


def left_out(path):
    with h5py.File(path) as file:
        text = file.attrs["left_out"]
    return text.decode() if isinstance(text, bytes) else text


def check_theta(scratch):
    """Draws of a Gaussian q(theta): each has its own draw of z."""
    data = write(scratch / "d.h5")
    run = fit(scratch / "theta", *PPCA, *data, "model.global=gaussian", "output.idata_draws=150", "run.precision=double", np=2, ini=empty_ini(scratch))
    walk(run / "posterior.nc")
    found = values(run / "posterior.nc")
    with h5py.File(scratch / "d.h5") as file:
        x = file["x"][:]
    blocks = ("decoder.weight", "decoder.bias", "log_noise_sd")
    draws = [found[f"posterior/{name}"][0] for name in blocks]
    expect(draws[0].shape == (150, 5, 2) and draws[1].shape == (150, 5) and draws[2].shape == (150,), f"theta: {[one.shape for one in draws]}")
    check_ppca(found, x, (draws[0], draws[1][:, None, :], draws[2][:, None, None]))
    check_weights(found, 150)
    log_q = numpy.zeros(150)
    with h5py.File(run / "run.h5") as file:
        for name, drawn in zip(blocks, draws):
            mean, sd = (file[f"global/{name}/{what}"][:].reshape(drawn.shape[1:]) for what in ("mean", "sd"))
            log_q += normal_lpdf(drawn, mean, numpy.log(sd)).reshape(150, -1).sum(1)
            score = (drawn.mean(0) - mean) / sd * numpy.sqrt(150)
            near(f"means of {name} in standard errors", score, 0 * score, 4.5)
    near("log q(theta)", found["sample_stats/log_q_theta"][0], log_q, 1e-8)
    without = fit(scratch / "without", *PPCA, *data, "model.global=gaussian", "output.idata_draws=30", "output.idata_theta=no", ini=empty_ini(scratch))
    expect("posterior/decoder.weight" not in values(without / "posterior.nc") and "posterior of theta" in left_out(without / "posterior.nc"), "theta was not left out")


def check_chain(scratch):
    """A chain: the log p of its rows are the terms of the joint. Where the family ties rows, draws are of the marginals, and there are no weights."""
    keys = ["model.name=hmm", "data.source=model", "data.rows=40", "optim.batch=0", "optim.tile=10", "optim.steps=20", "inference.function=factorized", "output.idata=yes", "run.precision=double"]
    tied = fit(scratch / "tied", *keys, "inference.family=tridiagonal", "output.idata_draws=2000", np=2, ini=empty_ini(scratch)) / "posterior.nc"
    walk(tied, [name for name in GROUPS if name not in ("posterior_predictive", "sample_stats")])
    expect("log_q: family tridiagonal ties rows" in left_out(tied), f"left out: {left_out(tied)}")
    found = values(tied)
    near("sds of tied rows", found["posterior/z"][0].std(0) * numpy.exp(-found["constant_data/log_sd"]), numpy.ones((40, 1)), 0.09)
    run = fit(scratch / "chain", *keys, np=3, ini=empty_ini(scratch))
    path = run / "posterior.nc"
    walk(path, [name for name in GROUPS if name != "posterior_predictive"])
    expect("posterior_predictive" in left_out(path) and "khat" in left_out(path), f"left out: {left_out(path)}")
    found = values(path)
    z, x = found["posterior/z"][0, :, :, 0], found["observed_data/x"][:, 0]
    before = numpy.concatenate([numpy.zeros((len(z), 1)), z[:, :-1]], 1)
    near("log p of a chain", found["sample_stats/log_p"][0], normal_lpdf(x, z, 0) + normal_lpdf(z, before, 0), 1e-8)
    with h5py.File(run / "run.h5") as file:
        near("mean of a chain", found["constant_data/mean"], file["local/mean"][:], 0)


def models(scratch):
    """What there is of every kind: chains, all rows coupled, groups of entries, images that are shuffled, factorized ones, and draws of theta; on 1 and 3 ranks."""
    check_theta(scratch)
    check_chain(scratch)
    kinds = {"gp": (["sample_stats/log_p", "khat", "posterior_predictive"], ["data.source=model", "optim.batch=0", "data.rows=40"]),
             "hier_logistic": (["observed_data", "posterior_predictive"], ["data.source=model", "model.trials=4", "model.group_sizes=geometric", "data.rows=40", "optim.batch=20"]),
             "nonlinear": ([], ["data.source=model", "data.rows=40", "optim.batch=20"]),
             "vae": ([], ["data.source=strokes", "model.latent=2", "model.hidden=3", "data.rows=60", "optim.batch=20", "output.idata_rows=0..9, 40, 57..59"])}
    for model, (words, keys) in kinds.items():
        for function in ("factorized", "mlp"):
            if model == "hier_logistic" and function == "mlp":
                function = "set"
            runs = [fit(scratch / f"{model} {function} {np}", f"model.name={model}", *keys, f"inference.function={function}", "optim.tile=5", "optim.steps=3", "output.idata=yes",
                        "output.idata_draws=30", "output.local=yes", "run.reproducible=yes", np=np, ini=empty_ini(scratch)) for np in (1, 3)]
            path = runs[1] / "posterior.nc"
            same_bits(f"{model}, {function}, 1 and 3 ranks", runs[0] / "posterior.nc", path)
            found, text = values(path), left_out(path)
            walk(path, sorted({name.split("/")[0] for name in found}))
            expect(all(word in text for word in words) and bool(text) == bool(words), f"{model}: left out {text!r}")
            for group in ("observed_data", "posterior_predictive"):
                expect((group in text) == (f"{group}/x" not in found), f"{model}: {group} and {text!r}")
            rows = found["posterior/row"] if model == "vae" else slice(None)
            with h5py.File(runs[1] / "run.h5") as file:
                near(f"{model}, {function}: mean", found["constant_data/mean"], file["local/mean"][:][rows], 1e-6)
            expect(numpy.all(numpy.isfinite(found["log_likelihood/x"])), f"{model}: log likelihood")
            if "khat" not in text:
                check_weights(found, 30, f"{model}, {function}")
    return f"theta, a chain, {', '.join(kinds)}"


# ---- readers ----

def check_arrays(what, get, mine):
    """get(group, name) is what h5py reads."""
    for name, wanted in mine.items():
        if wanted.dtype.kind == "f":
            near(f"{what}: {name}", numpy.asarray(get(*name.split("/", 1))), wanted, 0)


def readers(scratch):
    """netCDF4-python, xarray with both of its engines, ArviZ and R's ncdf4: what of them is here."""
    run = fit(scratch / "run", *PPCA, *write(scratch / "d.h5"), "output.idata_draws=40", "output.idata_rows=3..11", np=3, ini=empty_ini(scratch))
    path, seen = run / "posterior.nc", []
    mine = {name: value for name, value in values(path).items() if not name.endswith(("_output", "_input", "/value"))}
    try:
        import netCDF4
        with netCDF4.Dataset(path) as file:
            expect(sorted(file.groups) == GROUPS and not file.variables and not file.dimensions, f"netCDF4: {sorted(file.groups)}")
            expect(file["posterior"]["z"].dimensions == ("chain", "draw", "row", "dimension") and file["posterior"]["row"][2] == "row ж5", "netCDF4: names")
            check_arrays("netCDF4", lambda group, name: file[group][name][...], mine)
        seen.append("netCDF4")
    except ImportError:
        pass
    try:
        import xarray
    except ImportError:
        xarray = None
    for engine, module in (("netcdf4", "netCDF4"), ("h5netcdf", "h5netcdf")) if xarray else ():
        try:
            __import__(module)
        except ImportError:
            continue
        sets = {group: xarray.open_dataset(path, group=group, engine=engine).load() for group in GROUPS}
        check_arrays(f"xarray, {engine}", lambda group, name: sets[group][name].values, mine)
        x = sets["posterior_predictive"]["x"].sel(row="row ж5", column="größe 3", chain=0)
        near(f"xarray, {engine}, by names", x.values, mine["posterior_predictive/x"][0, :, 2, 3], 0)
        weights = sets["sample_stats"].log_p - sets["sample_stats"].log_q
        near(f"xarray, {engine}: ELBO", weights.mean(("chain", "draw")).values, mine["constant_data/elbo"], 1e-9)
        seen.append(f"xarray by {engine}")
        if hasattr(xarray, "open_datatree"):  # what ArviZ 1.x holds
            with xarray.open_datatree(path, engine=engine) as tree:
                expect(sorted(tree.children) == GROUPS, f"DataTree, {engine}: {sorted(tree.children)}")
                check_arrays(f"DataTree, {engine}", lambda group, name: tree[group][name].values, mine)
            seen.append("DataTree")
    try:
        import arviz
        data = arviz.from_netcdf(path)
        near("ArviZ", numpy.asarray(data["posterior"]["z"]), mine["posterior/z"], 0)
        seen.append(f"ArviZ {arviz.__version__}")
    except ImportError:
        pass
    script = ('library(ncdf4); f <- nc_open(commandArgs(TRUE)); z <- ncvar_get(f, "posterior/z"); '
              'cat(dim(z), f$var[["posterior/z"]]$dim[[1]]$name, format(z[2, 9, 40], digits = 10), ncvar_get(f, "posterior/row")[3], sep = "|")')
    if shutil.which("Rscript") and subprocess.run(["Rscript", "-e", "library(ncdf4)"], capture_output=True).returncode == 0:
        said = subprocess.run(["Rscript", "-e", script, path], capture_output=True, text=True).stdout.split("|")
        expect(said[:4] == ["2", "9", "40", "posterior/dimension"] and abs(float(said[4]) - mine["posterior/z"][0, 39, 8, 1]) < 1e-6, f"R: {said}")
        seen.append("R ncdf4")
    if not seen:
        raise Skip("none of netCDF4, xarray, ArviZ and R's ncdf4 is installed")
    return ", ".join(seen)


def chains(scratch):
    """The runs of a sweep as chains of one file: every value in its chain, a scale on every axis; what does not belong together is refused."""
    sys.path.insert(0, str(SOURCE / "analysis"))
    import avi_mpi

    keys = [empty_ini(scratch), *PPCA, *write(scratch / "d.h5"), "-q", "output.idata_draws=30"]
    start(2, [*keys, "--sweep", "run.seed=1..3", f"run.output={scratch / 'sweep'}"])
    done = subprocess.run([sys.executable, "-m", "avi_mpi.chains", scratch / "sweep", "-o", scratch / "joined.nc"], capture_output=True, text=True, cwd=SOURCE / "analysis")
    expect(done.returncode == 0, done.stderr)
    walk(scratch / "joined.nc")
    joined, runs = values(scratch / "joined.nc"), sorted((scratch / "sweep").glob("*/posterior.nc"))
    expect(len(runs) == 3 and list(joined["posterior/chain"]) == [0, 1, 2] and list(joined["constant_data/chain"]) == [0, 1, 2], f"chains {joined['posterior/chain']}")
    compared = 0
    for chain, run in enumerate(runs):
        for name, value in values(run).items():
            if value.dtype.kind == "f" and not name.endswith(("_output", "_input", "/value")):
                want = value if name.startswith(("observed_data/", "constant_data/")) else value[0]
                near(f"{name} of chain {chain}", joined[name] if name.startswith("observed_data/") else joined[name][chain], want, 0)
                compared += 1
    expect(compared > 40, f"{compared} datasets were compared")
    other = fit(scratch / "other", *keys[1:], "output.idata_rows=0..9", ini=keys[0])
    for given, error, words in (([runs[0].parent, other], avi_mpi.UsageError, "different rows"), ([scratch], avi_mpi.NotFound, "output.idata"), ([], avi_mpi.UsageError, "no runs")):
        try:
            avi_mpi.join_chains(given, scratch / "none.nc")
        except error as refused:
            expect(words in str(refused), str(refused))
        else:
            raise Failure(f"{given}: not refused")
    expect(not list(scratch.glob("none.nc*")), "left behind")
    return f"{compared} datasets of 3 chains"


# ---- what cuts it off ----

def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20, 16 << 20))


def done_rows(folder):
    try:
        return int((folder / "posterior.nc.part.done").read_text().split("rows ")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return -1


def cut_off(scratch):
    """No room: 74, the fit stands, nothing under the final name, and the same command makes it later. Killed half-way: the same command resumes on other ranks. What is there stays."""
    ini, data = empty_ini(scratch), write(scratch / "d.h5", 3000)
    keys = [ini, *PPCA, "optim.epochs=1", "optim.batch=600", *data, "output.idata_rows=all", "output.idata_draws=500", "inference.hidden=4", f"run.output={scratch / 'run'}"]
    folder = scratch / "run"
    full = subprocess.run(command(None, keys), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, preexec_fn=small_files)
    expect(full.returncode == 74 and "posterior.nc" in full.stderr and "make room" in full.stderr, f"no room: {full.returncode}, {full.stderr}")
    expect(full.stderr.count("error") == 1 and "Done after" in full.stdout, f"no room: {full.stderr}{full.stdout}")
    expect(not [path for path in folder.iterdir() if path.name.startswith("posterior")], f"left behind: {sorted(path.name for path in folder.iterdir())}")
    with h5py.File(folder / "run.h5") as file:
        expect(file.attrs["status"] in ("done", b"done"), "the fit does not stand")
    child = subprocess.Popen(command(None, keys), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while done_rows(folder) < 1 and child.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    child.kill()
    child.wait()
    rows = done_rows(folder)
    expect(0 < rows < 3000 and not (folder / "posterior.nc").exists(), f"killed after {rows} rows: too late, or not begun")
    said = start(3, keys)
    expect("500 draws of 3000 rows" in said and "done already" in said, f"the fit was made again, or posterior.nc not: {said}")
    path = folder / "posterior.nc"
    walk(path)
    expect([one.name for one in folder.iterdir() if one.name.startswith("posterior")] == ["posterior.nc"], "the part is still there")
    whole = fit(scratch / "whole", *keys[1:-1], np=2, ini=ini) / "posterior.nc"
    same_bits("killed and resumed on 3 ranks", whole, path)
    stamp = path.stat().st_mtime_ns
    expect("is there already" in start(2, keys) and path.stat().st_mtime_ns == stamp, "what was there was written again")
    start(None, [*keys, "output.idata_draws=30", "output.idata_rows=7"])
    expect(values(path)["posterior/z"].shape == (1, 30, 1, 2), "another number of draws was not made")
    afresh = start(2, [*keys, "--fresh", "run.seed=5", "output.idata_rows=1..9"])
    expect("9 rows" in afresh and values(path)["posterior/z"].shape == (1, 500, 9, 2) and not (folder / "fresh").exists(), f"a fresh fit: {afresh}")
    without = [key for key in keys if not str(key).startswith("output.idata=")]
    longer = start(2, [*without, "run.seed=5", "--resume", "optim.epochs=2"])
    expect("posterior.nc is of the fit that was here before" in longer and path.exists(), f"a longer fit beside an older container: {longer}")
    start(2, [*without, "run.seed=6", "--fresh"])
    expect(not path.exists(), "posterior.nc of an older fit is left beside one that was begun afresh")
    return f"killed after {rows} of 3000 rows"


def chosen(scratch):
    """Which rows: the default is bounded, mistakes are told before the fit, --dry-run counts file and memory; rows that are held out keep their numbers."""
    ini = empty_ini(scratch)
    keys = ["model.name=linear", "data.source=model", "data.rows=1500", "optim.steps=2", "optim.batch=100", "output.idata=yes"]
    path = fit(scratch / "auto", *keys, ini=ini, np=2) / "posterior.nc"
    expect(values(path)["posterior/z"].shape == (1, 200, 1000, 1), "the default is not the first 1000 rows")
    plan = start(None, ["--dry-run", ini, *keys, f"run.output={scratch / 'plan'}"])
    line = [line for line in plan.splitlines() if line.strip().startswith("posterior.nc ")]
    expect(len(line) == 1 and "200 draws of 1000 rows" in line[0] and "memory" in line[0], f"--dry-run: {plan}")
    number, unit = line[0].split("rows, ")[1].split(";")[0].split()
    size = float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    expect(abs(size / path.stat().st_size - 1) < 0.1, f"--dry-run foresees {number} {unit}, {path.stat().st_size} bytes were written")
    large = start(None, ["--dry-run", ini, *keys, "data.rows=2e6", "output.idata_rows=all", f"run.output={scratch / 'plan'}"])
    expect("200 draws of 2000000 rows" in large and "GB" in large, f"--dry-run of all rows: {large}")
    held = fit(scratch / "held", *keys, "data.rows=40", "data.holdout=0.25", "optim.batch=10", "output.idata_rows=all", ini=ini, np=2)
    with h5py.File(held / "run.h5") as file:
        near("numbers of rows that are not held out", values(held / "posterior.nc")["posterior/row"], file["local/row"][:] if "local/row" in file
             else numpy.setdiff1d(numpy.arange(40), file["data/held_out"][:]), 0)
    for text, words in (("0..2000", "use 0..1499"), ("5..2", "use 2..5"), ("x", "is not a row"), ("3, -1", "is not a row"), (",", "is not a row"), ("2..", "is not a row"), ("1500", "use 0..1499")):
        said = refusal(start(None, [ini, *keys, f"output.idata_rows={text}", f"run.output={scratch / 'none'}"], expect=(78,))) or ""
        expect(words in said and "idata_rows" in said and not (scratch / "none" / "run.h5").exists(), f"{text}: {said}")
    return "1000 rows by default; 7 mistakes are told"


def in_all(text):
    number, unit = re.search(r"about ([0-9.e+-]+) (s|min|h) in all", text).groups()
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def foreseen(scratch):
    """What --dry-run says of a run whose posterior.nc is most of it, against the processor's time and the peak of memory of the run; and of posterior.nc alone, against what the run takes less
    without it. The bounds are wide: a machine at work moves both."""
    ini = empty_ini(scratch)
    said = []
    for name, keys in (("a value per row", ["model.name=linear", "data.source=model", "data.rows=16000", "optim.steps=2", "optim.batch=1000", "output.idata_rows=all"]),
                       ("draws of theta", ["model.name=vae", "data.source=strokes", "data.rows=200", "optim.steps=2", "optim.batch=100", "model.global=gaussian", "model.hidden=200",
                                           "inference.hidden=50", "output.idata_draws=60", "output.idata_rows=0..9"])):
        plan = start(None, ["--dry-run", ini, *keys, "output.idata=yes", f"run.output={scratch / name}"])
        seconds, peak = measured([ini, "-q", *keys, "output.idata=yes", f"run.output={scratch / name}"])
        without, _ = measured([ini, "-q", *keys, f"run.output={scratch / name}_without"])
        number, unit = re.search(r"peak memory +about ([\d.]+) (MB|GB)", plan).groups()
        memory = float(number) * {"MB": 1e6, "GB": 1e9}[unit] / peak
        alone = float(re.search(r"posterior\.nc ([0-9.e+-]+) s", plan)[1]) / (seconds - without)
        expect(0.55 < in_all(plan) / seconds < 1.8, f"{name}: {in_all(plan)} s foreseen, {seconds:.2f} s of the processor taken")
        expect(0.5 < alone < 2, f"{name}: {alone:.2f} of the time that posterior.nc takes, foreseen")
        expect(0.75 < memory < 1.35, f"{name}: {number} {unit} foreseen, {peak / 1e6:.0f} MB taken")
        said.append(f"{name}: {in_all(plan) / seconds:.2f} of the time, {alone:.2f} of that of posterior.nc, {memory:.2f} of the memory")
    return "; ".join(said)


if __name__ == "__main__":
    main(whole, models, readers, chains, cut_off, chosen, foreseen)
