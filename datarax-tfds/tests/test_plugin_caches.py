"""What `datarax doctor` is told of the folder of `tfds:`."""

from datarax_tfds.plugin import plugin


def test_the_folder_is_that_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert plugin.caches() == {"prepared datasets": str(tmp_path)}
