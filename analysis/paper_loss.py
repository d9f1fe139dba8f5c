"""ELBOs of factorized Gaussians and their best values, by closed forms and quadrature: numpy, none of the program's arithmetic.

Margossian & Blei 2024 (arXiv 2307.11018). q(theta) = N(m, s^2), q(z_n) = N(mu_n, sd_n^2), nats with all normalizing constants; `offset` turns -ELBO into the
unit of the paper's code, which drops some: loss = -ELBO + offset. Used by plot_paper.py on the /local and /global of a run, and by tests/paper.
"""

import math

import numpy as np

LOG_2PI = math.log(2 * math.pi)
POINTS = 48
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(POINTS)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def entropy(log_sd):
    """Of independent Gaussians."""
    return np.sum(log_sd) + 0.5 * np.size(log_sd) * (LOG_2PI + 1)


class Linear:
    """theta flat, z_n ~ N(0, 1), x_n ~ N(theta + tau z_n, sigma^2)."""

    def __init__(self, x, tau=1.155, sigma=2.43):
        self.x, self.tau, self.sigma, self.rows = x.ravel(), tau, sigma, x.size
        self.offset = -0.5 * self.rows * (LOG_2PI + 2 * math.log(sigma)) + 0.5 * LOG_2PI

    def elbo(self, mu, log_sd, m, s):
        r, var = self.x - m - self.tau * mu, np.exp(2 * log_sd)
        energy = (np.sum(r * r + self.tau ** 2 * var) + self.rows * s * s) / (2 * self.sigma ** 2) + 0.5 * np.sum(mu * mu + var)
        return -energy - self.rows * (LOG_2PI + math.log(self.sigma)) + entropy(log_sd) + entropy(np.log(s))

    def optimum(self, variance=None):
        """ELBO of the F-VI optimum, which degree 1 reaches. variance: what the squares are divided by."""
        v, squares = self.sigma ** 2 + self.tau ** 2, np.sum((self.x - self.x.mean()) ** 2)
        return (-0.5 * squares / (variance or v) - 0.5 * self.rows * (LOG_2PI + math.log(v)) + 0.5 * (LOG_2PI + math.log(self.sigma ** 2 / self.rows)))

    def constant(self):
        return self.optimum(self.sigma ** 2)


class Saw:
    """theta flat, z_n ~ N(x_n, 1), x_{n+1} ~ N(a (z_n + theta), 1), n = 0 .. N - 1."""

    def __init__(self, x, a=0.75):
        self.x, self.a, self.rows = x.ravel(), a, x.size - 1
        self.offset = -(self.rows - 0.5 * (self.rows + 1)) * LOG_2PI

    def elbo(self, mu, log_sd, m, s):
        var = np.exp(2 * log_sd)
        d, r = mu - self.x[:-1], self.x[1:] - self.a * (mu + m)
        energy = 0.5 * np.sum(d * d + var + r * r + self.a ** 2 * (var + s * s))
        return -energy - self.rows * LOG_2PI + entropy(log_sd) + entropy(np.log(s))

    def optimum(self):
        r = self.x[1:] - self.a * self.x[:-1]
        loss = (0.5 * np.sum((r - r.mean()) ** 2) / (1 + self.a ** 2) + 0.5 * self.rows * math.log(1 + self.a ** 2)
                + 0.5 * math.log(self.rows * self.a ** 2))
        return self.offset - loss

    def best_affine(self, columns):
        """Of means that are affine in `columns` (rows, features), the variances and q(theta) at their best: weighted least squares with theta among the unknowns."""
        ones = np.ones((self.rows, 1))
        w = np.hstack([ones, columns])
        design = np.vstack([np.hstack([w, 0 * ones]), np.hstack([self.a * w, self.a * ones])])
        target = np.concatenate([self.x[:-1], self.x[1:]])
        c = np.linalg.lstsq(design, target, rcond=None)[0]
        log_sd = np.full(self.rows, -0.5 * math.log(1 + self.a ** 2))
        return self.elbo(w @ c[:-1], log_sd, c[-1], 1 / (self.a * math.sqrt(self.rows)))

    def constant(self):
        return self.best_affine(np.empty((self.rows, 0)))

    def ahead(self):
        """The best affine function of x_{n+1} alone."""
        return self.best_affine(self.x[1:, None])


