"""python -m avi_mpi.report: the command. From Python, avi_mpi.report is the function."""

import sys

from .commands import as_script
from .page import report, main

if __name__ == "__main__":
    as_script(main)
else:  # after `import avi_mpi.report` the name is the function too, not this module
    sys.modules[__name__] = report
