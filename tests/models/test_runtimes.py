import hashlib
import inspect
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from hashtagger.errors import HashtaggerError, WeightsError
from hashtagger.models import create_model, device
from hashtagger.models.config import METADATA_KEY, ModelConfig
from hashtagger.models.export import export_onnx, export_program
from hashtagger.models.find import find_weights
from hashtagger.models.onnxfile import read_metadata
from hashtagger.models.quantize import fit_ranges, quantize, write_config
from hashtagger.models.runtimes import Choice, choose, fold, onnx_runtime, open_runtime, torch_runtime
from hashtagger.models.weights import CHECKSUMS, fingerprint, read_config, save_weights
from hashtagger.recommend import Recommender
from hashtagger.vocabulary import Label

pytest.importorskip("onnxruntime")
NARROW = {"channels": [8] * 8}
CONFIG = ModelConfig(
    "drn_c_26",
    "fruit",
    ("a", "b", "c"),
    48,
    temperature=1.5,
    threshold=0.2,
    model_args=NARROW,
    labels=(Label("a", "사과", "Apple", ("apple",)), Label("b", "배", "Pear"), Label("c", "감", "Persimmon")),
)


def trained_looking(seed=0):
    """A narrow DRN whose batch norms have nontrivial statistics, so that folding them matters."""
    torch.manual_seed(seed)
    network = create_model("drn_c_26", num_classes=3, **NARROW)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return network.eval()


def random_pixels(photos, seed=0):
    return np.random.default_rng(seed).uniform(-2, 2, (photos, 3, 48, 48)).astype(np.float32)


