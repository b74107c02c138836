"""Choose the device for a network, without importing torch on machines that have only a CPU."""

import platform
import sys
from functools import lru_cache
from pathlib import Path

from hashtagger.errors import HashtaggerError
from hashtagger.i18n import _

_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Device files of the drivers of NVIDIA, WSL and AMD."""


def find_device(name: str = "auto") -> str:
    """Resolve a device name.

    Args:
        name: ``"auto"`` (CUDA, then Apple's MPS, then the CPU), or a torch device name.

    Raises:
        HashtaggerError: The device is not available.
    """
    if name == "cpu" or (name == "auto" and not _may_have_accelerator()):
        return "cpu"
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise HashtaggerError(
            _("no device {name!r} here ({cause})").format(name=name, cause=str(error).splitlines()[0])
        ) from error
    return "cpu" if name.partition(":")[0] == "cpu" else name


def computes_bfloat16(device: str) -> bool:
    """Whether a device has bfloat16 in hardware, which is at least twice as fast as float32."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device == "cpu" and bool(cpu_flags() & {"avx512_bf16", "amx_bf16"})


def sums_int8_exactly() -> bool:
    """Whether the CPU accumulates int8 products in 32 bits (VNNI, or any ARM); older x86 CPUs saturate at 16 bits.

    On systems other than Linux, any x86 CPU is assumed to be an older one.
    """
    x86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
    return not x86 or bool(cpu_flags() & {"avx512_vnni", "avx_vnni"})


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """The CPU's feature flags, as Linux names them; empty on other systems."""
    return frozenset(_cpu_line("flags").split())


def cpu_name() -> str:
    """The CPU's model name."""
    return _cpu_line("model name") or platform.processor() or platform.machine()


def _cpu_line(name: str) -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _may_have_accelerator() -> bool:
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        from ctypes.util import find_library

        return find_library("nvcuda") is not None
    return any(Path(driver).exists() for driver in _DRIVERS)
