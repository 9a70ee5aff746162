"""The GPUs that a job sees. Variables for another maker's GPUs belong here."""

import os
import re

MYPY = False
if MYPY:
    from typing import Iterable

# As ROCm's runtime names its devices: sixteen digits in one piece. NVIDIA's have dashes in them.
AMD = re.compile(r"GPU-[0-9a-f]{16}")


# Who sets one of these has chosen the GPUs of a job that asks for none.
CHOSEN = (b"CUDA_VISIBLE_DEVICES", b"ROCR_VISIBLE_DEVICES", b"HIP_VISIBLE_DEVICES", b"GPU_DEVICE_ORDINAL")


def show_devices(env: "dict[bytes, bytes]", gpus: "list[str]", present: "Iterable[str]" = ()) -> None:
    """Set the variables that let a job see these GPUs and no others. `present`: those of the node, if known.

    Intel's Level Zero takes numbers, in ZE_AFFINITY_MASK; its devices are not measured yet, so they are not leased.
    """
    amd = [gpu for gpu in gpus if AMD.fullmatch(gpu)]
    nvidia = [gpu for gpu in gpus if gpu not in amd]
    env[b"CUDA_DEVICE_ORDER"] = b"PCI_BUS_ID"
    # HIP reads CUDA's variable too, if its own is not set. Empty: no NVIDIA GPU.
    env[b"CUDA_VISIBLE_DEVICES"] = os.fsencode(",".join(nvidia))
    if any(AMD.fullmatch(gpu) for gpu in [*gpus, *present]):
        env[b"ROCR_VISIBLE_DEVICES"] = os.fsencode(",".join(amd))
        # HIP numbers the devices that ROCr shows, from 0.
        env[b"HIP_VISIBLE_DEVICES"] = ",".join(str(number) for number in range(len(amd))).encode()
        env.pop(b"GPU_DEVICE_ORDINAL", None)
