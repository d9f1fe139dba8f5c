"""A fit that is done is used on other rows: codes, ELBO and its parts, log p(x) and reconstructions against the closed forms of ppca and linear and against a network in numpy; the same bits on
1, 2 and 3 ranks; killed half-way and resumed; a folder that may only be read; a full disk; columns that are others."""
import os
import resource
import shutil
import signal
import subprocess
import time

import h5py
import numpy

from arrays import close, read, within_errors, write
from runs import Failure, command, empty_ini, fit, main, program_for_all, start

LOG_2PI = numpy.log(2 * numpy.pi)
PPCA = ["model.name=ppca", "model.latent=2", "data.source=hdf5", "data.dataset=x", "inference.hidden=16", "inference.family=gaussian_full", "optim.batch=100", "optim.epochs=20",
        "optim.learning_rate=0.02", "run.precision=double", "output.local=yes"]


def refused(words, arguments, code):
    said = start(None, arguments, expect=(code,))
    for word in words:
        if word not in said:
            raise Failure(f"did not say {word!r}: {said}")


def use(folder, task, output, *arguments, np=None, **how):
    return start(np, [folder, f"run.task={task}", f"run.output={output}", *arguments], **how)


def normal_rows(generator, weight, rows):
    return generator.normal(size=(rows, 2)) @ weight + 3 + 0.5 * generator.normal(size=(rows, 6))


def ppca(scratch):
    """log p(x) is that of N(mu, W W' + s^2 I); the ELBO of N(m, S) is E log N(x; W z + mu, s^2) - KL, all in closed form."""
    generator = numpy.random.default_rng(1)
    weight = generator.normal(size=(2, 6))
    x, y = normal_rows(generator, weight, 300), normal_rows(generator, weight, 230)
    data = write(scratch / "d.h5", x=x, y=y)
    run = fit(scratch / "fit", *PPCA, f"data.path={data}", ini=empty_ini(scratch))
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    use(run, "encode", scratch / "same")
    for name in ("mean", "log_sd"):
        close(f"codes of the training rows, {name}", read(scratch / "same/rows.h5", name)[0], read(run / "run.h5", f"local/{name}")[0], 1e-12)
    checkpoint = next((run / "checkpoint").glob("step_*.h5"))
    start(None, [empty_ini(scratch), *PPCA, f"data.path={data}", "data.dataset=y", "run.task=evaluate", f"run.from={checkpoint}", f"run.output={scratch / 'scores'}"])
    bias, w, log_s = read(run / "run.h5", "global/decoder.bias/mean", "global/decoder.weight/mean", "global/log_noise_sd/mean")
    mu, s = bias.ravel(), float(numpy.exp(log_s.ravel()[0]))
    c, d = w @ w.T + s**2 * numpy.eye(6), y - mu
    log_p = -0.5 * (6 * LOG_2PI + numpy.linalg.slogdet(c)[1] + numpy.einsum("ni,ij,nj->n", d, numpy.linalg.inv(c), d))
    names = ("mean", "log_sd", "covariance", "elbo", "elbo_error", "log_likelihood", "kl", "log_p", "log_p_error", "khat")
    mean, log_sd, cov, elbo, elbo_error, likelihood, kl, got_p, got_error, khat = read(scratch / "scores/rows.h5", *names)
    close("sds and covariance", numpy.exp(2 * log_sd), numpy.einsum("nii->ni", cov), 1e-12)
    rest = d - mean @ w.T
    want = -0.5 * (6 * (LOG_2PI + 2 * numpy.log(s)) + ((rest**2).sum(1) + numpy.einsum("ij,njk,ik->n", w, cov, w)) / s**2)
    want_kl = 0.5 * (numpy.einsum("nii->n", cov) + (mean**2).sum(1) - 2 - numpy.linalg.slogdet(cov)[1])
    close("log likelihood", likelihood, want, 1e-10)
    close("KL", kl, want_kl, 1e-10)
    close("ELBO", elbo, want - want_kl, 1e-10)
    close("error of an ELBO without draws", elbo_error, 0, 0)
    within_errors("log p(x)", got_p, log_p, got_error)
    if not numpy.all(elbo < log_p + 1e-9) or not numpy.all(numpy.isfinite(khat)):
        raise Failure("an ELBO above log p(x), or a k-hat that is no number")
    use(run, "reconstruct", scratch / "back", "data.dataset=y", "rows.draws=400")
    back = read(scratch / "back/rows.h5", "reconstruction")[0]
    spread = numpy.sqrt(numpy.einsum("ij,njk,ik->ni", w, cov, w) / 400)
    within_errors("reconstructions", back.ravel(), (mean @ w.T + mu).ravel(), spread.ravel())
    if before != {p: p.stat().st_mtime_ns for p in run.rglob("*")}:
        raise Failure("the folder of the fit was changed")
    said = use(run, "encode", scratch / "same")
    if "done already" not in said:
        raise Failure(f"made the same rows again: {said}")
    refused(["made from encode", "another run.output"], [run, "run.task=evaluate", f"run.output={scratch / 'same'}"], 78)
    refused(["only read"], [run, "run.task=encode", f"run.output={run}"], 78)
    refused(["run.output="], [run, "run.task=encode"], 64)
    refused(["run.from="], [empty_ini(scratch), *PPCA, f"data.path={data}", "run.task=encode", f"run.output={scratch / 'no'}"], 78)
    refused(["another model", "'3' here, '2' there"], [run, "run.task=encode", "model.latent=3", f"run.output={scratch / 'no'}"], 78)
    return "codes, scores and reconstructions equal the closed forms; log p(x) within its error; what is done is left"


