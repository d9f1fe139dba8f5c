#!/usr/bin/env python3
"""Log densities of the models, computed from their definitions with the standard library alone, as a C header for test_models.c.

    reference_models.py > reference_models.h          write it
    reference_models.py --check reference_models.h    1 when the file does not say what this script writes

Compared are words and numbers, not lines: the formatter breaks lines in its own way, and sum() of Python 3.12 and later rounds otherwise than before."""
import math
import random
import re
import sys

B, S = 5, 3
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def normal(x, mean, sd):
    return -0.5 * ((x - mean) / sd) ** 2 - math.log(sd) - HALF_LOG_2PI


def diagonal(x, mean, sd):
    return sum(normal(a, b, c) for a, b, c in zip(x, mean, sd))


def times(matrix, v):
    return [sum(a * b for a, b in zip(row, v)) for row in matrix]


def uniform(rng, n, scale):
    return [round(rng.uniform(-scale, scale), 6) for _ in range(n)]


def linear(theta, x, x_next, z):
    return normal(x[0], theta[0] + 0.8 * z[0], 1.7)


def nonlinear(theta, x, x_next, z, keep=True):
    mean, log_sd = theta[0] + z[0] * math.sin(z[0]) + z[0], math.cos(z[0])
    return normal(x[0], mean, math.exp(log_sd)) + (0 if keep else log_sd)


def nonlinear_dropped(theta, x, x_next, z):
    return nonlinear(theta, x, x_next, z, keep=False)


def saw(theta, x, x_next, z):
    return normal(x_next[0], 0.6 * (z[0] + theta[0]), 1)


A = [[0.9, 0.2], [-0.1, 0.7]]
C = [[1, 0.5], [0, 2], [-0.3, 0.4]]
Q, R = [0.5, 2], [0.3, 1.5, 0.7]


def hmm(theta, x, x_next, z):
    return diagonal(x, times(C, z), [math.sqrt(v) for v in R])


def hmm_one(theta, x, x_next, z):
    return normal(x[0], -1.5 * z[0], math.sqrt(0.4))


def ppca(theta, x, x_next, z):
    weight, bias, log_sd = theta[:8], theta[8:12], theta[12]
    mean = [sum(weight[2 * d + k] * z[k] for k in range(2)) + bias[d] for d in range(4)]
    return diagonal(x, mean, [math.exp(log_sd)] * 4)


def hier_logistic(theta, x, x_next, z):
    alpha, log_tau, beta = theta[0], theta[1], theta[2:]
    total = 0
    for j in range(3):
        logit = alpha + math.exp(log_tau) * z[0] + sum(beta[k] * x[3 + 2 * j + k] for k in range(2))
        p = 1 / (1 + math.exp(-logit))
        if x[j] >= 0:
            total += math.log(p) if x[j] == 1 else math.log(1 - p)
    return total


def decoded(theta, z, outputs):
    """An affine decoder of three values: output p of value d is row 3 p + d."""
    n = 3 * outputs
    return [theta[2 * i] * z[0] + theta[2 * i + 1] * z[1] + theta[2 * n + i] for i in range(n)], theta[3 * n:]


def vae_gaussian(theta, x, x_next, z):
    return diagonal(x, decoded(theta, z, 1)[0], [0.7] * 3)


def vae_poisson(theta, x, x_next, z, total=1):
    return sum(k * (l + math.log(total)) - total * math.exp(l) - math.log(math.factorial(int(k))) for k, l in zip(x, decoded(theta, z, 1)[0]))


def vae_poisson_exposed(theta, x, x_next, z):
    return vae_poisson(theta, x, x_next, z, total=sum(x) or 0.5)


def vae_negative_binomial(theta, x, x_next, z):
    """By the probabilities of the failures before a success: products, no gamma functions."""
    out, own = decoded(theta, z, 1)
    total = 0
    for k, log_mu, log_r in zip(x, out, own):
        mu, r = math.exp(log_mu), math.exp(log_r)
        total += sum(math.log((r + j) / (j + 1)) for j in range(int(k))) + r * math.log(r / (r + mu)) + k * math.log(mu / (r + mu))
    return total


