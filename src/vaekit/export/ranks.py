"""Give single constants in a graph as many dimensions as the tensor that they meet.

onnxruntime computes x − c element by element if x ends with a dimension of 1 and c has fewer dimensions, which takes up to a
hundred times as long. Pictures of one channel end so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir

ELEMENTWISE = frozenset(
    [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Max",
        "Min",
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
        "Equal",
        "And",
        "Or",
        "Where",
    ]
)
"""The operations that stretch their inputs to one shape."""


def raise_ranks(graph: onnx_ir.Graph) -> None:
    """Replace single constants of operations on tensors that end with a dimension of 1."""
    import onnx_ir

    made: dict[tuple[str, int], onnx_ir.Value] = {}
    for node in graph.all_nodes():
        shapes = [value.shape for value in node.inputs if value is not None and value.shape is not None]
        widest = max(shapes, key=len, default=onnx_ir.Shape(()))
        if node.op_type not in ELEMENTWISE or len(widest) < 2 or widest[-1] != 1:
            continue
        for i, value in enumerate(node.inputs):
            constant = None if value is None else value.const_value
            if value is None or constant is None or constant.size != 1 or len(constant.shape) == len(widest):
                continue
            key = f"{value.name}", len(widest)
            if key not in made:
                tensor = onnx_ir.tensor(constant.numpy().reshape((1,) * len(widest)))
                made[key] = onnx_ir.Value(
                    name=f"{value.name}_{len(widest)}d",
                    shape=onnx_ir.Shape((1,) * len(widest)),
                    type=onnx_ir.TensorType(tensor.dtype),
                    const_value=tensor,
                )
                graph.register_initializer(made[key])
            node.replace_input_with(i, made[key])
    for name in [
        name for name, value in graph.initializers.items() if not value.uses() and not value.is_graph_output()
    ]:
        del graph.initializers[name]
