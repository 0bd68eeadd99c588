"""When to take ``neml2.aoti`` over; imports neither torch nor neml2.

==============================================  ==================================================
``neml2`` is                                    :func:`activate`
==============================================  ==================================================
not imported, or has not reached its aoti part  installs the finder; the import does the rest
executing ``neml2.aoti``                        leaves it to whoever is at work
imported, with ``neml2.aoti`` complete          replaces what is loaded, in place
imported, but without a working ``neml2.aoti``  installs the finder and imports ``neml2.aoti``
==============================================  ==================================================

Models that exist before a late activation keep the runtime they have.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from _neml2_aoti_plugin_autoload import (
    TARGET,
    TakeOverLoader,
    install,
    is_debugging,
    is_switched_off,
    warn_of,
)


def activate() -> None:
    """Make neml2 use this package for its compiled models, now or as soon as it is imported.

    Idempotent; also repairs the registration after a reload of neml2's own module. Does nothing
    under ``NEML2_AOTI_PLUGIN=0``. Trouble is one warning, or an error under
    ``NEML2_AOTI_PLUGIN_DEBUG=1``; neml2 is then left as it is.
    """
    if is_switched_off() or TakeOverLoader.is_at_work:
        return
    install()
    neml2 = sys.modules.get("neml2")
    aoti = sys.modules.get(TARGET)
    try:
        if aoti is not None:
            if not _is_initializing(aoti):
                _take_over_loaded(aoti)
        elif neml2 is not None and not _is_initializing(neml2):
            importlib.import_module(TARGET)
    except Exception as error:
        if is_debugging():
            raise
        warn_of(error)


def _take_over_loaded(aoti: ModuleType) -> None:
    from neml2_aoti_plugin.takeover import take_over_loaded

    take_over_loaded(aoti)


def _is_initializing(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))
