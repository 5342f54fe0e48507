#!/usr/bin/env python3
"""Writes a GGUF file of a Llama's shape with random weights in fp16: make_gguf.py CONFIG.json FILE.

For measuring engines that read nothing else, on a machine where nothing can be fetched. No weight is looked at, so one
random piece is written again and again: the file takes as long as the disk. It has no tokenizer, so engines must be
started on token ids. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3.
"""

import json
import os
import struct
import sys

ALIGNMENT = 32
F32, F16 = 0, 1  # types of tensors
UINT32, FLOAT32, STRING = 4, 6, 8  # types of values
MOSTLY_F16 = 1
PIECE = 1 << 22  # bytes of random weights
DEVIATION = 0.02


def tensors_of(config):
    """(name, rows, columns) in the order of the file; rows 0 is a vector."""
    hidden, intermediate = config["hidden_size"], config["intermediate_size"]
    kv = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "token_embd.weight", config["vocab_size"], hidden
    for i in range(config["num_hidden_layers"]):
        yield f"blk.{i}.attn_norm.weight", 0, hidden
        yield f"blk.{i}.attn_q.weight", hidden, hidden
        yield f"blk.{i}.attn_k.weight", kv, hidden
        yield f"blk.{i}.attn_v.weight", kv, hidden
        yield f"blk.{i}.attn_output.weight", hidden, hidden
        yield f"blk.{i}.ffn_norm.weight", 0, hidden
        yield f"blk.{i}.ffn_gate.weight", intermediate, hidden
        yield f"blk.{i}.ffn_up.weight", intermediate, hidden
        yield f"blk.{i}.ffn_down.weight", hidden, intermediate
    yield "output_norm.weight", 0, hidden
    yield "output.weight", config["vocab_size"], hidden


def metadata_of(config):
    """(key, type, value)."""
    heads = config["num_attention_heads"]
    return [
        ("general.architecture", STRING, "llama"),
        ("general.alignment", UINT32, ALIGNMENT),
        ("general.file_type", UINT32, MOSTLY_F16),
        ("llama.vocab_size", UINT32, config["vocab_size"]),
        ("llama.context_length", UINT32, config["max_position_embeddings"]),
        ("llama.embedding_length", UINT32, config["hidden_size"]),
        ("llama.block_count", UINT32, config["num_hidden_layers"]),
        ("llama.feed_forward_length", UINT32, config["intermediate_size"]),
        ("llama.rope.dimension_count", UINT32, config["hidden_size"] // heads),
        ("llama.attention.head_count", UINT32, heads),
        ("llama.attention.head_count_kv", UINT32, config["num_key_value_heads"]),
        ("llama.attention.layer_norm_rms_epsilon", FLOAT32, config["rms_norm_eps"]),
        ("llama.rope.freq_base", FLOAT32, config["rope_theta"]),
        ("tokenizer.ggml.model", STRING, "none"),
    ]


def string(text):
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def value(kind, content):
    if kind == STRING:
        return struct.pack("<I", kind) + string(content)
    return struct.pack("<I" + ("I" if kind == UINT32 else "f"), kind, content)


def aligned(size):
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def size_of(rows, columns):
    return rows * columns * 2 if rows else columns * 4


def random_piece():
    """Numbers that are evenly spread, with that deviation: one of 256 for each byte of randomness."""
    halves = [struct.pack("<e", DEVIATION * (i - 127.5) / 73.9) for i in range(256)]
    return b"".join(halves[byte] for byte in os.urandom(PIECE // 2))


def write(config, path):
    if config.get("tie_word_embeddings"):
        raise ValueError("tied embeddings are not written")
    tensors, metadata = list(tensors_of(config)), metadata_of(config)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, kind, content in metadata:
        header += string(key) + value(kind, content)
    offset = 0
    for name, rows, columns in tensors:
        # The innermost dimension first.
        dimensions = (columns, rows) if rows else (columns,)
        header += string(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        header += struct.pack("<IQ", F16 if rows else F32, offset)
        offset += aligned(size_of(rows, columns))
    piece = random_piece()
    ones = struct.pack("<f", 1.0)
    with open(path, "wb") as file:
        file.write(header.ljust(aligned(len(header)), b"\0"))
        for _, rows, columns in tensors:
            size = size_of(rows, columns)
            if rows:
                for done in range(0, size, PIECE):
                    file.write(piece[: min(PIECE, size - done)])
            else:
                file.write(ones * columns)
            file.write(b"\0" * (aligned(size) - size))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as config_file:
        write(json.load(config_file), sys.argv[2])