def vae_categorical(theta, x, x_next, z):
    out = decoded(theta, z, 4)[0]
    return sum(out[3 * int(k) + d] - math.log(sum(math.exp(out[3 * j + d]) for j in range(4))) for d, k in enumerate(x))


def vae_discretised_logistic(theta, x, x_next, z):
    out, own = decoded(theta, z, 1)
    total = 0
    for k, m, log_s in zip(x, out, own):
        def below(v):
            return 1 / (1 + math.exp(-(v - 5 * m) / (5 * math.exp(log_s))))
        total += math.log((1 if k == 5 else below(k + 0.5)) - (0 if k == 0 else below(k - 0.5)))
    return total


def std_normal(x, z, before):
    return sum(normal(v, 0, 1) for v in z)


def saw_prior(x, z, before):
    return normal(z[0], x[0], 1)


def hmm_prior(x, z, before):
    return diagonal(z, [0, 0], [1.3, 1.3]) if before is None else diagonal(z, times(A, before), [math.sqrt(v) for v in Q])


def hmm_one_prior(x, z, before):
    return normal(z[0], 0, 2) if before is None else normal(z[0], 0.9 * before[0], 0.5)


# label, configuration, D, L, values of theta, draws of theta, likelihood, prior. Three draws of a scalar theta; one of others.
CASES = [
    ("linear", "name = linear\\ntau = 0.8\\nsigma = 1.7", 1, 1, 1, S, linear, std_normal),
    ("nonlinear", "name = nonlinear", 1, 1, 1, S, nonlinear, std_normal),
    ("nonlinear, log sigma dropped", "name = nonlinear\\ndrop_log_sigma = yes", 1, 1, 1, S, nonlinear_dropped, std_normal),
    ("nonlinear, one theta", "name = nonlinear", 1, 1, 1, 1, nonlinear, std_normal),
    ("saw", "name = saw\\na = 0.6", 1, 1, 1, S, saw, saw_prior),
    ("saw, one theta", "name = saw\\na = 0.6", 1, 1, 1, 1, saw, saw_prior),
    ("hmm, general", "name = hmm\\nlatent = 2\\nA = 0.9, 0.2; -0.1, 0.7\\nC = 1 0.5; 0 2; -0.3 0.4;\\nQ = 0.5, 2\\nR = 0.3, 1.5, 0.7\\ninitial_sd = 1.3",
     3, 2, 0, 1, hmm, hmm_prior),
    ("hmm, scalar", "name = hmm\\nA = 0.9\\nC = -1.5\\nQ = 0.25\\nR = 0.4\\ninitial_sd = 2", 1, 1, 0, 1, hmm_one, hmm_one_prior),
    ("ppca", "name = ppca\\nlatent = 2", 4, 2, 13, 1, ppca, std_normal),
    ("vae, gaussian", "name = vae\\nlatent = 2\\nhidden =\\nlikelihood = gaussian\\nnoise_sd = 0.7", 3, 2, 9, 1, vae_gaussian, std_normal),
    ("vae, poisson", "name = vae\\nlatent = 2\\nhidden =\\nlikelihood = poisson", 3, 2, 9, 1, vae_poisson, std_normal),
    ("vae, poisson, exposure", "name = vae\\nlatent = 2\\nhidden =\\nlikelihood = poisson\\nexposure = total", 3, 2, 9, 1, vae_poisson_exposed, std_normal),
    ("vae, negative binomial", "name = vae\\nlatent = 2\\nhidden =\\nlikelihood = negative_binomial", 3, 2, 12, 1, vae_negative_binomial, std_normal),
    ("vae, categorical", "name = vae\\nlatent = 2\\nhidden =\\nlikelihood = categorical\\nlevels = 4", 3, 2, 36, 1, vae_categorical, std_normal),
    ("vae, discretised logistic", "name = vae\\nlatent = 2\\nhidden =\\nlikelihood = discretised_logistic\\nlevels = 6", 3, 2, 12, 1, vae_discretised_logistic, std_normal),
    ("hier_logistic", "name = hier_logistic\\ntrials = 3\\ncovariates = 2", 9, 1, 4, 1, hier_logistic, std_normal),
]


