"""Datasets that TFDS itself prepares, small and offline, without TensorFlow."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

TRAIN, TEST = 23, 6


def toy(index: int) -> dict[str, object]:
    """Return record `index` of the dataset `toy`, as it is read."""
    rng = np.random.default_rng(index)
    return {
        "flag": np.bool_(index % 2),
        "image": rng.integers(0, 256, (4, 3, 1), np.uint8),
        "label": np.int64(index % 3),
        "nested/count": np.int32(index),
        "nested/name": f"number {index}",
        "text": f"rëcord {index} ✓",
        "weight": rng.normal(size=(2, 3)).astype(np.float32),
    }


def zoo(index: int) -> dict[str, object]:
    """Return record `index` of the dataset `zoo`: what is not a plain scalar, tensor or text."""
    rng = np.random.default_rng(index)
    return {
        "bits": np.uint64(2**64 - 1 - index),
        "blob": bytes([index, 255, 0]),
        "depth": rng.integers(0, 2**16, (2, 2, 1), np.uint16),
        "fixed": np.array([index, -index], np.int32),
        "maybe": None if index % 2 else index,
        "objects/id": np.arange(index % 3),
        "objects/name": [str(number) for number in range(index % 3)],
        "photo": rng.integers(0, 256, (2 + index % 3, 5, 3), np.uint8),
        "tokens": np.arange(index % 4, dtype=np.int32),
        "wide": np.full((index % 3, 2), index, np.int32),
        "words": ["ä"] * (index % 3),
        "zipped": rng.normal(size=(2, 2)),
    }


def png(pixels: np.ndarray) -> bytes:
    """Return the pixels as a PNG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _builders():
    import tensorflow_datasets as tfds
    from etils import epath

    feature = tfds.features
    code = epath.Path(__file__)  # the tests are no package, which TFDS would look into

    class Toy(tfds.core.GeneratorBasedBuilder):
        """Flat features, an image and a nested dict, in stored order."""

        code_path = code
        VERSION = tfds.core.Version("1.9.3")
        SUPPORTED_VERSIONS = [tfds.core.Version("1.10.0")]  # noqa: RUF012 - TFDS adds lists

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                description="Toys.",
                citation="@toy",
                license="CC0",
                disable_shuffling=True,
                features=feature.FeaturesDict(
                    {
                        "flag": np.bool_,
                        "image": feature.Image(shape=(4, 3, 1), doc="A small one."),
                        "label": feature.ClassLabel(names=["ant", "bee", "cow"]),
                        "nested": {"count": np.int32, "name": feature.Text()},
                        "text": feature.Text(),
                        "weight": feature.Tensor(shape=(2, 3), dtype=np.float32),
                    }
                ),
            )

        def _split_generators(self, _):
            return {
                "train": self._generate_examples(0, TRAIN),
                "test": self._generate_examples(100, 100 + TEST),
            }

        def _generate_examples(self, start, stop):
            for index in range(start, stop):
                row = toy(index)
                yield (
                    index,
                    {
                        "flag": bool(row["flag"]),
                        "image": png(row["image"][..., 0]),
                        "label": int(row["label"]),
                        "nested": {"count": row["nested/count"], "name": row["nested/name"]},
                        "text": row["text"],
                        "weight": row["weight"],
                    },
                )

    class Zoo(tfds.core.GeneratorBasedBuilder):
        """Features that are not flat, in two configs."""

        code_path = code
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [  # noqa: RUF012 - TFDS adds lists
            tfds.core.BuilderConfig(name="big"),
            tfds.core.BuilderConfig(name="small"),
        ]

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                disable_shuffling=True,
                features=feature.FeaturesDict(
                    {
                        "bits": np.uint64,
                        "blob": feature.Scalar(np.object_),
                        "depth": feature.Image(
                            shape=(2, 2, 1), dtype=np.uint16, encoding_format="png"
                        ),
                        "fixed": feature.Sequence(np.int32, length=2),
                        "maybe": feature.Scalar(np.int32, optional=True),
                        "objects": feature.Sequence({"id": np.int64, "name": feature.Text()}),
                        "photo": feature.Image(),
                        "tokens": feature.Sequence(np.int32),
                        "wide": feature.Tensor(shape=(None, 2), dtype=np.int32),
                        "words": feature.Sequence(feature.Text()),
                        "zipped": feature.Tensor(shape=(2, 2), dtype=np.float64, encoding="zlib"),
                    }
                ),
            )

        def _split_generators(self, _):
            return {"validation": self._generate_examples(7)}

        def _generate_examples(self, count):
            for index in range(count):
                row = zoo(index)
                yield (
                    index,
                    {
                        **{
                            name: row[name]
                            for name in ("bits", "blob", "fixed", "maybe", "wide", "words")
                        },
                        "depth": png(row["depth"][..., 0]),
                        "objects": {"id": list(row["objects/id"]), "name": row["objects/name"]},
                        "photo": io.BytesIO(png(row["photo"])),
                        "tokens": list(row["tokens"]),
                        "zipped": row["zipped"],
                    },
                )

    return Toy, Zoo


@pytest.fixture(scope="session")
def builders():
    """Return the builders of `toy` and `zoo`; a process may define each once."""
    return _builders()


@pytest.fixture(scope="session")
def data_dir(builders, tmp_path_factory) -> Path:
    """Return a folder in which TFDS prepared `toy` in two versions and `zoo` in two configs."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    root = tmp_path_factory.mktemp("prepared")
    toy_builder, zoo_builder = builders
    sharded = tfds.download.DownloadConfig(num_shards=3)
    for version in ("1.9.3", "1.10.0"):
        builder = toy_builder(data_dir=str(root), version=version, file_format="array_record")
        builder.download_and_prepare(download_config=sharded)
    for name in ("big", "small"):
        builder = zoo_builder(data_dir=str(root), config=name, file_format="array_record")
        builder.download_and_prepare()
    return root


@pytest.fixture
def config(data_dir):
    """Return a function that makes a config for a dataset of `data_dir`."""
    from datarax_tfds import TFDSSourceConfig

    def config(name="toy", **options):
        return TFDSSourceConfig(**({"name": name, "data_dir": str(data_dir)} | options))

    return config


@pytest.fixture
def copied(data_dir, tmp_path) -> Path:
    """Return a copy of the prepared datasets that a test may damage."""
    import shutil

    return Path(shutil.copytree(data_dir, tmp_path / "copied"))


@pytest.fixture
def toys():
    """Return the function that says what record `index` of `toy` is."""
    return toy


@pytest.fixture
def zoos():
    """Return the function that says what record `index` of `zoo` is."""
    return zoo
