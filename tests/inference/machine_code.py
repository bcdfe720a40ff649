"""Compiles the Triton kernel to a GPU's machine code, which needs no GPU, and prints what it takes.

`machine_code.py HEAD_DIM GROUP MASKED PRECISION CAPABILITY ...`, five for each kernel. Not in a process where
Triton interprets.
"""

import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from pie.inference.triton_kernel import Shape, attend_tiles

POINTERS = {"out": "*fp32", "queries": "*fp32", "keys": "*fp32", "values": "*fp32", "table": "*i32",
            "rows": "*i32", "bits": "*u8"}  # fmt: skip


def shared_memory(head_dim: int, group: int, masked: bool, precision: str, capability: int) -> int:
    """Bytes that one program takes."""
    shape = Shape(group, head_dim)
    constants = {
        "KV_HEADS": 3, "GROUP": group, "HEAD_DIM": head_dim, "DIM": shape.dim, "SLOTS": shape.slots,
        "LINES": shape.block_lines if masked else shape.row_lines, "MASKED": masked, "PRECISION": precision,
    }  # fmt: skip
    signature = {**POINTERS, "query_stride": "i32", "scale": "fp32", **dict.fromkeys(constants, "constexpr")}
    source = ASTSource(attend_tiles, signature, constants)
    target = GPUTarget("cuda", capability, 32)
    found = triton.compile(source, target=target, options={"num_warps": 4, "num_stages": 2})
    assert found.asm["cubin"]
    return int(found.metadata.shared)


for head_dim, group, masked, precision, capability in zip(*[iter(sys.argv[1:])] * 5, strict=True):
    print(shared_memory(int(head_dim), int(group), masked == "masked", precision, int(capability)))
