"""The console script: guards the import path, then hands over to the command line.

`agents`, `tools`, `graphs`, `prompts` and `evals` are generic names. Inside a target that owns a folder `tools/`, a
working-directory or PYTHONPATH entry on the import path would import the target's code in place of ours; and another
distribution may install a package of one of these names over ours. So nothing of ours but this file is imported before
the path is clean and the five packages are known to be our own.
"""

import os
import sys

OWN = ("agents", "evals", "graphs", "prompts", "tools")
HOME = os.path.realpath(__file__).rsplit(os.sep, 2)[0]
"""The folder that holds `perfcrew` and its five neighbours: a clone, or site-packages."""


def main() -> int:
    """Run the command line; the exit code."""
    clean_path()
    problem = find_foreign()
    if problem:
        print(f"perfcrew: {problem}", file=sys.stderr)
        return 2
    from perfcrew.entry.cli import start

    return start()


def clean_path() -> None:
    """Drop the working directory and PYTHONPATH from the import path, but for the folder that perfcrew itself is in."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)  # noqa: TID251 settings can't be imported yet
    dropped = {os.path.realpath(entry) for entry in ("", *given)}
    packages = {os.path.realpath(entry) for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))}
    dropped -= packages | {HOME}
    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) not in dropped]
    for name in list(sys.modules):
        if name.partition(".")[0] in OWN:  # imported by a foreign sitecustomize, say: never ours this early
            del sys.modules[name]


def find_foreign() -> str | None:
    """One line about the first of our packages that isn't ours, or None. Costs about a millisecond."""
    from importlib.util import find_spec

    recorded = _recorded()
    for name in OWN:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            return f"its package {name!r} is missing from {HOME}: install perfcrew again"
        folder = os.path.realpath(spec.origin).rpartition(os.sep)[0]
        if folder != f"{HOME}{os.sep}{name}" or (recorded and not _is_recorded(name, recorded)):
            return (
                f"the package {name!r} in {folder} belongs to {_owner(name)}, not to perfcrew: "
                "install perfcrew in an environment of its own (uv tool install, or pipx)"
            )
    return None


def _recorded() -> dict[str, str]:
    """Installed from a wheel: path → hash of our packages' files, from our RECORD. In a clone: nothing."""
    from pathlib import Path

    for record in Path(HOME).glob("perfcrew-*.dist-info/RECORD"):
        fields = (line.rsplit(",", 2) for line in record.read_text(encoding="utf-8").splitlines())
        return {path: digest for path, digest, _ in fields if path.partition("/")[0] in OWN}
    return {}


def _is_recorded(name: str, recorded: dict[str, str]) -> bool:
    """Whether the package's own file is the one that we installed and nobody else's modules lie beside it."""
    import base64
    import hashlib
    from pathlib import Path

    folder = Path(HOME, name)
    found = base64.urlsafe_b64encode(hashlib.sha256((folder / "__init__.py").read_bytes()).digest()).decode()
    if recorded.get(f"{name}/__init__.py") != f"sha256={found.rstrip('=')}":
        return False
    return all(f"{name}/{module.name}" in recorded for module in folder.glob("*.py"))


def _owner(name: str) -> str:
    from importlib.metadata import packages_distributions

    others = sorted(set(packages_distributions().get(name, [])) - {"perfcrew"})
    return f"the distribution {', '.join(others)}" if others else "something else"


if __name__ == "__main__":
    sys.exit(main())
