"""What --dry-run says of the peak of memory, against the peak of the run itself: within 10 % or 10 MB, also where it loads a part of the rows; and what it takes itself."""
import re
import subprocess
import sys

from runs import Failure, command, empty_ini, main

PEAK = 'import resource,subprocess,sys\nstatus = subprocess.call(sys.argv[1:], close_fds=False)\n' \
       'print(f"peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}", file=sys.stderr)\nsys.exit(status)\n'
MODEL, WITHIN = "data.source=model", 0.10
RESIDENT = 10e6  # bytes: how much of the libraries is resident differs from start to start
RECLAIMED = 25e6  # bytes: and a machine may take back pages of them that are not used (75 to 95 MB were seen of one run)
CASES = [
    ("vae with test rows", 1, ["model.name=vae", "data.source=strokes", "data.rows=2000", "data.test_rows=500", "optim.steps=8"]),
    ("F-VI in single precision, of half the rows", 2, [MODEL, "model.name=linear", "inference.function=factorized", "data.rows=2e6", "optim.steps=4", "optim.batch=10000", "log.last_rows=10000"]),
    ("results of every row of an amortized run", 1, [MODEL, "model.name=linear", "inference.function=polynomial", "data.rows=5e5", "optim.steps=4", "optim.batch=10000", "output.local=yes",
                                                     "log.eval_every=-1"]),
    ("exact, of half the rows", 1, [MODEL, "run.task=exact", "model.name=hmm", "data.rows=4e5"]),
    ("exact after a fit", 1, [MODEL, "model.name=gp", "data.rows=1500", "run.after=exact", "inference.function=factorized", "objective.draws=0", "optim.batch=0", "optim.steps=3",
                              "run.precision=double"]),
    ("diagnose after a fit", 1, ["model.name=vae", "data.source=strokes", "data.rows=300", "optim.batch=100", "model.hidden=100", "inference.hidden=100", "model.latent=5", "optim.epochs=1",
                                 "run.after=diagnose"]),
    ("simulate", 1, [MODEL, "run.task=simulate", "model.name=saw", "data.rows=2e6"]),
]


def run(ranks, arguments):
    words = command(ranks if ranks > 1 else None, arguments)
    at = len(words) - len(arguments) - 1
    done = subprocess.run([*words[:at], sys.executable, "-c", PEAK, *words[at:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
    if done.returncode:
        raise Failure(f"exit status {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def planned(text, name):
    found = re.search(r"peak memory +about ([\d.]+) (kB|MB|GB)", text)
    if not found or not re.search(r"the run +start [\d.e-]+ s, .* about [\d.e+]+ s in all", text):
        raise Failure(f"{name}: --dry-run names no peak, or no time: {text}")
    return float(found.group(1)) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[found.group(2)]


def taken(text):
    return max(int(kb) for kb in re.findall(r"peak (\d+)", text)) * 1024


def peak(scratch):
    said = []
    for number, (name, ranks, arguments) in enumerate(CASES):
        given = [empty_ini(scratch), f"run.output={scratch / str(number)}", *arguments]
        used, told = taken(run(ranks, [*given, "-q", *([] if "run.task=simulate" in given else ["--fresh"])])), planned(run(ranks, [*given, "--dry-run"]), name)
        if used - told > max(WITHIN * used, RESIDENT) or told - used > max(WITHIN * used, RECLAIMED):
            raise Failure(f"{name}: {told / 1e6:.1f} MB planned, {used / 1e6:.1f} MB used")
        said.append(f"{name} {told / used:.2f}")
    return ", ".join(said)


def itself(scratch):
    """Large data are counted, not loaded: 3.6 GB of rows and factors, a covariance of 2.9 GB."""
    said = []
    for name, least, arguments in (("1e8 rows", 3.5e9, [MODEL, "model.name=linear", "inference.function=factorized", "data.rows=1e8", "optim.batch=1e6", "data.storage=memory"]),
                                   ("gp", 2.88e9, [MODEL, "model.name=gp", "inference.function=factorized", "data.rows=19000", "objective.draws=0", "data.storage=memory"])):
        text = run(1, [empty_ini(scratch), f"run.output={scratch / 'none'}", *arguments, "--dry-run"])
        if not least < planned(text, name) < 1.1 * least or taken(text) > 150e6:
            raise Failure(f"{name}: {taken(text) / 1e6:.0f} MB were taken to foresee {planned(text, name) / 1e9:.2f} GB: {text}")
        said.append(f"{planned(text, name) / 1e9:.2f} GB foreseen with {taken(text) / 1e6:.0f} MB")
    return ", ".join(said)


if __name__ == "__main__":
    main(peak, itself)
