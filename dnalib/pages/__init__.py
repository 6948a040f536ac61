"""Pages and passages of the book that are generated: of a run, of benchmarks, of a bill."""

from .run import leave_out_chapters, numbers, write_run_pages

__all__ = ["leave_out_chapters", "numbers", "write_run_pages"]
