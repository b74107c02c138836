"""The background thread for imports and sortings; work that a server leaves unfinished is resumed by the next."""

import logging
import shutil
import threading

from sqlalchemy import select, update

from hashtagger.i18n import speaking
from hashtagger.serving.importing import run_import
from hashtagger.serving.services import Services
from hashtagger.serving.sorting import UNDER_WAY, run_sorting
from hashtagger.serving.store import Import, Leftover, Sorting

_log = logging.getLogger("hashtagger.serving")
_PATIENCE = 5.0  # seconds


class Worker:
    """Runs the pending jobs in the database: imports before sortings, oldest first.

    Args:
        services: The server's services.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Clean up after an earlier server, then start the thread."""
        with self._services.sessions.begin() as db:
            for upload in db.scalars(select(Import).where(Import.state == "receiving")):
                # The upload was cut off when that server stopped.
                upload.state = "failed"
                shutil.rmtree(upload.path, ignore_errors=True)
        for incoming in self._services.settings.data_dir.glob("users/*/incoming"):
            shutil.rmtree(incoming, ignore_errors=True)
        self._sweep()
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current post; a job that takes longer is abandoned, and the next server resumes it."""
        self._stop.set()
        self._services.wake.set()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._services.wake.clear()
            try:
                while not self._stop.is_set() and self._step():
                    pass
            except Exception:  # the database is locked or unreachable
                _log.exception("work")
                self._stop.wait(_PATIENCE)
            else:
                self._services.wake.wait()

    def _step(self) -> bool:
        """Run the oldest import or, if there is none, the oldest sorting.

        Returns:
            Whether there was a job.
        """
        with self._services.sessions() as db:
            imports = select(Import).where(Import.state.in_(("running", "waiting"))).order_by(Import.id).limit(1)
            sortings = select(Sorting).where(Sorting.state.in_(UNDER_WAY)).order_by(Sorting.id).limit(1)
            job: Import | Sorting | None = db.scalar(imports) or db.scalar(sortings)
        if job is None:
            return False
        try:
            with speaking(job.language):
                if isinstance(job, Import):
                    run_import(self._services, job.id, self._stop.is_set)
                else:
                    run_sorting(self._services, job.id)
        except Exception:
            _log.exception("work")
            with self._services.sessions.begin() as db:
                table = type(job)
                # An UPDATE statement, because the row is gone if the account was deleted meanwhile.
                db.execute(update(table).where(table.id == job.id).values(state="failed"))
            self._sweep()
        return True

    def _sweep(self) -> None:
        """Delete the remaining files of deleted accounts and uploads."""
        with self._services.sessions.begin() as db:
            for leftover in db.scalars(select(Leftover)):
                folder = self._services.settings.data_dir / leftover.folder
                shutil.rmtree(folder, ignore_errors=True)
                if not folder.exists():
                    db.delete(leftover)
