"""From a path to shards: files, folders, globs, and what a set lacks."""

import pytest

from datarax.errors import CacheMissError, CorruptDataError
from datarax_arrayrecord.files import find


@pytest.fixture
def touch(tmp_path):
    """Return a function that makes empty files by name: nothing here opens them."""

    def touch(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return touch


def names(shards):
    return [file.name for file in shards.found]


def test_a_file_is_one_shard_whatever_its_name(touch):
    """A file named by hand is read without its siblings."""
    folder = touch("odd.name", "a.array_record-00000-of-00002")
    assert names(find(str(folder / "odd.name"))) == ["odd.name"]
    alone = find(str(folder / "a.array_record-00000-of-00002"))
    assert (len(alone.found), alone.lacking) == (1, ())


def test_a_folder_gives_its_shards_by_name_and_nothing_else(touch):
    """Sidecars, hidden files and folders are passed over."""
    folder = touch(
        "part-1.array_record",
        "part-0.array_record",
        "features.json",
        ".part-2.array_record",
        "part-3.array_record/x",
    )
    assert names(find(str(folder))) == ["part-0.array_record", "part-1.array_record"]


def test_the_other_spelling_is_a_shard_too(touch):
    """Files named .arrayrecord are found in a folder."""
    assert names(find(str(touch("a.arrayrecord")))) == ["a.arrayrecord"]


def test_a_glob_gives_what_it_matches_by_name(touch):
    """Several sets may be asked for by a glob."""
    folder = touch("b.array_record", "a.array_record", "sub/c.array_record", "c.txt")
    assert names(find(str(folder / "*.array_record"))) == ["a.array_record", "b.array_record"]
    assert names(find(str(folder / "**" / "*.array_record"))) == [
        "a.array_record",
        "b.array_record",
        "c.array_record",
    ]


def test_a_path_that_exists_is_not_read_as_a_glob(touch):
    """A bracket in a name is a bracket."""
    folder = touch("x[1].array_record", "x1.array_record")
    assert names(find(str(folder / "x[1].array_record"))) == ["x[1].array_record"]


def test_a_home_folder_is_understood(touch, monkeypatch):
    """A tilde is the home folder."""
    monkeypatch.setenv("HOME", str(touch("a.array_record")))
    assert names(find("~/a.array_record")) == ["a.array_record"]


def test_the_lacking_shards_of_a_set_are_named(touch):
    """Two of four lie there; the other two are lacking, by their full paths."""
    folder = touch("d.array_record-00000-of-00004", "d.array_record-00002-of-00004")
    lacking = [str(folder / f"d.array_record-0000{index}-of-00004") for index in (1, 3)]
    assert [str(file) for file in find(str(folder)).lacking] == lacking
    assert [str(file) for file in find(str(folder / "d.*")).lacking] == lacking


def test_a_glob_of_some_shards_lacks_only_what_it_matches(touch):
    """A part of a set may be asked for."""
    folder = touch("d.array_record-00000-of-00004", "d.array_record-00002-of-00004")
    assert find(str(folder / "d.array_record-0000[02]-of-*")).lacking == ()
    (gone,) = find(str(folder / "d.array_record-0000[012]-of-*")).lacking
    assert gone.name == "d.array_record-00001-of-00004"


def test_sets_before_a_suffix_are_sets(touch):
    """The extension may follow the shard's number."""
    shards = find(str(touch("d-00001-of-00002.array_record")))
    assert [file.name for file in shards.lacking] == ["d-00000-of-00002.array_record"]


@pytest.mark.parametrize(
    "held",
    [
        ("mnist-train.array_record-00000-of-00001", "mnist-test.array_record-00000-of-00001"),
        ("a.array_record-00000-of-00001", "a.array_record-00000-of-00002"),
        ("train.array_record", "test.array_record"),
    ],
)
def test_a_folder_of_several_sets_asks_for_a_glob(touch, held):
    """Nothing is mixed silently; the error lists the sets as globs."""
    with pytest.raises(ValueError, match=r"several sets: .*choose one with a glob") as caught:
        find(str(touch(*held)))
    for name in held:
        assert name.partition(".")[0] in str(caught.value)


def test_a_shard_beyond_its_set_is_corrupt(touch):
    """A number that the set cannot have is not read as data."""
    with pytest.raises(CorruptDataError, match="is numbered 4 in a set of 4"):
        find(str(touch("d.array_record-00004-of-00004")))


def test_a_name_may_claim_any_count(touch):
    """A file that says it has a trillion siblings costs neither time nor memory."""
    shards = find(str(touch("d.array_record-0-of-1000000000000")))
    assert len(shards.lacking) == 1000


def test_a_missing_path_names_itself_and_what_lies_there(touch):
    """The nearest set is offered."""
    folder = touch("digits.array_record-00000-of-00001")
    with pytest.raises(CacheMissError) as caught:
        find(str(folder / "digit.array_record"))
    text = str(caught.value)
    assert str(folder / "digit.array_record") in text
    assert "does not exist" in text
    assert "digits.array_record-" in text


def test_a_missing_folder_is_said_to_be_missing(tmp_path):
    """The folder that is not there is named."""
    with pytest.raises(FileNotFoundError, match=r"nor does the folder .*nowhere"):
        find(str(tmp_path / "nowhere" / "x.array_record"))


def test_a_glob_that_matches_nothing_is_a_miss(touch):
    """The shards that lie there are listed."""
    folder = touch("a.array_record")
    with pytest.raises(CacheMissError, match=r"matches no file.*'a.array_record'"):
        find(str(folder / "b*"))


def test_a_folder_without_shards_lists_what_it_holds(touch):
    """Files of other names are read by a glob, and the error says so."""
    with pytest.raises(CacheMissError, match=r"holds 'a.tfrecord'.*give a glob"):
        find(str(touch("a.tfrecord")))
