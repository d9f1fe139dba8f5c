"""Memory: a run of MNIST's size on one rank stays under 300 MB, and P ranks hold 1/P of data and local factors each.

The images are random bytes in an IDX file of MNIST's shape, so that the test needs no digits."""
import re
import struct
import subprocess
import sys

import numpy

from runs import VAE, Failure, command, main

ROWS, LIMIT_MB = 60000, 300


def write_images(path):
    generator = numpy.random.default_rng(1)
    with open(path, "wb") as file:
        file.write(struct.pack(">IIII", 0x00000803, ROWS, 28, 28))
        for _ in range(10):
            file.write(generator.integers(0, 256, size=(ROWS // 10, 784), dtype=numpy.uint8).tobytes())


def peaks(np, arguments):
    """Peak resident memory of each rank, MB; a small shell around each rank reports it."""
    script = 'import os,resource,subprocess,sys\nstatus = subprocess.call(sys.argv[1:], close_fds=False)\n' \
             'print(f"peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}", file=sys.stderr)\nsys.exit(status)\n'
    words = command(np, arguments)
    at = len(words) - len(arguments) - 1
    done = subprocess.run([*words[:at], sys.executable, "-c", script, *words[at:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
    if done.returncode:
        raise Failure(f"exit status {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return [int(kb) / 1024 for kb in re.findall(r"peak (\d+)", done.stderr)]


def mnist_size(scratch):
    write_images(scratch / "images-idx3-ubyte")
    images = ["data.source=idx", f"data.path={scratch / 'images-idx3-ubyte'}", "data.rows=0", "data.test_rows=0"]
    short = ["optim.steps=6", "log.eval_every=-1", "output.local=no"]
    told = []
    for name, extra in (("mlp", []), ("factorized", ["inference.function=factorized", "output.local=yes"])):
        arguments = [VAE, "--fresh", f"run.output={scratch / name}", *images, *[s for s in short if not extra or not s.startswith("output")], *extra]
        one, four = peaks(1, arguments), peaks(4, arguments)
        if one[0] > LIMIT_MB:
            raise Failure(f"{name}: {one[0]:.0f} MB on one rank, more than {LIMIT_MB}")
        told.append(f"{name}: {one[0]:.0f} MB on one rank, at most {max(four):.0f} on each of four")
        # 47 MB of images in all; three quarters of them, and of the factors, must be gone from every rank.
        if max(four) > one[0] - 0.6 * ROWS * 784 / 2**20:
            raise Failure(f"{name}: {max(four):.0f} MB on one of four ranks, {one[0]:.0f} MB on a single one: data are not split")
    return "; ".join(told)


if __name__ == "__main__":
    main(mnist_size)
