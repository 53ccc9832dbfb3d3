"""The module of a plugin that opens a socket as it is imported."""

import socket

with socket.socket() as opened:
    FAMILY = opened.family
