"""The Ray engine. Each run is in a separate process, because Ray leaves threads behind in the process that uses it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hashtagger.errors import MissingExtraError, TaggingError
from hashtagger.scale.cluster import cores_per_gpu
from hashtagger.scale.run import tag_photos

pytest.importorskip("ray", reason="needs the extra ray")


def start(output, pile, weights, *arguments):
    command = [sys.executable, "-m", "hashtagger", "tag", pile, "--output", output, "--weights", weights]
    command += ["--batch-size", "2", "--engine", "ray", *arguments]
    environment = {**os.environ, "LANGUAGE": "en", "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)
    pipe = subprocess.PIPE
    return subprocess.Popen(list(map(str, command)), env=environment, stdout=pipe, stderr=pipe, text=True)


def ended(process):
    """Wait for the command to end; return its summary."""
    try:
        stdout, stderr = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 1, stderr
    assert "7 of 150 photos could not be read" in stderr
    return stdout


def descendants(pid):
    """All descendants of a process by id, with their command lines."""
    found, tree = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            tree.setdefault(parent, []).append((int(entry.name), (entry / "cmdline").read_bytes().decode()))
    waiting = [pid]
    while waiting:
        for child, line in tree.get(waiting.pop(), []):
            found[child] = line
            waiting.append(child)
    return found


@pytest.mark.parametrize(
    ("machines", "cores"),
    [
        ([{"CPU": 16.0, "GPU": 2.0}], 8),
        ([{"CPU": 96.0}, {"CPU": 8.0, "GPU": 4.0}], 2),  # a machine without GPUs does not count
        ([{"CPU": 64.0, "GPU": 1.0}, {"CPU": 9.0, "GPU": 2.0}], 4),
        ([{"CPU": 2.0, "GPU": 8.0}], 1),
        ([], 1),
    ],
)
def test_a_workers_cores_are_those_of_its_machine(machines, cores):
    dead = {"Alive": False, "Resources": {"CPU": 1.0, "GPU": 1.0}}
    assert cores_per_gpu([dead, *({"Alive": True, "Resources": own} for own in machines)]) == cores


@pytest.fixture(scope="module")
def rows(pile, weights, tmp_path_factory):
    """The rows that the local engine writes."""
    path = tmp_path_factory.mktemp("local") / "tags.jsonl"
    tag_photos([str(pile)], path, batch=2, weights=weights)
    return path.read_bytes()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_a_killed_worker_costs_nothing_but_time(rows, pile, weights, tmp_path):
    process = start(tmp_path / "tags.jsonl", pile, weights, "--workers", 2)
    parts = tmp_path / "tags.jsonl.parts"
    while len(list(parts.glob("0*.jsonl"))) < 3:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    below = descendants(process.pid)
    workers = [pid for pid, line in below.items() if "MapWorker" in line]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    assert len(list(parts.glob("0*.jsonl"))) < 38, "too late: all was done"
    ended(process)
    assert (tmp_path / "tags.jsonl").read_bytes() == rows
    assert not parts.exists()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in below) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [line for pid, line in below.items() if Path(f"/proc/{pid}").exists()] == []


@pytest.fixture
def machines(tmp_path_factory, monkeypatch):
    """A Ray cluster of two simulated machines with a CPU each: the address, and the process of the second machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("ray") / "log").open("wb")
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    command += [f"--object-store-memory={100 * 2**20}", "--node-ip-address=127.0.0.1"]
    # Token authentication is off for the machines and the command, whether this user has a token or not.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = []
    try:
        for arguments in (["--head", f"--port={port}", "--include-dashboard=false"], [f"--address=127.0.0.1:{port}"]):
            started.append(subprocess.Popen([*command, *arguments], env=environment, stdout=log, stderr=log))
            deadline = time.monotonic() + 60
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"127.0.0.1:{port}", started[1]
    finally:
        noted = Path("/tmp/ray/ray_current_cluster")
        if noted.exists() and noted.read_text().strip().endswith(f":{port}"):
            noted.unlink()
        for process in reversed(started):
            # With SIGTERM, a machine would wait half a minute for the other one.
            kill([*descendants(process.pid), process.pid])
            process.wait(60)
        log.close()


def kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_a_machine_that_goes_costs_nothing_but_time(rows, pile, weights, tmp_path, machines):
    address, second = machines
    deadline = time.monotonic() + 60
    while not any("raylet" in line for line in descendants(second.pid).values()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process = start(tmp_path / "tags.jsonl", pile, weights, "--workers", 2, "--address", address)
    parts = tmp_path / "tags.jsonl.parts"
    while len(list(parts.glob("0*.jsonl"))) < 3:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    there = descendants(second.pid)
    assert any("MapWorker" in line for line in there.values()), "the second machine does no work"
    kill(there)
    assert len(list(parts.glob("0*.jsonl"))) < 38, "too late: all was done"
    ended(process)
    assert (tmp_path / "tags.jsonl").read_bytes() == rows


def test_the_workers_of_a_cluster_take_the_network_of_the_command(machines, sample_photos, tmp_path, monkeypatch):
    address, _second = machines
    monkeypatch.setenv("HASHTAGGER_NETWORK", "tf_efficientnet_lite2")
    photo = str(sample_photos["palace"])
    tag_photos([photo], tmp_path / "local.jsonl")
    command = [sys.executable, "-m", "hashtagger", "tag", photo, "--output", tmp_path / "tags.jsonl"]
    subprocess.run([*command, "--engine", "ray", "--workers", "1", "--address", address], check=True, timeout=240)
    assert (tmp_path / "tags.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()


def test_what_the_local_engine_began_ray_can_end(rows, pile, weights, tmp_path):
    def stop(done, _total):
        if done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag_photos([str(pile)], tmp_path / "tags.jsonl", batch=2, weights=weights, progress=stop)
    summary = json.loads(ended(start(tmp_path / "tags.jsonl", pile, weights, "--resume", "--workers", 1, "--json")))
    assert (summary["photos"], summary["failed"], summary["resumed"]) == (150, 7, 48)
    assert (tmp_path / "tags.jsonl").read_bytes() == rows


def test_a_worker_that_cannot_load_the_network_ends_the_run_in_one_line(pile, weights, tmp_path):
    gone = tmp_path / "gone.safetensors"
    gone.write_bytes(weights.read_bytes())
    # The file is gone when the workers look for it, as if they were on machines without it.
    code = (
        "import pathlib, sys\n"
        "from hashtagger.cli import main\n"
        "from hashtagger.scale import cluster\n"
        "original = cluster.tag_parts\n"
        "def without_file(*arguments):\n"
        f"    pathlib.Path({str(gone)!r}).unlink()\n"
        "    return original(*arguments)\n"
        "cluster.tag_parts = without_file\n"
        f"main(['tag', {str(pile)!r}, '--output', {str(tmp_path / 'tags.csv')!r}, '--weights', {str(gone)!r},\n"
        "      '--engine', 'ray', '--workers', '1'])\n"
    )
    environment = {**os.environ, "LANGUAGE": "en", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 1
    assert f"Error: a worker failed: {gone}: no such weights file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "127.0.0.1:none"])
def test_an_address_where_nobody_listens_is_said_at_once(pile, weights, tmp_path, address):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, but not listening
        address = address.format(port=reserved.getsockname()[1])
        with pytest.raises(TaggingError, match=f"no Ray cluster at {address} "):
            tag_photos([str(pile)], tmp_path / "tags.jsonl", weights=weights, engine="ray", address=address)
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_ended_without_a_word_is_said_at_once(pile, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, but not listening
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{reserved.getsockname()[1]}")
        with pytest.raises(TaggingError, match="no Ray cluster at auto "):
            tag_photos([str(pile)], tmp_path / "tags.jsonl", weights=weights, engine="ray", address="auto")
    assert [path.name for path in tmp_path.iterdir()] == ["ray"]


def test_no_cluster_and_no_ray_are_one_line(pile, weights, tmp_path, monkeypatch):
    process = start(tmp_path / "tags.jsonl", pile, weights, "--address", "auto")
    _stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "Error: no Ray cluster at auto" in stderr
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[ray\]' in a clone"):
        tag_photos([str(pile)], tmp_path / "tags.jsonl", weights=weights, engine="ray")
