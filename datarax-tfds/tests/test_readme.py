"""The README's example runs, on a dataset that is prepared here."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(data_dir, monkeypatch, capsys):
    """The folder is that of the environment; `toy` stands for `mnist`."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    exec(compile(example.replace("mnist", "toy"), str(README), "exec"), {})
    assert "(4, 4, 3, 1)" in capsys.readouterr().out