def relu_network(x, parameters):
    for i, (weight, bias) in enumerate(parameters):
        x = x @ weight.T + bias.ravel()
        x = numpy.maximum(x, 0) if i + 1 < len(parameters) else x
    return x


def network(scratch):
    """vae on columns with names, log1p and standardised: the encoder, the decoder and the transforms again in numpy, with draws of its own. The columns are found by name in another order."""
    generator = numpy.random.default_rng(2)
    names = ["a", "b", "c", "d"]
    shape = generator.gamma(2, 1, size=(600, 2))
    x = numpy.exp(0.3 * generator.normal(size=(600, 4))) * (shape @ generator.uniform(0.5, 2, size=(2, 4)))
    train, other = x[:400], x[400:]
    for path, values, order in (("train.h5", train, [0, 1, 2, 3]), ("other.h5", other, [0, 1, 2, 3]), ("mixed.h5", other, [2, 0, 3, 1])):
        with h5py.File(scratch / path, "w") as file:
            file["x"] = values[:, order]
            file["x"].attrs["columns"] = [names[k] for k in order]
    run = fit(scratch / "fit", "model.name=vae", "model.latent=2", "model.hidden=6", "model.likelihood=gaussian", "model.noise_sd=0.5", "data.source=hdf5", "data.dataset=x",
              f"data.path={scratch / 'train.h5'}", "data.standardise=yes", "data.transform=log1p", "inference.hidden=7", "optim.batch=100", "optim.epochs=10", "optim.learning_rate=0.01",
              "run.precision=double", ini=empty_ini(scratch))
    use(run, "evaluate", scratch / "scores", f"data.path={scratch / 'other.h5'}")
    elbo, error, mean, log_sd, kl = read(scratch / "scores/rows.h5", "elbo", "elbo_error", "mean", "log_sd", "kl")
    with h5py.File(run / "run.h5") as file:
        encoder = [(file[f"inference/encoder.{i}.weight"][()], file[f"inference/encoder.{i}.bias"][()]) for i in range(2)]
        decoder = [(file[f"global/decoder.{i}.weight/mean"][()], file[f"global/decoder.{i}.bias/mean"][()]) for i in range(2)]
    logs = numpy.log1p(train)
    seen = (numpy.log1p(other) - logs.mean(0)) / logs.std(0)
    nu = relu_network(seen, encoder)
    close("codes", numpy.hstack([mean, log_sd]), nu, 1e-6)
    close("KL", kl, (0.5 * (mean**2 + numpy.exp(2 * log_sd) - 1) - log_sd).sum(1), 1e-9)
    eps = generator.normal(size=(2000, *mean.shape))
    z = mean + numpy.exp(log_sd) * eps
    out = relu_network(z.reshape(-1, 2), decoder).reshape(2000, len(other), 4)
    w = (-0.5 * (LOG_2PI + 2 * numpy.log(0.5)) - (seen - out) ** 2 / (2 * 0.25)).sum(2) - (0.5 * z**2).sum(2) + (0.5 * eps**2 + log_sd).sum(2)
    within_errors("ELBO", elbo, w.mean(0), numpy.hypot(error, w.std(0) / numpy.sqrt(2000)))
    refused(["column 0 (from 0) is 'c', and 'a' in the fit", "data.columns=a, b, c, d"], [run, "run.task=evaluate", f"data.path={scratch / 'mixed.h5'}", f"run.output={scratch / 'mixed'}"], 65)
    use(run, "evaluate", scratch / "mixed", f"data.path={scratch / 'mixed.h5'}", "data.columns=a, b, c, d")
    close("columns in another order, by name", read(scratch / "mixed/rows.h5", "elbo")[0], elbo, 0)
    write(scratch / "wide.h5", x=numpy.hstack([other, other]))
    refused(["rows of 8 values", "rows of 4"], [run, "run.task=encode", f"data.path={scratch / 'wide.h5'}", f"run.output={scratch / 'no'}"], 65)
    other[17, 2] = numpy.nan
    write(scratch / "nan.h5", x=other)
    refused(["row 17, column 2", "data.missing = mask"], [run, "run.task=encode", f"data.path={scratch / 'nan.h5'}", f"run.output={scratch / 'no'}"], 65)
    return "codes and ELBO of a standardised network equal numpy's; columns that are others are refused, and found by name"


