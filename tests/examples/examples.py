"""The installed tree: it can be moved, its headers stand by themselves, and the examples of inputs/examples are built against it alone, run, and held against closed forms."""
import math
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy

from runs import MPIRUN, SOURCE, Failure, expect_same_bits, main

BUILD = pathlib.Path(os.environ["AVI_BUILD_DIR"])
EXAMPLES = SOURCE / "inputs" / "examples"
STRICT = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
CC = shlex.split(os.environ.get("AVI_CC", "cc"))
PREFIX = None  # of the installed tree, made by the first check


def run(*command, expect=0, limit=200, **environment):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, env=dict(os.environ, **environment))
    if done.returncode != expect:
        raise Failure(f"exit status {done.returncode}, expected {expect}\n$ {' '.join(map(str, command))}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def pkg_config(*what):
    return shlex.split(run("pkg-config", *what, "avi", PKG_CONFIG_PATH=str(next(PREFIX.rglob("avi.pc")).parent)))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def install(scratch):
    """Two installations, one by --prefix and one by DESTDIR, have the same files; the first one is moved, and everything below is built against it where it is then."""
    global PREFIX
    cache = (BUILD / "CMakeCache.txt").read_text()
    prefix = re.search(r"^CMAKE_INSTALL_PREFIX:PATH=(.*)$", cache, re.M).group(1)
    run("cmake", "--install", BUILD, "--prefix", scratch / "first")
    run("cmake", "--install", BUILD, DESTDIR=str(scratch / "stage"))
    PREFIX = pathlib.Path(tempfile.mkdtemp(prefix="avi-installed-")) / "moved"
    shutil.move(scratch / "first", PREFIX)
    staged = files(scratch / "stage" / prefix.lstrip("/"))
    if files(PREFIX) != staged:
        raise Failure(f"DESTDIR has other files: {set(staged) ^ set(files(PREFIX))}")
    for path in [next(PREFIX.rglob("avi.pc")), *PREFIX.rglob("*.cmake")]:
        text = path.read_text()
        for place in (str(scratch), str(BUILD), f"{prefix}/"):
            if place in text and not place.startswith("/usr/lib"):
                raise Failure(f"{path.name} names the folder {place}")
        if path.suffix == ".pc" and ";" in text:
            raise Failure(f"a list with semicolons in {path.name}:\n{text}")
    return f"{len(staged)} files"


def headers(scratch):
    """Every header compiles by itself, and the library shows what the headers mark with AVI_API and nothing else."""
    names = sorted(path.name for path in (PREFIX / "include" / "avi").iterdir())
    for name in names:
        (scratch / "one.c").write_text(f'#include "avi/{name}"\nextern int one;\nint one;\n')
        for single in ((0, 1) if name in ("kernel.h", "vmath.h") else (0,)):
            run(*CC, *STRICT, "-pedantic", f"-DAVI_SINGLE={single}", *pkg_config("--cflags"), "-fsyntax-only", scratch / "one.c")
    marked = set()
    for name in names:
        marked |= set(re.findall(r"^AVI_API [^;(]*?(avi_\w+)\(", (PREFIX / "include" / "avi" / name).read_text(), re.M))
    for path in (PREFIX / "bin" / "avi_mpi", next(PREFIX.rglob("libavi.so"))):
        shown = {line.split()[-1] for line in run("nm", "-D", "--defined-only", path).splitlines() if line.split()[-2] in "TDBRV"}
        shown -= {name for name in shown if not name.startswith("avi_")} if path.name == "avi_mpi" else set()
        if shown != marked:
            raise Failure(f"{path.name} shows {sorted(shown - marked)[:5]}, and not {sorted(marked - shown)[:5]}")
    return f"{len(names)} headers, {len(marked)} functions"


def build(scratch, name):
    """An example in a folder of its own, by the CMake package; its data."""
    folder = scratch / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("build", "runs"))
    run("cmake", "-S", folder, "-B", folder / "build", f"-Davi_ROOT={PREFIX}")
    run("cmake", "--build", folder / "build")
    return folder


def fit(folder, *arguments, ranks=None, output="fit"):
    command = [*(MPIRUN + ["-n", str(ranks)] if ranks else []), PREFIX / "bin" / "avi_mpi", folder / f"{folder.name}.ini", "-q", f"run.output={folder / output}", *arguments]
    run(*command)
    return folder / output


def log_nb(x, log_mu, r):
    """Sum over columns of log NB(x; mu, r): lgamma of the C library, one value at a time."""
    lgamma = numpy.vectorize(math.lgamma)
    return (lgamma(x + r) - lgamma(r) - lgamma(x + 1.0) + r * (numpy.log(r) - numpy.logaddexp(numpy.log(r), log_mu)) + x * (log_mu - numpy.logaddexp(numpy.log(r), log_mu))).sum(-1)


def hermite(points):
    """Nodes and weights of E f(u), u ~ N(0, 1)."""
    node, weight = numpy.polynomial.hermite_e.hermegauss(points)
    return node, weight / weight.sum()


