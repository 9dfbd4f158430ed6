"""A random language model with a projector, as GGUF: llama.cpp runs both, and says noise.

A llama of two layers, 64 wide, whose vocabulary is the bytes, and a vision encoder of one layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 64, 2, 4, 128, 16_384
SPECIAL = ("<unk>", "<s>", "</s>")
VISION_WIDTH, VISION_HEADS, VISION_FEED_FORWARD, PATCH, SIDE = 32, 2, 64, 14, 56
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)


def write_tiny_model(model: Path, projector: Path, *, seed: int = 0) -> None:
    """Write both files; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)

    def random(*shape: int) -> Any:
        return (rng.standard_normal(shape) * 0.05).astype(np.float32)

    _write_language_model(model, random)
    _write_projector(projector, random)


def _write_language_model(path: Path, random: Any) -> None:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = gguf.TokenType
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL] + [kinds.BYTE] * 256)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    # The grammar of a schema begins with the template's last words, as bytes: no blank before them.
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)
    writer.add_tensor("token_embd.weight", random(len(tokens), WIDTH))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output.weight", random(len(tokens), WIDTH))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{name}.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}.{name}.weight", random(WIDTH, WIDTH))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{block}.{name}.weight", random(FEED_FORWARD, WIDTH))
        writer.add_tensor(f"{block}.ffn_down.weight", random(WIDTH, FEED_FORWARD))
    _finish(writer)


def _write_projector(path: Path, random: Any) -> None:
    writer = gguf.GGUFWriter(str(path), "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_gelu", True)
    writer.add_string("clip.projector_type", "mlp")
    for name, value in {
        "embedding_length": VISION_WIDTH,
        "feed_forward_length": VISION_FEED_FORWARD,
        "block_count": 1,
        "attention.head_count": VISION_HEADS,
        "projection_dim": WIDTH,
        "image_size": SIDE,
        "patch_size": PATCH,
    }.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    positions = (SIDE // PATCH) ** 2 + 1
    writer.add_tensor("v.class_embd", random(VISION_WIDTH))
    writer.add_tensor("v.patch_embd.weight", random(VISION_WIDTH, 3, PATCH, PATCH))
    writer.add_tensor("v.position_embd.weight", random(positions, VISION_WIDTH))
    writer.add_tensor("v.pre_ln.weight", np.ones(VISION_WIDTH, np.float32))
    writer.add_tensor("v.pre_ln.bias", random(VISION_WIDTH))
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        writer.add_tensor(f"v.blk.0.{name}.weight", random(VISION_WIDTH, VISION_WIDTH))
        writer.add_tensor(f"v.blk.0.{name}.bias", random(VISION_WIDTH))
    for name in ("ln1", "ln2"):
        writer.add_tensor(f"v.blk.0.{name}.weight", np.ones(VISION_WIDTH, np.float32))
        writer.add_tensor(f"v.blk.0.{name}.bias", random(VISION_WIDTH))
    writer.add_tensor("v.blk.0.ffn_down.weight", random(VISION_FEED_FORWARD, VISION_WIDTH))
    writer.add_tensor("v.blk.0.ffn_down.bias", random(VISION_FEED_FORWARD))
    writer.add_tensor("v.blk.0.ffn_up.weight", random(VISION_WIDTH, VISION_FEED_FORWARD))
    writer.add_tensor("v.blk.0.ffn_up.bias", random(VISION_WIDTH))
    writer.add_tensor("mm.0.weight", random(WIDTH, VISION_WIDTH))
    writer.add_tensor("mm.0.bias", random(WIDTH))
    writer.add_tensor("mm.2.weight", random(WIDTH, WIDTH))
    writer.add_tensor("mm.2.bias", random(WIDTH))
    _finish(writer)


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
