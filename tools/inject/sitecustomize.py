"""Starts the tracer in a target's own interpreter when PERFCREW_TRACE names a folder.

Python imports `sitecustomize` at start-up from the first place on its path. Ours loads the tracer, takes its
folder off the path again, and then loads the `sitecustomize` that it stood in front of, if there is one.
"""

# pathlib would be one more module that the target did not ask for.
# ruff: noqa: PTH100, PTH109, PTH120

import importlib
import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _start_tracer() -> None:
    folder = os.environ.get("PERFCREW_TRACE")  # noqa: TID251  the target's process, where perfcrew.settings is not
    watch = os.environ.get("PERFCREW_WATCH", "")  # noqa: TID251  as above
    if not folder:
        return
    try:
        importlib.import_module("perfcrew_tracer").activate(folder, os.getcwd(), watch)
    except Exception as error:  # noqa: BLE001  a target must start whatever becomes of its tracer
        sys.stderr.write(f"perfcrew: tracing is off: {error!r}\n")


def _load_shadowed() -> None:
    elsewhere = [entry for entry in sys.path if os.path.abspath(entry or os.getcwd()) != _HERE]
    sys.path[:] = elsewhere
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    _start_tracer()
    _load_shadowed()
