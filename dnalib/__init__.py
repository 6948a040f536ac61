"""Decorrelative networks for robust classification of ECGs: where what is, and what is added.

- For models and signals of one's own: `filters`, `losses`, `attacks`, `metrics`, `uncertainty`,
  `detection`, `intervals`; with this book's network `model`, `ensemble`.
- Records: `data`, `synthetic`, `units`; a run's choice of them: `dataset`.
- Many records at once: `signals`, `inference`, `trimming`, `memory`, `crafting`, `precision`.
- Training: `training`. Whether attacks can be trusted: `checks`, `independent`.
- A run: its settings, artefacts and provenance in `runs`, what is computed in `stages`.
- What chapters show: `tables`, `plots`, `live`; beside it `published`. Generated pages: `pages`.
- Around a run: `workflow` (jobs, sweeps, clusters), `recording`, `packing`, `campaign`.

A new setting goes into `runs.settings` and every file of `profiles`; a measure into `metrics`, its
table into `tables`; an attack into `attacks`, what runs it into `stages`; a way to train into
`training.objectives` and `stages.rivals`; a chapter into `book` and `workflow.chapters`.
"""
