"""Data for the exact references: drawn from the models with Python's own generator, or read from a file."""
import math
import random


def draw(model, rows, seed, p):
    g = random.Random(seed).gauss
    if model == "linear":
        return [0.3 + p.get("tau", 1.155) * g(0, 1) + p.get("sigma", 2.43) * g(0, 1) for _ in range(rows)]
    if model == "saw":
        x = [0.0]
        for _ in range(rows):
            x.append(p.get("a", 0.75) * (x[-1] + g(0, 1) + 0.5) + g(0, 1))
        return x
    if model == "hmm":
        z, x = 0.0, []
        for _ in range(rows):
            z = p.get("a", 1.0) * z + math.sqrt(p.get("q", 1.0)) * g(0, 1)
            x.append(p.get("c", 1.0) * z + math.sqrt(p.get("r", 1.0)) * g(0, 1))
        return x
    if model == "ppca":
        width, latent = 6, int(p.get("latent", 2))
        w = [[g(0, 1) for _ in range(latent)] for _ in range(width)]
        out = []
        for _ in range(rows):
            z = [g(0, 1) for _ in range(latent)]
            out.append([1 + sum(a * b for a, b in zip(row, z)) + 0.4 * g(0, 1) for row in w])
        return out
    return [math.sin(0.4 * i) + p.get("noise", 0.5) * g(0, 1) for i in range(rows)]  # gp


def read(path, dataset):
    """Rows of numbers; a list of numbers when each row has one."""
    if path.endswith((".h5", ".hdf5")):
        import h5py
        with h5py.File(path, "r") as f:
            data = f[dataset][()].tolist()
    else:
        with open(path, encoding="utf-8") as f:
            data = [[float(e) for e in line.replace(",", " ").split()] for line in f if line.strip() and line[0] != "#"]
    return [row[0] if isinstance(row, list) and len(row) == 1 else row for row in data]
