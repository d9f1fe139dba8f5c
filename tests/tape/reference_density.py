"""Writes reference_density.h: log densities, entropies and divergences with 110 digits by the definitions, no library of densities.

usage: /usr/bin/python3 reference_density.py > reference_density.h
"""
from decimal import Decimal as D, getcontext
from math import factorial

getcontext().prec = 110
PI = D("3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679821480865132823066")


def sigmoid_log(l):
    return -(1 + (-l).exp()).ln()  # log sigmoid(l)


def std_normal(z):
    return (-(2 * PI).ln() - z * z) / 2


def normal(x, mean, log_sd):
    return std_normal((x - mean) / log_sd.exp()) - log_sd


def bernoulli(x, l):
    return x * sigmoid_log(l) + (1 - x) * sigmoid_log(-l)


def poisson(x, log_rate):
    return x * log_rate - log_rate.exp() - D(factorial(int(x))).ln()


def categorical(x, *logits):
    return logits[int(x)] - sum(l.exp() for l in logits).ln()


def gaussian_entropy(log_sd):
    return (1 + (2 * PI).ln()) / 2 + log_sd


def gaussian_kl_std(mean, log_sd):
    return (mean * mean + (2 * log_sd).exp() - 1) / 2 - log_sd


def full_logq(m1, m2, log_c11, c21, log_c22, z1, z2):
    """Bivariate normal by its covariance matrix, not by its factor."""
    c11, c22 = log_c11.exp(), log_c22.exp()
    a, b, d = c11 * c11, c11 * c21, c21 * c21 + c22 * c22
    det = a * d - b * b
    u, v = z1 - m1, z2 - m2
    return -(2 * PI).ln() - det.ln() / 2 - (d * u * u - 2 * b * u * v + a * v * v) / (2 * det)


def full_entropy(log_c11, c21, log_c22):
    c11, c22 = log_c11.exp(), log_c22.exp()
    a, b, d = c11 * c11, c11 * c21, c21 * c21 + c22 * c22
    return 1 + (2 * PI).ln() + (a * d - b * b).ln() / 2


def logsumexp(*a):
    return sum(v.exp() for v in a).ln()


CASES = [
    (std_normal, [(0,), (1,), (-2.5,), (38,), ("1e-6",)]),
    (normal, [(0, 0, 0), (1, -1, 0.5), (0.25, 0.25, -10), ("0.2500152587890625", 0.25, -10), (3, 1, 10), (-1.5, 2, -2), (100, 0, 0)]),
    (bernoulli, [(x, l) for x in (0, 1) for l in (0, 0.5, -0.5, 3, -3, 15, -15, 40, -40, 100, -100)]
     + [(0.5, 0), (0.25, 2), (0.75, -7), (0.5, 40), (0.5, -100), (0.125, 100)]),
    (poisson, [(0, 0), (0, -40), (0, 5), (1, 0), (3, 1), (148, 5), (100, 5), (200, 5), (127, 4.5), (128, 4.5), (1000, 6), (7, -10)]),
    (categorical, [(0, 0, 0, 0), (2, 1, 2, 3), (0, 100, 0, -100), (2, 100, 0, -100), (1, 40, -40, 0), (1, -1000, 0, -1000)]),
    (gaussian_entropy, [(0,), (-10,), (3,)]),
    (gaussian_kl_std, [(0, 0), (1, -1), (-3, 2), (0.5, -10)]),
    (full_logq, [(0, 0, 0, 0, 0, 0, 0), (0.5, -1, -0.5, 0.75, 0.25, 1, 2), (0, 0, -2, 3, -1, 0.25, -0.5)]),
    (full_entropy, [(0, 0, 0), (-0.5, 0.75, 0.25), (-2, 3, -1)]),
    (logsumexp, [(0, 0, 0), (1, 2, 3), (-1000, -1001, -1002), (500, 0, -500), (3, 3, -80)]),
]


def main():
    print("/* Written by reference_density.py: arguments, then the value. */\n/* clang-format off */")
    print("#ifndef AVI_TEST_REFERENCE_DENSITY_H\n#define AVI_TEST_REFERENCE_DENSITY_H\n")
    for f, rows in CASES:
        width = len(rows[0]) + 1
        print(f"static const double reference_{f.__name__}[][{width}] = {{")
        for row in rows:
            args = [D(str(a)) for a in row]
            values = ", ".join([format(float(a), ".17g") for a in args] + [format(float(f(*args)), ".17e")])
            print(f"    {{{values}}},")
        print("};")
    print("\n#endif")


if __name__ == "__main__":
    main()
