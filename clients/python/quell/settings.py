"""Where the server is and which key it is shown: as given, by the environment, or the local server's."""
from __future__ import annotations

import os
from typing import Optional
from urllib.parse import urlsplit

from .errors import QuellError

DEFAULT_URL = "http://127.0.0.1:8080"
LOCAL = ("127.0.0.1", "localhost", "::1")


def server_url(given: Optional[str] = None) -> str:
    url = (given or os.environ.get("QUELL_URL") or DEFAULT_URL).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise QuellError(f"the server's address must be an http:// or https:// URL, not {url!r}")
    return url


def key_file() -> Optional[str]:
    """Where a local server keeps its admin key, by the same rules as the command line's."""
    for name, below in (("QUELL_DATA", ""), ("XDG_STATE_HOME", "quell"),
                        ("HOME", ".local/state/quell")):
        if os.environ.get(name):
            return os.path.join(os.environ[name], below, "admin.key")
    return None


def server_key(given: Optional[str], url: str) -> Optional[str]:
    """The admin key file's content is shown to no server but one on a loopback address; "" is no key."""
    key = os.environ.get("QUELL_KEY") if given is None else given
    if not key and given is None and urlsplit(url).hostname in LOCAL:
        path = key_file()
        if path and os.path.exists(path):
            try:
                with open(path, encoding="ascii") as file:
                    key = file.read().strip()
            except OSError as error:
                raise QuellError(f"the key file {path} can't be read ({error.strerror}); name a "
                                 "key with QUELL_KEY") from error
    if key and (not key.isascii() or not key.isprintable() or " " in key):
        raise QuellError("a key is printable, without spaces; what was given is not")
    return key or None
