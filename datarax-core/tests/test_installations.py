"""Every way a plugin comes to be installed: editable, zipped, frozen, with extras, shadowed."""

import subprocess
import sys
import zipfile

import pytest

import datarax
from datarax.errors import (
    SourceBrokenError,
    SourceConflictError,
    SourceNotInstalledError,
    UnknownSourceError,
)
from datarax.registry.metadata import OldDistributionWarning


def listed(scheme):
    return {info.scheme: info for info in datarax.list_sources()}[scheme]


def rows(uri):
    with datarax.load(uri, mode="lazy") as source:
        return [int(source.reader[i]["x"]) for i in range(len(source))]


def run(code, *, home):
    done = subprocess.run(
        [sys.executable, *home, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_editable_installation_is_found_by_its_dist_info_and_read_from_its_sources(
    publish, tmp_path
):
    """As pip leaves it: metadata in site-packages, and a .pth file that names the sources."""
    module = publish("toy", value=4)
    sources = tmp_path / "checkout" / "src"
    sources.mkdir(parents=True)
    (publish.folder / f"{module}.py").rename(sources / f"{module}.py")
    (publish.folder / "__editable__.toy.pth").write_text(f"{sources}\n")
    code = (
        f"import site; site.addsitedir({str(publish.folder)!r})\n"
        "import datarax\n"
        "(info,) = [i for i in datarax.list_sources() if i.scheme == 'toy']\n"
        "with datarax.load('toy:', mode='lazy') as source:\n"
        "    print(info.status, info.distribution, int(source.reader[0]['x']))\n"
    )
    assert run(code, home=[]) == "ok datarax-toy 4"


def test_a_zipped_application_keeps_its_plugins(publish, tmp_path, monkeypatch):
    publish("toy", value=5, extra="Keywords: datarax:toy=streaming")
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in publish.folder.rglob("*"):
            out.write(path, path.relative_to(publish.folder))
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(publish.folder)])
    datarax.refresh()
    with pytest.raises(UnknownSourceError):
        datarax.load("toy:")
    monkeypatch.syspath_prepend(str(archive))
    datarax.refresh()
    info = listed("toy")
    assert (info.distribution, info.version, info.status) == ("datarax-toy", "1.0", "ok")
    assert info.capabilities == {"streaming"}
    assert rows("toy:") == [5, 6, 7]


def test_a_frozen_application_that_lost_its_entry_points_registers_its_plugins(
    publish, nothing_installed
):
    """Freezers keep modules and drop metadata; then only `memory:` and what is registered is left."""
    module = publish("toy", value=6)
    for info in publish.folder.glob("*.dist-info"):
        for path in info.iterdir():
            path.unlink()
        info.rmdir()
    datarax.refresh()
    with pytest.raises(SourceNotInstalledError, match="pip install datarax-hf"):
        datarax.load("hf:mnist")
    with pytest.raises(UnknownSourceError, match="installed are 'memory'"):
        datarax.load("toy:")
    sys.path.insert(0, str(publish.folder))
    datarax.register("toy", __import__(module).plugin)
    assert rows("toy:") == [6, 7, 8]
    assert rows_of_memory() == [1]


def rows_of_memory():
    with datarax.load("memory:", data={"x": [1]}) as source:
        return [int(e["x"]) for e in source]


def entry_points(publish, text):
    info = next(publish.folder.glob("*.dist-info"))
    (info / "entry_points.txt").write_text(text)
    datarax.refresh()


def test_an_entry_point_may_ask_for_extras(publish):
    """`name = module:object [extra]` is legal; the extra is the installer's, not the loader's."""
    module = publish("toy", value=7)
    entry_points(publish, f"[datarax.sources]\ntoy = {module}:plugin [fast, images]\n")
    assert listed("toy").status == "ok"
    assert rows("toy:") == [7, 8, 9]


def test_an_entry_point_may_name_an_attribute_of_an_object_or_a_whole_module(publish):
    module = publish("toy", value=8)
    code = (publish.folder / f"{module}.py").read_text()
    (publish.folder / f"{module}.py").write_text(code + "\nclass Held:\n    inner = plugin\n")
    entry_points(publish, f"[datarax.sources]\ntoy = {module}:Held.inner\n")
    assert rows("toy:") == [8, 9, 10]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[datarax.sources]\ntoy = {module}:gone\n", "AttributeError"),
        ("[datarax.sources]\ntoy = {module}.inside:plugin\n", "ModuleNotFoundError"),
    ],
)
def test_an_entry_point_that_names_nothing_is_broken_and_not_unknown(publish, text, error):
    module = publish("toy")
    entry_points(publish, text.format(module=module))
    with pytest.raises(SourceBrokenError, match=f"datarax-toy 1.0.*{error}"):
        datarax.load("toy:")


