"""The protocol room: bytes and values in; values, bytes and errors out.

Nothing here waits, reads a clock, opens a file or draws a random number: `now`, ids, keys and
random bytes come in as arguments. `SPEC.md` beside this file is the prose; `vectors/` the proof.
"""

__version__ = "0.1.0"
