"""Several processes that train together, as `torchrun` and `accelerate launch` start them.

`launch` reads what the launcher says, without torch; `group` has what processes do together.
"""

from vaekit.processes.launch import LAUNCHED, is_launched, launch_name, leads, restarts

__all__ = ["LAUNCHED", "is_launched", "launch_name", "leads", "restarts"]