def test_two_schemes_of_one_distribution_both_answer(publish):
    module = publish("toy", value=9)
    entry_points(publish, f"[datarax.sources]\ntoy = {module}:plugin\ntoy2 = {module}:plugin\n")
    assert rows("toy:") == rows("toy2:") == [9, 10, 11]


def test_a_distribution_without_the_group_or_without_entry_points_is_passed_over(publish):
    publish("toy")
    entry_points(publish, "[console_scripts]\ntoy = toy:main\n")
    with pytest.raises(UnknownSourceError):
        datarax.load("toy:")
    (next(publish.folder.glob("*.dist-info")) / "entry_points.txt").unlink()
    datarax.refresh()
    assert listed("memory").status == "ok"


def test_an_older_copy_behind_on_the_path_is_shadowed_as_its_modules_are(
    publish, tmp_path, monkeypatch
):
    publish("toy", version="2.0", value=2)
    behind = tmp_path / "behind"
    (behind / "datarax_toy-1.0.dist-info").mkdir(parents=True)
    info = next(publish.folder.glob("*.dist-info"))
    for path in info.iterdir():
        text = path.read_text().replace("Version: 2.0", "Version: 1.0")
        (behind / "datarax_toy-1.0.dist-info" / path.name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path, str(behind)])
    datarax.refresh()
    assert (listed("toy").version, listed("toy").status) == ("2.0", "ok")
    assert rows("toy:") == [2, 3, 4]


def test_one_name_spelt_in_two_ways_is_one_distribution(publish, tmp_path, monkeypatch):
    """`Acme.Toys` and `acme_toys` are one name (PEP 503): the first on the path shadows the other."""
    publish("toy", distribution="acme-toys", value=1)
    behind = tmp_path / "behind"
    (behind / "Acme.Toys-1.0.dist-info").mkdir(parents=True)
    info = next(publish.folder.glob("*.dist-info"))
    for path in info.iterdir():
        text = path.read_text().replace("Name: acme-toys", "Name: Acme.Toys")
        (behind / "Acme.Toys-1.0.dist-info" / path.name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path, str(behind)])
    datarax.refresh()
    assert rows("toy:") == [1, 2, 3]


def test_another_distribution_with_that_scheme_behind_on_the_path_is_a_conflict_still(
    publish, tmp_path, monkeypatch
):
    publish("toy", distribution="a-toys")
    behind = tmp_path / "behind"
    (behind / "b_toys-1.0.dist-info").mkdir(parents=True)
    info = next(publish.folder.glob("*.dist-info"))
    for path in info.iterdir():
        text = path.read_text().replace("Name: a-toys", "Name: b-toys")
        (behind / "b_toys-1.0.dist-info" / path.name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path, str(behind)])
    datarax.refresh()
    with pytest.raises(SourceConflictError, match=r"a-toys 1.0 and b-toys 1.0"):
        datarax.load("toy:")


@pytest.mark.parametrize("left", ["", "Metadata-Version: 2.1\nName: datarax-left\n"])
def test_an_uninstallation_that_was_broken_off_disturbs_no_other(publish, left):
    """It leaves entry points, and of the metadata nothing or a part."""
    publish("toy", value=3)
    publish("left", "raise RuntimeError('gone')")
    info = publish.folder / "datarax_left-1.0.dist-info"
    (info / "METADATA").write_text(left)
    if not left:
        (info / "METADATA").unlink()
    datarax.refresh()
    assert rows("toy:") == [3, 4, 5]
    assert listed("left").distribution == ("datarax-left" if left else "datarax_left")
    assert listed("left").version == (None if left else "1.0")
    with pytest.raises(SourceBrokenError, match="RuntimeError: gone"):
        datarax.load("left:")
    assert listed("left").status == "broken"


def test_the_older_distribution_beside_core_is_said(publish):
    info = publish.folder / "datarax-0.1.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: datarax\nVersion: 0.1.4\n")
    datarax.refresh()
    with pytest.warns(OldDistributionWarning, match=r"datarax 0\.1\.4 .* pip uninstall datarax"):
        datarax.list_sources()
    datarax.list_sources()  # said once a scan
    datarax.refresh()
    with pytest.warns(OldDistributionWarning):
        datarax.load("memory:", data={"x": [1]}).close()
