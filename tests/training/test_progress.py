from types import SimpleNamespace

import pytest

pytest.importorskip("lightning", reason="needs the extra train")


def test_measures_are_read_once_a_second(monkeypatch):
    from hashtagger.training import progress

    now, reads = [100.0], []

    class Trainer:
        loggers = ()

        @property
        def progress_bar_metrics(self):
            reads.append(now[0])
            return {"loss": len(reads)}

    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    bar = progress.ProgressBar()
    shown = []
    for now[0] in (100.0, 100.4, 100.9, 101.0, 101.5, 105.0):
        shown.append(bar.get_metrics(Trainer(), None)["loss"])
    assert shown == [1, 1, 1, 2, 2, 3]
    assert reads == [100.0, 101.0, 105.0]


@pytest.mark.parametrize("terminal", [True, False])
def test_bars_are_for_terminals(monkeypatch, terminal):
    from hashtagger.training import progress

    stderr = SimpleNamespace(isatty=lambda: terminal)
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stderr))
    assert progress.ProgressBar().is_enabled == terminal
