package dev.weir.cli;

import dev.weir.engine.Engine;
import dev.weir.engine.EngineTimeline;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Where to record what an engine does.
 *
 * @param path the file, which is created or replaced
 * @param err is told if events are missing in it
 */
record TimelineFile(Path path, PrintWriter err) {
  static final String DESCRIPTION =
      "Write iterations, requests, evictions and the use of KV memory as a time line for Perfetto"
          + " (ui.perfetto.dev) or chrome://tracing";

  /** Work with an engine. */
  interface Serving<T> {
    /** Serves, and closes the engine. */
    T serve() throws CliException;
  }

  /**
   * Records an engine while it serves.
   *
   * @param engine a fresh one; is closed, also if this fails
   * @param file empty for no recording
   * @throws CliException if the file cannot be written
   */
  static <T> T record(Engine engine, Optional<TimelineFile> file, Serving<T> serving)
      throws CliException {
    return file.isPresent() ? file.get().record(engine, serving) : serving.serve();
  }

  private <T> T record(Engine engine, Serving<T> serving) throws CliException {
    try (engine) {
      EngineTimeline timeline = EngineTimeline.record(engine, path);
      T result;
      try (timeline) {
        result = serving.serve();
      }
      if (timeline.lostEvents() > 0) {
        err.println(
            path
                + ": the disk was too slow, "
                + timeline.lostEvents()
                + " events are missing; marks in the time line say where");
      }
      return result;
    } catch (IOException e) {
      throw new CliException("cannot write " + path + ": " + e.getMessage(), e);
    }
  }
}
