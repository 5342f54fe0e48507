package dev.weir.cli;

import dev.weir.scheduling.Preemption;
import picocli.CommandLine.Option;

/** The option that says how requests are evicted. */
final class PreemptionArguments {
  @Option(
      names = "--preemption",
      paramLabel = "HOW",
      defaultValue = "recompute",
      description =
          "What happens to the KV blocks of an evicted request: recompute or swap (default:"
              + " ${DEFAULT-VALUE}).")
  private Preemption preemption;

  void check(OptionCheck check, long swapBlocks) {
    if (preemption == Preemption.SWAP && swapBlocks == 0) {
      throw check.refused("--preemption swap needs swap space: --swap-blocks is 0");
    }
  }

  Preemption preemption() {
    return preemption;
  }
}
