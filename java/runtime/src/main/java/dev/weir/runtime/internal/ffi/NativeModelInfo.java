package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/** A {@code weir_model_info}, valid until its call is closed. */
public final class NativeModelInfo {
  private static final long VOCABULARY_SIZE = Layouts.offset(Layouts.MODEL_INFO, "vocabulary_size");
  private static final long HIDDEN_SIZE = Layouts.offset(Layouts.MODEL_INFO, "hidden_size");
  private static final long INTERMEDIATE_SIZE =
      Layouts.offset(Layouts.MODEL_INFO, "intermediate_size");
  private static final long LAYERS = Layouts.offset(Layouts.MODEL_INFO, "layers");
  private static final long HEADS = Layouts.offset(Layouts.MODEL_INFO, "heads");
  private static final long KV_HEADS = Layouts.offset(Layouts.MODEL_INFO, "kv_heads");
  private static final long HEAD_SIZE = Layouts.offset(Layouts.MODEL_INFO, "head_size");
  private static final long CONTEXT_LENGTH = Layouts.offset(Layouts.MODEL_INFO, "context_length");
  private static final long TIED_EMBEDDINGS = Layouts.offset(Layouts.MODEL_INFO, "tied_embeddings");
  private static final long ROPE_THETA = Layouts.offset(Layouts.MODEL_INFO, "rope_theta");
  private static final long NORM_EPSILON = Layouts.offset(Layouts.MODEL_INFO, "norm_epsilon");
  private static final long BOS_TOKEN = Layouts.offset(Layouts.MODEL_INFO, "bos_token");
  private static final long EOS_TOKEN_COUNT = Layouts.offset(Layouts.MODEL_INFO, "eos_token_count");
  private static final long EOS_TOKENS = Layouts.offset(Layouts.MODEL_INFO, "eos_tokens");
  private static final long PARAMETERS = Layouts.offset(Layouts.MODEL_INFO, "parameters");
  private static final long WEIGHT_BYTES = Layouts.offset(Layouts.MODEL_INFO, "weight_bytes");
  private static final long KV_BYTES_PER_TOKEN =
      Layouts.offset(Layouts.MODEL_INFO, "kv_bytes_per_token");

  final MemorySegment segment;

  public NativeModelInfo(NativeCall call) {
    segment = Layouts.allocate(Layouts.MODEL_INFO, call.arena);
  }

  public int vocabularySize() {
    return segment.get(JAVA_INT, VOCABULARY_SIZE);
  }

  public int hiddenSize() {
    return segment.get(JAVA_INT, HIDDEN_SIZE);
  }

  public int intermediateSize() {
    return segment.get(JAVA_INT, INTERMEDIATE_SIZE);
  }

  public int layers() {
    return segment.get(JAVA_INT, LAYERS);
  }

  public int heads() {
    return segment.get(JAVA_INT, HEADS);
  }

  public int kvHeads() {
    return segment.get(JAVA_INT, KV_HEADS);
  }

  public int headSize() {
    return segment.get(JAVA_INT, HEAD_SIZE);
  }

  public int contextLength() {
    return segment.get(JAVA_INT, CONTEXT_LENGTH);
  }

  public int tiedEmbeddings() {
    return segment.get(JAVA_INT, TIED_EMBEDDINGS);
  }

  public float ropeTheta() {
    return segment.get(JAVA_FLOAT, ROPE_THETA);
  }

  public float normEpsilon() {
    return segment.get(JAVA_FLOAT, NORM_EPSILON);
  }

  public int bosToken() {
    return segment.get(JAVA_INT, BOS_TOKEN);
  }

  public int eosTokenCount() {
    return segment.get(JAVA_INT, EOS_TOKEN_COUNT);
  }

  /** Element {@code index} of the tokens that end a text. */
  public int eosToken(int index) {
    return segment.get(JAVA_INT, EOS_TOKENS + (long) index * Integer.BYTES);
  }

  public long parameters() {
    return segment.get(JAVA_LONG, PARAMETERS);
  }

  public long weightBytes() {
    return segment.get(JAVA_LONG, WEIGHT_BYTES);
  }

  public long kvBytesPerToken() {
    return segment.get(JAVA_LONG, KV_BYTES_PER_TOKEN);
  }
}
