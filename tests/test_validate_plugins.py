"""Each plugin of this repository is validated as a third party's: on the sample that it makes."""

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("distribution", ["datarax-hf", "datarax-tfds", "datarax-arrayrecord"])
def test_it_keeps_the_contract_where_it_is_installed(distribution, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "datarax", "validate", distribution, "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["passed"], said["failures"]
    assert said["count"] > 150
