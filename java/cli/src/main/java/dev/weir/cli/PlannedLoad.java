package dev.weir.cli;

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
}
