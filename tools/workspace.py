"""Where a run works: its folders, its target, what instruments share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perfcrew.artifacts import Artifacts
from perfcrew.records.target import Target
from tools.run_network import Network, RunNetwork


@dataclass(frozen=True)
class Workspace:
    """The world as a tool sees it. One per run; tools never reach outside it."""

    run_id: str
    folder: Path
    """The run's own folder: journal, artifacts, clone, worktrees, data."""
    home: Path
    """perfcrew's folder over all runs: environments, leases, runs."""
    target: Target
    base_commit: str
    artifacts: Artifacts
    environment: str
    """Digest of machine and settings, stored with each measurement."""
    sandbox: bool = True
    quick: bool = False
    """Shorter measurements with wider intervals; for tests. Never changes a rule."""
    worktree: Path | None = None
    """The coder's worktree in its current step; None where nothing may be written."""
    protected: tuple[str, ...] = field(default=())
    """Globs that no write may touch: the target's, the setup inputs and the description itself."""
    config_folder: Path = Path()
    """Where the target's description lies: `{case}` in commands."""
    config_path: Path | None = None
    """The description itself. Where it lies in the repository, it looks empty to everything that is confined."""
    installers: Mapping[str, str] = field(default_factory=dict)
    """The user's variables that installers need, for setup only: proxies, package indexes, certificates."""
    programs: Mapping[str, Path] = field(default_factory=dict)
    """External programs that the user named: `chromium`, and the folder `node_modules`."""
    own_environments: bool = False
    """Each commit gets the environment that its own setup inputs ask for: for comparing commits of the user's own. In a
    run all arms share the base's, as no change may touch these files, and setup has the network."""
    load_workers: str = ""
    """Locust workers on other hosts that send the load, as the setting has it; empty where this machine does."""
    candidate: str = ""
    """The commit under validation; empty before there is one."""
    network: RunNetwork | None = None
    """Where applications run, and what talks to them; None where they share the machine's network."""

    @property
    def reach(self) -> Network:
        """The network of processes that are applications or talk to them."""
        return self.network or "host"

    @property
    def clone(self) -> Path:
        """The run's own clone; the user's repository is only read, and at the end given a branch."""
        return self.folder / "clone"

    @property
    def worktrees(self) -> Path:
        """Checkouts, one per commit that runs as an arm."""
        return self.folder / "worktrees"

    @property
    def data(self) -> Path:
        """Data folders of the arms and the pristine copy."""
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        """What servers, seeds and migrations said."""
        return self.folder / "logs"

    @property
    def processes(self) -> Path:
        """List of what runs, for ending it after a crash."""
        return self.folder / "processes"
