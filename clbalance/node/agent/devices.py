"""What a job is shown of its GPUs: the one place where a further maker's variables come in."""

import os
import re

# As ROCm's runtime names its devices: sixteen digits in one piece. NVIDIA's have dashes in them.
AMD = re.compile(r"GPU-[0-9a-f]{16}")


def show_devices(env: "dict[bytes, bytes]", gpus: "list[str]") -> None:
    """Let a job see these and no others.

    Intel's Level Zero takes numbers, in ZE_AFFINITY_MASK; its devices are not measured yet.
    """
    amd = [gpu for gpu in gpus if AMD.fullmatch(gpu)]
    nvidia = [gpu for gpu in gpus if gpu not in amd]
    env[b"CUDA_DEVICE_ORDER"] = b"PCI_BUS_ID"
    # HIP reads CUDA's variable too, where its own is not set. Empty: none of this maker's.
    env[b"CUDA_VISIBLE_DEVICES"] = os.fsencode(",".join(nvidia))
    if amd:
        env[b"ROCR_VISIBLE_DEVICES"] = os.fsencode(",".join(amd))
        # HIP counts what ROCr has left over.
        env[b"HIP_VISIBLE_DEVICES"] = ",".join(str(number) for number in range(len(amd))).encode()
        env.pop(b"GPU_DEVICE_ORDINAL", None)
