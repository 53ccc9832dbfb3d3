"""The contract cannot be dodged: what is overridden, deleted, marked or left out is said, or fails."""

import pytest

from datarax.testing import INDEXED, Capability, KnownDataset, SourceContract, matrix_of
from datarax.testing.known import check_known
from datarax.testing.pinning import contract_tests

pytest_plugins = ["pytester"]

LENGTH = "test_length_is_the_number_of_records"
ADOPTER = """
import numpy as np
import pytest
from datarax.testing import INDEXED, Capability, KnownDataset, SourceContract

RECORDS = [{{"x": np.float32(row), "text": "a" * row}} for row in range(6)]


class TestMemory(SourceContract):
    capabilities = INDEXED | {{Capability.STREAMING, Capability.WINDOW_SHUFFLE}}
    reads_files = False
    {inside}

    @pytest.fixture
    def dataset(self):
        {before}
        return KnownDataset("memory:", RECORDS, options={{"data": RECORDS}})
{after}
"""


def adopter(inside="", before="", after=""):
    return ADOPTER.format(inside=inside, before=before, after=after)


def adopt(**attributes):
    return type("TestAdopter", (SourceContract,), attributes)


# What a class says is looked at as it is made


def test_a_test_that_is_overridden_needs_a_reason():
    with pytest.raises(TypeError, match=rf"overrides or deletes {LENGTH}.*deviations"):
        adopt(**{LENGTH: lambda self: None})
    with pytest.raises(TypeError, match="overrides or deletes"):
        adopt(**{LENGTH: lambda self: None}, deviations={LENGTH: "  "})
    adopt(**{LENGTH: lambda self: None}, deviations={LENGTH: "its length is not known"})


def test_a_test_that_is_deleted_needs_a_reason():
    with pytest.raises(TypeError, match=rf"overrides or deletes {LENGTH}"):
        adopt(**{LENGTH: None})
    adopt(**{LENGTH: None}, deviations={LENGTH: "its length is not known"})


def test_a_test_that_a_mixin_overrides_needs_a_reason():
    mixin = type("Mixin", (), {LENGTH: lambda self: None})
    with pytest.raises(TypeError, match=rf"overrides or deletes {LENGTH}"):
        type("TestAdopter", (mixin, SourceContract), {})


@pytest.mark.parametrize("name", ["load", "no_skip", "pytest_generate_tests"])
def test_what_the_tests_stand_on_is_not_overridden(name):
    with pytest.raises(TypeError, match=f"overrides or deletes {name}"):
        adopt(**{name: lambda self: None})


def test_a_reason_for_nothing_is_refused():
    with pytest.raises(TypeError, match="does not deviate from it; strike it"):
        adopt(deviations={LENGTH: "it was so once"})
    with pytest.raises(TypeError, match="has no such test; strike it"):
        adopt(deviations={"test_of_long_ago": "it was so once"})


def test_a_reason_goes_stale_where_the_test_is_restored():
    first = adopt(**{LENGTH: None}, deviations={LENGTH: "its length is not known"})
    type("TestSecond", (first,), {})
    with pytest.raises(TypeError, match="does not deviate from it"):
        type("TestThird", (first,), {LENGTH: vars(SourceContract.__mro__[1])[LENGTH]})


def test_a_class_that_collects_nothing_is_refused():
    with pytest.raises(TypeError, match="nothing would run"):
        adopt(__test__=False)
    with pytest.raises(TypeError, match="nothing would run"):
        type("TestAdopter", (type("Mixin", (), {"__test__": False}), SourceContract), {})


@pytest.mark.parametrize(
    "mark", [pytest.mark.skip, pytest.mark.skipif(True, reason="no"), pytest.mark.xfail]
)
def test_a_class_that_is_marked_not_to_count_is_refused(mark):
    name = mark.mark.name if hasattr(mark, "mark") else mark.name
    for marks in (mark, [mark]):
        with pytest.raises(TypeError, match=f"is marked {name}"):
            adopt(pytestmark=marks)
    with pytest.raises(TypeError, match=f"is marked {name}"):
        type("TestAdopter", (type("Mixin", (), {"pytestmark": [mark]}), SourceContract), {})


# What comes after the class, and around it, is looked at as its tests are collected


def test_what_comes_after_the_class_is_an_error_of_collection(pytester):
    mark = 'pytestmark = pytest.mark.skip(reason="no")'
    cases = {
        "test_right": adopter(),
        "test_decorated": adopter(after="pytest.mark.xfail(TestMemory)"),
        "test_module": adopter(after=mark),
        "test_overridden": adopter(after=f"TestMemory.{LENGTH} = lambda self: None"),
        "test_unfounded": adopter(after=f"TestMemory.deviations = {{'{LENGTH}': 'why'}}"),
    }
    pytester.makepyfile(**cases)
    run = pytester.runpytest_inprocess("-q", "-k", "length_is or plugin_declares")
    text = run.stdout.str()
    assert run.ret != 0
    for name in cases.keys() - {"test_right"}:
        assert f"ERROR {name}.py" in text, f"{name} is collected\n{text}"
    assert "ERROR test_right.py" not in text
    for said in ("marked xfail", "marked skip", f"overrides or deletes {LENGTH}", "strike it"):
        assert said in text