def by_hand(scratch):
    """count_vae with a compiler and pkg-config alone: two commands for the two precisions of the kernel."""
    folder, flags = EXAMPLES / "count_vae", [*STRICT, "-O2", "-fPIC", *pkg_config("--cflags")]
    for single in (0, 1):
        run(*CC, *flags, f"-DAVI_SINGLE={single}", "-c", folder / "k_negative_binomial.c", "-o", scratch / f"k{single}.o")
    run(*CC, *flags, "-shared", folder / "count_vae.c", folder / "negative_binomial.c", scratch / "k0.o", scratch / "k1.o", "-o", scratch / "libcount_vae.so")
    if "count_vae" not in run(PREFIX / "bin" / "avi_mpi", "--list", f"run.plugins={scratch / 'libcount_vae.so'}"):
        raise Failure("--list has no count_vae")
    return "3 commands"


def count_vae(scratch):
    """The ELBO of a fit without draws is that of numpy's quadrature with lgamma, to 1e-9; a fit by minibatches reaches the evidence of the parameters that made the data; the bits are
    those of 3 ranks."""
    folder = build(scratch, "count_vae")
    run(sys.executable, folder / "make_data.py", folder, 2400)
    exact = fit(folder, "run.precision=double", "run.reproducible=yes", "objective.draws=0", "objective.points=64", "data.rows=200", "data.test_rows=10", "optim.batch=100",
                "optim.tile=10", "optim.epochs=3", "output.local=yes", output="exact")
    with h5py.File(folder / "counts.h5") as file:
        x, test, a, b, r = (file[name][()].astype(float) for name in ("x", "x_test", "a", "b", "r"))
    with h5py.File(exact / "run.h5") as file:
        w, bias, own_r = file["global/decoder.0.weight/mean"][()], file["global/decoder.0.bias/mean"][()], numpy.exp(file["global/log_dispersion/mean"][()])
        mean, log_sd = file["local/mean"][()], file["local/log_sd"][()]
        got = float(file["eval/elbo_train"][-1])
    node, weight = hermite(64)
    elbo = 0.5 * (1 + 2 * log_sd[:, 0] - mean[:, 0] ** 2 - numpy.exp(2 * log_sd[:, 0]))
    for u, p in zip(node, weight):
        elbo = elbo + p * log_nb(x[:200], bias + (mean + numpy.exp(log_sd) * u) @ w.T, own_r)
    want = float(elbo.mean())
    if not abs(got - want) < 1e-9 * abs(want):
        raise Failure(f"ELBO {got:.12f} nats per row, by numpy {want:.12f}")
    three = fit(folder, "run.precision=double", "run.reproducible=yes", "objective.draws=0", "objective.points=64", "data.rows=200", "data.test_rows=10", "optim.batch=100",
                "optim.tile=10", "optim.epochs=3", "output.local=yes", ranks=3, output="three")
    expect_same_bits(exact, three, "count_vae on 1 and 3 ranks")
    with h5py.File(fit(folder, ranks=2) / "run.h5") as file:
        reached, error = float(file["eval/elbo_test"][-1]), float(file["eval/elbo_test_error"][-1])
        fitted_r = numpy.exp(file["global/log_dispersion/mean"][()].ravel())
    parts = [numpy.log(p) + log_nb(test, a + b * u, r) for u, p in zip(node, weight)]
    evidence = float(numpy.logaddexp.reduce(parts).mean())
    if not -0.25 < reached - evidence < 0.02 + 4 * error:
        raise Failure(f"ELBO of test rows {reached:.4f} +- {error:.4f}, log p(x) of what made them {evidence:.4f}")
    if not numpy.max(numpy.abs(numpy.log(fitted_r / r))) < 0.5:
        raise Failure(f"dispersion {fitted_r}, {r} made the data")
    return f"quadrature {got - want:+.1e} nats per row; test rows {reached - evidence:+.3f} +- {error:.3f} nats per row from the evidence"


def residual_encoder(scratch):
    """The ELBO of the fit is close below the evidence at the maximum likelihood of ppca, in closed form (Tipping & Bishop 1999)."""
    folder = build(scratch, "residual_encoder")
    run(sys.executable, folder / "make_data.py", folder, 2000)
    with h5py.File(folder / "rows.h5") as file:
        x = file["x"][()]
    values = numpy.sort(numpy.linalg.eigvalsh(numpy.cov(x.T, bias=True)))[::-1]
    noise = values[1:].mean()
    best = -0.5 * (x.shape[1] * numpy.log(2 * numpy.pi) + numpy.log(values[0]) + (x.shape[1] - 1) * numpy.log(noise) + x.shape[1])
    with h5py.File(fit(folder, ranks=2) / "run.h5") as file:
        reached, error = float(file["eval/elbo_train"][-1]), float(file["eval/elbo_train_error"][-1])
        blocks = set(file["inference"])
    if not -0.06 < reached - best < 0.005 + 4 * error:
        raise Failure(f"ELBO {reached:.4f} +- {error:.4f} nats per row, evidence at the maximum likelihood {best:.4f}")
    if "encoder.block.1.out.weight" not in blocks:
        raise Failure(f"the parameters are those of another function: {sorted(blocks)}")
    return f"{reached - best:+.4f} +- {error:.4f} nats per row from the maximum likelihood"


