"""Tiny models with random weights, written as sentence-transformers and transformers write them; no download."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast
from transformers.utils import logging

logging.disable_progress_bar()

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_CHARACTERS = sorted(
    set(
        "年假十天差旅费用在三内报销员工入职满一有带薪每多少？。预算项目期第万元的0123456789abcdefghijklmnopqrstuvwxyz#@"
    )
)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a character."""
    vocabulary = {token: i for i, token in enumerate([*_SPECIAL, *_CHARACTERS])}
    made = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=128,
    )  # fmt: skip


def _config(**values) -> BertConfig:
    return BertConfig(
        vocab_size=len(_SPECIAL) + len(_CHARACTERS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=128, **values,
    )  # fmt: skip


def _card(folder: Path, licence: str | None) -> Path:
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n# Tiny\n" if licence else "# Tiny\n", "utf-8")
    return folder


def bert(folder: Path, seed: int = 0) -> Path:
    """A plain encoder."""
    torch.manual_seed(seed)
    BertModel(_config(initializer_range=0.4)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def dense(
    folder: Path, licence: str | None = "apache-2.0", seed: int = 0, prompts: dict[str, str] | None = None
) -> Path:
    """A ``SentenceTransformer`` of texts, 32-d."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    inner = Transformer(str(bert(folder / "bert", seed)))
    SentenceTransformer(modules=[inner, Pooling(32, "mean")], prompts=prompts, device="cpu").save(str(folder / "model"))
    return _card(folder / "model", licence)


def late(folder: Path, licence: str | None = "mit") -> Path:
    """A ``MultiVectorEncoder`` of texts, 32-d."""
    from sentence_transformers import MultiVectorEncoder

    MultiVectorEncoder(str(bert(folder / "bert")), device="cpu").save(str(folder / "model"))
    return _card(folder / "model", licence)


def cross_encoder(folder: Path, labels: int = 1, licence: str | None = "apache-2.0") -> Path:
    """A ``CrossEncoder`` of texts."""
    torch.manual_seed(0)
    BertForSequenceClassification(_config(num_labels=labels, initializer_range=0.4)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return _card(folder, licence)


def clip(folder: Path, licence: str | None = "mit") -> Path:
    """A ``SentenceTransformer`` of texts and images in one space, 24-d."""
    from sentence_transformers import SentenceTransformer
    from transformers import (
        CLIPConfig,
        CLIPImageProcessorPil,
        CLIPModel,
        CLIPProcessor,
        CLIPTextConfig,
        CLIPVisionConfig,
    )

    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(_SPECIAL) + len(_CHARACTERS), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=128, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=24)
    CLIPModel(config).save_pretrained(folder / "clip")
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer()).save_pretrained(folder / "clip")
    SentenceTransformer(str(folder / "clip"), device="cpu").save(str(folder / "model"))
    return _card(folder / "model", licence)
