"""Install the oldest releases that a distribution says it works with, for it and for its core.

    python .ci/oldest.py datarax-hf

Every requirement `name>=version` in the metadata of the installed distribution, of datarax-core
and of its extra `testing` becomes `name==version`. There is no other list.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

OWN = "datarax-"


def floors(distribution: str, extra: str) -> dict[str, Version]:
    """Return the least version of each requirement that holds on this Python."""
    found = {}
    for line in requires(distribution) or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        least = [clause.version for clause in requirement.specifier if clause.operator == ">="]
        if name.startswith(OWN):
            continue
        if not least:
            sys.exit(f"{distribution} requires {line!r} and names no oldest version")
        found[name] = Version(least[0])
    return found


pins: dict[str, Version] = {}
for part, extra in ((sys.argv[1], ""), ("datarax-core", ""), ("datarax-core", "testing")):
    for name, least in floors(part, extra).items():
        pins[name] = max(least, pins.get(name, least))
wanted = [f"{name}=={least}" for name, least in sorted(pins.items())]
print("oldest:", *wanted)
command = ["uv", "pip", "install", "-q", "--python", sys.executable, *wanted]
sys.exit(subprocess.run(command, check=False).returncode)
