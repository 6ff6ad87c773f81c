"""``python -m seg_edge.cli``"""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
