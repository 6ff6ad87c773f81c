"""Engine files: one builder for TensorRT and TensorRT-RTX."""

from .build import BuildOptions, build_file, build_plan, plan_name
from .dialect import for_tensorrt
from .dla import DlaLayer, dry_run

__all__ = ["BuildOptions", "DlaLayer", "build_file", "build_plan", "dry_run", "for_tensorrt", "plan_name"]
