"""The installed package: light imports, a wheel that works outside the checkout, messages in two languages."""

import ast
import inspect
import subprocess
import sys
import typing
import zipfile
from pathlib import Path

import pytest

import hashtagger

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "sklearn",
    "instaloader",
    "lightning",
    "matplotlib",
    "PIL",
    "numpy",
    "requests",
    "http",
    "ssl",
}


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter after running the code."""
    code += "\nimport sys; print('\\n'.join({name.partition('.')[0] for name in sys.modules}))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(process.stdout.split())


def test_light_paths_import_nothing_heavy():
    code = """
import hashtagger
hashtagger.normalize("#댕댕이")
hashtagger.extract_tags("#카페 #꽃")
from hashtagger.cli import group
group(["normalize", "댕댕이"], standalone_mode=False)
group(["--help"], standalone_mode=False)
"""
    assert not modules_after(code) & HEAVY


def test_public_names_survive_imports_of_their_modules():
    import hashtagger.normalize
    import hashtagger.organize
    import hashtagger.recommend
    import hashtagger.related

    for name in ("recommend", "normalize", "organize", "related", "extract_tags"):
        assert callable(getattr(hashtagger, name)), name


def test_type_hints_of_public_names_can_be_read():
    public = [getattr(hashtagger, name) for name in hashtagger.__all__]
    methods = [
        method
        for owner in public
        if inspect.isclass(owner)
        for _name, method in inspect.getmembers(owner)
        if inspect.isfunction(method) or inspect.ismethod(method)
    ]
    for routine in public + methods:
        typing.get_type_hints(routine)


def test_wheel_works_outside_the_checkout(tmp_path, sample_photos):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert any(name.endswith("weights/drn_c_26-hashtags_ko.safetensors") for name in names)
    assert any(name.endswith("ko/LC_MESSAGES/hashtagger.mo") for name in names)
    assert not any("test" in name for name in names)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import hashtagger\n"
        "from hashtagger.models.find import find_weights\n"
        "print(hashtagger.__file__); print(find_weights())\n"
        f"print(hashtagger.recommend({str(sample_photos['flower'])!r}, threshold=0)[0].key)"
    )
    process = subprocess.run(
        [sys.executable, "-P" if sys.version_info >= (3, 11) else "-B", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, weights, key = process.stdout.splitlines()
    assert file.startswith(str(tmp_path))
    assert weights.startswith(str(tmp_path))
    assert key == "flower"


def messages_in_code() -> set[str]:
    """Every string that the code passes to `_`."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: _() takes a plain string"
                found.add(node.args[0].value)
    return found


def test_every_message_is_in_korean():
    import gettext

    from hashtagger.i18n import DOMAIN, LOCALE_DIR

    catalogue = gettext.translation(DOMAIN, LOCALE_DIR, ["ko"])
    missing = [message for message in sorted(messages_in_code()) if catalogue.gettext(message) == message]
    assert not missing


def test_translations_keep_the_placeholders_and_are_compiled():
    import gettext
    import string

    from babel.messages.pofile import read_po

    from hashtagger.i18n import DOMAIN, LOCALE_DIR

    folder = LOCALE_DIR / "ko" / "LC_MESSAGES"
    compiled = gettext.translation(DOMAIN, LOCALE_DIR, ["ko"])
    with (folder / "hashtagger.po").open("rb") as file:
        for message in read_po(file):
            if not message.id or not message.string:
                continue
            if isinstance(message.id, str):
                assert compiled.gettext(message.id) == message.string, "stale .mo: run make messages"
                fields = [{f for _, f, _, _ in string.Formatter().parse(s) if f} for s in (message.id, message.string)]
                assert fields[0] == fields[1], message.id


@pytest.mark.parametrize(
    ("language", "preferred", "word"),
    [
        ("ko_KR.UTF-8", "", "사용법"),
        ("en_US.UTF-8", "", "Usage"),
        ("C", "", "Usage"),
        ("ko_KR.UTF-8", "en_US:ko", "Usage"),
        ("en_US.UTF-8", "fr:ko:en", "사용법"),
    ],
)
def test_help_speaks_the_users_language(language, preferred, word):
    import os

    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    process = subprocess.run(
        [sys.executable, "-m", "hashtagger", "recommend", "--help"],
        env={**environment, "LANG": language, "LC_ALL": language, "LANGUAGE": preferred, "PYTHONUTF8": "1"},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert word in process.stdout
