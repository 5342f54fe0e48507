package dev.weir.benchmarks.peers;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * llama.cpp, measured by its own {@code llama-batched-bench}, a process for each point. Its decode
 * steps are timed without sampling. Each sequence has a KV buffer of its own (no unified KV), into
 * which the prompt's keys and values are copied.
 */
final class LlamaCpp {
  /** llama.cpp computes attention over this many cells of a sequence or a multiple. */
  private static final int CELLS = 256;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path program;
  private final int threads;

  private LlamaCpp(Path program, int threads) {
    this.program = program;
    this.threads = threads;
  }

  /** Empty if it was not built. */
  static Optional<LlamaCpp> find(Path peers, int threads) {
    Path program = peers.resolve("llama.cpp-build/bin/llama-batched-bench");
    return Files.isExecutable(program)
        ? Optional.of(new LlamaCpp(program, threads))
        : Optional.empty();
  }

  /** Version and compiler, as the program says. */
  String version() throws PeerException, InterruptedException {
    return String.join(
        ", ", Subprocess.all(List.of(program.toString(), "--version")).lines().toList());
  }

  /**
   * Measures a point. The same point with one decode step runs before it in the same process,
   * unmeasured.
   *
   * @throws PeerException if llama.cpp fails
   */
  Rates measure(Path gguf, Point point, boolean flashAttention)
      throws PeerException, InterruptedException {
    return parse(Subprocess.run(command(gguf, point, flashAttention)), point);
  }

  List<String> command(Path gguf, Point point, boolean flashAttention) {
    int cells = (point.context() + point.steps() + CELLS - 1) / CELLS * CELLS;
    return List.of(
        program.toString(),
        "--model",
        gguf.toString(),
        "--threads",
        Integer.toString(threads),
        "--threads-batch",
        Integer.toString(threads),
        "--load-mode",
        "none",
        "--flash-attn",
        flashAttention ? "on" : "off",
        "--no-kv-unified",
        "--ctx-size",
        Integer.toString(point.batch() * cells),
        "-pps",
        "-npp",
        Integer.toString(point.context()),
        "-ntg",
        "1," + point.steps(),
        "-npl",
        Integer.toString(point.batch()),
        "--output-format",
        "jsonl");
  }

  /** Reads the line of the measured run from what the program wrote. */
  static Rates parse(String output, Point point) throws PeerException {
    for (String line : output.lines().filter(line -> line.startsWith("{")).toList()) {
      JsonNode json;
      try {
        json = JSON.readTree(line);
      } catch (JsonProcessingException e) {
        throw new PeerException("llama-batched-bench wrote a line that is not JSON: " + line);
      }
      if (json.path("pp").asInt() == point.context()
          && json.path("tg").asInt() == point.steps()
          && json.path("pl").asInt() == point.batch()) {
        return new Rates(json.path("speed_pp").asDouble(), json.path("speed_tg").asDouble());
      }
    }
    throw new PeerException(
        "llama-batched-bench wrote no result for " + point + ", but:\n" + output);
  }
}
