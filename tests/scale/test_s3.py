"""Photos and tables in S3 buckets: a real client against a local server of the protocol."""

import json
import os
import subprocess
import sys

import pytest

from hashtagger.scale.run import tag_photos

s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
moto = pytest.importorskip("moto.server", reason="needs moto[server]")


@pytest.fixture(scope="module")
def account():
    """The environment in which s3:// URLs go to the local server."""
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def bucket(account, pile):
    """The client, with the pile in s3://photos/pile and nothing in s3://tags."""
    client = s3fs.S3FileSystem(
        endpoint_url=account["AWS_ENDPOINT_URL"], key="nobody", secret="nothing", use_listings_cache=False
    )
    client.mkdir("photos")
    client.mkdir("tags")
    client.put(str(pile), "photos/pile", recursive=True)
    return client


@pytest.fixture(scope="module")
def expected(pile, weights, tmp_path_factory):
    """The rows for the same photos on disk."""
    path = tmp_path_factory.mktemp("local") / "tags.jsonl"
    tag_photos([str(pile)], path, batch=16, weights=weights)
    return path.read_text(encoding="utf-8").replace(f"{pile}/", "")


def tagged(account, weights, output, *arguments):
    """Run the command; return its summary."""
    command = [sys.executable, "-m", "hashtagger", "tag", "s3://photos/pile", "--output", output, "--json"]
    command += ["--weights", str(weights), "--batch-size", "16", *arguments]
    environment = {**os.environ, **account, "LANGUAGE": "en", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1, done.stderr  # seven are not photos
    return json.loads(done.stdout)


def read(bucket, path):
    return bucket.cat_file(path).decode().replace("s3://photos/pile/", "").replace("photos/pile/", "")


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_bucket_is_tagged_as_a_folder_is(account, bucket, weights, expected, engine):
    if engine == "ray":
        pytest.importorskip("ray", reason="needs the extra ray")
    summary = tagged(account, weights, f"s3://tags/{engine}/tags.jsonl", "--engine", engine)
    assert (summary["photos"], summary["failed"]) == (150, 7)
    assert read(bucket, f"tags/{engine}/tags.jsonl") == expected
    assert bucket.ls(f"tags/{engine}", detail=False) == [f"tags/{engine}/tags.jsonl"]
