"""Each notebook runs in a clean kernel, and its stored outputs contain no paths of a machine."""

import json
import re
from pathlib import Path

import pytest

from hashtagger.errors import WeightsError
from hashtagger.models.find import find_weights

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MACHINE = re.compile(r"(?:^|[\s\"'(=])(?:/(?:home|root|work|tmp|usr|Users|opt|mnt)/|[A-Z]:\\)")


def test_there_are_four():
    assert [path.stem for path in NOTEBOOKS] == ["01_recommend", "02_organize", "03_train", "04_explain"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_kept_and_name_no_machine(path):
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert all(cell["execution_count"] for cell in cells)
    assert not MACHINE.search(json.dumps(outputs, ensure_ascii=False))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_a_clean_kernel(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    try:
        find_weights()
    except WeightsError as error:
        pytest.skip(str(error))
    # Kernels and Lightning write to the working directory, and their settings to the home directory.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
