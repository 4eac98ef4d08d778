"""Runs on the Hugging Face Hub, `hf://OWNER/NAME@REVISION`: upload a shared run, and load one.

Only the files that a manifest may name are uploaded or downloaded, whatever else a repository holds. The library
`huggingface_hub` does the transfer, the caching, and finds the token; its variables of the environment apply (`HF_ENDPOINT`,
`HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`).
"""

from vaekit.runs.hub.address import Address, parse_address
from vaekit.runs.hub.fetch import fetch
from vaekit.runs.hub.push import push

__all__ = ["Address", "fetch", "parse_address", "push"]
