package dev.weir.benchmarks.peers;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Jlama, measured with one sequence by {@code benchmarks/peers/jlama/JlamaSpeed.java}. */
final class Jlama {
  private static final int STEPS = 16;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path libraries;
  private final Path source;
  private final int threads;

  private Jlama(Path libraries, Path source, int threads) {
    this.libraries = libraries;
    this.source = source;
    this.threads = threads;
  }

  /** Empty if it was not fetched. */
  static Optional<Jlama> find(Path peers, Path root, int threads) {
    Path libraries = peers.resolve("jlama/lib");
    return Files.isDirectory(libraries)
        ? Optional.of(
            new Jlama(libraries, root.resolve("benchmarks/peers/jlama/JlamaSpeed.java"), threads))
        : Optional.empty();
  }

  /** The version in the name of its library. */
  String version() throws PeerException {
    try (Stream<Path> files = Files.list(libraries)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith("jlama-core-"))
          .map(name -> name.substring("jlama-core-".length(), name.length() - ".jar".length()))
          .findFirst()
          .orElseThrow(() -> new PeerException("there is no jlama-core in " + libraries));
    } catch (IOException e) {
      throw new PeerException(libraries + " cannot be listed: " + e.getMessage());
    }
  }

  /**
   * Measures one sequence at each context, in a new JVM.
   *
   * @throws PeerException if Jlama fails
   */
  Map<Integer, Rates> measure(Path model, List<Integer> contexts)
      throws PeerException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                libraries + "/*",
                source.toString(),
                model.toString(),
                Integer.toString(threads),
                Integer.toString(STEPS)));
    contexts.forEach(context -> command.add(context.toString()));
    return parse(Subprocess.run(command));
  }

  /** Reads the only line of what the program wrote. */
  static Map<Integer, Rates> parse(String output) throws PeerException {
    Map<Integer, Rates> rates = new LinkedHashMap<>();
    try {
      for (JsonNode point : JSON.readTree(output).path("points")) {
        int prompt = point.path("prompt").asInt();
        rates.put(
            prompt,
            new Rates(
                prompt / point.path("prompt_seconds").asDouble(),
                point.path("steps").asInt() / point.path("decode_seconds").asDouble()));
      }
    } catch (JsonProcessingException e) {
      throw new PeerException("JlamaSpeed wrote something that is not JSON: " + output);
    }
    return rates;
  }
}
