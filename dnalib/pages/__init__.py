"""Pages and passages of the book that are generated: of a run, of benchmarks, of a bill."""

from .run import headline, leave_out_chapters, write_run_pages

__all__ = ["headline", "leave_out_chapters", "write_run_pages"]
