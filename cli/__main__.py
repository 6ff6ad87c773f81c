"""``python -m seg_edge.cli``"""

import sys

from .main import main

sys.exit(main())