class Nonlinear:
    """theta flat, z_n ~ N(0, 1), x_n ~ N(theta + z sin z + z, exp(cos z)^2); drop: cos z = log sigma left out, as in the paper's code."""

    def __init__(self, x, drop=True):
        self.x, self.rows, self.drop = x.ravel(), x.size, drop
        self.offset = -0.5 * (self.rows - 1) * LOG_2PI

    def elbo(self, mu, log_sd, m, s):
        total = 0.0
        for x, centre, sd in zip(*(np.array_split(v, max(1, self.rows // 2000)) for v in (self.x, mu, np.exp(log_sd)))):
            z = centre[:, None] + sd[:, None] * NODES
            r, c = x[:, None] - m - z * np.sin(z) - z, np.cos(z)
            energy = 0.5 * np.exp(-2 * c) * (r * r + s * s) + 0.5 * z * z + (0 if self.drop else c)
            total += np.sum(energy @ WEIGHTS)
        return -total - self.rows * LOG_2PI + entropy(log_sd) + entropy(np.log(s))

    def optimum(self):
        """None: known by search alone (tests/reference/nonlinear_quadrature.py)."""
        return None


class Hmm:
    """z_1 ~ N(0, 1), z_n ~ N(z_{n-1}, 1), x_n ~ N(z_n, 1): posterior precision tridiagonal, 3 .. 3 2 and -1 beside."""

    def __init__(self, x):
        self.x, self.rows, self.offset = x.ravel(), x.size, math.nan
        self.diagonal = np.full(self.rows, 3.0)
        self.diagonal[-1] = 2
        self.pivots, self.mean = self._solve()

    def _solve(self):
        """Cholesky pivots of L and L^-1 x, by elimination."""
        d, y = self.diagonal.copy(), self.x.astype(float).copy()
        for n in range(1, self.rows):
            d[n] -= 1 / d[n - 1]
            y[n] += y[n - 1] / d[n - 1]
        y[-1] /= d[-1]
        for n in range(self.rows - 2, -1, -1):
            y[n] = (y[n] + y[n + 1]) / d[n]
        return d, y

    def log_evidence(self):
        return -0.5 * (self.rows * LOG_2PI + np.sum(np.log(self.pivots)) + self.x @ self.x - self.x @ self.mean)

    def elbo(self, mu, log_sd, m=None, s=None):
        steps = np.diff(mu, prepend=0.0)
        energy = 0.5 * (np.sum(steps ** 2) + np.sum((self.x - mu) ** 2) + np.sum(self.diagonal * np.exp(2 * log_sd)))
        return -energy - self.rows * LOG_2PI + entropy(log_sd)

    def optimum(self):
        return self.elbo(self.mean, -0.5 * np.log(self.diagonal))

    def best_affine(self, width):
        """Of the functions f(x_{n-width} .. x_{n+width}), affine, ends padded by the edge value, one scale for all rows."""
        padded = np.concatenate([np.full(width, self.x[0]), self.x, np.full(width, self.x[-1])])
        w = np.stack([np.ones(self.rows)] + [padded[k:k + self.rows] for k in range(2 * width + 1)], 1)
        lw = self.diagonal[:, None] * w
        lw[1:] -= w[:-1]
        lw[:-1] -= w[1:]
        mean = w @ np.linalg.lstsq(w.T @ lw, w.T @ self.x, rcond=None)[0]
        return self.elbo(mean, np.full(self.rows, -0.5 * math.log(self.diagonal.mean())))


def model_of(name, x, setting):
    """The model of a run from its name, its data and `setting(section, key, fallback)`."""
    if name == "linear":
        return Linear(x, float(setting("model", "tau", "1.155")), float(setting("model", "sigma", "2.43")))
    if name == "saw":
        return Saw(x, float(setting("model", "a", "0.75")))
    if name == "nonlinear":
        return Nonlinear(x, setting("model", "drop_log_sigma", "no") == "yes")
    if name == "hmm":
        return Hmm(x)
    return None
