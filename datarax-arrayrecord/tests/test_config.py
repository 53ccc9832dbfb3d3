"""The options: frozen, hashable, checked at construction."""

import dataclasses
import pickle
from pathlib import Path

import jax
import pytest

from datarax_arrayrecord import ArrayRecordSourceConfig


def test_a_config_with_a_spec_hashes_and_compares():
    """NNX hashes a config as part of the graph definition."""
    one = ArrayRecordSourceConfig(path="x", spec={"a": jax.ShapeDtypeStruct((2,), "int8")})
    two = ArrayRecordSourceConfig(path="x", spec={"a": "int8[2]"})
    assert one == two
    assert hash(one) == hash(two)


def test_a_config_is_replaced_and_pickled_whole():
    """What is normalised once stays as it is."""
    config = ArrayRecordSourceConfig(path=Path("x"), spec={"a": "int8[2]"})
    assert config.path == "x"
    assert pickle.loads(pickle.dumps(config)) == config
    assert dataclasses.replace(config, shuffle=True).spec == config.spec


def test_an_unknown_decoder_is_refused_with_those_there_are():
    """The nearest name is offered."""
    with pytest.raises(ValueError, match=r"decode='rau' is not known; .*'raw'.*Did you mean 'raw'"):
        ArrayRecordSourceConfig(path="x", decode="rau")


@pytest.mark.parametrize("offline", [None, False, True])
@pytest.mark.parametrize(
    "path", ["gs://bucket/a", "s3://bucket/a", "http://host/a", "https://host/a", "file:///a"]
)
def test_remote_paths_are_refused_whatever_the_options(path, offline):
    """Nothing here opens a socket, so a remote path is an error at once."""
    with pytest.raises(ValueError, match=r"is remote.*copy the shards"):
        ArrayRecordSourceConfig(path=path, local_files_only=offline)


def test_an_empty_path_is_refused():
    """An empty path would be the working folder."""
    with pytest.raises(ValueError, match="path is empty"):
        ArrayRecordSourceConfig(path="")


def test_a_missing_spec_is_said_where_it_is_needed():
    """A config without a spec can be inspected, but not read; the error shows a spec."""
    with pytest.raises(ValueError, match=r"needs spec.*jax.ShapeDtypeStruct\(\(28, 28\)"):
        _ = ArrayRecordSourceConfig(path="x").stored
