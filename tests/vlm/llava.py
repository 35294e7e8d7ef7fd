"""A tiny LLaVA with random weights, saved as a native checkpoint: any image-text-to-text model of transformers."""

from pathlib import Path

import torch
from transformers import (
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Qwen2Config,
    Qwen2Tokenizer,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from evals.vlm_checkpoint import write_tokenizer

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<img>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 320


def save(folder: Path, seed: int = 3) -> None:
    """Write it to ``folder``."""
    write_tokenizer(folder, VOCABULARY)
    tokenizer = Qwen2Tokenizer.from_pretrained(folder, trust_remote_code=False)
    image_id, end = tokenizer.convert_tokens_to_ids(["<img>", "<|im_end|>"])
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=14
    )
    text = Qwen2Config(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=VOCABULARY, max_position_embeddings=2048, eos_token_id=end,
    )  # fmt: skip
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_id=image_id, vision_feature_layer=-1)
    for part in (config, vision, text):
        part.initializer_range = 0.3
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    images = CLIPImageProcessorPil(size={"height": 28, "width": 28}, crop_size={"height": 28, "width": 28})
    LlavaProcessor(
        images, tokenizer, patch_size=14, vision_feature_select_strategy="default", image_token="<img>",
        num_additional_image_tokens=1, chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
