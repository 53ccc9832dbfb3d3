"""What `datarax doctor` is told of the folders of `hf:`."""

from datarax_hf.plugin import plugin


def test_the_folders_are_those_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("DATARAX_CACHE", raising=False)
    assert plugin.caches() == {
        "downloads": str(tmp_path / "hub"),
        "derived": str(tmp_path / "datarax"),
    }
    monkeypatch.setenv("DATARAX_CACHE", str(tmp_path / "elsewhere"))
    assert plugin.caches()["derived"] == str(tmp_path / "elsewhere")
