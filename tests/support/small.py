"""What the checks of this area share: data that numpy made, and the linear model's ELBO in closed form.

x_n ~ N(theta + tau z_n, sigma^2), z_n ~ N(0, 1), theta ~ N(0, p^2), q(z_n) = N(m_n, exp(l_n)^2), q(theta) = N(t, exp(k)^2). With objective.draws = 0 the program's expectations
are exact, so that its numbers are those below to rounding."""

import h5py
import numpy

from runs import empty_ini, fit

TAU, SIGMA, PRIOR_SD = 1.3, 0.8, 2.0
LOG_2PI = numpy.log(2 * numpy.pi)
MODEL = ["model.name=linear", f"model.tau={TAU}", f"model.sigma={SIGMA}", f"model.prior_sd={PRIOR_SD}", "model.start=zero", "data.source=hdf5", "log.every=1", "run.precision=double"]


def data(rows, seed=1):
    return numpy.random.default_rng(seed).normal(0.7, 1.5, size=rows)


def write(path, x):
    with h5py.File(path, "w") as file:
        file["x"] = x
    return path


def linear(scratch, name, x, *arguments, test=None, **how):
    """A fit of the linear model to x."""
    given = [f"data.path={write(scratch / 'x.h5', x)}", "data.dataset=x"]
    if test is not None:
        given += [f"data.test_path={write(scratch / 'test.h5', test)}", "data.test_dataset=x"]
    return fit(scratch / name, *MODEL, *given, *arguments, ini=empty_ini(scratch), **how)


def parameters(folder):
    """t, k (None for a point) and nu of a run: (2) of the constant function, (N, 2) of local factors."""
    with h5py.File(folder / "run.h5") as file:
        t = float(file["/global/theta/mean"][()].ravel()[0])
        k = float(numpy.log(file["/global/theta/sd"][()].ravel()[0])) if "/global/theta/sd" in file else None
        if "/local" in file:
            return t, k, numpy.column_stack([file["/local/mean"][()].ravel(), file["/local/log_sd"][()].ravel()])
        return t, k, file["/inference/constant"][()].ravel()


def likelihood(x, t, k, nu):
    """E log p(x_n | z_n, theta) of each row."""
    m, l = nu[..., 0], nu[..., 1]
    spread = TAU**2 * numpy.exp(2 * l) + (numpy.exp(2 * k) if k is not None else 0)
    return -0.5 * LOG_2PI - numpy.log(SIGMA) - ((x - t - TAU * m) ** 2 + spread) / (2 * SIGMA**2)


def kl_local(nu):
    m, l = nu[..., 0], nu[..., 1]
    return 0.5 * (m**2 + numpy.exp(2 * l) - 1) - l


def kl_global(t, k):
    if k is None:
        return 0.5 * (t / PRIOR_SD) ** 2 + numpy.log(PRIOR_SD) + 0.5 * LOG_2PI
    return numpy.log(PRIOR_SD) - k + (t**2 + numpy.exp(2 * k)) / (2 * PRIOR_SD**2) - 0.5


def elbo(x, t, k, nu):
    """Of all rows."""
    return float(numpy.sum(likelihood(x, t, k, nu) - kl_local(nu)) - kl_global(t, k))


def gradient(x, t, k, nu):
    """Of the ELBO of all rows: with respect to t, k, and each row's nu (N, 2)."""
    m, l = nu[..., 0] + 0 * x, nu[..., 1] + 0 * x
    rest = (x - t - TAU * m) / SIGMA**2
    rows = numpy.column_stack([TAU * rest - m, 1 - numpy.exp(2 * l) * (1 + TAU**2 / SIGMA**2)])
    of_k = None if k is None else -len(x) * numpy.exp(2 * k) / SIGMA**2 - numpy.exp(2 * k) / PRIOR_SD**2 + 1
    return float(numpy.sum(rest)) - t / PRIOR_SD**2, of_k, rows
