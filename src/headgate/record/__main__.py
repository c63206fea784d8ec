"""`python -m headgate.record`: started by the gateway (`supervisor.py`), of no use by hand."""

import gc
import sys

from headgate.record.process import main

if __name__ == "__main__":
    code = main()
    gc.freeze()  # the interpreter's last look for garbage is the longest part of an end
    sys.exit(code)
