"""Progress bar for training."""

import sys
import time
from typing import Any

from lightning.pytorch.callbacks import TQDMProgressBar

from hashtagger.i18n import _

_SECONDS = 1.0


class ProgressBar(TQDMProgressBar):
    """Lightning's bar, on terminals only; measures are read once a second, because reading them waits for the GPU."""

    def __init__(self) -> None:
        super().__init__()
        if not sys.stderr.isatty():
            self.disable()
        self._measures: dict[str, Any] = {}
        self._read_at = -_SECONDS

    def on_train_epoch_start(self, trainer: Any, *_arguments: Any) -> None:
        """Reset the bar for a new epoch, counted from 1; Lightning counts from 0."""
        self.train_progress_bar.initial = 0
        self.train_progress_bar.reset(self.total_train_batches)
        number = {"n": trainer.current_epoch + 1, "total": trainer.max_epochs}
        self.train_progress_bar.set_description(_("epoch {n} of {total}").format(**number))

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        """Return the measures to show, at most a second old."""
        now = time.monotonic()
        if now - self._read_at >= _SECONDS:
            self._measures, self._read_at = super().get_metrics(*arguments), now
        return self._measures

    def on_exception(self, *_arguments: Any) -> None:
        """Close the bar, which would otherwise be drawn once more when Python exits."""
        if self._train_progress_bar is not None:
            self._train_progress_bar.close()
