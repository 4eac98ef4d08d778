"""Write a part of a trained run as one file that needs no vaekit: as ONNX, or as a program of `torch.export`.

The file holds the transform of the data, the networks and the way back to the units of the data. Noise is an input. So the
file gives the numbers of the verb of the run, up to rounding in single precision.
"""

from vaekit.export.parts import MOST_SAMPLES, ExportedPart, Subject, make_part
from vaekit.export.tables import Impute, Sample
from vaekit.export.writing import FORMATS, write_part

__all__ = ["FORMATS", "MOST_SAMPLES", "ExportedPart", "Impute", "Sample", "Subject", "make_part", "write_part"]
