"""Names of devices and dtypes: what the folders of an artifact are called."""

from __future__ import annotations

from neml2_aoti_plugin.errors import LeafRequestError

KNOWN_FAMILIES = ("cpu", "cuda", "xpu", "hip", "mps")
"""Device families an artifact may be compiled for, as its folders spell them."""

KNOWN_DTYPES = ("float64", "float32")


def device_family(device: str) -> str:
    """The family of a torch device string: ``"cuda"`` of ``"cuda:1"``."""
    family, colon, index = device.partition(":")
    if family not in KNOWN_FAMILIES:
        known = ", ".join(KNOWN_FAMILIES)
        raise LeafRequestError(
            f"device is '{device}', of the unknown family '{family}'; expected one of {known}, "
            "with an index after a colon or without."
        )
    if colon and not (index.isascii() and index.isdigit()):
        raise LeafRequestError(
            f"device is '{device}', with the index '{index}'; "
            f"expected a number, as in '{family}:0'."
        )
    return family


def check_dtype(dtype: str | None) -> None:
    """Raise unless ``dtype`` is ``None`` or the name of a dtype that artifacts come in."""
    if dtype is not None and dtype not in KNOWN_DTYPES:
        raise LeafRequestError(
            f"dtype is '{dtype}'; expected one of {', '.join(KNOWN_DTYPES)}, or None to choose "
            "by what the artifact holds."
        )
