package dev.weir.cli;

import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.Workload;
import dev.weir.simulation.capacity.LengthMoments;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The requests of a workload that can be served at all.
 *
 * @param promptTokens their prompt lengths
 * @param outputTokens their output lengths
 * @param rate requests a second; infinite if all come at once
 * @param overlong how many of the looked-at requests do not fit
 * @param lookedAt requests looked at
 * @param longest prompt and output together that just fit
 */
record PlannedLoad(
    int[] promptTokens, int[] outputTokens, double rate, int overlong, int lookedAt, long longest) {
  private static final int MOST_CLASSES = 20;

  static PlannedLoad of(WorkloadFacts facts, long longest) {
    int lookedAt = facts.promptTokens().length;
    int[] fitting =
        IntStream.range(0, lookedAt)
            .filter(i -> (long) facts.promptTokens()[i] + facts.outputTokens()[i] <= longest)
            .toArray();
    return new PlannedLoad(
        IntStream.of(fitting).map(i -> facts.promptTokens()[i]).toArray(),
        IntStream.of(fitting).map(i -> facts.outputTokens()[i]).toArray(),
        facts.rate() * fitting.length / lookedAt,
        lookedAt - fitting.length,
        lookedAt,
        longest);
  }

  LengthMoments lengths() {
    return LengthMoments.of(promptTokens, outputTokens);
  }

  /**
   * What schedulers are told of it: classes, if it has few.
   *
   * @param arrivalRate requests a second
   */
  Workload workload(double arrivalRate) {
    Map<Lengths, Integer> counts = new LinkedHashMap<>();
    for (int i = 0; i < promptTokens.length && counts.size() <= MOST_CLASSES; i++) {
      counts.merge(new Lengths(promptTokens[i], outputTokens[i]), 1, Integer::sum);
    }
    if (counts.size() > MOST_CLASSES) {
      return new Workload(
          arrivalRate, LengthHistogram.of(promptTokens), LengthHistogram.of(outputTokens));
    }
    return Workload.of(
        counts.entrySet().stream()
            .map(
                entry ->
                    new RequestClass(
                        arrivalRate * entry.getValue() / promptTokens.length,
                        entry.getKey().prompt(),
                        entry.getKey().output()))
            .toList());
  }

  private record Lengths(int prompt, int output) {}
}
