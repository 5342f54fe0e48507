package dev.weir.cli;

import dev.weir.scheduling.BatchLimits;
import picocli.CommandLine.Option;

/** Options that limit an iteration. */
final class BatchArguments {
  private static final int DEFAULT_TOKENS = 2048;

  @Option(
      names = {"--max-sequences", "--batch-cap"},
      paramLabel = "N",
      defaultValue = "256",
      description = "Sequences in one iteration (default: ${DEFAULT-VALUE}).")
  private int maxSequences;

  @Option(
      names = "--max-batch-tokens",
      paramLabel = "N",
      description = "Tokens in one iteration (default: " + DEFAULT_TOKENS + ").")
  private Integer maxTokens;

  /** Refuses limits that let nothing run. */
  void check(OptionCheck check) {
    check.atLeast("--max-sequences or --batch-cap", maxSequences, 1);
    if (maxTokens != null) {
      check.atLeast("--max-batch-tokens", maxTokens, 1);
    }
  }

  BatchLimits limits() {
    return limits(DEFAULT_TOKENS);
  }

  /**
   * @param defaultTokens tokens in an iteration if nobody named a number
   */
  BatchLimits limits(int defaultTokens) {
    return new BatchLimits(maxSequences, maxTokens == null ? defaultTokens : maxTokens);
  }
}
