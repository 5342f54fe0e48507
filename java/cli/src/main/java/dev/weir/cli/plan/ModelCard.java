package dev.weir.cli.plan;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The sizes of a Llama-family model, from config.json alone: no weights, no device, no native code.
 *
 * @param name folder or name
 * @param layers transformer blocks
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the feed-forward layer
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headSize width of a head
 * @param vocabularySize number of tokens
 * @param contextLength longest sequence in tokens
 * @param tiedEmbeddings whether the output matrix is the embedding matrix
 */
public record ModelCard(
    String name,
    int layers,
    int hiddenSize,
    int intermediateSize,
    int heads,
    int kvHeads,
    int headSize,
    int vocabularySize,
    int contextLength,
    boolean tiedEmbeddings) {
  /** Models whose cards are part of this program. */
  public static final List<String> BUNDLED = List.of("llama-2-7b", "stories260K");

  private static final ObjectMapper JSON = new ObjectMapper();

  /** A thousand times as many as the largest model. */
  private static final long MOST_WEIGHTS = 1_000_000_000_000_000L;

  private static final String FILE = "config.json";

  /**
   * Reads a folder, or one of {@link #BUNDLED} where there is no such folder.
   *
   * @throws IOException if there is no config.json, or it is no JSON
   * @throws IllegalArgumentException if a field is missing or out of range; the message names it
   */
  public static ModelCard read(String nameOrFolder) throws IOException {
    Path folder = Path.of(nameOrFolder);
    if (!Files.isDirectory(folder) && BUNDLED.contains(nameOrFolder)) {
      try (InputStream in =
          ModelCard.class.getResourceAsStream("models/" + nameOrFolder + "/" + FILE)) {
        return of(nameOrFolder, JSON.readTree(in));
      }
    }
    Path file = folder.resolve(FILE);
    if (!Files.isRegularFile(file)) {
      throw new IOException(
          "'" + nameOrFolder + "' is no folder with " + FILE + " and none of " + BUNDLED);
    }
    return of(nameOrFolder, JSON.readTree(file.toFile()));
  }

  private static ModelCard of(String name, JsonNode config) {
    int hiddenSize = size(name, config, "hidden_size");
    int heads = size(name, config, "num_attention_heads");
    return new ModelCard(
            name,
            size(name, config, "num_hidden_layers"),
            hiddenSize,
            size(name, config, "intermediate_size"),
            heads,
            config.has("num_key_value_heads") ? size(name, config, "num_key_value_heads") : heads,
            config.hasNonNull("head_dim") ? size(name, config, "head_dim") : hiddenSize / heads,
            size(name, config, "vocab_size"),
            size(name, config, "max_position_embeddings"),
            config.path("tie_word_embeddings").asBoolean(false))
        .checked();
  }

  /** The sizes of a hostile file multiply to more than a long holds. */
  private ModelCard checked() {
    double widest = Math.max(intermediateSize, (double) Math.max(heads, kvHeads) * headSize);
    double bound = 7.0 * hiddenSize * widest * layers + 2.0 * hiddenSize * vocabularySize;
    if (bound > MOST_WEIGHTS) {
      throw new IllegalArgumentException(
          FILE + " of " + name + " describes more than " + MOST_WEIGHTS + " weights");
    }
    return this;
  }

  private static int size(String name, JsonNode config, String field) {
    JsonNode value = config.path(field);
    if (!value.canConvertToInt() || !value.isIntegralNumber() || value.asInt() < 1) {
      throw new IllegalArgumentException(
          FILE
              + " of "
              + name
              + ": "
              + field
              + " is "
              + (value.isMissingNode() ? "missing" : value)
              + ", must be a whole number of at least 1");
    }
    return value.asInt();
  }

  /** Whether everything but the name is the same. */
  public boolean hasShapeOf(ModelCard other) {
    return equals(
        new ModelCard(
            name,
            other.layers,
            other.hiddenSize,
            other.intermediateSize,
            other.heads,
            other.kvHeads,
            other.headSize,
            other.vocabularySize,
            other.contextLength,
            other.tiedEmbeddings));
  }

  /** Number of weights, tied embeddings counted once. */
  public long parameters() {
    long query = (long) hiddenSize * heads * headSize;
    long keyAndValue = 2L * hiddenSize * kvHeads * headSize;
    long feedForward = 3L * hiddenSize * intermediateSize;
    long norms = 2L * hiddenSize;
    long embedding = (long) vocabularySize * hiddenSize;
    return layers * (2 * query + keyAndValue + feedForward + norms)
        + hiddenSize
        + (tiedEmbeddings ? embedding : 2 * embedding);
  }

  /** Bytes of the weights in the given format. */
  public long weightBytes(NumberFormat format) {
    return parameters() * format.bytes();
  }

  /** Bytes of keys and values of one token over all layers. */
  public long kvBytesPerToken(NumberFormat format) {
    return 2L * layers * kvHeads * headSize * format.bytes();
  }

  /**
   * Bytes for the intermediate results of the largest step: for each token the residual stream and
   * its normalised copy, the output of the fused query, key and value product, and the two halves
   * of the feed-forward layer; for each sequence its logits as 32-bit floats. One layer's results
   * are overwritten by the next one's.
   *
   * @param tokens tokens in a step
   * @param sequences sequences in a step
   */
  public long activationBytes(NumberFormat format, int tokens, int sequences) {
    long values = 2L * hiddenSize + (heads + 2L * kvHeads) * headSize + 2L * intermediateSize;
    return tokens * values * format.bytes() + (long) sequences * vocabularySize * Float.BYTES;
  }
}
