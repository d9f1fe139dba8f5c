"""Writes reference_optim.h: where PyTorch's optimizers stand on f(w) = sum a (w - c)^2 / 2 after some steps, in double precision.

usage: /usr/bin/python3 reference_optim.py > reference_optim.h   (needs torch)
"""
import torch

A = [1.0, 10.0, 0.1, 3.0]
C = [1.0, -2.0, 0.5, 0.0]
START = [0.0, 1.0, -1.0, 2.0]
STEPS = (1, 2, 10, 100)

RUNS = [
    ("adam", "learning_rate = 0.1", lambda w: torch.optim.Adam([w], lr=0.1)),
    ("adam", "learning_rate = 0.05\\nbeta1 = 0.8\\nbeta2 = 0.95\\nepsilon = 1e-3",
     lambda w: torch.optim.Adam([w], lr=0.05, betas=(0.8, 0.95), eps=1e-3)),
    ("adam", "learning_rate = 0.1\\nweight_decay = 0.2", lambda w: torch.optim.AdamW([w], lr=0.1, weight_decay=0.2)),
    ("sgd", "learning_rate = 0.02\\nmomentum = 0", lambda w: torch.optim.SGD([w], lr=0.02)),
    ("sgd", "learning_rate = 0.02\\nmomentum = 0.9", lambda w: torch.optim.SGD([w], lr=0.02, momentum=0.9)),
    ("sgd", "learning_rate = 0.02\\nmomentum = 0.7\\nnesterov = yes",
     lambda w: torch.optim.SGD([w], lr=0.02, momentum=0.7, nesterov=True)),
]


def path(make):
    a, c = torch.tensor(A, dtype=torch.float64), torch.tensor(C, dtype=torch.float64)
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    method = make(w)
    for step in range(1, max(STEPS) + 1):
        method.zero_grad()
        (a * (w - c) ** 2 / 2).sum().backward()
        method.step()
        if step in STEPS:
            yield w.detach().tolist()


def braces(values):
    return "{" + ", ".join(format(v, ".17g") for v in values) + "}"


def main():
    print(f"/* Written by reference_optim.py with PyTorch {torch.__version__}. */\n/* clang-format off */")
    print("#ifndef AVI_TEST_REFERENCE_OPTIM_H\n#define AVI_TEST_REFERENCE_OPTIM_H\n")
    print(f"enum {{ REFERENCE_VALUES = {len(A)}, REFERENCE_STEPS = {len(STEPS)} }};")
    for name, values in (("curvature", A), ("centre", C), ("start", START)):
        print(f"static const double reference_{name}[REFERENCE_VALUES] = {braces(values)};")
    print(f"static const int reference_step[REFERENCE_STEPS] = {braces(STEPS)};")
    print("static const struct {\n    const char *method, *keys;\n    double w[REFERENCE_STEPS][REFERENCE_VALUES];\n} reference_run[] = {")
    for method, keys, make in RUNS:
        print(f'    {{"{method}", "{keys}",\n     {{' + ",\n      ".join(braces(w) for w in path(make)) + "}},")
    print("};\n\n#endif")


if __name__ == "__main__":
    main()
