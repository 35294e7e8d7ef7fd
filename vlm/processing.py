"""The processors of transformers: a request as a conversation in their form, and why one cannot be loaded."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from PIL import Image

from tuwen.errors import ModelUnavailableError
from vlm.base import VisionRequest
from vlm.checkpoint import Checkpoint, needs_extra


def conversation(request: VisionRequest) -> list[dict[str, Any]]:
    """As ``apply_chat_template`` takes it."""
    return [{"role": message.role, "content": [_part(part) for part in message.parts]} for message in request.messages]


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "image": Image.fromarray(part)}


def load_processor(checkpoint: Checkpoint) -> Any:
    """Tokenizer, image processor and template of a checkpoint, with no code of its own.

    Raises:
        ModelUnavailableError: it cannot be loaded, or lacks a part; the sentence says what to install.
    """
    try:
        from transformers import AutoProcessor
    except ImportError as error:
        raise needs_extra() from error
    try:
        processor = AutoProcessor.from_pretrained(checkpoint.folder, trust_remote_code=False, local_files_only=True)
    except (ImportError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailableError(
            f"{checkpoint.name}: its processor cannot be loaded{_torchvision(error)}: {error}"
        ) from error
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise ModelUnavailableError(
            f"{checkpoint.name}: transformers finds no image processor for it, only {type(processor).__name__}."
        )
    if not processor.chat_template:
        raise ModelUnavailableError(f"{checkpoint.name}: it brings no chat template (chat_template.jinja).")
    return processor


def _torchvision(error: Exception) -> str:
    if find_spec("torchvision") or not (isinstance(error, ImportError) or "torchvision" in str(error)):
        return ""
    return ", it needs torchvision, which is not installed (pip install 'tuwen[gpu]' beside a CUDA build of torch)"
