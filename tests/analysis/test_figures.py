"""Every figure script on a run whose contents are known: the picture is there, shows something and shows the right thing;
what is missing in a run is named in a message; the reader gives back what was written."""

import os
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ANALYSIS = os.path.join(HERE, "..", "..", "analysis")
sys.path[:0] = [HERE, ANALYSIS]

import fixture  # noqa: E402
from avi_read import Run, RunError  # noqa: E402


def call(script, *arguments, folder=None):
    """(exit status, stdout, stderr) of a script."""
    done = subprocess.run([sys.executable, os.path.join(ANALYSIS, script), *arguments], capture_output=True, text=True, cwd=folder)
    return done.returncode, done.stdout, done.stderr


def pixels(path):
    from matplotlib import image

    return image.imread(path)[..., :3]


class Figures(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)

    def run_folder(self, name="vae", **options):
        folder = os.path.join(self.scratch.name, name)
        fixture.write(folder, **options)
        return folder

    def check_picture(self, path):
        """A picture of a size that can be read, with more in it than a frame."""
        picture = pixels(path)
        self.assertGreater(picture.shape[0], 400)
        self.assertGreater(picture.shape[1], 500)
        marked = np.mean(np.any(picture < 0.9, axis=2))
        self.assertGreater(marked, 0.01, "almost nothing is drawn")
        self.assertLess(marked, 0.7)
        foot = picture[-30:, picture.shape[1] // 2:]
        self.assertGreater(np.mean(np.any(foot < 0.9, axis=2)), 0.005, "no origin at the foot")

    def check_refusal(self, status, words, script, *arguments):
        code, _, message = call(script, *arguments)
        self.assertEqual(code, status, message)
        self.assertTrue(message.startswith(script + ": "), message)
        self.assertNotIn("Traceback", message)
        for word in words:
            self.assertIn(word, message)

    def test_each_script_writes_its_picture_into_the_run_folder(self):
        folder = self.run_folder()
        for script, name in (("plot_trace.py", "trace.png"), ("plot_images.py", "images.png"), ("plot_latent.py", "latent.png")):
            code, said, message = call(script, folder)
            self.assertEqual(code, 0, message)
            self.assertEqual(said.strip(), os.path.join(folder, name))
            self.check_picture(os.path.join(folder, name))
        self.assertEqual(sorted(os.listdir(folder)), ["images.png", "latent.png", "run.h5", "trace.png"])

    def test_several_runs_go_into_one_picture(self):
        first, second = self.run_folder("first"), self.run_folder("second", scale=3.0)
        output = os.path.join(self.scratch.name, "both.png")
        code, _, message = call("plot_trace.py", first, os.path.join(second, "run.h5"), "-o", output)
        self.assertEqual(code, 0, message)
        self.check_picture(output)
        # Two colours: blue is more than red in the first run's line, red more than blue in the second's.
        picture = pixels(output)
        self.assertTrue(np.any(picture[..., 2] - picture[..., 0] > 0.5))
        self.assertTrue(np.any(picture[..., 0] - picture[..., 2] > 0.5))
        code, _, message = call("plot_trace.py", first, second, folder=self.scratch.name)
        self.assertEqual(code, 0, message)
        self.check_picture(os.path.join(self.scratch.name, "trace.png"))

    def test_a_run_still_going_or_without_test_data_is_drawn(self):
        folder = self.run_folder(without=("eval", "walk"))
        with h5py.File(os.path.join(folder, "run.h5"), "a") as file:
            file.attrs["status"] = np.bytes_("running")
            file["/trace/elbo_per_row"][3] = np.nan
        for script in ("plot_trace.py", "plot_images.py"):
            code, _, message = call(script, folder)
            self.assertEqual(code, 0, message)
        self.check_picture(os.path.join(folder, "trace.png"))

    def test_images_appear_as_they_are(self):
        """The mean darkness of the reconstruction panel's rows tells originals from reconstructions."""
        folder = self.run_folder(without=("walk",))
        with h5py.File(os.path.join(folder, "run.h5"), "a") as file:
            file["/images/original"][:] = 0.0
            file["/images/reconstruction"][:] = 1.0
            file["/images/sample"][:] = 0.5
        code, _, message = call("plot_images.py", folder)
        self.assertEqual(code, 0, message)
        picture = pixels(os.path.join(folder, "images.png")).mean(axis=2)
        left, right = picture[60:, :picture.shape[1] // 2], picture[60:, picture.shape[1] // 2:]
        self.assertGreater(np.mean(left == 0.0), 0.2)  # reconstructions: black
        self.assertGreater(np.mean(left == 1.0), 0.2)  # originals: white
        self.assertGreater(np.mean(np.abs(right - 0.5) < 0.12), 0.2)  # samples: grey

    def test_labels_colour_the_latent_plot(self):
        """Labels beside images in IDX format are found; a file that is named is read; what does not fit the rows is refused."""
        import struct

        def colours(folder):
            picture = pixels(os.path.join(folder, "latent.png"))
            left = picture[60:-60, 150:picture.shape[1] // 2 - 20].reshape(-1, 3)
            return [bool(np.any((left[:, a] > left[:, b] + 0.25) & (left[:, a] > left[:, c] + 0.1))) for a, b, c in ((2, 0, 1), (0, 2, 1))]  # blue, red

        folder = self.run_folder()
        self.assertEqual(call("plot_latent.py", folder)[0], 0)
        self.assertEqual(colours(folder), [True, False])
        kinds = (np.arange(fixture.ROWS) % 2).astype(np.uint8)
        images = os.path.join(self.scratch.name, "train-images-idx3-ubyte")
        with open(images.replace("images-idx3", "labels-idx1"), "wb") as file:
            file.write(struct.pack(">ii", 2049, len(kinds)) + kinds.tobytes())
        with h5py.File(os.path.join(folder, "run.h5"), "a") as file:
            text = file["/config/effective"][()].decode() + f"[data]\nsource = idx\npath = {images}\n"
            del file["/config/effective"]
            fixture.put(file, "/config/effective", text, "every key in force")
        self.assertEqual(call("plot_latent.py", folder)[0], 0)
        self.assertEqual(colours(folder), [True, True])
        self.check_picture(os.path.join(folder, "latent.png"))
        words = os.path.join(self.scratch.name, "words.txt")
        with open(words, "w") as file:
            file.writelines(f"{'cat' if k else 'dog'}\n" for k in kinds)
        with h5py.File(os.path.join(self.scratch.name, "labels.h5"), "w") as file:
            file["of/rows"] = kinds
        for named in (words, os.path.join(self.scratch.name, "labels.h5:of/rows")):
            other = self.run_folder("other")
            self.assertEqual(call("plot_latent.py", other, "--labels", named)[0], 0)
            self.assertEqual(colours(other), [True, True], named)
        with open(words, "a") as file:
            file.write("cow\n")
        self.check_refusal(64, ["3001", "3000 rows"], "plot_latent.py", folder, "--labels", words)
        self.check_refusal(66, [words + "x", "FILE.h5:DATASET"], "plot_latent.py", folder, "--labels", words + "x")

    def test_what_is_missing_is_named(self):
        bare = self.run_folder("bare", without=("images", "local", "trace"))
        self.check_refusal(66, ["no images"], "plot_images.py", bare)
        self.check_refusal(66, ["/local", "output.local = yes"], "plot_latent.py", bare)
        self.check_refusal(66, ["/trace"], "plot_trace.py", bare)
        folder = self.run_folder("no_column")
        with h5py.File(os.path.join(folder, "run.h5"), "a") as file:
            del file["/trace/elbo_per_row"]
            file["/images"].attrs["height"] = 5
        self.check_refusal(66, ["/trace/elbo_per_row", "seconds"], "plot_trace.py", folder)
        self.check_refusal(65, ["/images/original", "5 x 28"], "plot_images.py", folder)
        self.check_refusal(64, ["--dims 0 99", "0 to 19"], "plot_latent.py", folder, "--dims", "0", "99")

    def test_what_is_no_run_is_refused(self):
        absent = os.path.join(self.scratch.name, "absent")
        text = os.path.join(self.scratch.name, "text.h5")
        with open(text, "w") as file:
            file.write("not HDF5\n")
        other = os.path.join(self.scratch.name, "other.h5")
        with h5py.File(other, "w") as file:
            file["x"] = [1]
        for script in ("plot_trace.py", "plot_images.py", "plot_latent.py"):
            self.check_refusal(66, [absent, "no such file"], script, absent)
            self.check_refusal(65, [text, "not an HDF5 file"], script, text)
            self.check_refusal(65, [other, "avi_mpi run"], script, other)

    def test_the_reader_gives_back_what_was_written(self):
        with Run(self.run_folder()) as run:
            self.assertEqual(run.status, "done")
            self.assertEqual(run.provenance["git_revision"], "0123456789ab")
            self.assertEqual(run.provenance["ranks"], 4)
            self.assertEqual(run.config["model"]["name"], "vae")
            self.assertEqual(run.setting("inference", "function"), "mlp")
            self.assertEqual(run.setting("no", "such", "else"), "else")
            self.assertEqual(list(run.trace["step"][:3]), [10, 20, 30])
            self.assertEqual(run.trace.units("elbo"), "nats")
            self.assertEqual(run.local["mean"].shape, (fixture.ROWS, fixture.DIMENSIONS))
            self.assertIn("latent = 20", run.group("/config")["ini"])
            self.assertFalse(run.global_)
            self.assertIn("0123456789ab", run.origin)
            with self.assertRaisesRegex(RunError, "/exact"):
                run.group("/exact")["elbo"]


if __name__ == "__main__":
    unittest.main()
