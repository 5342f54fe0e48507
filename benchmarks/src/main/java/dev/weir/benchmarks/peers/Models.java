package dev.weir.benchmarks.peers;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Models with random weights, which {@code benchmarks/peers/MakeModel.java} writes once. */
final class Models {
  private static final String SEED = "1";

  private final Path sources;
  private final Path models;

  /**
   * @param root of the source tree
   * @param peers the folder of the peers, which gets the models as well
   */
  Models(Path root, Path peers) {
    this.sources = root.resolve("benchmarks/peers");
    this.models = peers.resolve("models");
  }

  /** Whether it is known; a shape is a file in {@code shapes/}. */
  boolean exists(String name) {
    return Files.isRegularFile(shape(name));
  }

  /**
   * The folder of a model, with safetensors files and {@code model.gguf}; written now if it is not
   * there.
   *
   * @throws PeerException if it cannot be written
   */
  Path folder(String name) throws PeerException, InterruptedException {
    Path folder = models.resolve(name);
    // Written last.
    if (!Files.isRegularFile(folder.resolve("config.json"))) {
      System.err.println("writing random weights to " + folder);
      Subprocess.run(
          List.of(
              Path.of(System.getProperty("java.home"), "bin", "java").toString(),
              sources.resolve("MakeModel.java").toString(),
              shape(name).toString(),
              folder.toString(),
              SEED));
    }
    return folder;
  }

  private Path shape(String name) {
    return sources.resolve("shapes").resolve(name + ".json");
  }
}
