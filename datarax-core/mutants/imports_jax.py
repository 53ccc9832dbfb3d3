"""The module of a plugin that imports JAX as it is imported."""

import jax

DEVICES = jax.device_count
