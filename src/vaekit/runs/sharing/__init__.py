"""Share a run: a copy of its folder that holds what the run needs to be used, and as few values of rows as possible.

categories.py   leave out values that few rows have
numbers.py      move the extremes of columns of numbers inwards
rules.py        do the same in the rules of a table
prior.py        replace the pseudo-inputs of a VampPrior by the Gaussians that they stand for
plan.py         all of this for one run
record.py       the record of what was left out, changed and kept, and how the scores changed
card.py         the model card
share.py        write the folder

The shared folder is an ordinary run folder with a manifest and a model card.
"""

from vaekit.runs.sharing.record import ScoreChange, Sharing
from vaekit.runs.sharing.share import share

__all__ = ["ScoreChange", "Sharing", "share"]
