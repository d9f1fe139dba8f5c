"""Writes a run.h5 as the program would, with contents whose right picture is known: python3 fixture.py FOLDER [without ...]

Parts named by `without` are left out: images, walk, local, eval, trace.
"""

import os
import sys

import h5py
import numpy as np

ROWS, DIMENSIONS, HEIGHT, COLUMNS = 3000, 20, 28, 28


def put(file, path, values, description, units="", axes=""):
    dataset = file.create_dataset(path, data=values)
    for name, text in (("description", description), ("units", units), ("axes", axes)):
        dataset.attrs[name] = np.bytes_(text)  # fixed-length text, as C programs write it


def glyphs(number, seed):
    """Blurred rings and strokes: something to recognise in a picture."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:COLUMNS]
    images = []
    for index in range(number):
        cx, cy, r = 14 + random.normal(0, 1.5), 14 + random.normal(0, 1.5), random.uniform(5, 9)
        distance = np.abs(np.hypot(x - cx, y - cy) - r) if index % 2 else np.abs((x - cx) + 0.3 * (y - cy))
        images.append(np.clip(1.6 - 0.8 * distance, 0, 1))
    return np.array(images, dtype=np.float32).reshape(number, -1)


def write(folder, without=(), scale=1.0):
    random = np.random.default_rng(7)
    os.makedirs(folder, exist_ok=True)
    with h5py.File(os.path.join(folder, "run.h5"), "w") as file:
        file.attrs["format"] = np.bytes_("avi_mpi run")
        file.attrs["format_version"] = np.int64(1)
        file.attrs["status"] = np.bytes_("done")
        file.attrs["why_stopped"] = np.bytes_("all epochs done")
        about = file.create_group("provenance")
        for name, text in (("version", "0.1.0"), ("git_revision", "0123456789ab"), ("compiler", "gcc"), ("started_at", "2026-01-01T00:00:00Z")):
            about.attrs[name] = np.bytes_(text)
        about.attrs["ranks"] = np.int64(4)
        about.attrs["seed"] = np.int64(1)
        text = "[model]\nname = vae ; file:3\nlatent = 20\n[inference]\nfunction = mlp ; default\n"
        put(file, "/config/ini", text, "the file as given")
        put(file, "/config/effective", text, "every key in force")

        if "trace" not in without:
            step = np.arange(10, 401, 10, dtype=np.int64)
            elbo = -105 - 440 * np.exp(-step / (40.0 * scale)) + random.normal(0, 1.5, len(step))
            put(file, "/trace/step", step, "step", "", "step")
            put(file, "/trace/seconds", step * 0.025 * scale, "time since the start", "seconds", "step")
            put(file, "/trace/elbo_per_row", elbo, "ELBO a row", "nats", "step")
            put(file, "/trace/elbo", elbo * ROWS, "ELBO", "nats", "step")
        if "eval" not in without:
            step = np.arange(40, 401, 40, dtype=np.int64)
            put(file, "/eval/step", step, "step", "", "evaluation")
            put(file, "/eval/elbo_test", -106 - 440 * np.exp(-step / (40.0 * scale)), "ELBO a row of the test data", "nats", "evaluation")
        if "images" not in without:
            images = file.create_group("images")
            images.attrs["height"], images.attrs["columns"] = np.int64(HEIGHT), np.int64(COLUMNS)
            original = glyphs(40, 1)
            put(file, "/images/original", original, "images of the test data", "", "image, pixel")
            put(file, "/images/reconstruction", 0.8 * original + 0.05, "mean of p(x | z)", "", "image, pixel")
            put(file, "/images/sample", glyphs(64, 2), "mean of p(x | z), z from the prior", "", "image, pixel")
            if "walk" not in without:
                put(file, "/images/walk", glyphs(100, 3), "mean of p(x | z), z on a grid", "", "image, pixel")
        if "local" not in without:
            used = np.where(np.arange(DIMENSIONS) < 12, 0.9, 0.05)
            mean = random.normal(0, 1, (ROWS, DIMENSIONS)) * used
            put(file, "/local/mean", mean.astype(np.float32), "means of q(z)", "", "row, dimension")
            put(file, "/local/log_sd", np.broadcast_to(0.5 * np.log(1 - used**2), mean.shape).astype(np.float32), "log standard deviations", "", "row, dimension")


if __name__ == "__main__":
    write(sys.argv[1], tuple(sys.argv[2:]))
