package dev.weir.cli;

import dev.weir.runtime.ModelInfo;
import dev.weir.runtime.Precision;

/** What a model's weights take on the CPU. */
final class WeightMemory {
  /** A scale and a correction for each output of a matrix of 8-bit integers. */
  private static final int BYTES_PER_OUTPUT = Float.BYTES + Integer.BYTES;

  private WeightMemory() {}

  /**
   * Bytes of the weights, without what packed matrices are filled up with: outputs to multiples of
   * 64, inputs to multiples of 32 or 64, which big models have anyway.
   *
   * @param precision not {@link Precision#DEFAULT}
   */
  static long bytes(ModelInfo model, Precision precision) {
    long table = (long) model.vocabularySize() * model.hiddenSize();
    return switch (precision) {
      case FP32 ->
          // A packed matrix does not serve as the table of a tied model.
          (model.parameters() + (model.tiedEmbeddings() ? table : 0)) * Float.BYTES;
      case BF16 -> model.parameters() * Short.BYTES;
      case INT8 ->
          model.parameters()
              + outputs(model) * BYTES_PER_OUTPUT
              // The table of an untied model is counted above with one byte.
              + (model.tiedEmbeddings() ? 2 : 1) * table;
      case DEFAULT -> throw new IllegalArgumentException("precision is DEFAULT");
    };
  }

  private static long outputs(ModelInfo model) {
    long attention = (model.heads() + 2L * model.kvHeads()) * model.headSize();
    long feedForward = 2L * model.intermediateSize();
    return model.layers() * (attention + feedForward + 2L * model.hiddenSize())
        + model.vocabularySize();
  }
}