def factorized(scratch):
    """New rows of a factorized run: the posterior of z is N(tau (x - theta) / v, sigma^2 / v), the ELBO is log p(x)."""
    generator = numpy.random.default_rng(3)
    data = write(scratch / "l.h5", x=generator.normal(40, 1.5, 200), y=generator.normal(40, 1.5, 130))
    tau, sigma = 1.3, 0.8
    v = sigma**2 + tau**2
    run = fit(scratch / "fit", "model.name=linear", f"model.tau={tau}", f"model.sigma={sigma}", "data.source=hdf5", "data.dataset=x", f"data.path={data}", "inference.function=factorized",
              "optim.method=lbfgs", "optim.batch=0", "objective.draws=0", "optim.steps=40", "run.precision=double", ini=empty_ini(scratch))
    use(run, "evaluate", scratch / "new", "data.dataset=y", "rows.tolerance=1e-12")
    y, theta = read(data, "y")[0], float(read(run / "run.h5", "global/theta/mean")[0].ravel()[0])
    mean, log_sd, elbo, log_p, converged = read(scratch / "new/rows.h5", "mean", "log_sd", "elbo", "log_p", "converged")
    exact = -0.5 * numpy.log(2 * numpy.pi * v) - (y - theta) ** 2 / (2 * v)
    close("means of new rows", mean.ravel(), tau * (y - theta) / v, 1e-5)
    close("log sds of new rows", log_sd.ravel(), numpy.log(sigma / numpy.sqrt(v)), 1e-5)
    close("ELBO", elbo, exact, 1e-9)
    close("log p(x)", log_p, exact, 1e-6)
    close("converged", converged, 1, 0)
    return "new rows of a factorized run have the factors of the closed form"


def strokes(scratch, *more):
    return fit(scratch / "fit", "data.rows=300", "data.test_rows=0", "model.latent=3", "model.hidden=16", "inference.hidden=16", "optim.batch=100", "optim.tile=20", "optim.epochs=2",
               "run.reproducible=yes", *more)


def same_rows(what, a, b):
    with h5py.File(a / "rows.h5") as x, h5py.File(b / "rows.h5") as y:
        for name in x:
            if isinstance(x[name], h5py.Dataset) and x[name][()].tobytes() != y[name][()].tobytes():
                raise Failure(f"{what}: {name} has other bits")


def bits(scratch):
    """Single precision, images, rows that do not fill their blocks, tiles that do not fill their ranks."""
    run = strokes(scratch)
    for np in (1, 2, 3):
        use(run, "evaluate", scratch / f"n{np}", "data.rows=333", "rows.block=128", "rows.draws=30", np=np)
    for np in (2, 3):
        same_rows(f"{np} ranks", scratch / f"n{np}", scratch / "n1")
    bayes = fit(scratch / "bayes", "data.rows=100", "data.test_rows=0", "model.latent=2", "model.hidden=5", "inference.hidden=5", "optim.batch=50", "optim.epochs=1", "model.global=gaussian",
                "run.reproducible=yes")
    for np in (1, 2):
        use(bayes, "evaluate", scratch / f"b{np}", "rows.draws=10", np=np)
    same_rows("q(theta) a Gaussian, 2 ranks", scratch / "b2", scratch / "b1")
    elbo, log_p, error = read(scratch / "b1/rows.h5", "elbo", "log_p", "log_p_error")
    if not (numpy.all(numpy.isfinite(elbo)) and numpy.all(log_p >= elbo) and numpy.all(error > 0)):
        raise Failure("scores of a Bayesian network")
    return "the same bits at 1, 2 and 3 ranks"


