"""`python -I -S PATH NAME ARGUMENTS...`: the stand-in under a name, in an interpreter without site packages."""

import os
import sys

if __name__ == "__main__":
    # Last, so that nothing there takes the place of a standard module.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    del sys.argv[0]
    from bldr_linux.bubblewrap.main import run_process

    run_process()