def logits_of(network, pixels):
    with torch.inference_mode():
        return network(torch.from_numpy(pixels)).numpy()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a network as .safetensors, .onnx and .int8.onnx, and the network itself."""
    folder = tmp_path_factory.mktemp("weights")
    network = trained_looking()
    save_weights(folder / "x.safetensors", network, CONFIG, dtype=torch.float32)
    export_onnx(network, CONFIG, folder / "x.onnx")
    quantize(folder / "x.onnx", folder / "x.int8.onnx", [random_pixels(8, seed) for seed in (1, 2, 3, 4)])
    said = {"agreement": 0.99, "top1": 0.7, "top1_float": 0.71, "photos": 100}
    write_int8(folder / "x.int8.onnx", {**said, "made_from": fingerprint(folder / "x.safetensors")})
    return folder, network


def write_int8(path, said):
    write_config(path, replace(CONFIG, figures={"int8": said}))


@pytest.mark.parametrize("photos", [1, 2, 7])
def test_float_runtimes_give_the_networks_logits(files, photos):
    folder, network = files
    pixels = random_pixels(photos, seed=9)
    expected = logits_of(network, pixels)
    found = onnx_runtime(folder / "x.onnx")(pixels)
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # On CPUs with bfloat16, torch rounds to eight bits at every layer.
    np.testing.assert_allclose(torch_runtime(network, "cpu")(pixels), expected, atol=0.05 * np.abs(expected).max())


def test_int8_is_near_and_small(files):
    folder, network = files
    pixels = random_pixels(32, seed=9)
    expected = logits_of(network, pixels)
    found = onnx_runtime(folder / "x.int8.onnx")(pixels)
    assert np.abs(found - expected).max() < 0.25 * np.abs(expected).max()
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    # A photo's logits do not depend on the rest of its batch.
    np.testing.assert_allclose(onnx_runtime(folder / "x.int8.onnx")(pixels[:1]), found[:1], atol=1e-5)


def test_ranges_of_networks_whose_tensors_are_not_all_of_photos():
    """As in transformers: shapes, photos folded into rows, and one value for all photos."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Shape", ["pixels"], ["shape"]),
        helper.make_node("Reshape", ["pixels", "to"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weight"], ["products"]),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], keepdims=1),
    ]
    constants = {"to": np.array([-1, 64]), "weight": np.ones((64, 2), np.float32)}
    graph = helper.make_graph(
        nodes,
        "folded",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["photos", 3, 8, 8])],
        [helper.make_tensor_value_info("products", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    ranges = fit_ranges(onnx.shape_inference.infer_shapes(model), [np.ones((n, 3, 8, 8), np.float32) for n in (4, 3)])
    assert set(ranges) == {"pixels", "rows", "products", "mean"}
    assert ranges["products"] == pytest.approx((0, 64), rel=0.01)
    assert ranges["mean"] == pytest.approx((0, 1), rel=0.01)


def test_cpus_that_would_overflow_multiply_int8_the_slow_way(files, monkeypatch):
    folder, _network = files
    pixels = random_pixels(8, seed=9)

    def opened(flags):
        monkeypatch.setattr(device, "cpu_flags", lambda: frozenset(flags))
        monkeypatch.setattr(device.platform, "machine", lambda: "x86_64")
        compute = onnx_runtime(folder / "x.int8.onnx")
        options = inspect.getclosurevars(compute).nonlocals["session"].get_session_options()
        try:
            return compute(pixels), options.get_session_config_entry("session.x64quantprecision")
        except RuntimeError:  # no such entry
            return compute(pixels), None

    old, slow = opened({"avx2"})
    new, fast = opened({"avx2", "avx_vnni"})
    assert (slow, fast) == ("1", None)
    np.testing.assert_allclose(old, new, atol=0.05 * np.abs(new).max())


def test_fold_keeps_the_function_and_the_network():
    network = trained_looking()
    pixels = random_pixels(2)
    expected = logits_of(network, pixels)
    folded = fold(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    np.testing.assert_allclose(logits_of(folded, pixels), expected, atol=1e-4)
    np.testing.assert_array_equal(logits_of(network, pixels), expected)


def test_fold_copies_what_it_cannot_follow():
    class Branching(torch.nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x

    network = Branching()
    folded = fold(network)
    assert folded is not network
    assert folded(torch.ones(1)).item() == 2


def test_exported_files_hold_no_batch_norm_and_say_their_config(files, tmp_path):
    import onnx

    folder, network = files
    graph = onnx.load(folder / "x.onnx").graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    assert read_config(folder / "x.onnx") == CONFIG
    assert read_config(folder / "x.int8.onnx").temperature == CONFIG.temperature
    assert not list(folder.glob("*.partial"))

    export_program(network, CONFIG, tmp_path / "x.pt2")
    extra = {METADATA_KEY: ""}
    program = torch.export.load(tmp_path / "x.pt2", extra_files=extra)
    assert ModelConfig.from_json(extra[METADATA_KEY]) == CONFIG
    assert not any("batch_norm" in str(node.target) for node in program.graph.nodes)
    for photos in (1, 5):
        pixels = random_pixels(photos)
        answer = program.module()(torch.from_numpy(pixels)).detach().numpy()
        np.testing.assert_allclose(answer, logits_of(network, pixels), atol=1e-4)


def test_metadata_is_what_onnx_reads(files):
    import onnx

    for path in files[0].glob("*.onnx"):
        expected = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        assert METADATA_KEY in expected
        assert read_metadata(path) == expected


def test_an_onnx_file_alone_is_enough(files, tmp_path, sample_photos):
    folder, _network = files
    alone = tmp_path / "alone.onnx"
    alone.write_bytes((folder / "x.onnx").read_bytes())
    mine = Recommender(weights=alone)
    theirs = Recommender(weights=folder / "x.safetensors", runtime="torch")
    assert (mine.choice.runtime, mine.image_size, mine.vocabulary.tags) == ("onnx", 48, ["사과", "배", "감"])
    photos = list(sample_photos.values())
    np.testing.assert_allclose(mine.scores(photos), theirs.scores(photos), atol=0.02)
    assert [r.tag for r in mine.recommend(photos[0], top_k=3, threshold=0)]
    with pytest.raises(WeightsError, match=r"alone\.onnx: an ONNX file is for recommending only"):
        mine.heatmap(photos[0], "a")
    with pytest.raises(WeightsError, match=r"alone\.onnx: the torch runtime takes a \.safetensors file"):
        Recommender(weights=alone, runtime="torch")


def test_onnx_computes_on_the_cpu_of_a_machine_with_a_gpu(files, monkeypatch):
    folder, _network = files
    monkeypatch.setattr(device, "find_device", lambda name: "mps" if name == "auto" else name)
    assert Recommender(weights=folder / "x.onnx").device == "cpu"
    assert Recommender(weights=folder / "x.safetensors", runtime="onnx").device == "cpu"
    with pytest.raises(HashtaggerError, match="the onnx runtime computes on the CPU only, not on mps"):
        Recommender(weights=folder / "x.onnx", device="mps")


def test_a_heat_map_beside_the_onnx_runtime(files, sample_photos):
    recommender = Recommender(weights=files[0] / "x.safetensors", runtime="onnx")
    assert recommender.choice.file.name == "x.int8.onnx"
    heat = recommender.heatmap(sample_photos["flower"], "a")
    assert heat.shape == (427, 640)


def test_auto_takes_int8_of_these_very_weights_where_it_agrees(files, tmp_path):
    folder, _network = files
    weights, int8 = tmp_path / "x.safetensors", tmp_path / "x.int8.onnx"
    weights.write_bytes((folder / "x.safetensors").read_bytes())
    assert choose(weights, "cpu") == Choice("torch", weights, "there is no x.int8.onnx")
    int8.write_bytes((folder / "x.int8.onnx").read_bytes())
    assert choose(weights, "cpu") == Choice("onnx", int8, "int8 is the fastest here and agrees on 99.0% of photos")
    # A file that the user named is never replaced, and other devices are faster than int8.
    named = "a weights file was given; runtime onnx uses the ONNX file beside it"
    assert choose(weights, "cpu", bundled=False) == Choice("torch", weights, named)
    assert choose(weights, "cpu", "torch", bundled=False) == Choice("torch", weights, "as asked")
    assert choose(weights, "cuda") == Choice("torch", weights, "the device is cuda")
    write_int8(int8, {"agreement": 0.9, "made_from": fingerprint(weights)})
    assert choose(weights, "cpu") == Choice("torch", weights, "x.int8.onnx agrees on 90.0% of photos only")
    write_int8(int8, {"made_from": fingerprint(weights)})
    unmeasured = "the agreement of x.int8.onnx was not measured: export it with --check"
    assert choose(weights, "cpu") == Choice("torch", weights, unmeasured)
    write_int8(int8, {"agreement": 0.99, "made_from": fingerprint(weights)})
    assert choose(weights, "cpu").runtime == "onnx"
    save_weights(weights, trained_looking(seed=1), CONFIG)
    assert choose(weights, "cpu") == Choice("torch", weights, "x.int8.onnx was made from other weights")


def test_auto_takes_the_float_onnx_file_of_these_very_weights_where_int8_is_no_choice(files, tmp_path):
    folder, network = files
    weights, exact = tmp_path / "x.safetensors", tmp_path / "x.onnx"
    weights.write_bytes((folder / "x.safetensors").read_bytes())
    exact.write_bytes((folder / "x.onnx").read_bytes())
    assert choose(weights, "cpu") == Choice("torch", weights, "x.onnx was made from other weights")
    export_onnx(network, replace(CONFIG, figures={"onnx": {"made_from": fingerprint(weights)}}), exact)
    assert choose(weights, "cpu") == Choice("onnx", exact, "onnxruntime is faster here than torch")
    assert choose(weights, "cuda").runtime == "torch"
    int8 = tmp_path / "x.int8.onnx"
    int8.write_bytes((folder / "x.int8.onnx").read_bytes())
    assert choose(weights, "cpu").file == int8
    write_int8(int8, {"agreement": 0.9, "made_from": fingerprint(weights)})
    assert choose(weights, "cpu").file == exact


def test_the_cpu_by_any_name_is_the_cpu():
    assert device.find_device("cpu:0") == "cpu"
    with pytest.raises(HashtaggerError, match="no device 'cpu:x' here"):
        device.find_device("cpu:x")


def test_auto_without_onnxruntime_is_torch(files, monkeypatch):
    monkeypatch.setattr("hashtagger.models.runtimes.find_spec", lambda name: None)
    choice = choose(files[0] / "x.safetensors", "cpu")
    assert choice.runtime == "torch"
    assert "pip install '.[onnx]' in a clone of hashtagger" in choice.why


def test_the_bundled_int8_file_takes_the_place_of_the_bundled_weights():
    weights = find_weights("hashtags_ko")
    if not weights.with_suffix(".int8.onnx").is_file():
        pytest.skip("no int8 file is bundled")
    assert choose(weights, "cpu").runtime == "onnx", choose(weights, "cpu").why


def test_fingerprint_is_the_listed_one_or_that_of_the_bytes(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(b"abc")
    assert fingerprint(path) == hashlib.sha256(b"abc").hexdigest()
    (tmp_path / CHECKSUMS).write_text("1234  x.bin\n")
    assert fingerprint(path) == "1234"


def test_wrong_runtimes_are_one_line(files, tmp_path):
    weights = files[0] / "x.safetensors"
    with pytest.raises(HashtaggerError, match="no runtime 'abacus'; there are: auto, torch, onnx"):
        choose(weights, "cpu", "abacus")
    with pytest.raises(HashtaggerError, match="the onnx runtime computes on the CPU only, not on cuda"):
        choose(weights, "cuda", "onnx")
    alone = tmp_path / "y.safetensors"
    alone.write_bytes(weights.read_bytes())
    # An int8 file made from other weights would give another network's results.
    write_int8(shutil.copy(files[0] / "x.int8.onnx", tmp_path / "y.int8.onnx"), {"made_from": "another"})
    with pytest.raises(WeightsError, match=r"y\.safetensors: no y\.onnx beside it; make it: hashtagger export"):
        choose(alone, "cpu", "onnx")
    exact = shutil.copy(files[0] / "x.onnx", tmp_path / "y.onnx")
    assert choose(alone, "cpu", "onnx") == Choice("onnx", exact, "as asked")
    export_onnx(files[1], replace(CONFIG, figures={"onnx": {"made_from": "another"}}), exact)
    with pytest.raises(WeightsError, match=r"y\.safetensors: y\.onnx was made from other weights"):
        choose(alone, "cpu", "onnx")
    with pytest.raises(WeightsError, match=r"absent\.safetensors: no such weights file"):
        choose(tmp_path / "absent.safetensors", "cpu", "onnx")


@pytest.mark.parametrize("keep", [0, 1, 10, -10])
def test_truncated_onnx(files, tmp_path, keep):
    path = tmp_path / "x.onnx"
    path.write_bytes((files[0] / "x.onnx").read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"x\.onnx: (truncated, or not an ONNX file|does not name its labels)"):
        Recommender(weights=path)


def test_wrong_onnx_files(files, tmp_path):
    import onnx

    with pytest.raises(WeightsError, match=r"no\.onnx: no such weights file"):
        Recommender(weights=tmp_path / "no.onnx")
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0123456789" * 10)
    with pytest.raises(WeightsError, match=r"foreign\.onnx: truncated, or not an ONNX file"):
        Recommender(weights=foreign)
    model = onnx.load(files[0] / "x.onnx")
    model.ClearField("metadata_props")
    onnx.save(model, foreign)
    with pytest.raises(WeightsError, match=r"foreign\.onnx: does not name its labels"):
        Recommender(weights=foreign)
    model.ClearField("graph")
    onnx.helper.set_model_props(model, {METADATA_KEY: CONFIG.to_json()})
    onnx.save(model, foreign)
    with pytest.raises(WeightsError, match=r"foreign\.onnx: damaged ONNX file") as raised:
        Recommender(weights=foreign)
    assert "\n" not in str(raised.value)


def test_checksum_catches_a_changed_byte(files, tmp_path):
    path = tmp_path / "x.onnx"
    content = bytearray((files[0] / "x.onnx").read_bytes())
    (tmp_path / CHECKSUMS).write_text(f"{hashlib.sha256(content).hexdigest()}  x.onnx\n")
    path.write_bytes(content)
    onnx_runtime(path)
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"x\.onnx: damaged: its SHA-256"):
        open_runtime(Choice("onnx", path, ""), "cpu")


@pytest.mark.parametrize(
    ("suffix", "imported", "spared"),
    [
        (".onnx", {"onnxruntime"}, {"torch", "torchvision", "timm", "sklearn", "safetensors", "onnx", "matplotlib"}),
        (".safetensors", {"torch"}, {"torchvision", "timm", "sklearn", "onnxruntime", "matplotlib"}),
    ],
)
def test_recommending_imports_only_what_it_needs(files, sample_photos, suffix, imported, spared):
    code = (
        "import sys; from hashtagger.cli import group;"
        "group(sys.argv[1:], standalone_mode=False);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    weights = files[0] / f"x{suffix}"
    arguments = ["recommend", "--json", "--threshold", "0", "--weights", weights, sample_photos["flower"]]
    process = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    (document,) = json.loads(process.stdout)
    assert len(document["tags"]) == 3
    modules = set(process.stderr.split())
    assert modules >= imported
    assert not modules & spared