def rows_done(output):
    try:
        return int((output / "rows.h5.part.done").read_text().split("rows ")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return -1


def killed(scratch):
    """Killed after some block, resumed on another number of ranks: the rows of all blocks before are not made again, and the end is the same to the bit."""
    run = strokes(scratch)
    settings = ["data.rows=1200", "rows.block=64", "rows.draws=100"]
    use(run, "evaluate", scratch / "whole", *settings)
    output = scratch / "killed"
    child = subprocess.Popen(command(None, [run, "run.task=evaluate", f"run.output={output}", *settings]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while rows_done(output) < 128 and child.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    done = rows_done(output)
    if not 128 <= done < 1200:
        raise Failure(f"killed after {done} of 1200 rows: too late, or not begun")
    said = use(run, "evaluate", output, *settings, np=2)
    if f"after {done} rows" not in said:
        raise Failure(f"{done} rows were made: {said}")
    same_rows("killed and resumed", output, scratch / "whole")
    if {p.name for p in output.iterdir()} != {"rows.h5"}:
        raise Failure(f"left behind: {sorted(p.name for p in output.iterdir())}")
    return f"killed after {done} rows, resumed on 2 ranks, the same bits"


def as_nobody():
    os.setgid(65534)
    os.setuid(65534)


def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20, 16 << 20))


def reading(scratch):
    """A fit that may only be read; two that read it at once; a disk without room."""
    run = strokes(scratch)
    readers = [subprocess.Popen(command(None, [run, "run.task=encode", "data.rows=400", f"run.output={scratch / name}"]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
               for name in ("one", "two")]
    if any(reader.wait(60) for reader in readers):
        raise Failure("two readers at once disturb each other")
    same_rows("two readers at once", scratch / "one", scratch / "two")
    full = subprocess.run(command(None, [run, "run.task=encode", "data.rows=1e6", f"run.output={scratch / 'full'}"]), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, preexec_fn=small_files)
    if full.returncode != 74 or "make room" not in full.stderr:
        raise Failure(f"no room: exit status {full.returncode}, {full.stderr}")
    for path in [run, *run.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    out = scratch / "out"
    out.mkdir()
    out.chmod(0o777)
    scratch.chmod(0o755)
    root = os.getuid() == 0
    done = subprocess.run([program_for_all(scratch), run, "run.task=encode", "data.rows=400", f"run.output={out / 'codes'}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, preexec_fn=as_nobody if root else None, cwd="/")
    for path in [run, *run.rglob("*")]:
        path.chmod(0o755)
    if done.returncode:
        raise Failure(f"a fit that may only be read: exit status {done.returncode}, {done.stderr}")
    same_rows("a fit that may only be read", out / "codes", scratch / "one")
    shutil.rmtree(out)
    return "two readers at once, and without leave to write; a disk without room ends with 74"


def samples(scratch):
    """Draws of the prior have the mean and covariance of the fit, draws for given rows the noise of the fit about E[x | z]; the same bits on 1, 2 and 3 ranks; data are not needed."""
    generator = numpy.random.default_rng(4)
    data = write(scratch / "d.h5", x=normal_rows(generator, generator.normal(size=(2, 6)), 200))
    run = fit(scratch / "fit", *PPCA, "run.reproducible=yes", f"data.path={data}", ini=empty_ini(scratch))
    for np in (1, 2):
        use(run, "sample", scratch / f"q{np}", "sample.of=posterior", "rows.draws=30", "rows.block=64", np=np)
    data.unlink()
    for np in (1, 3):
        use(run, "sample", scratch / f"p{np}", "sample.count=4000", np=np)
    w, bias, log_s = read(run / "run.h5", "global/decoder.weight/mean", "global/decoder.bias/mean", "global/log_noise_sd/mean")
    mu, s = bias.ravel(), float(numpy.exp(log_s.ravel()[0]))
    z, mean, x = read(scratch / "p1/samples.h5", "prior/z", "prior/mean", "prior/x")
    close("E[x | z]", mean, z @ w.T + mu, 1e-12)
    c = w @ w.T + s**2 * numpy.eye(6)
    close("mean of the draws, in errors", (x.mean(0) - mu) / numpy.sqrt(numpy.diag(c) / 4000), 0, 5)
    close("covariance of the draws, in errors", (numpy.cov(x.T) - c) / numpy.sqrt((c**2 + numpy.outer(numpy.diag(c), numpy.diag(c))) / 4000), 0, 5)
    of_rows, x = read(scratch / "q1/samples.h5", "posterior/z", "posterior/x")
    rest = (x - of_rows @ w.T - mu) / s
    if x.shape != (200, 30, 6) or abs(rest.mean()) > 5 / numpy.sqrt(rest.size) or abs(rest.std() - 1) > 5 / numpy.sqrt(2 * rest.size):
        raise Failure(f"draws for given rows: {x.shape}, noise of mean {rest.mean()}, sd {rest.std()}")
    mean, log_sd = read(run / "run.h5", "local/mean", "local/log_sd")
    close("means of z, in errors", (of_rows.mean(1) - mean) / numpy.exp(log_sd) * numpy.sqrt(30), 0, 6)
    for a, b, names in (("p1", "p3", ("prior/z", "prior/x")), ("q1", "q2", ("posterior/z", "posterior/x"))):
        for one, other in zip(read(scratch / a / "samples.h5", *names), read(scratch / b / "samples.h5", *names)):
            if one.tobytes() != other.tobytes():
                raise Failure(f"{a} and {b} have other bits")
    if "done already" not in use(run, "sample", scratch / "p1", "sample.count=4000"):
        raise Failure("the same draws were made again")
    refused(["another run.output"], [run, "run.task=sample", "sample.count=10", f"run.output={scratch / 'p1'}"], 78)
    return "draws of the prior and for given rows have the moments of the fit, the same bits at 1, 2 and 3 ranks"


def theta(scratch):
    """model.theta_from starts at another run's theta, theta_fixed keeps it to the bit, by steps and by L-BFGS; local factors then are those of the closed form."""
    run = strokes(scratch)
    names = [f"global/decoder.{i}.{part}/mean" for i in range(2) for part in ("weight", "bias")]
    common = ["data.rows=300", "data.test_rows=0", "model.latent=3", "model.hidden=16", "optim.batch=100", "optim.tile=20", "run.reproducible=yes", f"model.theta_from={run}"]
    own = fit(scratch / "own", *common, "inference.function=factorized", "model.theta_fixed=yes", "optim.epochs=3", "optim.learning_rate=0.05", "optim.clip_norm=1", np=2)
    begun = fit(scratch / "begun", *common, "inference.hidden=16", "optim.steps=1", "optim.learning_rate=1e-30")
    for name, a, b, c in zip(names, read(run / "run.h5", *names), read(own / "run.h5", *names), read(begun / "run.h5", *names)):
        if a.tobytes() != b.tobytes() or a.tobytes() != c.tobytes():
            raise Failure(f"{name} is not that of the other run")
    elbo = read(own / "run.h5", "trace/elbo")[0]
    if not elbo[-1] > elbo[0] + 5:
        raise Failure(f"the factors did not move: ELBO {elbo}")
    generator = numpy.random.default_rng(6)
    data = write(scratch / "l.h5", x=generator.normal(4, 1.5, 100), y=generator.normal(6, 1.5, 80))
    linear = ["model.name=linear", "model.tau=1.3", "model.sigma=0.8", "data.source=hdf5", f"data.path={data}", "inference.function=factorized", "optim.method=lbfgs", "optim.batch=0",
              "objective.draws=0", "optim.steps=40", "run.precision=double"]
    first = fit(scratch / "first", *linear, "data.dataset=x", ini=empty_ini(scratch))
    second = fit(scratch / "second", *linear, "data.dataset=y", f"model.theta_from={first}", "model.theta_fixed=yes", ini=empty_ini(scratch))
    at, kept, mean = read(first / "run.h5", "global/theta/mean")[0], *read(second / "run.h5", "global/theta/mean", "local/mean")
    if at.tobytes() != kept.tobytes():
        raise Failure(f"theta {kept}, {at} was to be kept")
    close("means with a theta that is kept", mean.ravel(), 1.3 * (read(data, "y")[0] - at.ravel()[0]) / (0.64 + 1.69), 1e-5)
    refused(["model.theta_from=runs/vae"], [empty_ini(scratch), *linear, "data.dataset=y", "model.theta_fixed=yes", f"run.output={scratch / 'no'}"], 78)
    refused(["'2' here, '1.3' there"], [empty_ini(scratch), *linear, "data.dataset=y", f"model.theta_from={first}", "model.tau=2", f"run.output={scratch / 'no'}"], 78)
    return "another run's theta is the start, and kept to the bit"


if __name__ == "__main__":
    main(ppca, network, factorized, bits, killed, reading, samples, theta)
