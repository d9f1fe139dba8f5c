"""python -m avi_mpi.compare: the command. From Python, avi_mpi.compare is the function."""

import sys

from .commands import as_script
from .comparing import compare, main

if __name__ == "__main__":
    as_script(main)
else:  # after `import avi_mpi.compare` the name is the function too, not this module
    sys.modules[__name__] = compare