def test_a_dataset_that_skips_or_shows_too_little_fails(pytester):
    few = 'return KnownDataset("memory:", RECORDS[:2], options={"data": RECORDS[:2]})'
    same = 'return KnownDataset("memory:", RECORDS[:1] * 6, options={"data": RECORDS[:1] * 6})'
    cases = {
        "test_right": adopter(),
        "test_skips": adopter(before='pytest.skip("not today")'),
        "test_xfails": adopter(before='pytest.xfail("not today")'),
        "test_few": adopter(before=few),
        "test_same": adopter(before=same),
        "test_undefined": adopter().partition("    @pytest.fixture")[0],
    }
    pytester.makepyfile(**cases)
    run = pytester.runpytest_inprocess("-q", "-k", "length_is and lazy")
    run.assert_outcomes(passed=1, errors=5, deselected=run.parseoutcomes()["deselected"])
    text = run.stdout.str()
    for said in (
        "never skipped: not today",
        "5 to 50 records, got 2",
        "are the same",
        "must define",
    ):
        assert said in text


def test_tests_that_are_left_out_or_marked_as_they_are_collected_are_missed(pytester):
    matrix = "the_matrix_is_as_pinned"
    pytester.makeconftest(
        f"""
        import pytest

        def pytest_collection_modifyitems(config, items):
            items[:] = [
                item for item in items
                if "{matrix}" in item.name or not item.path.name.startswith("test_left_out")
            ]
            for item in items:
                if item.path.name.startswith("test_marked") and "length_is" in item.name:
                    item.add_marker(pytest.mark.skip(reason="no"))

        def pytest_runtestloop(session):
            session.config.kept = session.items
            for item in session.items:
                if "{matrix}" in item.name:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            return True
        """
    )
    pytester.makepyfile(test_left_out=adopter(), test_marked=adopter(), test_right=adopter())
    run = pytester.runpytest_inprocess("-q")
    run.assert_outcomes(passed=1, failed=2)
    text = run.stdout.str()
    assert "tests of the contract are missing" in text
    assert "are marked, and would not count" in text


def test_a_matrix_that_is_out_of_date_fails_until_it_is_written_anew(pytester, monkeypatch):
    pytester.makepyfile(test_pinned=adopter(inside='matrix = "pinned.md"'))
    arguments = ("-q", "-k", "matrix")
    for held in (None, "of long ago\n"):
        if held:
            (pytester.path / "pinned.md").write_text(held)
        run = pytester.runpytest_inprocess(*arguments)
        assert run.parseoutcomes()["failed"] == 1
        run.stdout.fnmatch_lines(["*pinned.md is not the matrix; DATARAX_WRITE_MATRIX=1 *"])
    monkeypatch.setenv("DATARAX_WRITE_MATRIX", "1")
    assert pytester.runpytest_inprocess(*arguments).parseoutcomes()["passed"] == 1
    monkeypatch.delenv("DATARAX_WRITE_MATRIX")
    assert pytester.runpytest_inprocess(*arguments).parseoutcomes()["passed"] == 1
    assert (
        "| length is the number of records | 1 | 1 |" in (pytester.path / "pinned.md").read_text()
    )


# The matrix


def test_the_matrix_counts_each_test_and_tells_what_is_held_refused_and_deviates():
    adopting = adopt(
        capabilities=INDEXED,
        reads_files=False,
        deviations={LENGTH: "its length is not known"},
        **{LENGTH: None},
    )
    matrix = matrix_of(adopting)
    rows = {row.promise: row for row in matrix.rows}
    assert len(rows) == len(contract_tests(SourceContract))
    assert matrix.capabilities == ("exact_resume", "indexed_access", "traced_access")
    length = rows["length is the number of records"]
    assert (length.verdict, length.note) == ("deviates", "its length is not known")
    stream = rows["a stream is resumed at the record"]
    assert (stream.verdict, stream.note) == ("refused", "streaming is not declared")
    damaged = rows["a damaged file is an error that names it"]
    assert (damaged.verdict, damaged.refused) == ("no files", ("streaming",))
    closed = rows["closing twice is harmless and using after is an error"]
    assert (closed.verdict, closed.cases) == ("held", {"eager": 1, "lazy": 1, "streaming": 1})
    assert (
        matrix.as_dict()["count"]
        == matrix.count
        == sum(sum(row.cases.values()) for row in matrix.rows)
    )
    line = "| closing twice is harmless and using after is an error | 1 | 1 | refused |  | held |"
    assert line in matrix.markdown()


def test_the_matrix_of_a_forward_only_source_refuses_what_reads_by_index():
    matrix = matrix_of(adopt(capabilities=frozenset({Capability.STREAMING})))
    rows = {row.promise: row for row in matrix.rows}
    negative = rows["negative indices count from the end"]
    assert (negative.verdict, negative.note) == ("refused", "indexed_access is not declared")
    cursor = rows["the cursor moves as batches are delivered"]
    assert (cursor.verdict, cursor.refused) == ("held", ("eager", "lazy"))


def test_a_known_dataset_tells_its_records_apart():
    records = [{"x": row} for row in range(5)]
    check_known(KnownDataset("memory:", records))
    with pytest.raises(AssertionError, match="differ in fields"):
        check_known(KnownDataset("memory:", [*records, {"y": 1}]))
    with pytest.raises(AssertionError, match="5 to 50 records"):
        check_known(KnownDataset("memory:", records * 11))
