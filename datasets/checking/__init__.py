"""Looks a dataset over before a training does: sizes, label values, class frequencies, pairs, images in two splits."""

from __future__ import annotations

from .duplicates import image_hash as image_hash
from .report import CheckReport as CheckReport
from .report import SplitReport as SplitReport
from .sheet import contact_sheet as contact_sheet
from .stage import check as check
