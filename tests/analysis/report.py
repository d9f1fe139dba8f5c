"""The page about a run: it needs no other file, its numbers are those of run.h5, its pictures show something; the rows with the largest gaps are those of the ledger, and a browser,
where there is one, draws it."""
import base64
import io
import os
import re
import shutil
import subprocess
import sys

import h5py
import numpy

from runs import SOURCE, Failure, Skip, empty_ini, expect_same_bits, fit, main, small_data

try:
    import matplotlib.image
except ImportError:
    matplotlib = None


def page(folder):
    subprocess.run([sys.executable, str(SOURCE / "analysis" / "report.py"), str(folder)], check=True, capture_output=True, text=True)
    return (folder / "report.html").read_text(encoding="utf-8")


def check_pictures(text, least):
    pictures = re.findall(r'src="([^"]*)"', text)
    if len(pictures) < least:
        raise Failure(f"{len(pictures)} pictures, at least {least} expected")
    for one in pictures:
        if not one.startswith("data:image/png;base64,"):
            raise Failure(f"a picture is another file: {one[:60]}")
        pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(one.split(",", 1)[1])))
        if pixels.shape[0] < 50 or pixels[..., :3].std() < 0.01:
            raise Failure(f"a picture of {pixels.shape} shows nothing")
    if re.search(r"<script|<link|href=|https?://", text):
        raise Failure("the page asks for something outside itself")


def draw(path, scratch):
    """In a browser without a screen; None where there is none."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        return None
    shot = scratch / "shot.png"
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--window-size=1000,1500", f"--user-data-dir={scratch / 'browser'}",
                           f"--screenshot={shot}", path.as_uri()], capture_output=True, text=True, timeout=150, check=True, env=dict(os.environ, HOME=str(scratch)))
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    if complaints:
        raise Failure(f"the console of the browser: {complaints[:3]}")
    pixels = matplotlib.image.imread(str(shot))[..., :3]
    rows_with_ink = numpy.mean((pixels < 0.6).any(axis=(1, 2)))
    if rows_with_ink < 0.3:
        raise Failure(f"the browser shows ink in {100 * rows_with_ink:.0f} % of the lines alone")
    return rows_with_ink


def images(scratch):
    if not matplotlib:
        raise Skip("matplotlib is not installed")
    common = [*small_data("vae"), "data.rows=150", "data.test_rows=40", "inference.function=mlp", "inference.hidden=8", "optim.batch=50", "optim.tile=10", "optim.steps=30", "run.after=gap,diagnose",
              "gap.draws=30", "log.images=10", "output.local=yes", "run.reproducible=yes"]
    ini = empty_ini(scratch)
    folder = fit(scratch / "run", *common, ini=ini)
    text = page(folder)
    check_pictures(text, 7)
    with h5py.File(folder / "run.h5") as file:
        verdict, train = file["diagnose/verdict"][()].decode(), file["gap/train"]
        mean = f"{train.attrs['total_amortization_gap'] / 150:.1f}"
        gaps, worst = train["amortization_gap"][()], train["worst_row"][()]
        original, own, function = (train[f"worst_{name}"][()] for name in ("original", "own", "function"))
    if verdict not in text or mean not in text or "training" not in text:
        raise Failure(f"the verdict or the gap of {mean} nats per row is missing")
    if list(worst) != list(numpy.argsort(-gaps, kind="stable")[:16]):
        raise Failure(f"rows with the largest gaps: {worst}")
    # A row's own factor explains it better than the function's; pictures are those of the data.
    if original.min() < 0 or original.max() > 1 or original.std() < 0.05 or numpy.mean((original - own) ** 2) > numpy.mean((original - function) ** 2):
        raise Failure("pictures of the rows with the largest gaps are not those of their factors")
    expect_same_bits(fit(scratch / "three", *common, ini=ini, np=3), folder, "with the rows with the largest gaps, 1 and 3 ranks")
    seen = draw(folder / "report.html", scratch)
    return f"a page of {len(text) // 1024} kB; " + ("no browser here" if seen is None else f"the browser shows ink in {100 * seen:.0f} % of the lines")


def walk(scratch):
    """The walk goes through the two dimensions with the largest KL, the others 0: what the decoder makes of it in numpy."""
    folder = fit(scratch / "run", *small_data("vae"), "data.rows=200", "model.latent=5", "model.hidden=9", "model.activation=relu", "inference.function=mlp", "inference.hidden=16", "optim.batch=50",
                 "optim.tile=10", "optim.learning_rate=1e-2", "optim.steps=120", "run.precision=double", ini=empty_ini(scratch))
    with h5py.File(folder / "run.h5") as file:
        kl, about, got = file["eval/kl_dimension"][-1], dict(file["images"].attrs), file["images/walk"][()]
        weight, bias = ([file[f"global/decoder.{k}.{name}/mean"][()] for k in (0, 1)] for name in ("weight", "bias"))
    first, second = sorted(numpy.argsort(-kl)[:2])
    if (first, second) == (0, 1):
        raise Failure(f"KL {kl}: the two dimensions that are used most are the first two, which tells nothing")
    if (about["walk_first"], about["walk_second"]) != (first, second):
        raise Failure(f"KL {kl}, but the walk is in {about['walk_first']} and {about['walk_second']}")
    z = numpy.zeros((225, 5))
    z[:, first], z[:, second] = 0.3 * (numpy.arange(225) % 15 - 7), 0.3 * (7 - numpy.arange(225) // 15)
    hidden = numpy.maximum(z @ weight[0].T + bias[0], 0)
    want = 1 / (1 + numpy.exp(-(hidden @ weight[1].T + bias[1])))
    if not numpy.allclose(got, want, atol=1e-6):
        raise Failure(f"the walk differs from the decoder in numpy by {numpy.abs(got - want).max()}")
    return f"dimensions {first} and {second} of 5"


def others(scratch):
    """Runs that have less: no ledger, no images, a series of numbers."""
    if not matplotlib:
        raise Skip("matplotlib is not installed")
    ini = empty_ini(scratch)
    plain = page(fit(scratch / "plain", *small_data("linear"), "data.rows=50", "optim.batch=10", "optim.steps=20", ini=ini))
    check_pictures(plain, 1)
    series = page(fit(scratch / "saw", *small_data("saw"), "data.rows=80", "data.test_rows=20", "optim.batch=20", "optim.steps=20", "inference.function=mlp", "inference.hidden=4",
                      "run.after=gap,diagnose", ini=ini))
    check_pictures(series, 4)
    if "closable with domain next" not in series or "rows with the largest gaps" not in series:
        raise Failure("the page of a series lacks its verdict or its largest gaps")
    return "pages of runs without ledger, and of a series"


if __name__ == "__main__":
    main(images, walk, others)
