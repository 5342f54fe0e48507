package dev.weir.cli;

import dev.weir.engine.Engine;
import dev.weir.engine.EngineTimeline;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/** Records what an engine does, if somebody wants to see it. */
final class TimelineFile {
  static final String DESCRIPTION =
      "Write iterations, requests, evictions and the use of KV memory as a time line for Perfetto"
          + " (ui.perfetto.dev) or chrome://tracing";

  private TimelineFile() {}

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
  static <T> T record(Engine engine, Optional<Path> file, Serving<T> serving) throws CliException {
    if (file.isEmpty()) {
      return serving.serve();
    }
    try (engine) {
      EngineTimeline timeline = EngineTimeline.record(engine, file.get());
      T result;
      try (timeline) {
        result = serving.serve();
      }
      if (timeline.lostEvents() > 0) {
        throw new CliException(
            timeline.lostEvents()
                + " events are missing in "
                + file.get()
                + ": it could not be written fast enough");
      }
      return result;
    } catch (IOException e) {
      throw new CliException("cannot write " + file.get() + ": " + e.getMessage(), e);
    }
  }
}