def values_of(case, rng):
    label, ini, width, latent, size, draws, likelihood, prior = case
    x = [uniform(rng, width, 2) for _ in range(B + 1)]
    if label == "hier_logistic":
        for row in x:
            row[:3] = [float(rng.randint(0, 1)) for _ in range(3)]
        x[1][2] = -1.0  # no trial
    levels = {"vae, categorical": 4, "vae, discretised logistic": 6}.get(label, 0)
    if label.startswith("vae") and label != "vae, gaussian":
        x = [[float(rng.randrange(levels) if levels else rng.choice((0, 0, 1, 2, 7, 150))) for _ in range(width)] for _ in range(B + 1)]
        x[2] = [0.0] * width
    z = [uniform(rng, latent, 2.5) for _ in range(B * S)]
    theta = [uniform(rng, size, 1) for _ in range(draws)]
    loglik = [likelihood(theta[r % S % draws], x[r // S], x[r // S + 1], z[r]) for r in range(B * S)]
    logprior = [prior(x[r // S], z[r], z[r - S] if r >= S else None) for r in range(B * S)]
    # A scalar theta's draws are a column; others have one draw, block after block.
    return [sum(x, []), sum(z, []), sum(theta, []) or [0.0], loglik, logprior]


def numbers(values):
    text = ", ".join(repr(v) for v in values)
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) > 116:
            lines.append(line.rstrip())
            line = ""
        line += word + " "
    return "{" + "\n     ".join(lines + [line.rstrip()]) + "}"


def header():
    rng = random.Random(20240101)
    out = ["/* Written by reference_models.py. */", "#ifndef AVI_TEST_REFERENCE_MODELS_H", "#define AVI_TEST_REFERENCE_MODELS_H", "",
           f"enum {{ REFERENCE_ROWS = {B}, REFERENCE_DRAWS = {S} }};", "",
           "/* x (rows + 1, width), z (rows * draws, latent), theta (theta_draws, values), log densities (rows * draws). */",
           "typedef struct reference {", "    const char *label, *ini;", "    int width, latent, theta_draws;",
           "    double x[64], z[64], theta[64], loglik[64], logprior[64];", "} reference;", "", "static const reference references[] = {"]
    for case in CASES:
        fields = ",\n     ".join(numbers(v) for v in values_of(case, rng))
        out.append(f'    {{"{case[0]}",\n     "[model]\\n{case[1]}\\n",\n     {case[2]},\n     {case[3]},\n     {case[5]},\n     {fields}}},')
    out += ["};", "", "#endif", ""]
    return "\n".join(out)


def words(text):
    """Names, signs and numbers of a C file; parts of a string that stand side by side are one."""
    return re.findall(r'-?\d+\.\d+(?:e[-+]?\d+)?|"(?:[^"\\]|\\.)*"|\w+|[^\w\s]', re.sub(r'"\s*"', "", text))


def same(a, b):
    """Equal, or numbers that differ by a few roundings of a sum."""
    if a == b:
        return True
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-14)
    except ValueError:
        return False


def difference(there, here):
    """The first word that differs, or None."""
    a, b = words(there), words(here)
    for one, other in zip(a, b):
        if not same(one, other):
            return f"{one} is there, {other} is right"
    return None if len(a) == len(b) else f"{len(a)} words are there, {len(b)} are right"


if __name__ == "__main__":
    text = header()
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        found = difference(open(sys.argv[2]).read(), text)
        print(f"{sys.argv[2]}: not what {sys.argv[0]} writes: {found}" if found else "as written")
        sys.exit(1 if found else 0)
    sys.stdout.write(text)
