"""Makes detectors faster without changing their results: one optimization per file, and `optimize`, which applies them."""

from detection_core.models.optimized.assembly import optimize
from detection_core.models.optimized.heads import heads_with_tasks
from detection_core.models.optimized.low_precision import sixteen_bits
from detection_core.models.optimized.packing import packed_size
from detection_core.models.optimized.resize_first import takes_bytes

__all__ = ["heads_with_tasks", "optimize", "packed_size", "sixteen_bits", "takes_bytes"]
