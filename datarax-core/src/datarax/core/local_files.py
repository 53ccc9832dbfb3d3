"""`LocalFilesOnlyMixin`: one flag, and one check, for sources that may download."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from datarax.errors import CacheMissError


class LocalFilesOnlyMixin:
    """Adds one `local_files_only` flag to sources that may download.

    A source calls `_check_local_cache` before any network attempt. Subclasses define
    `self.local_files_only`, as a rule from their config.
    """

    local_files_only: bool

    def _check_local_cache(self, expected_paths: Sequence[Path], *, dataset_name: str) -> None:
        """Raise where only local files may be read and some are missing.

        Args:
            expected_paths: The files whose presence means a populated cache.
            dataset_name: The dataset, for the message.

        Raises:
            CacheMissError: A FileNotFoundError that names the dataset and each missing path, if
                `local_files_only` is True and any of the paths does not exist.
        """
        if not self.local_files_only:
            return
        missing = [str(Path(path).absolute()) for path in expected_paths if not Path(path).exists()]
        if missing:
            raise CacheMissError(
                f"{dataset_name}: local_files_only=True, and {len(missing)} of "
                f"{len(expected_paths)} files are not on this machine:\n  "
                + "\n  ".join(missing)
                + "\nPut them there, or load once with local_files_only=False to download them."
            )
