package dev.weir.cli.bench;

import dev.weir.engine.Engine;
import dev.weir.engine.EngineOptions;
import java.util.List;

/**
 * A short run before the measured ones. It warms the JVM up, and measures how the time of an
 * iteration depends on the tokens in it.
 *
 * @param fit the time of an iteration
 * @param result the run itself
 */
public record Calibration(CostFit fit, RunResult result) {

  /**
   * Serves the requests, all at once, in order of arrival.
   *
   * @param engine a fresh one with the scheduler {@code fcfs}; is closed
   * @param options what it was started with
   * @throws IllegalStateException if the engine did not run one iteration, because it refused every
   *     request
   */
  public static Calibration run(
      Engine engine, EngineOptions options, List<TimedRequest> requests, RunProgress progress) {
    List<TimedRequest> atOnce = requests.stream().map(TimedRequest::atOnce).toList();
    RunResult result = LoadRun.serve(engine, options, atOnce, progress);
    // The first iterations run in the interpreter.
    List<IterationSample> all = result.iterations();
    List<IterationSample> warm = all.subList(all.size() / 8, all.size());
    if (warm.isEmpty()) {
      String reasons =
          result.outcomes().stream().map(RequestOutcome::finish).distinct().toList().toString();
      throw new IllegalStateException(
          "the engine refused all "
              + requests.size()
              + " requests of the calibration with a KV pool of "
              + result.kvBlocks()
              + " blocks: "
              + reasons);
    }
    return new Calibration(
        CostFit.of(
            warm.stream().mapToDouble(s -> s.usedBlocks() * result.blockSize()).toArray(),
            warm.stream().mapToDouble(s -> s.duration() / 1e9).toArray()),
        result);
  }
}
