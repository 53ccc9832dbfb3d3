"""Every package's `__init__` is a curated list whose names exist."""

import importlib
import pkgutil
import types

import pytest

import datarax

PACKAGES = sorted(
    ["datarax"]
    + [
        info.name
        for info in pkgutil.walk_packages(datarax.__path__, "datarax.")
        if info.ispkg and info.name != "datarax.core"
    ]
)


@pytest.fixture(params=PACKAGES)
def package(request):
    return importlib.import_module(request.param)


def test_the_packages_are_those_expected():
    assert set(PACKAGES) >= {"datarax", "datarax.registry", "datarax.sources", "datarax.testing"}


def test_every_name_of_all_can_be_imported(package):
    for name in package.__all__:
        assert getattr(package, name) is not None, name


def test_all_says_no_name_twice(package):
    assert len(set(package.__all__)) == len(package.__all__)


def test_dir_lists_every_public_name(package):
    assert set(package.__all__) <= set(dir(package))


def test_a_public_name_says_what_it_is(package):
    for name in package.__all__:
        value = getattr(package, name)
        if isinstance(value, type | types.FunctionType | types.ModuleType):
            assert value.__doc__, name


def test_a_name_that_does_not_exist_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = package.nonsense


def test_the_public_surface_is_the_one_of_the_design():
    assert set(datarax.__all__) >= {
        "DataSourceModule",
        "errors",
        "inspect",
        "list_sources",
        "load",
        "refresh",
        "register",
        "save",
        "sources",
        "testing",
        "unregister",
    }
    assert set(datarax.sources.__all__) >= {"MemorySource", "MemorySourceConfig", "Reader"}


def test_every_error_is_a_datarax_error_and_the_builtin_a_caller_would_catch():
    expected = {
        "UnknownSourceError": LookupError,
        "SourceNotInstalledError": ImportError,
        "SourceBrokenError": ImportError,
        "SourceIncompatibleError": ImportError,
        "SourceConflictError": LookupError,
        "SourceDisabledError": LookupError,
        "InvalidURIError": ValueError,
        "UnknownOptionError": TypeError,
        "UnknownSplitError": ValueError,
        "UnknownConfigError": ValueError,
        "UnknownFieldError": ValueError,
        "UnknownDatasetError": LookupError,
        "CacheMissError": FileNotFoundError,
        "CorruptDataError": ValueError,
        "StateMismatchError": ValueError,
    }
    for name, builtin in expected.items():
        error = getattr(datarax.errors, name)
        assert issubclass(error, (builtin,))
        assert issubclass(error, datarax.errors.DataraxError)
        assert error.__doc__