def embed(scratch):
    """The program prints the posterior, the ELBO and log p(x) of rows that the fit has not seen, as their closed forms are, on 1 and 2 ranks, linked with either library; and calls of the
    library that it does not make."""
    folder = build(scratch, "embed")
    run(sys.executable, folder / "make_data.py", folder)
    rpath = f"-Wl,-rpath,{next(PREFIX.rglob('libavi.so')).parent}"
    run(*CC, *STRICT, *pkg_config("--cflags"), folder / "embed.c", *pkg_config("--libs"), rpath, "-lm", "-o", folder / "by_hand")
    # The archive in place of the shared object, with all that it needs.
    static = [str(next(PREFIX.rglob("libavi.a"))) if flag == "-lavi" else flag for flag in pkg_config("--libs", "--static")]
    run(*CC, *STRICT, *pkg_config("--cflags"), folder / "embed.c", *static, "-o", folder / "static")
    with h5py.File(folder / "rows.h5") as file:
        x = file["x"][()]
    new, tau, sigma = numpy.loadtxt(folder / "new.txt"), 1.2, 0.8
    v = tau**2 + sigma**2
    log_p = -0.5 * numpy.log(2 * numpy.pi * v) - (new - x.mean()) ** 2 / (2 * v)
    want = numpy.column_stack([tau * (new - x.mean()) / v, numpy.full(len(new), sigma / numpy.sqrt(v)), log_p, log_p])
    for program, ranks in ((folder / "build" / "embed", None), (folder / "by_hand", 2), (folder / "static", None)):
        out = folder / f"run_{program.name}"
        text = run(*(MPIRUN + ["-n", str(ranks)] if ranks else []), program, folder / "embed.ini", folder / "new.txt", f"run.output={out}")
        found = re.findall(r"^row \d+: z (\S+) \+- (\S+)  ELBO (\S+) \+- \S+  log p\(x\) (\S+)  k-hat", text, re.M)
        if len(found) != len(new) or not numpy.max(numpy.abs(numpy.array(found, dtype=float) - want)) < 2e-5:
            raise Failure(f"{program.name}: expected\n{want}\n{text}")
    run(*CC, *STRICT, *pkg_config("--cflags"), pathlib.Path(__file__).with_name("library.c"), *pkg_config("--libs"), rpath, "-lm", "-o", folder / "library")
    # The same where the program has MPI of its own.
    mpicc = re.search(r"^MPI_C_COMPILER:FILEPATH=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.M).group(1)
    run(mpicc, *STRICT, "-DOWN_MPI", *pkg_config("--cflags"), pathlib.Path(__file__).with_name("library.c"), *pkg_config("--libs"), rpath, "-lm", "-o", folder / "joined")
    for program, ranks in (("library", None), ("library", 3), ("joined", 2)):
        text = run(*(MPIRUN + ["-n", str(ranks)] if ranks else []), folder / program, folder / f"run_{program}_{ranks}")
        if text.strip() != "ok":
            raise Failure(f"{program} on {ranks or 1} ranks: {text}")
    return f"{len(new)} new rows within 2e-5 of their closed forms"


def registry(scratch):
    """The tests of everything in the registry, with the two plug-ins in it: densities and gradients of models by finite differences, and of a fit with both on 1 and 3 ranks."""
    plugins = [build(scratch, name) / "build" / f"lib{name}.so" for name in ("count_vae", "residual_encoder")]
    listed = ",".join(map(str, plugins))
    for test in ("test_models", "test_simulate"):
        run(BUILD / "tests" / test, AVI_TEST_PLUGINS=listed)
    if subprocess.run([BUILD / "tests" / "test_models"], env=dict(os.environ, AVI_TEST_PLUGINS="nowhere.so"), capture_output=True).returncode == 0:
        raise Failure("the tests of the registry do not look at AVI_TEST_PLUGINS")
    run(sys.executable, scratch / "count_vae" / "make_data.py", scratch / "count_vae", 40)
    for family, draws, ranks in (("gaussian", 2, None), ("gaussian_full", 1, 3)):
        text = run(*(MPIRUN + ["-n", str(ranks)] if ranks else []), PREFIX / "bin" / "avi_mpi", "--check-gradient", scratch / "count_vae" / "count_vae.ini", f"run.plugins={listed}",
                   "run.precision=double", "inference.function=residual", "inference.width=5", "inference.blocks=2", "inference.activation=tanh", "model.latent=2", "model.hidden=4",
                   "model.activation=tanh", "model.exposure=total", f"inference.family={family}", f"objective.draws={draws}", "optim.batch=20", "optim.tile=4")
        worst = re.search(r"largest relative error (\S+)", text)
        if not worst or not float(worst.group(1)) < 1e-5:
            raise Failure(f"{family}: {text[-800:]}")
    return "test_models, test_simulate and 2 gradients"


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.argv.append(install.__name__)
    try:
        main(install, headers, by_hand, count_vae, residual_encoder, embed, registry)
    finally:
        if PREFIX:
            shutil.rmtree(PREFIX.parent, ignore_errors=True)
