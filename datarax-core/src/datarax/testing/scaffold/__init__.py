"""A new plugin: a whole distribution that passes its own tests, to be made into another's.

`templates` beside this module is a working plugin of the name `newname`; making one is copying it
with another name. Names that begin with a dot are written `dot_` there, so that no tool takes the
templates for a project.
"""

from __future__ import annotations

from datarax.testing.scaffold.plugin import new_plugin

__all__ = ["new_plugin"]
