package dev.weir.runtime;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.StreamSupport;

/** The bundled model stories260K and what it is known to say (models/stories260K/golden.json). */
final class Golden {
  static final Path MODEL = Path.of(System.getProperty("weir.root"), "models", "stories260K");

  private Golden() {}

  /**
   * A prompt and its greedy continuation.
   *
   * @param greedyMargins by how much the logit of each of greedyIds exceeds the second largest
   * @param logitsPositions indices into greedyIds for whose choice the logits are recorded
   * @param logitsOffset bytes from the start of golden_logits.f32 to the first of them
   */
  record Case(
      int[] promptIds,
      int[] greedyIds,
      float[] greedyMargins,
      int[] logitsPositions,
      int logitsOffset) {}

  static Case firstCase() {
    return cases().getFirst();
  }

  static List<Case> cases() {
    try {
      JsonNode cases =
          new ObjectMapper().readTree(MODEL.resolve("golden.json").toFile()).get("cases");
      return StreamSupport.stream(cases.spliterator(), false).map(Golden::read).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Case read(JsonNode node) {
    float[] margins = new float[node.get("greedy_margin").size()];
    for (int i = 0; i < margins.length; i++) {
      margins[i] = node.get("greedy_margin").get(i).floatValue();
    }
    return new Case(
        integers(node.get("prompt_ids")),
        integers(node.get("greedy_ids")),
        margins,
        integers(node.get("logits_positions")),
        node.get("logits_byte_offset").intValue());
  }

  /** The recorded logits of a case's {@code index}-th recorded position. */
  static float[] logits(Case golden, int index, int vocabularySize) {
    try {
      byte[] file = Files.readAllBytes(MODEL.resolve("golden_logits.f32"));
      float[] logits = new float[vocabularySize];
      int start = golden.logitsOffset() + index * vocabularySize * Float.BYTES;
      ByteBuffer.wrap(file, start, vocabularySize * Float.BYTES)
          .order(ByteOrder.LITTLE_ENDIAN)
          .asFloatBuffer()
          .get(logits);
      return logits;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int[] integers(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).mapToInt(JsonNode::intValue).toArray();
  }
}
