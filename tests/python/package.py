"""The Python package analysis/avi_mpi: from an array to a Run on 1 and 2 ranks, the fit on other rows against numpy, every way to end as an exception, runs side by side, figures."""
import csv
import functools
import io
import os
import pkgutil
import re
import stat
import subprocess
import sys
import types
import warnings

import h5py
import numpy

from runs import SOURCE, Failure, Skip, empty_ini, main, program

sys.path.insert(0, str(SOURCE / "analysis"))
os.environ.update(AVI_LAUNCHER=os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"), AVI_MPI=program())

import avi_mpi  # noqa: E402
from avi_mpi import launch  # noqa: E402

QUIET = dict(progress=False)
SMALL = dict(QUIET, model__latent=2, inference__hidden=[8, 4], optim__batch=50, optim__tile=10, optim__steps=40, run__reproducible=True, output__local=True)


def rows(number=200, width=5, seed=3):
    """Rows of a linear model, so that a small fit is a good one."""
    random = numpy.random.default_rng(seed)
    return random.normal(size=(number, 2)) @ random.normal(size=(2, width)) + 0.5 * random.normal(size=(number, width)) + 1.0


def expect(condition, words):
    if not condition:
        raise Failure(words)


def near(what, found, wanted, tolerance=1e-5):
    apart = float(numpy.max(numpy.abs(numpy.asarray(found) - numpy.asarray(wanted))))
    expect(numpy.shape(found) == numpy.shape(wanted) and apart <= tolerance, f"{what}: {numpy.shape(found)} and {numpy.shape(wanted)}, {apart:.3g} apart, at most {tolerance:.3g} expected")


def refused(kind, words, call, status=None):
    """The error of a call, which is of this class, has its status and says these words."""
    try:
        call()
    except avi_mpi.AviError as error:
        expect(type(error) is kind, f"{type(error).__name__} in place of {kind.__name__}: {error}")
        expect(error.status == (status or kind.status), f"{kind.__name__} has the status {error.status}")
        for word in words:
            expect(word in str(error), f"no {word!r} in the message: {error}")
        expect("avi_mpi: error" not in str(error) and "Traceback" not in str(error), f"not the message alone: {error}")
        return error
    raise Failure(f"{kind.__name__} ({', '.join(words)}) was not raised")


# ---- checks ----

def arrays(scratch):
    """Arrays, DataFrames and sparse matrices give one and the same fit, on 1 and 2 ranks; a second call returns it, other data are refused."""
    x, said = rows(), []
    run = avi_mpi.fit(x, "ppca", 1, output=scratch / "one", **dict(SMALL, progress=said.append))
    expect(run.status == "done" and run.attributes["rows"] == 200 and int(run.trace["step"][-1]) == 40, f"{run}")
    expect(any("step 40/40" in line for line in said) and said[-1] in run.messages, "the function for the progress was not called with each line")
    expect(run.config["inference"]["hidden"] == "8, 4" and run.setting("model", "name") == "ppca", "keys are not those that were given")
    theta = {name: run.theta[name]["mean"] for name in run.theta}
    fits = {"two ranks": (x, 2)}
    if pandas:
        fits["a DataFrame"] = (pandas.DataFrame(x, columns=["a", "b", "\u03b3", "d", "e"], index=[f"r{n}" for n in range(200)]), 1)
    if sparse:
        fits["a sparse matrix"] = (sparse.coo_matrix(x), 1)
        fits["an AnnData"] = (types.SimpleNamespace(X=sparse.csr_matrix(x), var_names=["a", "b", "\u03b3", "d", "e"], obs_names=[f"r{n}" for n in range(200)]), 1)
    for name, (values, ranks) in fits.items():
        other = avi_mpi.fit(values, "ppca", ranks, output=scratch / name, **SMALL)
        expect(other.provenance["ranks"] == ranks, f"{name}: {other.provenance['ranks']} ranks")
        for part, mean in theta.items():
            expect(mean.tobytes() == other.theta[part]["mean"].tobytes(), f"{name}: not the bits of the array on one rank in {part}")
        expect(("columns" in other.data) == (name in ("a DataFrame", "an AnnData")), f"{name}: names of columns")
        if "columns" in other.data:
            expect("row" in other.local and list(other.local["row"][:2]) == ["r0", "r1"], f"{name}: names of rows")
            names = other.data["columns"]
            expect((names.splitlines() if isinstance(names, str) else list(names)) == ["a", "b", "\u03b3", "d", "e"], f"names of columns: {names!r}")
    marks = sorted(path.name for path in (scratch / "one").glob("data-*.h5"))
    began = run.provenance["started_at"]
    expect(avi_mpi.fit(x, "ppca", 1, output=scratch / "one", **SMALL).provenance["started_at"] == began, "a fit that was done began anew")
    refused(avi_mpi.DataError, ["one", "of other data", "another run.output"], lambda: avi_mpi.fit(x + 1, "ppca", 1, output=scratch / "one", **SMALL))
    expect(marks == sorted(path.name for path in (scratch / "one").glob("data-*.h5")), "a refused call left its data, or took those of the fit")
    again = avi_mpi.fit(x + 1, "ppca", 1, output=scratch / "one", fresh=True, test=x[:50] + 1, **SMALL)
    expect(len(list((scratch / "one").glob("data-*.h5"))) == 1 and "elbo_test" in again.eval, "a fresh fit keeps the data of the old one, or had no test rows")
    near("training data in the folder", h5py.File(again.setting("data", "path"))["x"][:], x + 1, 0)
    return f"an array, {', '.join(fits)}: the same bits"


def uses(scratch):
    """encode is /local; evaluate, reconstruct and sample are those of numpy by theta."""
    x = rows()
    run = avi_mpi.fit(x, "ppca", 2, output=scratch / "run", run__precision="double", **dict(SMALL, optim__steps=200, optim__learning_rate=0.02))
    codes = run.encode(x, np=2)
    near("mean of encode against /local", codes["mean"], run.local["mean"], 1e-12)
    near("log sd of encode against /local", codes["log_sd"], run.local["log_sd"], 1e-12)
    expect(sorted(codes) == ["log_sd", "mean"] and codes.dataset("mean")[3:5].shape == (2, 2), f"names in the result: {list(codes)}")
    near("encode of other rows, one by one", run.encode(x[7:8] + 0.1, np=1)["mean"], run.encode(x[5:9] + 0.1, np=1)["mean"][2:3], 1e-12)

    weight, bias, sd = (run.theta[name]["mean"] for name in ("decoder.weight", "decoder.bias", "log_noise_sd"))
    weight, sd = weight.reshape(5, 2), float(numpy.exp(sd.ravel()[0]))
    covariance = weight @ weight.T + sd**2 * numpy.eye(5)
    rest = x - bias.ravel()
    log_p = -0.5 * (numpy.einsum("ni,ij,nj->n", rest, numpy.linalg.inv(covariance), rest) + numpy.linalg.slogdet(2 * numpy.pi * covariance)[1])
    scores = run.evaluate(x, draws=500, np=2)
    score = (scores["log_p"] - log_p) / numpy.maximum(scores["log_p_error"], 1e-3)
    expect(abs(numpy.mean(score)) < 0.5 and numpy.max(numpy.abs(score)) < 8,
           f"log p(x) of evaluate and of numpy: mean {numpy.mean(score):.2f}, largest {numpy.max(numpy.abs(score)):.1f} standard errors apart")
    expect(numpy.all(scores["elbo"] < log_p + 1e-6), "an ELBO above log p(x)")
    expect(scores.units("log_p").startswith("nats"), f"units {scores.units('log_p')!r}")

    back = run.reconstruct(x, draws=400, np=1)["reconstruction"]
    want = codes["mean"] @ weight.T + bias.ravel()
    error = numpy.sqrt(numpy.exp(2 * codes["log_sd"]) @ (weight**2).T / 400)
    near("reconstruction in standard errors", (back - want) / error, 0 * want, 5.5)
    draws = run.sample(4000)
    expect(draws["z"].shape == (4000, 2) and draws["x"].shape == (4000, 5), f"draws of {draws['x'].shape}")
    near("mean of E[x | z]", draws["mean"], draws["z"] @ weight.T + bias.ravel(), 1e-6)
    near("covariance of draws from the prior", numpy.cov(draws["x"].T), covariance, 0.12 * covariance.max())
    expect(run.sample(3, x[:4])["x"].shape == (4, 3, 5), "draws from the posterior of 4 rows")
    kept = run.encode(x[:4], output=scratch / "codes", np=1)
    expect((scratch / "codes" / "rows.h5").is_file() and kept["mean"].shape == (4, 2), "output= was not kept")
    folder = codes.folder
    del codes
    expect(not os.path.exists(folder), "the folder of a result that is gone is still there")
    refused(avi_mpi.DataError, ["5"], lambda: run.encode(x[:, :3], np=1))
    refused(avi_mpi.NotFound, ["/exact"], lambda: run.exact["elbo"])
    return f"log p(x) {numpy.mean(score):+.2f} standard errors off on average"


def endings(scratch):
    """Every exit status is an exception with the program's message; a stopped fit resumes by the same call."""
    x, new = rows(), dict(SMALL, output=scratch / "new")
    fit = lambda **keys: avi_mpi.fit(x, "ppca", 1, **dict(new, **keys))
    refused(avi_mpi.UsageError, ["hidden is no argument", "section__key"], lambda: fit(hidden=3))
    refused(avi_mpi.UsageError, ["run__output", "output"], lambda: fit(run__output="x"))
    refused(avi_mpi.UsageError, ["data__path", "X"], lambda: fit(data__path="x"))
    refused(avi_mpi.UsageError, ["np=0"], lambda: avi_mpi.fit(x, "ppca", 0, **new))
    refused(avi_mpi.ConfigError, ["[model] latnt", "did you mean latent", "[optim] batch: 'x'"], lambda: fit(model__latnt=3, optim__batch="x"))
    refused(avi_mpi.DataError, ["row 0", "model.likelihood"], lambda: avi_mpi.fit(x, "vae", 1, **new))
    refused(avi_mpi.DataError, ["column 'c'", "select_dtypes"], lambda: avi_mpi.fit(pandas.DataFrame({"a": [1.0], "c": ["t"]}), "ppca", 1, **new)) if pandas else None
    refused(avi_mpi.DataError, ["dtype", "numbers"], lambda: avi_mpi.fit(numpy.array(["a", "b"]), "ppca", 1, **new))
    refused(avi_mpi.NotFound, ["missing.h5"], lambda: avi_mpi.fit(None, "ppca", 1, data__source="hdf5", data__path=scratch / "missing.h5", **new))
    expect(not (scratch / "new").exists(), "refused fits left their folder")
    (scratch / "file").write_text("")
    refused(avi_mpi.CannotCreate, ["file/run"], lambda: fit(output=scratch / "file" / "run"))
    refused(avi_mpi.NotFound, ["no such file"], lambda: avi_mpi.Run(scratch / "nothing"))
    refused(avi_mpi.DataError, ["not an HDF5 file"], lambda: avi_mpi.Run(scratch / "file"))
    lost = refused(avi_mpi.Diverged, [], lambda: fit(output=scratch / "lost", optim__learning_rate=1000, optim__method="sgd", nan__max_skips=3))
    expect(lost.run is not None and lost.run.status == "diverged" and lost.messages, "a fit that diverged has no run")
    refused(avi_mpi.BudgetSpent, [], lambda: fit(output=scratch / "spent", stop__required=True, stop__elbo_per_row=1e6))

    def interrupt(line):
        if "step 1/" in line:
            raise KeyboardInterrupt
    try:
        fit(output=scratch / "stopped", optim__steps=900000, progress=interrupt)
        raise Failure("Ctrl-C did not come through")
    except KeyboardInterrupt:
        expect(avi_mpi.Run(scratch / "stopped").status == "stopped", "Ctrl-C did not write a checkpoint")
    late = refused(avi_mpi.Stopped, [], lambda: fit(output=scratch / "stopped", optim__steps=900000, run__time_limit=0.001))
    steps = int(late.run.attributes["steps"])
    expect(steps > 1 and fit(output=scratch / "stopped", optim__steps=steps + 30).attributes["steps"] == steps + 30, "the same call did not resume")

    def launcher(name, words):
        path = scratch / name
        path.write_text(f"#!/bin/sh\n{words}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return with_environment(lambda: fit(output=scratch / name[:-1]), AVI_LAUNCHER=str(path))
    refused(avi_mpi.RankLost, ["signal 9", "memory"], lambda: launcher("killed", "exit 137"), 137)
    refused(avi_mpi.RankLost, ["node"], lambda: launcher("node", "exit 205"))
    refused(avi_mpi.RankLost, ["node"], lambda: launcher("silent", "exit 0"))
    refused(avi_mpi.CannotStart, ["not enough slots"], lambda: launcher("slots", "echo There are not enough slots >&2; exit 1"), 69)
    refused(avi_mpi.CannotStart, ["absent is not here", "AVI_LAUNCHER", "module load"], lambda: with_environment(lambda: fit(output=scratch / "none"), AVI_LAUNCHER=str(scratch / "absent")))
    refused(avi_mpi.CannotStart, ["AVI_MPI=/absent"], lambda: with_environment(lambda: fit(output=scratch / "none"), AVI_MPI="/absent"))
    inside = scratch / "file" / "none"  # no folder can be made there: ranks are refused before one is tried
    for as_rank in (lambda: fit(output=inside), lambda: avi_mpi.Run(scratch / "stopped").encode(x, output=inside)):
        refused(avi_mpi.CannotStart, ["4 ranks", "start it once"], lambda: with_environment(as_rank, OMPI_COMM_WORLD_SIZE="4"))
    expect(not (scratch / "none").exists() and not (scratch / "slot").exists(), "fits that could not start left their data")
    return "12 exit statuses, Ctrl-C, no launcher, no program"


def with_environment(call, **variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        return call()
    finally:
        os.environ.clear()
        os.environ.update(before)


def slurm(scratch):
    """Ranks of a job are those of all its nodes; a Python that is itself a rank of one hides that from the program; the files of a multi-node job are not in /tmp."""
    for text, wanted in (("8(x4),3", 35), ("2", 2), ("16(x2)", 32), ("1,2,3", 6)):
        found = with_environment(launch.ranks_by_default, SLURM_JOB_ID="7", SLURM_TASKS_PER_NODE=text)
        expect(found == wanted, f"SLURM_TASKS_PER_NODE={text}: {found} ranks, {wanted} expected")
    inside = with_environment(lambda: launch.environment(2), OMPI_COMM_WORLD_SIZE="1", PMIX_RANK="0", OMPI_MCA_ess="pmi", OMPI_MCA_btl="self", SLURM_JOB_ID="7")
    expect(not {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "OMPI_MCA_ess"} & set(inside) and inside["OMPI_MCA_btl"] == "self", "variables of a rank reach the program")
    expect("OMPI_MCA_hwloc_base_binding_policy" not in inside or os.environ.get("OMPI_MCA_hwloc_base_binding_policy"), "ranks are unbound in a job")
    expect(inside["OMPI_MCA_oob_tcp_keepalive_time"] == "5", "a lost node goes unnoticed in a job")
    outside = launch.environment(10**6)
    expect(outside["OMPI_MCA_rmaps_base_oversubscribe"] == "1" and outside["OPENBLAS_NUM_THREADS"] == "1", "more ranks than cores are refused")
    run = avi_mpi.fit(rows(60), "ppca", 1, output=scratch / "run", **dict(SMALL, optim__steps=2))
    refused(avi_mpi.UsageError, ["several nodes", "output="], lambda: with_environment(lambda: run.encode(rows(3), np=1), SLURM_JOB_NUM_NODES="2"))
    expect(1 <= launch.cores_allowed() <= len(os.sched_getaffinity(0)), f"{launch.cores_allowed()} cores")
    return "ranks and variables of Slurm jobs"


def compares(scratch):
    """Differences with the errors of the pairs, by numpy from the files; runs of other data have none. status() of each."""
    x = numpy.clip(rows(150, 6), 0, 2) / 2
    common = dict(QUIET, test=x[:30], model__hidden=6, model__latent=2, inference__hidden=6, optim__batch=50, optim__tile=10, log__eval_draws="4")
    runs = [avi_mpi.fit(x[30:], "vae", 1, output=scratch / f"run{k}", optim__steps=steps, **common) for k, steps in enumerate((30, 60))]
    runs.append(avi_mpi.fit(x[50:], "vae", 1, output=scratch / "other", optim__steps=30, **common))
    table = avi_mpi.compare(runs[:1] + [run.folder for run in runs[1:]])
    for data in ("train", "test"):
        elbo = [run.eval[f"elbo_{data}"][-1] for run in runs]
        halves = [run.eval[f"elbo_{data}_half"] for run in runs]
        near(f"ELBO, {data}", table[f"elbo_{data}"], elbo, 0)
        near(f"difference, {data}", table[f"difference_{data}"][1], elbo[1] - elbo[0], 1e-12)
        paired = numpy.sqrt(numpy.sum((halves[1] - halves[0])**2))
        near(f"its error, {data}", table[f"difference_{data}_error"][1], paired, 1e-12)
        expect(0 < paired < 0.9 * numpy.hypot(table[f"elbo_{data}_error"][0], table[f"elbo_{data}_error"][1]), f"the pairs' error {paired:.3g} is no smaller than that of two independent runs")
    expect(numpy.isnan(table["difference_train"][2]), "runs of other data have a difference")
    text = str(table)
    expect(len(table) == 3 and "run1" in text and "\u00b1" in text and "<td>run1</td>" in table._repr_html_(), f"the table: {text}")
    if pandas:
        expect(list(table.to_pandas()["run"]) == ["run0", "run1", "other"], "the table as a DataFrame")
    state = avi_mpi.status(str(scratch / "run*"))
    expect([os.path.basename(name) for name in state["folder"]] == ["run0", "run1"] and list(state["state"]) == ["done"] * 2 and list(state["step"]) == [30, 60] and list(state["steps"]) == [30, 60],
           f"status: {state}")
    near("ELBO of status", state["elbo"], [run.trace["elbo_per_row"][-1] for run in runs[:2]], 1e-3)
    expect(len(avi_mpi.status(runs[0].folder)) == 1, "status of one run")
    refused(avi_mpi.NotFound, [], lambda: avi_mpi.status(scratch / "absent"))
    done = subprocess.run([sys.executable, "-W", "error", "-m", "avi_mpi.compare", "--table", runs[0].folder, runs[1].folder], capture_output=True, text=True, cwd=SOURCE / "analysis")
    expect(done.returncode == 0 and "run1" in done.stdout, f"python -m avi_mpi.compare: {done.stdout}{done.stderr}")
    return "paired errors, status"


def check_picture(figure, path):
    """A picture of a size that can be read with more in it than a frame, and with words and units on its axes."""
    from matplotlib import image

    pixels = image.imread(path)[..., :3]
    marked = numpy.mean(numpy.any(pixels < 0.9, axis=2))
    expect(pixels.shape[0] > 400 and pixels.shape[1] > 500 and 0.01 < marked < 0.8, f"{path.name}: {pixels.shape}, {100 * marked:.1f} % of it drawn")
    expect(figure.words.endswith("."), f"{path.name} has no caption")
    for axes in figure.axes:
        if axes.get_xticks().size and axes.axison and not axes.images:
            expect(axes.get_xlabel(), f"{path.name}: an axis has no words")


def figures(scratch):
    """Every figure of plot is drawn of a run that has its parts, and of one that has not it says so; the report asks for nothing outside itself; settings of matplotlib stay."""
    try:
        import matplotlib
    except ImportError:
        raise Skip("matplotlib is not installed") from None
    before = dict(matplotlib.rcParams)
    common = dict(QUIET, model__hidden=8, model__latent=3, inference__hidden=8, optim__batch=50, optim__tile=10, data__source="strokes", data__rows=150, data__test_rows=40)
    run = avi_mpi.fit(None, "vae", 2, output=scratch / "run", optim__steps=60, log__every=1, output__local=True, run__after=["gap"], gap__draws=30, **common)
    for kind in ("trace", "images", "latent", "gap", "ranks"):
        path = scratch / f"{kind}.png"
        check_picture(getattr(avi_mpi.plot, kind)(run if kind != "latent" else run.folder, path=path), path)
    path = scratch / "labels.png"
    check_picture(avi_mpi.plot.latent(run, labels=numpy.arange(150) % 3, path=path), path)
    keys = ["model.name=linear", "data.source=model", "data.rows=60", "optim.batch=0", "optim.steps=20", "run.after=gap", "gap.draws=25", f"run.output={scratch / 'sweep'}"]
    sweep = subprocess.run([program(), "-q", str(empty_ini(scratch)), "--sweep", "inference.hidden=2|4; run.seed=1..3", *keys], capture_output=True, text=True)
    expect(sweep.returncode == 0, sweep.stderr)
    picture = avi_mpi.plot.sweep(scratch / "sweep", path=scratch / "sweep.png")
    check_picture(picture, scratch / "sweep.png")
    drawn = [line for line in picture.axes[0].lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"][-1]
    with open(scratch / "sweep" / "sweep.csv", newline="") as file:
        table = list(csv.DictReader(file))
    near("means of the sweep", drawn.get_ydata(), [numpy.mean([float(line["elbo_train"]) for line in table if line["inference.hidden"] == hidden]) for hidden in "24"], 1e-9)
    bare = avi_mpi.fit(rows(60), "ppca", 1, output=scratch / "bare", **dict(SMALL, optim__steps=3, output__local="no"))
    refused(avi_mpi.NotFound, ["no images"], lambda: avi_mpi.plot.images(bare))
    refused(avi_mpi.NotFound, ["output.local"], lambda: avi_mpi.plot.latent(bare))
    refused(avi_mpi.NotFound, ["run.after = gap"], lambda: avi_mpi.plot.gap(bare))
    refused(avi_mpi.UsageError, ["0 to 2"], lambda: avi_mpi.plot.latent(run, dims=(0, 9)))
    drawn = [line for line in avi_mpi.plot.sweep(scratch / "sweep", y="gap_train").axes[0].lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"][-1]
    wanted = [numpy.mean([avi_mpi.open_run(scratch / "sweep" / line["folder"]).group("/gap/train")["amortization_gap"].mean() for line in table if line["inference.hidden"] == hidden])
              for hidden in "24"]
    near("mean gaps of the sweep", drawn.get_ydata(), wanted, 1e-9)
    refused(avi_mpi.UsageError, ["no column"], lambda: avi_mpi.plot.sweep(scratch / "sweep", y="none"))
    with open(avi_mpi.report(run, scratch / "page.html"), encoding="utf-8") as file:
        text = file.read()
    expect(text.count("data:image/png;base64,") >= 7 and not re.search(r"<script|<link|https?://", text), "the page lacks pictures, or asks for something outside itself")
    changed = [name for name in before if before[name] != matplotlib.rcParams[name]]
    expect(not changed, f"settings of matplotlib have changed: {changed}")
    bare.close()
    with h5py.File(scratch / "bare" / "run.h5", "a") as file:
        file.attrs["status"] = numpy.bytes_("running")
    with open(scratch / "bare" / "metrics.csv", "a") as file:
        file.write("50" + ",1,2,3,-7" + ",0" * 20 + "\n60,1,2")
    for _ in ("with run.h5, which is behind", "before it is there"):
        line = avi_mpi.plot.trace(scratch / "bare").axes[0].lines[0]
        expect(line.get_xdata()[-1] == 50 and len(line.get_xdata()) > 1, f"the last step of metrics.csv is not drawn: {line.get_xdata()}")
        if (scratch / "bare" / "run.h5").exists():
            (scratch / "bare" / "run.h5").rename(scratch / "bare" / "kept.h5")
    (scratch / "bare" / "kept.h5").rename(scratch / "bare" / "run.h5")
    for kind, arguments in (("trace", [run.folder, bare.folder]), ("ranks", [run.folder])):
        done = subprocess.run([sys.executable, "-W", "error", "-m", "avi_mpi.plot", kind, *arguments, "-o", str(scratch / "command.png")], capture_output=True, text=True, cwd=SOURCE / "analysis")
        expect(done.returncode == 0 and (scratch / "command.png").is_file(), f"python -m avi_mpi.plot {kind}: {done.stderr}")
    return "7 figures, a page"


def converts(scratch):
    """to_xarray has what the file has, lazily, with units; a Dataset of it can be written and read."""
    try:
        import xarray
    except ImportError:
        raise Skip("xarray is not installed") from None
    run = avi_mpi.fit(rows(), "ppca", 1, output=scratch / "run", run__after="gap", gap__draws=30, **SMALL)
    data = run.to_xarray()
    near("trace", data["trace_elbo"].values, run.trace["elbo"], 0)
    near("a part of local", data["local_mean"][3:9, 1].values, run.local["mean"][3:9, 1], 0)
    near("rows of gap by a list", data["gap_train_khat"][[5, 2, 9]].values, run.gap["train"]["khat"][[5, 2, 9]], 0)
    near("theta", data["theta_decoder_weight_mean"].values, run.theta["decoder.weight"]["mean"], 0)
    expect(data["trace_elbo"].attrs["units"] == "nats" and data["local_mean"].dims == ("row", "dimension"), f"{data['local_mean']}")
    expect(data.attrs["status"] == "done" and data.attrs["git_revision"], "no provenance")
    trace = run.to_xarray("trace")
    expect(set(trace) == {f"trace_{name}" for name in run.trace if name != "step"} and list(trace["step"].values) == list(run.trace["step"]), f"a group alone: {trace}")
    near("a step by its number", trace["trace_elbo"].sel(step=40).values, run.trace["elbo"][-1], 0)
    refused(avi_mpi.NotFound, ["no exact"], lambda: run.to_xarray("exact"))
    near("of results", run.encode(np=1).to_xarray()["mean"].values, run.local["mean"], 1e-6)
    expect(isinstance(run.gap.to_xarray(), xarray.Dataset), "a group as a Dataset")
    if pandas:
        frame = pandas.DataFrame(rows(5), columns=list("abcde"), index=["n1", "n2", "n3", "n4", "n5"])
        back = run.reconstruct(frame.to_numpy(), np=1)["reconstruction"], run.reconstruct(frame, np=1).to_xarray()["reconstruction"]
        near("a value by the names of its row and column", back[1].sel(row="n3", column="b").values, back[0][2, 1], 0)
    return f"{len(data.variables)} variables"


def check_scales(path):
    """One scale of its own group on every axis, and nothing but attributes and groups in the root."""
    with h5py.File(path) as file:
        expect(all(isinstance(item, h5py.Group) for item in file.values()), "datasets in the root")
        for group in file.values():
            for name, item in group.items():
                is_scale = item.attrs.get("CLASS") == b"DIMENSION_SCALE"
                for axis in range(item.ndim):
                    on = [scale.name for scale in item.dims[axis].values()]
                    expect(is_scale or (len(on) == 1 and on[0].startswith(group.name + "/")), f"{group.name}/{name}, axis {axis}: {on}")


def container(scratch):
    """to_netcdf in all readers that are here: draws with the moments of q, names as coordinates, observed data as they were."""
    try:
        import netCDF4
        import xarray
    except ImportError:
        raise Skip("xarray or netCDF4 is not installed") from None
    x = rows(60)
    given = pandas.DataFrame(x, columns=list("abcde"), index=[f"r{n}" for n in range(60)]) if pandas else x
    common = dict(SMALL, model__global="gaussian", run__precision="double")
    runs = [avi_mpi.fit(given, "ppca", 1, output=scratch / f"run{seed}", run__seed=seed, **common) for seed in (1, 2)]
    path = runs[0].to_netcdf(scratch / "posterior.nc", given, draws=400, chains=runs[1:], np=1)
    check_scales(path)
    for engine in ("netcdf4", "h5netcdf"):
        try:
            __import__(engine if engine == "h5netcdf" else "netCDF4")
        except ImportError:
            continue
        with xarray.open_dataset(path, group="posterior", engine=engine) as posterior:
            expect(posterior["z"].dims == ("chain", "draw", "row", "dimension") and posterior["z"].shape == (2, 400, 60, 2), f"z: {posterior['z'].dims}")
            for chain, run in enumerate(runs):
                codes = run.encode(given, np=1)
                score = (posterior["z"][chain].mean("draw").values - codes["mean"]) / numpy.exp(codes["log_sd"]) * 20
                near(f"means of z, {engine}", score, 0 * score, 4.5)
                near(f"their mean square, {engine}", numpy.mean(score**2), 1.0, 0.5)
                weight = run.theta["decoder.weight"]
                score = (posterior["decoder.weight"][chain].mean("draw").values - weight["mean"]) / weight["sd"] * 20
                near(f"means of theta, {engine}", score, 0 * score, 4.5)
                near(f"sds of theta, {engine}", posterior["decoder.weight"][chain].std("draw").values / weight["sd"], numpy.ones(weight["sd"].shape), 0.2)
        with xarray.open_dataset(path, group="observed_data", engine=engine) as observed:
            near("observed data", observed["x"].values, x, 0)
            if pandas:
                near("a value by its names", observed["x"].sel(row="r7", column="c").values, x[7, 2], 0)
        with xarray.open_dataset(path, group="constant_data", engine=engine) as constant:
            near("log p(x)", constant["log_p"][1].values, runs[1].evaluate(given, np=1)["log_p"], 1e-9)
    with netCDF4.Dataset(path) as file:
        expect(sorted(file.groups) == ["constant_data", "observed_data", "posterior", "posterior_predictive"] and not file.variables, f"groups {sorted(file.groups)}")
        expect(file.groups["posterior_predictive"]["x"].shape == (2, 400, 60, 5) and file.groups["posterior"].inference_library == "avi_mpi", "posterior_predictive")
    refused(avi_mpi.UsageError, ["draws=0"], lambda: runs[0].to_netcdf(scratch / "none.nc", x, draws=0))
    return "two chains in xarray and netCDF4"


def names(scratch):
    """Every public name has a docstring that says its shapes or units and its errors; the version is the project's; a Run can be pickled."""
    found = {}
    for name in avi_mpi.__all__:
        value = getattr(avi_mpi, name)
        expect((value.__doc__ or "").strip(), f"avi_mpi.{name} has no docstring")
        if isinstance(value, type):
            for member in dir(value):
                if not member.startswith("_") and not (issubclass(value, Exception) and member in dir(Exception)):
                    found[f"{name}.{member}"] = getattr(value, member).__doc__ if not isinstance(getattr(value, member), (int, str)) else "."
    for name in avi_mpi.plot.__all__:
        found[f"plot.{name}"] = getattr(avi_mpi.plot, name).__doc__
    own = ("keys", "values", "items", "get")
    bare = [name for name, text in found.items() if not (text or "").strip() and name.split(".")[-1] not in own]
    expect(not bare, f"no docstring: {bare}")
    for name in ("fit", "compare", "status", "report"):
        expect(re.search(r"Error|NotFound", getattr(avi_mpi, name).__doc__), f"{name} does not say what it raises")
    version = re.search(r"project\(avi_mpi VERSION (\S+)", (SOURCE / "CMakeLists.txt").read_text())[1]
    expect(avi_mpi.__version__ == version, f"the package is version {avi_mpi.__version__}, the project {version}")
    loaded = subprocess.run([sys.executable, "-c", "import avi_mpi, sys; print(*sys.modules)"], capture_output=True, text=True, cwd=SOURCE / "analysis").stdout.split()
    expect("avi_mpi" in loaded and "matplotlib" not in loaded, "import loads matplotlib")
    for module in pkgutil.iter_modules(avi_mpi.__path__):
        with io.open(SOURCE / "analysis" / "avi_mpi" / f"{module.name}.py", encoding="utf-8") as file:
            expect(file.readline().startswith('"""'), f"{module.name}.py does not say what it is")
    return f"{len(found) + len(avi_mpi.__all__)} names"


try:
    import pandas
except ImportError:
    pandas = None
try:
    from scipy import sparse
except ImportError:
    sparse = None


def tidy(check):
    """A check that also fails when files or processes were left to the garbage collector."""
    @functools.wraps(check)
    def inside(scratch):
        warnings.simplefilter("error", ResourceWarning)
        left = []
        sys.unraisablehook = lambda one: left.append(f"{one.exc_value}")
        found = check(scratch)
        expect(not left, f"not closed: {left[:3]}")
        return found
    return inside


if __name__ == "__main__":
    main(*map(tidy, (arrays, uses, endings, slurm, compares, figures, converts, container, names)))
